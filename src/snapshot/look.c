#include "snapshot/look.h"

#include <fcntl.h>
#include <inttypes.h>

#include "boltdb/ahead.h"
#include "mvcc/collect.h"
#include "snapshot/decode.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

void snap_look_clear(struct snap_look *look)
{
    snap_index_clear(&look->index);
    mvcc_facts_clear(&look->facts);
    mem_free(look->leases);
    bolt_file_free(look->file);
    *look = (struct snap_look){ 0 };
}

/* ---- the file --------------------------------------------------------------------- */

static enum rc refuse_wrapped(const char *path, struct snap_kind kind, struct err *e)
{
    if (!kind.age && !kind.zstd)
        return RC_OK;
    return err_set(
        e, RC_USAGE, "'%s' is %s, and only a plain database can be looked into" HINT "%s",
        path, kind.age ? "encrypted" : "compressed",
        kind.age
            ? "age -d -i KEYFILE FILE | zstd -d > PLAIN.db (without zstd for .db.age)"
            : "zstd -d FILE -o PLAIN.db");
}

static bool is_directory(const char *path)
{
    OWNED_FD int fd = -1;
    struct err ignored;

    return os_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, &fd, &ignored) == RC_OK;
}

static enum rc open_path(const char *path, struct findings *f, struct bolt_file **out,
                         struct err *e)
{
    AT_END(mem_end) char *below = NULL;
    struct snap_kind kind;

    if (is_directory(path)) {
        TRY(str_format(&below, e, "%s/member/snap/db", path));
        log_info("reading '%s': what is only in the log of the data directory is not "
                 "in it; `holdfast snapshot from-data-dir` applies it",
                 below);
        path = below;
    }
    TRY(snap_probe(path, &kind, e));
    TRY(refuse_wrapped(path, kind, e));
    return bolt_file_open(path, f, out, e);
}

/* ---- the walk --------------------------------------------------------------------- */

struct reading {
    const struct snap_look_options *options;
    struct snap_look *look;
    struct findings findings;
    struct mvcc_collect collect;
    size_t lease_room;
    int64_t last_main;
};

static void reading_end(struct reading *r)
{
    mvcc_collect_clear(&r->collect);
    findings_clear(&r->findings);
}

static enum rc on_lease(void *arg, const struct mvcc_lease *lease, struct err *e)
{
    struct reading *r = arg;
    struct snap_look *look = r->look;

    if (look->lease_count == r->lease_room) {
        size_t room = r->lease_room == 0 ? 256 : r->lease_room * 2;
        void *more = mem_resize(look->leases, room, sizeof *look->leases);

        if (more == NULL)
            return err_set(e, RC_NOMEM, "no memory for %zu leases", room);
        look->leases = more;
        r->lease_room = room;
    }
    look->leases[look->lease_count++] = *lease;
    return RC_OK;
}

static enum rc on_bucket(void *arg, struct bytes name, struct err *e)
{
    return mvcc_collect_bucket(&((struct reading *)arg)->collect, name, e);
}

static bool is_wanted(const struct snap_look_options *o, struct bytes key)
{
    if (o->whole)
        return bytes_equal(key, o->prefix);
    return o->prefix.n == 0 ||
           (key.n >= o->prefix.n && memcmp(key.p, o->prefix.p, o->prefix.n) == 0);
}

static enum rc bad_key(struct reading *r, uint64_t page, const struct err *why,
                       struct err *e)
{
    return findings_add(&r->findings, FINDING_ERROR, "revision-key", page, e,
                        "a record of page %" PRIu64 ": %s", page, why->why);
}

static enum rc bad_value(struct reading *r, const struct mvcc_rev *rev, uint64_t page,
                         const char *why, struct err *e)
{
    return findings_add(&r->findings, FINDING_ERROR, "key-value", page, e,
                        "revision %" PRId64 "/%" PRId64 ": %s", rev->main, rev->sub, why);
}

static enum rc on_record(struct reading *r, struct bytes key, struct bytes value,
                         uint64_t page, struct err *e)
{
    const struct snap_look_options *o = r->options;
    struct mvcc_rev rev;
    struct mvcc_kv kv;
    struct err why = { 0 };

    if (mvcc_rev_read(key, &rev, &why) != RC_OK)
        return bad_key(r, page, &why, e);
    if (rev.main > r->last_main)
        r->last_main = rev.main;
    if (mvcc_kv_read(value, &kv, &why) != RC_OK)
        return bad_value(r, &rev, page, why.why, e);
    if (value.n == 0 && !rev.tombstone) /* a revision bump */
        return RC_OK;
    if (kv.key.n == 0)
        return bad_value(r, &rev, page, "the record names no key", e);
    if (o->no_keys || (o->revision != 0 && (uint64_t)rev.main > o->revision) ||
        !is_wanted(o, kv.key))
        return RC_OK;
    return snap_index_add(&r->look->index, key, value, kv.key, e);
}

