/* The executor: lock, read, write beside, prove, publish. */
#include <fcntl.h>
#include <string.h>

#include "boltdb/ahead.h"
#include "defrag/copy.h"
#include "defrag/defrag.h"
#include "snapshot/trailer.h"
#include "storage/dbfile.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/os.h"
#include "util/stop.h"

struct job {
    const struct defrag_request *request;
    struct findings *findings;
    struct defrag_place *place;
    struct bolt_file *source;
    struct defrag_keep *keep; /* NULL without a compaction */
    struct defrag_copied copied;
    bool is_snapshot, has_trailer;
    struct bolt_ahead ahead; /* of the source */
};

static void job_end(struct job *j)
{
    bolt_ahead_stop(&j->ahead);
    defrag_keep_free(j->keep);
    bolt_file_free(j->source);
    defrag_place_free(j->place);
}

/* ---- before ------------------------------------------------------------------------ */

static enum rc decide(struct job *j, struct err *e)
{
    const struct defrag_goal *goal = &j->request->goal;
    struct defrag_keep_rule rule = { .drops_tombstone = goal->drops_tombstone };
    struct mvcc_history_result history;
    struct defrag_marks marks;

    TRY(defrag_examine(j->source, j->findings, &history, e));
    if (findings_verdict(j->findings, e) != RC_OK) {
        err_hint(e,
                 "a compaction goes by the history and would make it worse; look at it "
                 "with `holdfast snapshot verify`, and compact another member's");
        return e->code;
    }
    TRY(defrag_marks_read(j->source, &marks, e));
    TRY(defrag_goal_revision(goal, &marks, history.revision, &rule.revision, e));
    return defrag_decide(j->source, &rule, &j->keep, e);
}

static enum rc check_trailer(const struct job *j, const struct snap_hashing *h,
                             struct err *e)
{
    if (!j->has_trailer)
        return RC_OK;
    return snap_trailer_verdict(&h->trailer, e);
}

static enum rc open_source(struct job *j, struct err *e)
{
    const struct defrag_place_request *q = &j->request->place;

    TRY(defrag_place_open(q, &j->place, e));
    TRY(bolt_file_open_fd(defrag_place_source(j->place),
                          defrag_place_source_name(j->place), NULL, &j->source, e));
    j->is_snapshot = q->snapshot != NULL;
    j->has_trailer = j->is_snapshot && snap_has_trailer(bolt_file_size(j->source));
    TRY(bolt_ahead_start_own(&j->ahead, j->source, e));
    return j->request->goal.kind == DEFRAG_ALL ? RC_OK : decide(j, e);
}

/* The findings about the history are those of the source: a compaction has them already.
 */
static enum rc copy_to(struct job *j, const struct bolt_target *to, struct err *e)
{
    return defrag_copy(j->source, j->keep, to, j->keep == NULL ? j->findings : NULL,
                       &j->copied, e);
}

static enum rc copy_checked(struct job *j, const struct bolt_target *to, struct err *e)
{
    struct snap_hashing h = { 0 };

    if (j->has_trailer)
        TRY(snap_hashing_start(&h, bolt_file_bytes(j->source), e));
    TRY(snap_hashing_join(&h, copy_to(j, to, e), e));
    return check_trailer(j, &h, e);
}

/* ---- the new file ------------------------------------------------------------------ */

static uint64_t extent(const struct job *j)
{
    const struct bolt_meta *meta = bolt_file_meta(j->source);

    return meta->high_water * meta->page_size;
}

/* Room for as much as the old database takes is nearly always there. Where it is not, as
 * on a disk that is full because of this database, the exact size decides, which takes
 * one more walk. */
static enum rc open_file(struct job *j, int fd, struct mvcc_proof *proof,
                         struct dbfile **out, struct err *e)
{
    struct file_sink_options options = {
        .expected_size = extent(j),
        .read_back = true,
        .observer = { proof, mvcc_proof_take },
    };
    const char *name = defrag_place_target_name(j->place);
    struct findings ignored = { 0 };
    enum rc rc = dbfile_new(fd, name, &options, out, e);

    if (rc != RC_STORAGE)
        return rc;
    rc = defrag_copy(j->source, j->keep, NULL, &ignored, &j->copied, e);
    findings_clear(&ignored);
    TRY(rc);
    options.expected_size = j->copied.size + SNAP_TRAILER_SIZE;
    return dbfile_new(fd, name, &options, out, e);
}

static enum rc walk_new(const struct job *j, const struct bolt_file *file, bool proved,
                        struct err *e)
{
    return proved ? RC_OK : defrag_prove(file, &j->copied, j->keep != NULL, e);
}

