#include "tests/unit/salvage/wreck.h"

#include <sys/mman.h>

#include "boltdb/walk.h"
#include "mvcc/survey.h"
#include "tests/lib/image.h"

/* ---- what a file holds ------------------------------------------------------------- */

struct listing {
    struct cargo **items;
    size_t *count, *capacity;
    const struct bolt_file *file;
    enum mvcc_bucket bucket;
};

static enum rc on_bucket(void *arg, struct bytes name, struct err *e)
{
    (void)e;
    ((struct listing *)arg)->bucket = mvcc_bucket_find(name);
    return RC_OK;
}

static enum rc on_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                       struct err *e)
{
    struct listing *l = arg;

    (void)e;
    if (*l->count == *l->capacity) {
        *l->capacity = *l->capacity * 2 + 64;
        *l->items = mem_resize(*l->items, *l->capacity, sizeof **l->items);
        cr_assert_not_null(*l->items);
    }
    (*l->items)[(*l->count)++] =
        (struct cargo){ l->bucket, key, value, page,
                        le32(bolt_file_from(l->file, page).p + 12) };
    return RC_OK;
}

static void list(const struct bolt_file *f, struct cargo **items, size_t *count,
                 size_t *capacity)
{
    struct listing l = { items, count, capacity, f, MVCC_BUCKETS };
    const struct bolt_visitor v = { &l, on_bucket, on_pair };
    struct bolt_walk_result walked;
    struct err e = { 0 };

    OK(bolt_walk(f, &v, NULL, &walked, &e), &e);
}

const struct cargo *cargo_find(const struct cargo *c, size_t n, enum mvcc_bucket b,
                               struct bytes key)
{
    for (size_t i = 0; i < n; i++)
        if (c[i].bucket == b && bytes_equal(c[i].key, key))
            return &c[i];
    return NULL;
}

static int memory_file(const void *p, size_t n)
{
    int fd = memfd_create("wreck", MFD_CLOEXEC);
    struct err e = { 0 };

    cr_assert_geq(fd, 0);
    if (n > 0)
        OK(os_write_full(fd, p, n, "wreck", &e), &e);
    return fd;
}

static int64_t mark(const struct wreck *w, const char *name)
{
    const struct cargo *c = cargo_find(w->cargo, w->count, MVCC_META, bytes_str(name));

    return c == NULL ? 0 : (int64_t)be64(c->value.p);
}

void wreck_of(struct wreck *w, struct buf image)
{
    OWNED(bolt_file) file = NULL;
    struct err e = { 0 };

    *w = (struct wreck){ .image = image };

    OWNED_FD int fd = memory_file(image.p, image.n);

    OK(bolt_file_open_fd(fd, "wreck", NULL, &file, &e), &e);
    w->page_size = bolt_file_meta(file)->page_size;
    w->pages = bolt_file_meta(file)->high_water;
    list(file, &w->cargo, &w->count, &w->capacity);
    /* The file goes, the image stays. */
    for (size_t i = 0; i < w->count; i++) {
        const uint8_t *base = bolt_file_bytes(file).p;

        w->cargo[i].key.p = image.p + (w->cargo[i].key.p - base);
        w->cargo[i].value.p = image.p + (w->cargo[i].value.p - base);
    }
    w->compacted = mark(w, MVCC_FINISHED_COMPACT);
    if (mark(w, MVCC_SCHEDULED_COMPACT) > w->compacted)
        w->compacted = mark(w, MVCC_SCHEDULED_COMPACT);
    w->damaged.p = mem_copy(image.p, image.n);
    w->damaged.n = image.n;
}

void wreck_of_golden(struct wreck *w, const char *version)
{
    struct buf image = golden_snapshot(version);

    image.n -= GOLDEN_TRAILER;
    wreck_of(w, image);
}

void wreck_repair(struct wreck *w)
{
    w->damaged.n = w->image.n;
    memcpy(w->damaged.p, w->image.p, w->image.n);
}

void wreck_clear(struct wreck *w)
{
    buf_clear(&w->image);
    buf_clear(&w->damaged);
    mem_free(w->cargo);
}

/* ---- what is saved ----------------------------------------------------------------- */

void saved_clear(struct saved *s)
{
    salvage_result_clear(&s->result);
    bolt_file_free(s->file);
    buf_clear(&s->image);
    mem_free(s->cargo);
}

