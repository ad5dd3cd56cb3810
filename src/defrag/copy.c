#include "defrag/copy.h"

#include <inttypes.h>

#include "util/findings.h"
#include "util/mem.h"

static const char *const mark_names[] = { MVCC_FINISHED_COMPACT, MVCC_SCHEDULED_COMPACT };
enum { MARKS = 2 }; /* in the order in which they sort */

/* One walk and whoever listens to it; what is NULL does not. */
struct pass {
    enum mvcc_bucket bucket;
    struct mvcc_history *history;
    struct mvcc_sums *sums;
    struct mvcc_powers powers;
    const struct defrag_keep *keep;
    struct bolt_builder *builder;
    uint64_t ordinal;    /* of the next pair in bucket key */
    unsigned marks_done; /* of mark_names, in the current bucket */
    uint64_t records_dropped, bytes_dropped;
};

static enum rc mark_read(const struct bolt_file *file, const char *name, int64_t *out,
                         struct err *e)
{
    struct bytes value;
    bool found = false;

    *out = MVCC_NEVER_COMPACTED;
    TRY(bolt_file_get(file, "meta", bytes_str(name), &value, &found, e));
    return found ? mvcc_compact_rev_read(value, out, e) : RC_OK;
}

enum rc defrag_marks_read(const struct bolt_file *file, struct defrag_marks *out,
                          struct err *e)
{
    struct defrag_marks m;

    TRY(mark_read(file, MVCC_FINISHED_COMPACT, &m.finished, e));
    TRY(mark_read(file, MVCC_SCHEDULED_COMPACT, &m.scheduled, e));
    *out = m;
    return RC_OK;
}

/* ---- pairs on their way ------------------------------------------------------------ */

static enum rc put(struct pass *p, struct bytes key, struct bytes value, uint64_t page,
                   struct err *e)
{
    uint32_t crc = mvcc_pair_crc(key, value);

    p->sums->pairs++;
    p->sums->buckets[p->bucket].pairs++;
    mvcc_chain_add(&p->sums->buckets[p->bucket].chain, &p->powers, crc, key.n + value.n);
    if (p->bucket == MVCC_KEY)
        TRY(mvcc_history_pair(p->history, key, value, crc, page, e));
    return p->builder == NULL ? RC_OK : bolt_builder_pair(p->builder, key, value, e);
}

/* Puts the marks of the compaction in their places: those before `key`, or, when it is
 * NULL, all that are left. Sets *replaced when `key` is one of them. */
static enum rc put_marks(struct pass *p, const struct bytes *key, bool *replaced,
                         struct err *e)
{
    uint8_t value[MVCC_REV_SIZE];

    if (p->keep == NULL || p->bucket != MVCC_META)
        return RC_OK;
    mvcc_rev_write(value, defrag_keep_rule(p->keep)->revision, 0);
    while (p->marks_done < MARKS) {
        struct bytes name = bytes_str(mark_names[p->marks_done]);
        int order = key == NULL ? -1 : bytes_compare(name, *key);

        if (order > 0)
            return RC_OK;
        *replaced |= order == 0;
        p->marks_done++;
        TRY(put(p, name, BYTES_OF(value), FINDING_NO_PAGE, e));
    }
    return RC_OK;
}

static enum rc end_bucket(struct pass *p, struct err *e)
{
    bool ignored = false;

    return put_marks(p, NULL, &ignored, e);
}

static enum rc on_bucket(void *arg, struct bytes name, struct err *e)
{
    struct pass *p = arg;

    TRY(end_bucket(p, e));
    p->bucket = mvcc_bucket_find(name);
    mvcc_chain_bytes(&p->sums->buckets[p->bucket].chain, name);
    return p->builder == NULL ? RC_OK : bolt_builder_bucket(p->builder, name, e);
}

static bool is_dropped(struct pass *p)
{
    return p->keep != NULL && p->bucket == MVCC_KEY &&
           !defrag_keep_has(p->keep, p->ordinal++);
}

static enum rc on_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                       struct err *e)
{
    struct pass *p = arg;
    bool replaced = false;

    if (is_dropped(p)) {
        p->records_dropped++;
        p->bytes_dropped += key.n + value.n;
        return RC_OK;
    }
    TRY(put_marks(p, &key, &replaced, e));
    return replaced ? RC_OK : put(p, key, value, page, e);
}

/* ---- records given once more ------------------------------------------------------- */

static enum rc again_bucket(void *arg, struct bytes name, struct err *e)
{
    (void)e;
    ((struct pass *)arg)->bucket = mvcc_bucket_find(name);
    return RC_OK;
}

static enum rc again_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                          struct err *e)
{
    struct pass *p = arg;
    uint32_t crc = 0;

