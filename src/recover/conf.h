/* Who belongs to the cluster by a directory's log, as raft itself finds it out: the
 * configuration of the newest snapshot, and every change behind it. The bucket `members`
 * is not asked: up to 3.5 it may hold members of a cluster that the data was restored
 * from, which nobody counts. */
#ifndef RECOVER_CONF_H
#define RECOVER_CONF_H

#include "datadir/read.h"
#include "recover/copy.h"

/* As of entry `index`, which the log must have or end before. *known is false when the
 * log neither begins with the cluster nor has a snapshot's configuration. */
enum rc recover_conf_at(struct datadir *d, uint64_t index, struct recover_conf *out,
                        bool *known, struct err *e);

#endif