/* Reads back what was stored, from the disk: what may still lie in the page cache proves
 * nothing about it. The digest of a snapshot's trailer begins with the first pages, which
 * are written last, so it always takes a pass of its own. */
static enum rc read_again(const struct job *j, int fd, bool proved,
                          uint8_t digest[static SHA256_SIZE], struct err *e)
{
    OWNED(bolt_file) file = NULL;
    AT_END(bolt_ahead_stop) struct bolt_ahead ahead = { 0 };
    const char *name = defrag_place_target_name(j->place);
    struct snap_hashing h = { 0 };

    if (os.fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        log_warn("'%s' is proved from the page cache, not from the disk", name);
    TRY(bolt_file_open_fd(fd, name, NULL, &file, e));
    TRY(bolt_ahead_start(&ahead, file, e));
    if (j->is_snapshot)
        TRY(snap_hashing_start(&h, bolt_file_bytes(file), e));
    TRY(snap_hashing_join(&h, walk_new(j, file, proved, e), e));
    TRY(bolt_file_intact(file, e));
    memcpy(digest, h.trailer.database, SHA256_SIZE);
    return RC_OK;
}

static enum rc prove(const struct job *j, struct defrag_proof *proof, struct dbfile *file,
                     int fd, uint8_t digest[static SHA256_SIZE], struct err *e)
{
    struct bytes head;
    bool proved;

    TRY(dbfile_head(file, &head, e));
    TRY(defrag_proof_end(proof, head, &j->copied, &proved, e));
    return proved && !j->is_snapshot ? RC_OK : read_again(j, fd, proved, digest, e);
}

/* While the disk is still busy with the new one. */
static enum rc leave_source(struct job *j, struct err *e)
{
    bolt_ahead_stop(&j->ahead);
    return bolt_behind_start(&j->ahead, j->source, e);
}

/* The proof outlives the file, whose thread feeds it. */
static enum rc write_new(struct job *j, int fd, struct err *e)
{
    AT_END(defrag_proof_clear) struct defrag_proof proof = { 0 };
    uint8_t digest[SHA256_SIZE];
    OWNED(dbfile) file = NULL;

    TRY(defrag_proof_begin(&proof, j->source, j->keep, e));
    TRY(open_file(j, fd, proof.proof, &file, e));

    const struct bolt_target target = dbfile_target(file);

    TRY(copy_checked(j, &target, e));
    TRY(leave_source(j, e));
    TRY(dbfile_finish(file, e));
    TRY(prove(j, &proof, file, fd, digest, e));
    return j->is_snapshot ? dbfile_append(file, digest, sizeof digest, e) : RC_OK;
}

static enum rc replace(struct job *j, struct err *e)
{
    int fd;

    TRY(defrag_place_begin(j->place, &fd, e));
    TRY(write_new(j, fd, e));
    TRY(stop_check(e));
    return defrag_place_publish(j->place, e);
}

/* ---- the whole --------------------------------------------------------------------- */

static void describe(const struct job *j, struct defrag_done *out)
{
    const struct mvcc_history_result *history = &j->copied.sums.history;
    const struct bolt_meta *meta = bolt_file_meta(j->source);
    uint64_t pages = j->copied.size / meta->page_size;

    *out = (struct defrag_done){
        .size_before = bolt_file_size(j->source),
        .size_after = j->copied.size + (j->is_snapshot ? SNAP_TRAILER_SIZE : 0),
        .pages_freed = (int64_t)meta->high_water - (int64_t)pages,
        .pairs = j->copied.sums.pairs,
        .revision = history->revision,
        .compact_revision = history->hashkv.compact_revision,
        .hash_known = history->hash_known,
        .hashkv = history->hashkv.hash,
        .records_dropped = j->copied.records_dropped,
        .bytes_dropped = j->copied.bytes_dropped,
        .trailer_added = j->is_snapshot && !j->has_trailer,
        .proved = !j->request->place.look_only,
    };
}

enum rc defrag_run(const struct defrag_request *q, struct findings *f,
                   struct defrag_done *out, struct err *e)
{
    AT_END(job_end) struct job j = { .request = q, .findings = f };
    uint64_t begun = clock_ms();
    struct defrag_done done;

    TRY(open_source(&j, e));
    if (q->place.look_only)
        TRY(copy_checked(&j, NULL, e));
    else
        TRY(replace(&j, e));
    describe(&j, &done);
    done.took_ms = clock_ms() - begun;
    *out = done;
    return RC_OK;
}
