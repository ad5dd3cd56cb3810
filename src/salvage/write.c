/* The new database, and its way to its name. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "defrag/place.h"
#include "mvcc/survey.h"
#include "salvage/salvage.h"
#include "snapshot/trailer.h"
#include "storage/dbfile.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"
#include "util/str.h"

/* ---- pairs ------------------------------------------------------------------------- */

static enum rc put_mark(const struct salvage_result *r, struct bolt_builder *to,
                        struct err *e)
{
    uint8_t value[MVCC_REV_SIZE];

    mvcc_rev_write(value, r->history.compacted, 0);
    return bolt_builder_pair(to, bytes_str(MVCC_SCHEDULED_COMPACT), BYTES_OF(value), e);
}

static int64_t scheduled_before(const struct salvage_pairs *meta)
{
    const struct salvage_pair *x =
        salvage_pairs_find(meta, bytes_str(MVCC_SCHEDULED_COMPACT));
    struct err ignored;
    int64_t revision = MVCC_NEVER_COMPACTED;

    if (x != NULL && mvcc_compact_rev_read(x->value, &revision, &ignored) != RC_OK)
        return MVCC_NEVER_COMPACTED;
    return revision;
}

static bool raises_mark(const struct salvage_result *r)
{
    bool mended = r->history.gap_count > 0 || r->history.version_count > 0;

    return mended &&
           r->history.compacted > scheduled_before(&r->buckets[MVCC_META].pairs);
}

/* In its place among the others, and instead of an older one. */
static enum rc write_meta(const struct salvage_result *r, struct bolt_builder *to,
                          struct err *e)
{
    const struct salvage_pairs *meta = &r->buckets[MVCC_META].pairs;
    struct bytes mark = bytes_str(MVCC_SCHEDULED_COMPACT);
    bool pending = raises_mark(r), raised = pending;

    for (size_t i = 0; i < meta->count; i++) {
        const struct salvage_pair *x = &meta->items[i];

        if (pending && bytes_compare(mark, x->key) <= 0) {
            TRY(put_mark(r, to, e));
            pending = false;
        }
        if (!raised || !bytes_equal(x->key, mark))
            TRY(bolt_builder_pair(to, x->key, x->value, e));
    }
    return pending ? put_mark(r, to, e) : RC_OK;
}

static enum rc write_bucket(const struct salvage_bucket *b, struct bolt_builder *to,
                            struct err *e)
{
    for (size_t i = 0; i < b->pairs.count; i++) {
        if (i % 4096 == 0)
            TRY(stop_check(e));
        TRY(bolt_builder_pair(to, b->pairs.items[i].key, b->pairs.items[i].value, e));
    }
    return RC_OK;
}

enum rc salvage_write(const struct salvage_result *r, const struct bolt_target *to,
                      uint64_t *size, struct err *e)
{
    const struct bolt_build_options options = { .page_size = r->image.page_size };
    OWNED(bolt_builder) builder = NULL;

    TRY(bolt_builder_new(to, &options, &builder, e));
    for (int b = 0; b < MVCC_BUCKETS; b++) {
        const char *name = mvcc_bucket_name((enum mvcc_bucket)b);

        TRY(bolt_builder_bucket(builder, bytes_str(name), e));
        TRY(b == MVCC_META ? write_meta(r, builder, e)
                           : write_bucket(&r->buckets[b], builder, e));
    }
    return bolt_builder_finish(builder, size, e);
}

/* ---- the file ---------------------------------------------------------------------- */

static uint64_t records_taken(const struct salvage_result *r)
{
    return r->buckets[MVCC_KEY].pairs.count;
}

static enum rc survey(struct salvage_result *r, struct bolt_file *file,
                      uint8_t digest[static SHA256_SIZE], struct err *e)
{
    const struct mvcc_survey_options options = { .level = MVCC_FULL };
    struct snap_hashing h = { 0 };

    TRY(snap_hashing_start(&h, bolt_file_bytes(file), e));
    TRY(snap_hashing_join(
        &h, mvcc_survey_file(file, &options, &r->findings, &r->facts, e), e));
    memcpy(digest, h.trailer.database, SHA256_SIZE);
    return bolt_file_intact(file, e);
}

/* From the disk: what may still lie in the page cache proves nothing about it. */
static enum rc prove(struct salvage_result *r, int fd, const char *name,
                     uint8_t digest[static SHA256_SIZE], struct err *e)
{
    OWNED(bolt_file) file = NULL;

    if (os.fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        log_warn("'%s' is proved from the page cache, not from the disk", name);
    TRY(bolt_file_open_fd(fd, name, NULL, &file, e));
    TRY(survey(r, file, digest, e));
    if (r->facts.pages_complete && r->facts.key_records == records_taken(r))
        return RC_OK;
    return err_set(e, RC_CORRUPT,
                   "the new database does not hold what was written to it" HINT
                   "nothing was published; try again, and check this disk and memory if "
                   "it happens again");
}

static enum rc write_file(struct salvage_result *r, int fd, const char *name,
                          struct err *e)
{
    uint8_t digest[SHA256_SIZE];
    OWNED(dbfile) file = NULL;

    TRY(dbfile_new(fd, name, NULL, &file, e));

    const struct bolt_target target = dbfile_target(file);

    TRY(salvage_write(r, &target, &r->size, e));
    TRY(bolt_file_intact(r->image.file, e));
    TRY(dbfile_finish(file, e));
    TRY(prove(r, fd, name, digest, e));
    TRY(dbfile_append(file, digest, sizeof digest, e));
    r->size += sizeof digest;
    return RC_OK;
}

/* A data directory stands for the database in it. */
static enum rc name_source(const char *path, char **out, struct err *e)
{
    struct stat st;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return str_format(out, e, "%s/member/snap/db", path);
    return str_format(out, e, "%s", path);
}

/* The only trace that damage inside a value leaves. */
static enum rc check_digest(struct salvage_result *r, struct err *e)
{
    struct snap_trailer t;

    if (r->truncated || !snap_has_trailer(r->image.bytes.n))
        return RC_OK;
    TRY(snap_trailer_read(r->image.bytes, &t, e));
    r->digest_wrong = !t.matches;
    r->whole = r->whole && t.matches;
    return RC_OK;
}

static enum rc save(struct salvage_result *r, const struct salvage_request *q,
                    const char *source, struct err *e)
{
    const struct defrag_place_request where = { .snapshot = source,
                                                .output = q->output,
                                                .look_only = q->look_only };
    OWNED(defrag_place) place = NULL;
    int fd;

    TRY(defrag_place_open(&where, &place, e));
    TRY(salvage_read(defrag_place_source(place), source, q->take_doubtful, r, e));
    TRY(check_digest(r, e));
    if (q->look_only)
        return RC_OK;
    TRY(defrag_place_begin(place, &fd, e));
    TRY(write_file(r, fd, q->output, e));
    TRY(stop_check(e));
    return defrag_place_publish(place, e);
}

enum rc salvage_run(const struct salvage_request *q, struct salvage_result *out,
                    struct err *e)
{
    AT_END(mem_end) char *source = NULL;

    TRY(name_source(q->source, &source, e));
    return save(out, q, source, e) == RC_OK ? RC_OK
                                            : err_wrap(e, "salvaging '%s'", source);
}
