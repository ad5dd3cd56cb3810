/* The part of a survey that does not care where the pairs come from: buckets and pairs in
 * file order go in, facts come out. Used by survey.c and stream_survey.c. */
#ifndef MVCC_ASSEMBLE_H
#define MVCC_ASSEMBLE_H

#include "mvcc/collect.h"
#include "mvcc/history.h"

struct mvcc_assemble_options {
    struct mvcc_history_options history; /* with the compaction marks */
    bool marks_bad;                      /* which could not be read */
    bool status_hash;
};

struct mvcc_assemble {
    struct mvcc_assemble_options options;
    struct mvcc_facts facts; /* handed over by mvcc_assemble_finish */
    struct mvcc_collect collect;
    struct mvcc_history *history;
    struct mvcc_powers powers;
    struct mvcc_chain status, maintenance;
    bool diverged; /* the two hashes part at bucket meta */
};

/* A compaction mark as meta holds it: MVCC_NEVER_COMPACTED when not `found`; sets *bad
 * when it cannot be read, and else leaves it. */
int64_t mvcc_mark_read(bool found, struct bytes value, bool *bad);

/* In place, for it points into itself; ends with mvcc_assemble_clear, also after a
 * failure. */
enum rc mvcc_assemble_init(struct mvcc_assemble *a,
                           const struct mvcc_assemble_options *options,
                           struct findings *f, struct err *e);
void mvcc_assemble_clear(struct mvcc_assemble *a);

enum rc mvcc_assemble_bucket(struct mvcc_assemble *a, struct bytes name, struct err *e);
enum rc mvcc_assemble_pair(struct mvcc_assemble *a, struct bytes key, struct bytes value,
                           uint64_t page, struct err *e);

/* A pair of bucket key that was reduced earlier, with the history's seed. */
enum rc mvcc_assemble_record(struct mvcc_assemble *a, const struct mvcc_record *r,
                             uint64_t page, struct err *e);

/* Those of bucket lease so far; borrowed. */
struct mvcc_lease_ids mvcc_assemble_leases(const struct mvcc_assemble *a);

/* `complete`: every page was seen. */
enum rc mvcc_assemble_finish(struct mvcc_assemble *a, bool complete,
                             struct mvcc_facts *out, struct err *e);

#endif
