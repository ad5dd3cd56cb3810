#include "restore/database.h"

#include <fcntl.h>
#include <inttypes.h>

#include "boltdb/ahead.h"
#include "boltdb/walk.h"
#include "mvcc/proof.h"
#include "mvcc/survey.h"
#include "storage/dbfile.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"

/* Of mode 0600 whatever the umask. */
static enum rc make_file(const char *path, int *out, struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(os_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, &fd, e));
    if (os.fchmod(fd, 0600) < 0)
        return err_sys(e, RC_STORAGE, "cannot set the mode of '%s'", path);
    *out = os_fd_give(&fd);
    return RC_OK;
}

/* One walk, two consumers. */
struct pass {
    struct mvcc_history *history;
    struct restore_rewriter *rewriter; /* NULL when only surveying */
    bool in_key;
};

static enum rc pass_bucket(void *arg, struct bytes name, struct err *e)
{
    struct pass *p = arg;

    p->in_key = mvcc_bucket_find(name) == MVCC_KEY;
    return p->rewriter == NULL ? RC_OK : restore_rewriter_bucket(p->rewriter, name, e);
}

static enum rc pass_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                         struct err *e)
{
    struct pass *p = arg;

    if (p->in_key)
        TRY(mvcc_history_pair(p->history, key, value, mvcc_pair_crc(key, value), page,
                              e));
    return p->rewriter == NULL ? RC_OK
                               : restore_rewriter_pair(p->rewriter, key, value, e);
}

static enum rc compaction_mark(const struct bolt_file *file, const char *name,
                               int64_t *out, struct err *e)
{
    struct bytes value;
    bool found = false;

    *out = MVCC_NEVER_COMPACTED;
    TRY(bolt_file_get(file, "meta", bytes_str(name), &value, &found, e));
    return found ? mvcc_compact_rev_read(value, out, e) : RC_OK;
}

static int64_t largest(int64_t a, int64_t b, int64_t c)
{
    int64_t larger = a > b ? a : b;

    return larger > c ? larger : c;
}

static enum rc history_new(const struct restore_database *d, int64_t revision,
                           struct findings *f, struct mvcc_history **out, struct err *e)
{
    const struct mvcc_history_options o = { .finished = d->finished,
                                            .scheduled = d->scheduled,
                                            .revision = revision,
                                            .hash = true,
                                            .checks = true };

    TRY(mvcc_history_new(&o, f, out, e));
    mvcc_history_bound(*out, MVCC_KEYS_BESIDE);
    return RC_OK;
}

/* The first damaged page ends it: what is left after it is no history. */
static enum rc walk(const struct bolt_file *file, struct pass *p,
                    struct mvcc_history_result *out, struct err *e)
{
    const struct bolt_visitor v = { p, pass_bucket, pass_pair };
    struct bolt_walk_result walked;

    TRY(bolt_walk(file, &v, NULL, &walked, e));
    TRY(mvcc_history_repeat(p->history, file, NULL, e));
    return mvcc_history_finish(p->history, NULL, out, e);
}

static enum rc build(const struct bolt_file *source,
                     const struct restore_rewrite_plan *plan, struct dbfile *to,
                     struct findings *f, struct restore_database *out, struct err *e)
{
    const struct bolt_target target = dbfile_target(to);
    const struct bolt_build_options options = {
        .page_size = bolt_file_meta(source)->page_size,
    };
    struct restore_rewrite_plan completed = *plan;
    OWNED(restore_rewriter) rewriter = NULL;
    OWNED(mvcc_history) history = NULL;
    OWNED(bolt_builder) builder = NULL;

    TRY(history_new(out, 0, f, &history, e));
    completed.bump.last_revision = largest(1, out->finished, out->scheduled);
    TRY(bolt_builder_new(&target, &options, &builder, e));
    TRY(restore_rewriter_new(&completed, builder, &rewriter, e));

    struct pass p = { .history = history, .rewriter = rewriter };

