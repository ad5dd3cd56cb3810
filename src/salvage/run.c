/* From a source by name to a new snapshot. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "salvage/log.h"
#include "storage/holder.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"
#include "util/str.h"

/* ---- the source -------------------------------------------------------------------- */

struct source {
    char *path; /* of the database */
    bool is_dir;
    int fd; /* locked against an etcd that starts; -1: there is no database */
};

static void source_end(struct source *s)
{
    mem_free(s->path);
    os_fd_end(&s->fd);
}

static enum rc lock(const struct source *s, struct err *e)
{
    if (os.flock(s->fd, LOCK_SH | LOCK_NB) == 0)
        return RC_OK;
    if (errno == EWOULDBLOCK)
        return holder_refuse(s->fd, s->path,
                             "the database of a running member is saved by `holdfast "
                             "snapshot save`",
                             e);
    return err_sys(e, RC_STORAGE, "cannot lock '%s'", s->path);
}

/* A data directory stands for the database in it, and its log. */
static enum rc source_open(const struct salvage_request *q, struct source *s,
                           struct err *e)
{
    uint64_t size;
    struct stat st;
    enum rc rc;

    s->is_dir = stat(q->source, &st) == 0 && S_ISDIR(st.st_mode);
    if (!s->is_dir && q->wal_dir != NULL)
        return err_set(e, RC_USAGE,
                       "a log is named, but '%s' is no data directory" HINT
                       "name the directory, not the file in it",
                       q->source);
    TRY(str_format(&s->path, e, s->is_dir ? "%s/member/snap/db" : "%s", q->source));
    rc = os_open_regular(s->path, &s->fd, &size, e);
    if (rc == RC_NOTFOUND && s->is_dir)
        return RC_OK;
    TRY(rc);
    return lock(s, e);
}

static enum rc read_source(const struct salvage_request *q, const struct source *s,
                           struct salvage_result *r, struct err *e)
{
    const struct salvage_how how = { .take_doubtful = q->take_doubtful };
    struct err why = { 0 };
    enum rc rc;

    if (!s->is_dir)
        return salvage_read(s->fd, s->path, &how, r, e);
    rc = s->fd < 0 ? err_set(&why, RC_NOTFOUND, "there is no '%s'", s->path)
                   : salvage_read(s->fd, s->path, &how, r, &why);
    if (rc != RC_OK && rc != RC_CORRUPT && rc != RC_NOTFOUND) {
        *e = why;
        return rc;
    }
    return salvage_log_apply(q, s->fd, s->path, rc == RC_OK, &why, r, e);
}

/* ---- the new database -------------------------------------------------------------- */

static enum rc build(void *arg, const struct bolt_target *to, struct err *e)
{
    const struct bolt_build_options options = { 0 };
    const struct salvage_result *r = arg;
    OWNED(bolt_builder) builder = NULL;
    uint64_t size;

    if (r->tail.machine == NULL)
        return salvage_write(r, to, &size, e);
    TRY(bolt_builder_new(to, &options, &builder, e));
    TRY(machine_dump(r->tail.machine, builder, e));
    return bolt_builder_finish(builder, &size, e);
}

static enum rc differs(struct err *e, const char *what, uint64_t want, uint64_t got)
{
    return err_set(e, RC_INTERNAL,
                   "what was written is not what was saved: %s is %" PRIu64
                   " and should be %" PRIu64,
                   what, got, want);
}

static enum rc compare_state(const struct salvage_result *r, struct err *e)
{
    const struct mvcc_facts *f = &r->made.facts;
    struct mvcc_hashkv want;

    TRY(kvstore_hashkv(machine_kv(r->tail.machine), 0, &want, e));
    if (!f->hashkv_known || f->hashkv.hash != want.hash)
        return differs(e, "HashKV", want.hash, f->hashkv.hash);
    if (f->revision != want.revision)
        return differs(e, "the revision", (uint64_t)want.revision, (uint64_t)f->revision);
    return RC_OK;
}

/* Before the file gets its name. Findings are told, not judged: a user whose role is lost
 * is no reason to keep nothing. */
static enum rc judge(void *arg, struct err *e)
{
    const struct salvage_result *r = arg;
    uint64_t records = r->buckets[MVCC_KEY].pairs.count;

    if (!r->made.facts.pages_complete)
        return err_set(e, RC_INTERNAL, "what was written cannot be read to its end");
    if (r->tail.machine != NULL)
        TRY(compare_state(r, e));
    else if (r->made.facts.key_records != records)
        return differs(e, "the number of records", records, r->made.facts.key_records);
    if (r->dir != NULL)
        TRY(datadir_intact(r->dir, e));
    TRY(stop_check(e));
    return r->image.file == NULL ? RC_OK : bolt_file_intact(r->image.file, e);
}

static enum rc run(const struct salvage_request *q, struct salvage_result *r,
                   struct err *e)
{
    AT_END(source_end) struct source s = { .fd = -1 };

    TRY(source_open(q, &s, e));
    TRY(read_source(q, &s, r, e));
    if (q->look_only)
        return RC_OK;
    return snap_made_store(&q->store, build, judge, r, &r->made, e);
}

enum rc salvage_run(const struct salvage_request *q, struct salvage_result *out,
                    struct err *e)
{
    TRY(snap_store_check(&q->store, e));
    return run(q, out, e) == RC_OK ? RC_OK : err_wrap(e, "salvaging '%s'", q->source);
}