static enum rc on_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                       struct err *e)
{
    struct reading *r = arg;

    if (r->collect.bucket == MVCC_KEY)
        return on_record(r, key, value, page, e);
    return mvcc_collect_pair(&r->collect, key, value, page, e);
}

static enum rc walk(struct reading *r, struct err *e)
{
    const struct bolt_visitor visitor = { r, on_bucket, on_pair };
    struct bolt_walk_result pages;
    AT_END(bolt_ahead_stop) struct bolt_ahead ahead = { 0 };

    TRY(bolt_ahead_start(&ahead, r->look->file, e));
    TRY(bolt_walk(r->look->file, &visitor, &r->findings, &pages, e));
    return bolt_file_intact(r->look->file, e);
}

/* ---- what it amounts to ----------------------------------------------------------- */

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* As etcd answers a range: the marks of compactions count for the newest revision, and
 * for the oldest one left. */
static enum rc choose_revision(const struct reading *r, struct err *e)
{
    struct mvcc_facts *facts = &r->look->facts;
    int64_t floor = larger(facts->compact_revision, facts->scheduled_revision);
    uint64_t wanted = r->options->revision;

    facts->revision = larger(larger(r->last_main, floor), 1);
    if (wanted > (uint64_t)facts->revision)
        return err_set(e, RC_NOTFOUND,
                       "revision %" PRIu64 " lies in the future, the database is at "
                       "revision %" PRId64 HINT "leave the revision out for the newest",
                       wanted, facts->revision);
    if (wanted != 0 && (int64_t)wanted < floor)
        return err_set(e, RC_NOTFOUND,
                       "revision %" PRIu64 " has been compacted, the oldest one left "
                       "is %" PRId64 HINT "an older snapshot may still have it",
                       wanted, floor);
    r->look->revision = wanted == 0 ? facts->revision : (int64_t)wanted;
    return RC_OK;
}

static enum rc read_all(struct reading *r, struct err *e)
{
    TRY(walk(r, e));
    TRY(mvcc_collect_finish(&r->collect, e));
    if (findings_verdict(&r->findings, e) != RC_OK)
        return err_wrap(e, "the database '%s' is damaged", bolt_file_name(r->look->file));
    TRY(choose_revision(r, e));
    return snap_index_sort(&r->look->index, e);
}

enum rc snap_look_open(const char *path, const struct snap_look_options *o,
                       struct snap_look *out, struct err *e)
{
    AT_END(snap_look_clear) struct snap_look look = { 0 };
    AT_END(reading_end) struct reading r = { .options = o, .look = &look };

    TRY(open_path(path, &r.findings, &look.file, e));
    look.index.file = look.file;
    look.facts.compact_revision = look.facts.scheduled_revision = MVCC_NEVER_COMPACTED;
    r.collect = (struct mvcc_collect){
        .facts = &look.facts, .f = &r.findings, .lease = on_lease, .lease_arg = &r
    };
    TRY(read_all(&r, e));
    *out = look;
    look = (struct snap_look){ 0 };
    return RC_OK;
}

enum rc snap_look_intact(const struct snap_look *look, struct err *e)
{
    if (bolt_file_intact(look->file, e) != RC_OK)
        return err_wrap(e, "what was shown of '%s' may be wrong",
                        bolt_file_name(look->file));
    return RC_OK;
}

uint64_t snap_look_live(const struct snap_look *look)
{
    struct snap_key key = { 0 };
    uint64_t live = 0;

    while (snap_index_next(&look->index, &key))
        live += snap_index_alive(&look->index, &key);
    return live;
}

/* ---- leases ----------------------------------------------------------------------- */

static const struct mvcc_lease *find_lease(const struct snap_look *look, int64_t id)
{
    size_t low = 0, high = look->lease_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if ((uint64_t)look->leases[middle].id < (uint64_t)id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < look->lease_count && look->leases[low].id == id ? &look->leases[low]
                                                                 : NULL;
}

enum rc snap_look_attached(const struct snap_look *look, uint64_t **counts,
                           uint64_t *missing, struct err *e)
{
    AT_END(mem_end) uint64_t *each = NULL;
    struct snap_key key = { 0 };
    uint64_t none = 0;

    TRY(mem_new(&each, (look->lease_count + 1) * sizeof *each, "lease counts", e));
    while (snap_index_next(&look->index, &key)) {
        struct snap_record record;
        const struct mvcc_lease *lease;

        if (!snap_index_alive(&look->index, &key))
            continue;
        TRY(snap_index_newest(&look->index, &key, &record, e));
        if (record.kv.lease == 0)
            continue;
        lease = find_lease(look, record.kv.lease);
        if (lease == NULL)
            none++;
        else
            each[lease - look->leases]++;
    }
    *counts = GIVE(each);
    *missing = none;
    return RC_OK;
}
