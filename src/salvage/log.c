#include "salvage/log.h"

#include <inttypes.h>
#include <string.h>

#include "salvage/root.h"
#include "util/mem.h"

/* ---- what the database says -------------------------------------------------------- */

static const struct salvage_pair *meta_pair(const struct salvage_result *r,
                                            const char *name)
{
    return salvage_pairs_find(&r->buckets[MVCC_META].pairs, bytes_str(name));
}

/* Where the log goes on, when that is certain. */
static bool base_of(const struct salvage_result *r, struct datadir_base *out)
{
    const struct salvage_bucket *meta = &r->buckets[MVCC_META];
    const struct salvage_pair *term = meta_pair(r, MVCC_TERM);
    struct err ignored;

    *out = (struct datadir_base){ .applied = salvage_index_in(&meta->pairs) };
    if (term != NULL && mvcc_u64_read(term->value, &out->term, &ignored) != RC_OK)
        out->term = 0;
    return r->root != SALVAGE_ROOT_NONE && meta->tree.lost == 0 &&
           meta->damaged.count == 0 && out->applied > 0;
}

/* And from which revision. */
static bool ends_known(const struct salvage_result *r)
{
    return !r->newest_unknown && !r->key_root_found;
}

static void copy_text(const struct salvage_pair *x, char *out, size_t room)
{
    if (x == NULL || x->value.n >= room)
        return;
    memcpy(out, x->value.p, x->value.n);
    out[x->value.n] = '\0';
}

/* The etcd that wrote it. */
static int minor_of(const struct salvage_result *r)
{
    const struct salvage_pairs *cluster = &r->buckets[MVCC_CLUSTER].pairs;
    char storage[32] = "", version[32] = "";
    struct mvcc_facts facts = { .cluster_version = version, .writer = storage };

    copy_text(meta_pair(r, MVCC_STORAGE_VERSION), storage, sizeof storage);
    copy_text(salvage_pairs_find(cluster, bytes_str(MVCC_CLUSTER_VERSION)), version,
              sizeof version);
    if (storage[0] == '\0')
        facts.writer = meta_pair(r, MVCC_TERM) != NULL ? "3.5" : "3.4";
    return datadir_minor_of(&facts);
}

static enum rc feed(void *arg, const struct bolt_visitor *to, struct err *e)
{
    return salvage_feed(arg, to, e);
}

/* ---- one way to do it -------------------------------------------------------------- */

struct attempt {
    struct datadir *dir;
    struct datadir_tail tail;
    struct str_list lost;
};

static void attempt_end(struct attempt *a)
{
    datadir_tail_clear(&a->tail);
    str_list_clear(&a->lost);
    datadir_free(a->dir);
    *a = (struct attempt){ 0 };
}

static enum rc look(const struct salvage_request *q, const struct datadir_base *base,
                    struct attempt *a, struct err *e)
{
    const struct datadir_request request = { .dir = q->source,
                                             .wal_dir = q->wal_dir,
                                             .base = base };

    attempt_end(a);
    TRY(datadir_open(&request, &a->dir, e));
    return datadir_lost(a->dir, &a->lost, e);
}

/* Without `from` the log alone. */
static enum rc replay(struct attempt *a, struct salvage_result *from, struct err *e)
{
    struct datadir_tail_options o = { .allow_loss = true };

    if (from != NULL) {
        o.minor = minor_of(from);
        o.feed = feed;
        o.feed_arg = from;
    }
    return datadir_apply(a->dir, &o, &a->tail, e);
}

static void take(struct attempt *a, enum salvage_log_use use, struct salvage_result *r)
{
    datadir_tail_clear(&r->tail);
    datadir_free(r->dir);
    str_list_clear(&r->log.lost);
    r->log.use = use;
    r->tail = a->tail;
    r->dir = a->dir;
    r->log.lost = a->lost;
    *a = (struct attempt){ 0 };
}

/* No memory, no permission, a stop: another way would not get further. */
static bool is_final(enum rc rc)
{
    return rc != RC_OK && rc != RC_CORRUPT && rc != RC_NOTFOUND;
}

/* *done: RC_CORRUPT is a reason to try the next way, told in `why`. */
static enum rc settle(enum rc rc, struct err *problem, struct salvage_result *r,
                      bool *done, struct err *e)
{
    *done = rc == RC_OK;
    if (rc == RC_OK)
        return RC_OK;
    if (is_final(rc)) {
        *e = *problem;
        return rc;
    }
    mem_free(r->log.why);
    r->log.why = mem_str(problem->why);
    return r->log.why != NULL ? RC_OK : err_set(e, RC_NOMEM, "no memory for a reason");
}

/* ---- the ways ---------------------------------------------------------------------- */

static bool goes_on(const struct attempt *a)
{
    return a->dir->verdict == DATADIR_WHOLE || a->dir->verdict == DATADIR_TORN;
}

/* The log on `base`, which is r's; only if all of it follows when `strict`. */
static enum rc on_base(const struct salvage_request *q, struct salvage_result *r,
                       enum salvage_log_use use, bool strict, bool *done, struct err *e)
{
    AT_END(attempt_end) struct attempt a = { 0 };
    struct err problem = { 0 };
    struct datadir_base base;
    enum rc rc;

    *done = false;
    if (!base_of(r, &base))
        return RC_OK;
    rc = look(q, &base, &a, &problem);
    if (rc == RC_OK && strict && !goes_on(&a))
        return RC_OK;
    if (rc == RC_OK)
        rc = replay(&a, r, &problem);
    TRY(settle(rc, &problem, r, done, e));
    if (*done)
        take(&a, use, r);
    return RC_OK;
}

