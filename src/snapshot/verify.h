/* What a stored snapshot is worth: its trailer, its pages, its meaning.
 *
 * A raw file is mapped: the SHA-256 runs on its own thread while the tree is walked. A
 * compressed or encrypted file, or standard input, is surveyed as its bytes go by, in
 * bounded memory and without a plaintext on disk. */
#ifndef SNAPSHOT_VERIFY_H
#define SNAPSHOT_VERIFY_H

#include "mvcc/facts.h"
#include "snapshot/decode.h"
#include "snapshot/trailer.h"

enum snap_level { SNAP_LEVEL_TRAILER, SNAP_LEVEL_PAGES, SNAP_LEVEL_FULL };

struct snap_verify_options {
    const char *file;
    const struct age_identities *ids; /* NULL: none; borrowed */
    enum snap_level level;
    bool skip_trailer; /* do not read the whole file for its digest (raw files only) */
    bool status_hash;  /* what `etcdutl snapshot status` calls hash */
    int64_t revision;  /* HashKV at this revision; 0: the newest */
};

struct snap_verdict {
    struct snap_kind kind;
    struct snap_trailer trailer; /* zero with skip_trailer on a raw file */
    struct snap_stored stored;   /* of the file as it lies there, when it is wrapped */
    struct mvcc_facts facts;     /* zero at SNAP_LEVEL_TRAILER */
    struct findings findings;    /* a wrong trailer is one of them */
};

/* RC_OK: the file could be examined; findings tell the rest. Fails when it cannot be
 * opened or decoded at all, or is no bbolt database. */
enum rc snap_verify(const struct snap_verify_options *o, struct snap_verdict *out,
                    struct err *e);
void snap_verdict_clear(struct snap_verdict *v);

/* For the bytes of a database that come from elsewhere than a file: passes them on, and
 * fills trailer, facts and findings of *out, which is zero-initialised, before `next` is
 * finished. Damage makes no failure of the chain. */
enum rc snap_examine_sink_new(struct sink *next, enum snap_level level, int64_t revision,
                              struct snap_verdict *out, struct sink **sink,
                              struct err *e);

/* Then what is wrong with the trailer becomes a finding: in a gate behind that sink, or
 * when the chain is finished; once. */
enum rc snap_examine_trailer(struct snap_verdict *v, struct err *e);

#endif
