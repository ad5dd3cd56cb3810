/* One pass over a database file: pages, buckets, history, hashes. The front door of this
 * folder for files; snapshots that go by have stream_survey.h. */
#ifndef MVCC_SURVEY_H
#define MVCC_SURVEY_H

#include "boltdb/file.h"
#include "mvcc/facts.h"

enum mvcc_level {
    MVCC_PAGES, /* pages and pairs, live keys, buckets; no HashKV, history unchecked */
    MVCC_FULL,  /* and what the records mean, and HashKV */
};

struct mvcc_survey_options {
    enum mvcc_level level;
    int64_t revision; /* HashKV at this revision; 0: the newest */
    bool status_hash; /* also what `snapshot status` calls hash */

    /* Shown every lease; may be NULL. */
    enum rc (*lease)(void *arg, const struct mvcc_lease *lease, struct err *e);
    void *lease_arg;
};

/* Fills `out`, which need not be initialised; the caller ends it with mvcc_facts_clear.
 * What is wrong with the file becomes findings: those of bolt_walk, history.h and
 * collect.h. RC_OK means only that the survey itself ran: look at `f`. With f == NULL the
 * first error ends it as RC_CORRUPT.
 * RC_NOTFOUND or RC_USAGE when `revision` is not in the file, as in history.h. */
enum rc mvcc_survey_file(const struct bolt_file *file,
                         const struct mvcc_survey_options *options, struct findings *f,
                         struct mvcc_facts *out, struct err *e);

/* A walk over the file has given its records to a bounded history (MVCC_KEYS_AT_HAND);
 * walks over it again for those keys that did not fit, as often as it takes. Damage was
 * reported by the first walk. mvcc_history_finish is next. */
enum rc mvcc_history_repeat(struct mvcc_history *h, const struct bolt_file *file,
                            const struct mvcc_lease_ids *leases, struct err *e);

/* HashKV at `revision` (0: the newest), from bucket key alone. RC_CORRUPT when a page or
 * record cannot be read; RC_NOTFOUND when the revision was compacted or lies in the
 * future. */
enum rc mvcc_hashkv_file(const struct bolt_file *file, int64_t revision,
                         struct mvcc_hashkv *out, struct err *e);

#endif