    if (p->bucket != MVCC_KEY || is_dropped(p))
        return RC_OK;
    if (mvcc_history_wants_crc(p->history))
        crc = mvcc_pair_crc(key, value);
    return mvcc_history_pair(p->history, key, value, crc, page, e);
}

/* The history's keys may be more than it holds at once. */
static enum rc repeat(const struct bolt_file *file, struct pass *p, struct err *e)
{
    const struct bolt_visitor v = { p, again_bucket, again_pair };
    struct bolt_walk_result walked;
    bool again;

    TRY(mvcc_history_again(p->history, NULL, &again, e));
    while (again) {
        p->ordinal = 0;
        TRY(bolt_walk(file, &v, NULL, &walked, e));
        TRY(bolt_file_intact(file, e));
        TRY(mvcc_history_again(p->history, NULL, &again, e));
    }
    return RC_OK;
}

/* Walks it all with p->keep and p->builder; fills p->sums. */
static enum rc walk(const struct bolt_file *file, struct pass *p,
                    const struct defrag_marks *marks, struct findings *f,
                    struct bolt_walk_result *out, struct err *e)
{
    const struct mvcc_history_options options = { .finished = marks->finished,
                                                  .scheduled = marks->scheduled,
                                                  .hash = true,
                                                  .checks = true };
    const struct bolt_visitor v = { p, on_bucket, on_pair };
    OWNED(mvcc_history) history = NULL;

    TRY(mvcc_history_new(&options, f, &history, e));
    mvcc_powers_init(&p->powers);
    mvcc_history_bound(history, MVCC_KEYS_BESIDE);
    p->history = history;
    p->bucket = MVCC_BUCKETS;
    TRY(bolt_walk(file, &v, NULL, out, e));
    TRY(bolt_file_intact(file, e));
    TRY(end_bucket(p, e));
    TRY(repeat(file, p, e));
    return mvcc_history_finish(history, NULL, &p->sums->history, e);
}

/* ---- before the copy --------------------------------------------------------------- */

static enum rc check_etcd(const struct mvcc_sums *s, const char *name, struct err *e)
{
    if (s->buckets[MVCC_KEY].chain.length > 0 && s->buckets[MVCC_META].chain.length > 0)
        return RC_OK;
    return err_set(e, RC_CORRUPT,
                   "'%s' is a bbolt database, but not of etcd: it has no bucket '%s'",
                   name, s->buckets[MVCC_KEY].chain.length == 0 ? "key" : "meta");
}

enum rc defrag_examine(const struct bolt_file *file, struct findings *f,
                       struct mvcc_history_result *out, struct err *e)
{
    struct mvcc_sums sums = { 0 };
    struct pass p = { .sums = &sums };
    struct bolt_walk_result walked;
    struct defrag_marks marks;

    TRY(defrag_marks_read(file, &marks, e));
    TRY(walk(file, &p, &marks, f, &walked, e));
    TRY(check_etcd(&sums, bolt_file_name(file), e));
    *out = sums.history;
    return RC_OK;
}

struct deciding {
    struct defrag_keep *keep;
    bool in_key;
};

static enum rc decide_bucket(void *arg, struct bytes name, struct err *e)
{
    (void)e;
    ((struct deciding *)arg)->in_key = mvcc_bucket_find(name) == MVCC_KEY;
    return RC_OK;
}

static enum rc decide_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                           struct err *e)
{
    const struct deciding *d = arg;

    (void)page;
    return d->in_key ? defrag_keep_add(d->keep, key, value, e) : RC_OK;
}

enum rc defrag_decide(const struct bolt_file *file, const struct defrag_keep_rule *rule,
                      struct defrag_keep **out, struct err *e)
{
    OWNED(defrag_keep) keep = NULL;
    struct bolt_walk_result walked;
    bool again = true;

    TRY(defrag_keep_new(rule, &keep, e));

    struct deciding d = { .keep = keep };
    const struct bolt_visitor v = { &d, decide_bucket, decide_pair };

    defrag_keep_bound(keep, MVCC_KEYS_BESIDE);
    while (again) {
        TRY(bolt_walk(file, &v, NULL, &walked, e));
        TRY(bolt_file_intact(file, e));
        TRY(defrag_keep_again(keep, &again, e));
    }
    defrag_keep_settle(keep);
    *out = GIVE(keep);
    return RC_OK;
}

/* ---- the copy and its proof -------------------------------------------------------- */

static enum rc drop_bytes(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    (void)arg;
    (void)p;
    (void)n;
    (void)e;
    return RC_OK;
}

/* Those that the new file will have. */
static enum rc marks_of_copy(const struct bolt_file *from, const struct defrag_keep *keep,
                             struct defrag_marks *out, struct err *e)
{
    if (keep == NULL)
        return defrag_marks_read(from, out, e);
    out->finished = out->scheduled = defrag_keep_rule(keep)->revision;
    return RC_OK;
}

