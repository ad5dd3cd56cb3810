/* One walk over a database that writes it again, compactly: every bucket and pair as it
 * is, or, with a compaction, without the history that it drops. The same walk checks all
 * pages and the history, and sums up what was written, so that a walk over the result can
 * be held against it. */
#ifndef DEFRAG_COPY_H
#define DEFRAG_COPY_H

#include "boltdb/build.h"
#include "boltdb/walk.h"
#include "defrag/goal.h"
#include "defrag/keep.h"
#include "mvcc/proof.h"

struct defrag_copied {
    struct mvcc_sums sums;
    struct bolt_walk_result source;
    uint64_t size; /* of the new file, without a trailer */
    uint64_t records_dropped;
    uint64_t bytes_dropped; /* keys and values of these */
};

enum rc defrag_marks_read(const struct bolt_file *file, struct defrag_marks *out,
                          struct err *e);

/* Checks pages (the first damage ends it as RC_CORRUPT) and the history, whose findings
 * go to `f`. */
enum rc defrag_examine(const struct bolt_file *file, struct findings *f,
                       struct mvcc_history_result *out, struct err *e);

/* Decides about every record. */
enum rc defrag_decide(const struct bolt_file *file, const struct defrag_keep_rule *rule,
                      struct defrag_keep **out, struct err *e);

/* Copies `file` to a builder of the same page size. `keep` is NULL or what
 * defrag_decide() made of the same file; the marks of the compaction are then recorded
 * too. NULL `to`: only counts. Findings about the history go to `f`; when that is NULL
 * the first error ends it as RC_CORRUPT. RC_CORRUPT too when it is no etcd database. */
enum rc defrag_copy(const struct bolt_file *file, const struct defrag_keep *keep,
                    const struct bolt_target *to, struct findings *f,
                    struct defrag_copied *out, struct err *e);

/* RC_CORRUPT unless what was proved, or `file`, is sound and holds exactly what was
 * copied, and, after a compaction, nothing that it should have dropped.
 *
 * The first is for the new file while it is written: the proof that `begin` makes takes
 * what is read back of it, and `end` gets its first pages when they are in. Where *known
 * comes out false that way cannot tell, and defrag_prove must. */
struct defrag_proof {
    struct mvcc_proof *proof; /* zero-initialise, end with defrag_proof_clear */
    struct findings findings;
    bool compacted;
};
enum rc defrag_proof_begin(struct defrag_proof *p, const struct bolt_file *from,
                           const struct defrag_keep *keep, struct err *e);
enum rc defrag_proof_end(struct defrag_proof *p, struct bytes head,
                         const struct defrag_copied *copied, bool *known, struct err *e);
void defrag_proof_clear(struct defrag_proof *p);

enum rc defrag_prove(const struct bolt_file *file, const struct defrag_copied *copied,
                     bool compacted, struct err *e);

#endif