    TRY(walk(source, &p, &out->source, e));
    TRY(findings_verdict(f, e));
    TRY(restore_rewriter_finish(rewriter, &out->size, e));
    out->bump = *restore_rewriter_bump(rewriter);
    out->dropped = *restore_rewriter_dropped(rewriter);
    return dbfile_finish(to, e);
}

/* ---- the proof --------------------------------------------------------------------- */

static enum rc compare(const struct mvcc_history_result *want,
                       const struct mvcc_history_result *got, struct err *e)
{
    if (got->hashkv.hash == want->hashkv.hash && got->live_keys == want->live_keys)
        return RC_OK;
    return err_set(e, RC_CORRUPT,
                   "the new database holds another history: HashKV %" PRIu32
                   " and %" PRIu64 " keys instead of %" PRIu32 " and %" PRIu64 HINT
                   "nothing was published; try again, and check this disk and "
                   "memory if it happens again",
                   got->hashkv.hash, got->live_keys, want->hashkv.hash, want->live_keys);
}

/* From the disk: what may still lie in the page cache proves nothing about it. */
static enum rc open_stored(const char *path, struct bolt_file **out, struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(os_open(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW, 0, &fd, e));
    if (os.fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        log_warn("'%s' is proved from the page cache, not from the disk", path);
    return bolt_file_open_fd(fd, path, NULL, out, e);
}

static enum rc walk_stored(const char *path, const struct restore_database *built,
                           struct err *e)
{
    const struct mvcc_history_result *want = &built->source;
    OWNED(mvcc_history) history = NULL;
    OWNED(bolt_file) file = NULL;
    AT_END(bolt_ahead_stop) struct bolt_ahead ahead = { 0 };
    struct mvcc_history_result got;

    TRY(open_stored(path, &file, e));
    TRY(bolt_ahead_start(&ahead, file, e));
    /* By the snapshot's marks: the new file's own may have compacted all of it. */
    TRY(history_new(built, want->hashkv.revision, NULL, &history, e));

    struct pass p = { .history = history };

    TRY(walk(file, &p, &got, e));
    TRY(bolt_file_intact(file, e));
    return compare(want, &got, e);
}

static enum rc proof_new(const struct bolt_file *source, const struct restore_database *d,
                         struct mvcc_proof **out, struct err *e)
{
    const struct mvcc_proof_options options = {
        .page_size = bolt_file_meta(source)->page_size,
        .finished = d->finished,
        .scheduled = d->scheduled,
    };

    return mvcc_proof_new(&options, out, e);
}

/* The record of a bump is newer than all that the snapshot holds. */
static enum rc prove(struct mvcc_proof *proof, struct dbfile *file, const char *path,
                     const struct restore_database *built, struct err *e)
{
    struct mvcc_sums sums;
    struct bytes head;
    bool known;

    TRY(dbfile_head(file, &head, e));
    TRY(mvcc_proof_finish(proof, head, built->source.revision, &sums, &known, e));
    return known ? compare(&built->source, &sums.history, e)
                 : walk_stored(path, built, e);
}

/* The proof outlives the file, whose thread feeds it. */
enum rc restore_database_build(const struct bolt_file *source, const char *path,
                               const struct restore_rewrite_plan *plan,
                               struct findings *f, struct restore_database *out,
                               struct err *e)
{
    struct restore_database built = { 0 };
    OWNED_FD int fd = -1;
    OWNED(mvcc_proof) proof = NULL;
    OWNED(dbfile) to = NULL;

    TRY(compaction_mark(source, MVCC_FINISHED_COMPACT, &built.finished, e));
    TRY(compaction_mark(source, MVCC_SCHEDULED_COMPACT, &built.scheduled, e));
    TRY(proof_new(source, &built, &proof, e));
    TRY(make_file(path, &fd, e));

    const struct file_sink_options options = {
        .read_back = true,
        .observer = { proof, mvcc_proof_take },
    };

    TRY(dbfile_new(fd, path, &options, &to, e));
    TRY(build(source, plan, to, f, &built, e));
    TRY(prove(proof, to, path, &built, e));
    *out = built;
    return RC_OK;
}
