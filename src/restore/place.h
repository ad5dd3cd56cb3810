/* Where a data directory is built, and how it appears: whole, by one rename, or not at
 * all. etcdutl builds in the final directory; killed half-way it leaves a directory on
 * which etcd starts, elects itself, answers reads and loses every write.
 *
 *   data dir absent          built beside it as .NAME.holdfast-XXXXXXXX, then renamed
 *   data dir present, empty  built inside as .holdfast-XXXXXXXX (it may be a mount
 * point); then its `member` is renamed into place wal dir given            its one
 * segment is published first: a WAL without a database starts nothing, a database without
 * a WAL does
 *
 * What an interrupted restore left is recognised by name, and by its lock being free, and
 * swept by the next one. */
#ifndef RESTORE_PLACE_H
#define RESTORE_PLACE_H

#include "util/err.h"
#include "util/own.h"
#include "wal/write.h"

struct restore_place;

/* Checks the target, sweeps leftovers and makes the empty tree member/snap, member/wal in
 * the temporary place. wal_dir may be NULL. RC_REFUSED when data dir or wal dir exist and
 * are not empty (nothing is ever merged into or deleted), RC_NOTFOUND when the parent is
 * missing. */
enum rc restore_place_open(const char *data_dir, const char *wal_dir,
                           struct restore_place **out, struct err *e);

/* Paths inside the temporary place, borrowed: for the writers. */
const char *restore_place_snap_dir(const struct restore_place *p);
const char *restore_place_wal_dir(const struct restore_place *p);

/* Writes the log and the .snap with which the members of `seed` begin. */
enum rc restore_place_seed(const struct restore_place *p, const struct wal_seed *seed,
                           struct err *e);

/* A file for scratch data in the temporary place; it goes with it. */
const char *restore_place_scratch(const struct restore_place *p);

/* Makes all directories durable and publishes. RC_REFUSED when somebody else put a
 * directory there meanwhile. */
enum rc restore_place_publish(struct restore_place *p, struct err *e);

/* Removes what was not published. */
void restore_place_free(struct restore_place *p);
OWN_DEFINE(restore_place)

#endif