static int64_t compacted_in(const struct salvage_result *r)
{
    const struct salvage_pairs *meta = &r->buckets[MVCC_META].pairs;
    int64_t finished = salvage_mark_in(meta, MVCC_FINISHED_COMPACT);
    int64_t scheduled = salvage_mark_in(meta, MVCC_SCHEDULED_COMPACT);

    return scheduled > finished ? scheduled : finished;
}

/* Has the state that r holds the HashKV of the log's? A compaction that was made offline
 * is not in the log. */
static enum rc same_as_alone(const struct salvage_result *r, struct attempt *a,
                             bool *same, struct err *e)
{
    struct kvstore *log = machine_kv(a->tail.machine);
    struct mvcc_hashkv mine, its;
    struct err ignored;

    if (compacted_in(r) > kvstore_compacted(log))
        (void)kvstore_compact(log, compacted_in(r), &ignored);
    TRY(kvstore_hashkv(machine_kv(r->tail.machine), 0, &mine, e));
    TRY(kvstore_hashkv(log, 0, &its, e));
    *same = mine.hash == its.hash && mine.revision == its.revision;
    return RC_OK;
}

/* A log that begins with the cluster, with a checksum in each record, sees also what
 * leaves no trace in the database: damage inside of values, and in an earlier commit the
 * pages that were used again. */
static enum rc alone(const struct salvage_request *q, struct salvage_result *r,
                     bool *done, struct err *e)
{
    const struct datadir_base none = { .none = true };
    AT_END(attempt_end) struct attempt a = { 0 };
    struct err problem = { 0 };
    enum rc rc = look(q, &none, &a, &problem);
    bool made, same = false;

    if (rc == RC_OK && (!a.dir->log_complete || !goes_on(&a)))
        return RC_OK;
    if (rc == RC_OK)
        rc = replay(&a, NULL, &problem);
    TRY(settle(rc, &problem, r, &made, e));
    if (made && *done && r->root <= SALVAGE_ROOT_NEWER)
        TRY(same_as_alone(r, &a, &same, e));
    if (made && !same)
        take(&a, SALVAGE_LOG_ALONE, r);
    *done = *done || made;
    return RC_OK;
}

/* The commit before shares what did not change with the one in force, but not what did.
 */
static enum rc on_before(const struct salvage_request *q, int fd, const char *name,
                         struct salvage_result *r, bool *done, struct err *e)
{
    const struct salvage_how how = { .take_doubtful = q->take_doubtful, .before = true };
    AT_END(salvage_result_clear) struct salvage_result before = { 0 };
    struct salvage_result swap;

    *done = false;
    if (r->image.metas_good < 2 || r->root > SALVAGE_ROOT_BEFORE)
        return RC_OK;
    TRY(salvage_read(fd, name, &how, &before, e));
    if (!before.base_whole || before.root != SALVAGE_ROOT_BEFORE)
        return RC_OK;
    TRY(on_base(q, &before, SALVAGE_LOG_APPLIED, true, done, e));
    if (!*done)
        return RC_OK;
    swap = *r;
    *r = before;
    before = swap;
    return RC_OK;
}

/* What stays out of reach when the database is all there is. */
static enum rc without(const struct salvage_request *q, struct salvage_result *r,
                       struct err *e)
{
    AT_END(attempt_end) struct attempt a = { 0 };
    struct err problem = { 0 };
    struct datadir_base base;
    enum rc rc;
    bool told;

    r->log.use = SALVAGE_LOG_LEFT;
    if (!base_of(r, &base))
        return RC_OK;
    rc = look(q, &base, &a, &problem);
    TRY(settle(rc, &problem, r, &told, e));
    if (!told)
        return RC_OK;
    r->log.first = a.dir->first;
    r->log.last = a.dir->last;
    r->log.lost = a.lost;
    a.lost = (struct str_list){ 0 };
    return RC_OK;
}

static enum rc choose(const struct salvage_request *q, int fd, const char *name,
                      struct salvage_result *r, bool *done, struct err *e)
{
    *done = false;
    if (r->base_whole)
        TRY(on_base(q, r, SALVAGE_LOG_APPLIED, true, done, e));
    TRY(alone(q, r, done, e));
    if (!*done && !r->base_whole)
        TRY(on_before(q, fd, name, r, done, e));
    if (!*done && r->base_whole)
        TRY(on_base(q, r, SALVAGE_LOG_APPLIED, false, done, e));
    if (!*done && !r->base_whole && ends_known(r))
        TRY(on_base(q, r, SALVAGE_LOG_OVER_LOSSES, true, done, e));
    return RC_OK;
}

enum rc salvage_log_apply(const struct salvage_request *q, int fd, const char *name,
                          bool readable, const struct err *why,
                          struct salvage_result *out, struct err *e)
{
    bool done = false;

    if (readable)
        TRY(choose(q, fd, name, out, &done, e));
    else
        TRY(alone(q, out, &done, e));
    if (!done && !readable) {
        *e = *why;
        err_hint(e,
                 "no state can be made of its log alone; `holdfast snapshot log` lists "
                 "what that says");
        return why->code;
    }
    if (!done)
        TRY(without(q, out, e));
    if (done) {
        out->log.first = out->tail.first;
        out->log.last = out->tail.last;
    }
    out->whole =
        out->log.lost.count == 0 &&
        (out->log.use == SALVAGE_LOG_ALONE ||
         (out->log.use == SALVAGE_LOG_APPLIED && out->root <= SALVAGE_ROOT_NEWER));
    return RC_OK;
}
