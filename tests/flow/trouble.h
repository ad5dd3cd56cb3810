/* Troubles that tests bring over a cluster. */
#ifndef TESTS_FLOW_TROUBLE_H
#define TESTS_FLOW_TROUBLE_H

#include "tests/lib/cluster.h"
#include "wire/wire.h"

/* Flags of a server that is full after a few megabytes. */
extern const char *const trouble_small_quota[];

/* A value of 256 KiB. */
enum rc trouble_put(struct wire_client *w, const char *key, struct err *e);

/* Puts until the alarm: three keys again and again, or ever new ones from key-`from` on.
 * The number of the next. */
int trouble_fill(struct wire_client *w, bool rewrite, int from);

bool trouble_is_nospace(const struct cluster *c);
/* Members of one cluster raise it one after the other. */
void trouble_await_nospace(const struct cluster *c);

/* Member i stops, and comes back with other bytes, as many, in its database. */
void trouble_spoil(struct cluster *c, unsigned i, const char *from, const char *to);
/* The same of a key that this writes through `w`: "a-key", "the-true-value". */
void trouble_diverge(struct cluster *c, unsigned i, struct wire_client *w);

#endif