static void must_be_clean(struct saved *s)
{
    const struct mvcc_survey_options o = { .level = MVCC_FULL };
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts facts = { 0 };
    struct err e = { 0 };

    OK(mvcc_survey_file(s->file, &o, &f, &facts, &e), &e);
    /* A user keeps the name of a role that is lost; etcd gives it no rights for that. */
    for (size_t i = 0; i < f.kept; i++)
        cr_assert(f.items[i].severity != FINDING_ERROR ||
                      (strcmp(f.items[i].code, "role-missing") == 0 && !s->result.whole),
                  "%s", f.items[i].message);
    cr_assert_leq(f.errors, f.kept);
    cr_assert(facts.hashkv_known);
}

enum rc wreck_salvage(const struct wreck *w, struct saved *out, struct err *e)
{
    OWNED_FD int fd = memory_file(w->damaged.p, w->damaged.n);
    const struct bolt_target to = image_target(&out->image);
    uint64_t size;

    TRY(salvage_read(fd, "wreck", &(struct salvage_how){ 0 }, &out->result, e));
    TRY(salvage_write(&out->result, &to, &size, e));
    cr_assert_eq(size, out->image.n);

    OWNED_FD int made = memory_file(out->image.p, out->image.n);

    OK(bolt_file_open_fd(made, "saved", NULL, &out->file, e), e);
    must_be_clean(out);
    list(out->file, &out->cargo, &out->count, &out->capacity);
    return RC_OK;
}

/* ---- nothing more, nothing less ---------------------------------------------------- */

static bool was_hit(const struct cargo *c, uint64_t hit)
{
    return c->page <= hit && hit <= c->page + c->overflow;
}

/* Without the root in force, or with that of a bucket lost, what is in the small buckets
 * is told to be of an earlier commit. */
static bool is_old(const struct saved *s, const struct cargo *c)
{
    const struct salvage_bucket *b = &s->result.buckets[c->bucket];
    bool filled =
        b->older.count > 0 && salvage_tree_find(&b->tree, c->key)->state != SALVAGE_SOUND;

    return c->bucket != MVCC_KEY && (s->result.root >= SALVAGE_ROOT_BEFORE || filled);
}

static bool is_told(const struct saved *s, const struct cargo *c)
{
    const struct salvage_bucket *b = &s->result.buckets[c->bucket];

    if (salvage_tree_find(&b->tree, c->key)->state != SALVAGE_SOUND)
        return true;
    if (is_old(s, c))
        return true;
    for (size_t i = 0; i < b->damaged.count; i++)
        if (b->damaged.items[i].page == c->page)
            return true;
    return false;
}

static bool in_gap(const struct salvage_result *r, int64_t main, int64_t sub)
{
    for (size_t i = 0; i < r->history.gap_count; i++) {
        const struct salvage_gap *g = &r->history.gaps[i];

        if (g->main <= main && main <= g->last_main &&
            (g->sub < 0 || (g->sub <= sub && sub <= g->last_sub)))
            return true;
    }
    return false;
}

static struct bytes user_key(const struct cargo *c)
{
    struct mvcc_kv kv;
    struct err e = { 0 };

    OK(mvcc_kv_read(c->value, &kv, &e), &e);
    return kv.key;
}

static bool has_later(const struct saved *s, const struct cargo *c)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->cargo[i].bucket == MVCC_KEY &&
            bytes_compare(s->cargo[i].key, c->key) > 0 &&
            bytes_equal(user_key(&s->cargo[i]), user_key(c)))
            return true;
    return false;
}

/* Above the compaction every lost record must be in a gap, but behind the last record
 * that is left, where only its leaf's first revision can be known, and at the ends of
 * what a lost branch held. */
static void check_gap(const struct wreck *w, const struct saved *s, const struct cargo *c,
                      const char *note)
{
    const struct salvage_result *r = &s->result;
    int64_t main = (int64_t)be64(c->key.p), sub = (int64_t)be64(c->key.p + 9);

    if (!r->marks_known || main <= w->compacted)
        return;
    if (in_gap(r, main, sub))
        return;
    cr_assert(r->newest_unknown || main == r->history.newest ||
                  salvage_tree_find(&r->buckets[MVCC_KEY].tree, c->key)->state ==
                      SALVAGE_BRANCH_LOST,
              "%s: revision %ld/%ld was lost and is not told", note, (long)main,
              (long)sub);
}

/* There under a key with a bit turned over, which still is one. */
static bool is_disguised(const struct saved *s, const struct cargo *c)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->cargo[i].bucket == c->bucket && s->cargo[i].key.n == c->key.n &&
            bytes_equal(s->cargo[i].value, c->value))
            return true;
    return false;
}

