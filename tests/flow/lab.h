/* What the tests of holdfast-lab share: its control socket, and clusters that are quick
 * to elect. */
#ifndef TESTS_FLOW_LAB_H
#define TESTS_FLOW_LAB_H

#include "tests/flow/flow.h"

/* Options with short election timeouts. */
extern const char *const lab_quick[];

/* `members` of them, started and serving. */
void lab_start(struct cluster *c, unsigned members);

/* One command to member i, which must answer ok; the rest of the answer. */
const char *lab_say(const struct cluster *c, unsigned i, const char *command);

/* Which member leads; waits for one, among those that run. CLUSTER_MAX: none in 20 s. */
unsigned lab_leader(const struct cluster *c);

/* Waits until all that run answer the same HashKV. */
void lab_agree(const struct cluster *c);

/* Waits until member i ends by itself; its exit status. Its log must hold `text`. */
int lab_ends(struct cluster *c, unsigned i, const char *text);

/* etcdctl on member i must fail with this text. */
void lab_refused(const struct cluster *c, unsigned i, const char *text,
                 const char *const args[]);
#define REFUSED(c, i, text, ...) \
    lab_refused(c, i, text, (const char *const[]){ __VA_ARGS__, NULL })

/* Cuts member i off from all others; heal ends it. */
void lab_isolate(const struct cluster *c, unsigned i);
/* Waits until it knows no leader. */
void lab_leaderless(const struct cluster *c, unsigned i);

/* "member id" of member i, in hex, as etcdctl takes it. */
const char *lab_id(const struct cluster *c, unsigned i);

#endif
