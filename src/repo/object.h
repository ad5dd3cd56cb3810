/* The stored bytes of a backup: read once, and compared with what its record says. */
#ifndef REPO_OBJECT_H
#define REPO_OBJECT_H

#include "repo/repo.h"

/* Pushes the object through `next`, which it owns. `next` is finished only when size and
 * SHA-256 are the record's; else RC_CORRUPT, also when there is no such object. */
enum rc repo_object_read(struct repo *r, const struct manifest *m, struct sink *next,
                         struct err *e);

/* The same from any store, and into nothing else than the comparison. */
enum rc repo_object_check(struct store *s, const struct manifest *m, struct err *e);

/* A sink that compares what goes by; for messages the object's key. */
enum rc repo_object_sink_new(struct sink *next, const struct manifest *m,
                             struct sink **out, struct err *e);

/* "backup 12 of 'prod'" in front of a failure. */
enum rc repo_object_wrap(const struct record *x, const char *doing, struct err *e);

#endif