enum rc defrag_copy(const struct bolt_file *file, const struct defrag_keep *keep,
                    const struct bolt_target *to, struct findings *f,
                    struct defrag_copied *out, struct err *e)
{
    static const struct bolt_target nowhere = { NULL, drop_bytes, drop_bytes, NULL };
    const struct bolt_build_options options = {
        .page_size = bolt_file_meta(file)->page_size,
    };
    struct defrag_copied done = { 0 };
    struct pass p = { .sums = &done.sums, .keep = keep };
    OWNED(bolt_builder) builder = NULL;
    struct defrag_marks marks;

    TRY(marks_of_copy(file, keep, &marks, e));
    TRY(bolt_builder_new(to == NULL ? &nowhere : to, &options, &builder, e));
    p.builder = builder;
    TRY(walk(file, &p, &marks, f, &done.source, e));
    TRY(check_etcd(&done.sums, bolt_file_name(file), e));
    TRY(bolt_builder_finish(builder, &done.size, e));
    done.records_dropped = p.records_dropped;
    done.bytes_dropped = p.bytes_dropped;
    *out = done;
    return RC_OK;
}

static enum rc differs(struct err *e, const char *what)
{
    return err_set(
        e, RC_CORRUPT,
        "the new database holds something else than the old one: %s" HINT
        "nothing was replaced; try again, and check this disk and memory if it "
        "happens again",
        what);
}

static enum rc compare(const struct mvcc_sums *want, const struct mvcc_sums *got,
                       struct err *e)
{
    for (int b = 0; b <= MVCC_BUCKETS; b++)
        if (want->buckets[b].pairs != got->buckets[b].pairs ||
            want->buckets[b].chain.crc != got->buckets[b].chain.crc ||
            want->buckets[b].chain.length != got->buckets[b].chain.length)
            return differs(e, b == MVCC_BUCKETS ? "an unknown bucket differs"
                                                : mvcc_bucket_name((enum mvcc_bucket)b));
    if (want->history.hash_known != got->history.hash_known ||
        want->history.hashkv.hash != got->history.hashkv.hash ||
        want->history.revision != got->history.revision)
        return differs(e, "HashKV or the revision differs");
    return RC_OK;
}

/* A record that the compaction should have dropped would show as a leftover. */
static enum rc check_compacted(const struct findings *f, struct err *e)
{
    TRY(findings_verdict(f, e));
    for (size_t i = 0; i < f->kept; i++)
        if (strcmp(f->items[i].code, "compaction-leftover") == 0)
            return err_set(e, RC_INTERNAL,
                           "the compaction left what it should have dropped: %s",
                           f->items[i].message);
    return RC_OK;
}

enum rc defrag_prove(const struct bolt_file *file, const struct defrag_copied *copied,
                     bool compacted, struct err *e)
{
    AT_END(findings_clear) struct findings f = { 0 };
    struct mvcc_sums sums = { 0 };
    struct pass p = { .sums = &sums };
    struct bolt_walk_result walked;
    struct defrag_marks marks;

    TRY(defrag_marks_read(file, &marks, e));
    TRY(walk(file, &p, &marks, &f, &walked, e));
    TRY(compare(&copied->sums, &sums, e));
    return compacted ? check_compacted(&f, e) : RC_OK;
}

/* ---- the proof beside the copy ----------------------------------------------------- */

enum rc defrag_proof_begin(struct defrag_proof *p, const struct bolt_file *from,
                           const struct defrag_keep *keep, struct err *e)
{
    struct defrag_marks marks;

    p->compacted = keep != NULL;
    TRY(marks_of_copy(from, keep, &marks, e));

    const struct mvcc_proof_options options = {
        .page_size = bolt_file_meta(from)->page_size,
        .finished = marks.finished,
        .scheduled = marks.scheduled,
        .findings = &p->findings,
    };

    return mvcc_proof_new(&options, &p->proof, e);
}

enum rc defrag_proof_end(struct defrag_proof *p, struct bytes head,
                         const struct defrag_copied *copied, bool *known, struct err *e)
{
    struct mvcc_sums sums;

    TRY(mvcc_proof_finish(p->proof, head, INT64_MAX, &sums, known, e));
    if (!*known)
        return RC_OK;
    TRY(compare(&copied->sums, &sums, e));
    return p->compacted ? check_compacted(&p->findings, e) : RC_OK;
}

void defrag_proof_clear(struct defrag_proof *p)
{
    mvcc_proof_free(p->proof);
    findings_clear(&p->findings);
    *p = (struct defrag_proof){ 0 };
}