static void check_missing(const struct wreck *w, const struct saved *s,
                          const struct cargo *c, uint64_t hit, uint64_t *cuts,
                          const char *note)
{
    bool key = c->bucket == MVCC_KEY;

    if (!was_hit(c, hit) && key && s->result.history.cut.count > 0 && has_later(s, c)) {
        ++*cuts;
        return;
    }
    cr_assert(was_hit(c, hit) || is_old(s, c),
              "%s: %s of page %lu is missing (revision %ld)", note,
              mvcc_bucket_name(c->bucket), (unsigned long)c->page,
              key ? (long)be64(c->key.p) : 0);
    if (is_disguised(s, c))
        return;
    cr_assert(is_told(s, c), "%s: a pair of %s is missing and not told", note,
              mvcc_bucket_name(c->bucket));
    if (key)
        check_gap(w, s, c, note);
}

static bool is_raised_mark(const struct saved *s, const struct cargo *c)
{
    return c->bucket == MVCC_META && bytes_is(c->key, MVCC_SCHEDULED_COMPACT) &&
           s->result.history.gap_count + s->result.history.version_count > 0;
}

/* A pair of the original, but for a bit of its key. */
static bool is_turned(const struct wreck *w, const struct cargo *c)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct cargo *was = &w->cargo[i];
        unsigned bits = 0;

        if (was->bucket != c->bucket || was->key.n != c->key.n ||
            !bytes_equal(was->value, c->value))
            continue;
        for (size_t n = 0; n < c->key.n; n++)
            bits += (unsigned)__builtin_popcount(was->key.p[n] ^ c->key.p[n]);
        if (bits == 1)
            return true;
    }
    return false;
}

static void check_extra(const struct wreck *w, const struct saved *s,
                        const struct cargo *c, const char *note)
{
    const struct cargo *was = cargo_find(w->cargo, w->count, c->bucket, c->key);

    if (is_old(s, c))
        return;
    if (is_raised_mark(s, c) || (was == NULL && is_turned(w, c)))
        return;
    cr_assert(was != NULL, "%s: a pair of %s has come back", note,
              mvcc_bucket_name(c->bucket));
}

/* Who says that nothing was lost must be right, but for a key that a bit disguised. */
static void check_claim(const struct wreck *w, const struct saved *s, size_t missing,
                        const char *note)
{
    if (s->result.whole)
        cr_assert(missing == 0 && s->count == w->count &&
                      s->result.root < SALVAGE_ROOT_BEFORE,
                  "%s: not whole", note);
}

/* Nothing that is there may be told as lost. */
static void check_gaps_empty(const struct saved *s, const char *note)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->cargo[i].bucket == MVCC_KEY)
            cr_assert(!in_gap(&s->result, (int64_t)be64(s->cargo[i].key.p),
                              (int64_t)be64(s->cargo[i].key.p + 9)),
                      "%s: revision %ld is there and told as lost", note,
                      (long)be64(s->cargo[i].key.p));
}

void wreck_check(const struct wreck *w, uint64_t hit, const char *note)
{
    SAVED s = { 0 };
    struct err e = { 0 };
    uint64_t cuts = 0;
    size_t from = 0, missing = 0;

    OK(wreck_salvage(w, &s, &e), &e);
    for (size_t i = 0; i < w->count; i++) {
        const struct cargo *c = &w->cargo[i];
        const struct cargo *got =
            cargo_find(s.cargo + from, s.count - from, c->bucket, c->key);

        if (got == NULL) {
            check_missing(w, &s, c, hit, &cuts, note);
            missing += !is_disguised(&s, c);
            continue;
        }
        /* Within a value nothing shows damage. */
        cr_assert(bytes_equal(got->value, c->value) || was_hit(c, hit) || is_old(&s, c) ||
                      is_raised_mark(&s, c),
                  "%s: a value of %s has changed", note, mvcc_bucket_name(c->bucket));
        from = (size_t)(got - s.cargo);
    }
    /* The commit before has records, too, that were compacted since. */
    cr_assert(cuts == s.result.history.cut.count ||
                  (cuts < s.result.history.cut.count &&
                   s.result.buckets[MVCC_KEY].older.count > 0),
              "%s: %lu records cut, %lu of them missing", note,
              (unsigned long)s.result.history.cut.count, (unsigned long)cuts);
    check_claim(w, &s, missing, note);
    for (size_t i = 0; i < s.count; i++)
        check_extra(w, &s, &s.cargo[i], note);
    check_gaps_empty(&s, note);
}
