/* What the surviving records say about those that did not survive, and how they become a
 * store again.
 *
 * Above the compaction revision mains follow each other and subs count from 0, so what is
 * missing there is known exactly; a later version of a key tells whose earlier one is
 * gone. etcd itself never looks for gaps, but a watcher or a read in the past would be
 * answered from a history that never was. So the salvaged database has a compaction
 * scheduled at the last revision that is not whole: etcd refuses older revisions from its
 * first moment on, keeps of each key the newest record up to there, and removes the rest
 * at its first boot. Until then every record is in the file, but for those before a hole
 * in the history of their own key, which etcd's index could not hold. Internal to
 * salvage/. */
#ifndef SALVAGE_HISTORY_H
#define SALVAGE_HISTORY_H

#include "mvcc/history.h"
#include "salvage/pairs.h"

/* Changes sub to last_sub of revision main, or, when sub is -1, all of main to
 * last_main. */
struct salvage_gap {
    int64_t main, last_main, sub, last_sub;
};
/* As last_sub: nobody can say how many more there were. */
#define SALVAGE_SUB_OPEN INT64_MAX

/* A revision that is known to be lost. */
struct salvage_loss {
    struct mvcc_rev rev;
    bool open; /* and whatever followed it, up to the next one that is left */
};

/* Versions first to last of a key, written after revision `after` (0: unknown) and before
 * revision `before`. */
struct salvage_version {
    struct bytes key;
    int64_t first, last, after, before;
};

struct salvage_history {
    int64_t found;     /* the larger mark of the input */
    int64_t compacted; /* at least that; where it must be scheduled when larger */
    int64_t newest;    /* main of the newest record, also of one known to be lost */
    struct salvage_gap *gaps;
    size_t gap_count, gap_capacity;
    struct salvage_version *versions;
    size_t version_count, version_capacity;
    uint64_t superseded;      /* old copies that a finished compaction had removed */
    struct salvage_pairs cut; /* records before a hole in their own key's history */
};
void salvage_history_clear(struct salvage_history *h);

struct salvage_history_options {
    int64_t finished, scheduled;       /* MVCC_NEVER_COMPACTED when absent */
    const struct salvage_loss *losses; /* ascending */
    size_t loss_count;
};

/* Takes from the sorted and united records what cannot stay, and fills `out`, which is
 * zero. Memory: as mvcc/keys.h for each distinct key. */
enum rc salvage_history_mend(struct salvage_pairs *records,
                             const struct salvage_history_options *o,
                             struct salvage_history *out, struct err *e);

#endif
