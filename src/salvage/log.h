/* The log of a data directory on top of what was saved of its database. Which of both is
 * taken, best first:
 *
 * 1. the last commit, when all of it is there, and the log from its consistent_index on:
 *    the member's state, as etcd makes it at every start; unless the next one comes to
 *    something else
 * 2. the log alone, where it begins with the cluster
 * 3. the commit before, where the one in force has lost something. It is never called
 *    whole: a commit that was under way when the member died reuses its pages, and a leaf
 *    of it in the place of an old one looks right
 * 4. what is left of the commit in force, with the log on top, when it is known which
 *    revision the log goes on from. It replaces what was newest, but a transaction that
 *    compares a lost key, or a range deleted that held one, may come to something else
 *    than it did: told as such
 * 5. what is left of the database
 *
 * Internal to salvage/. */
#ifndef SALVAGE_LOG_H
#define SALVAGE_LOG_H

#include "salvage/salvage.h"

/* `out` was read from `fd`, or could not be (`readable` false) for the reason in *why. It
 * may be read again from there. Sets out->log, out->tail, out->dir and out->whole.
 * RC_CORRUPT when neither database nor log are of use. */
enum rc salvage_log_apply(const struct salvage_request *q, int fd, const char *name,
                          bool readable, const struct err *why,
                          struct salvage_result *out, struct err *e);

#endif
