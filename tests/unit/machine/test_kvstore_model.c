/* Random lives of a key space beside the slow model. Seeds are fixed; HOLDFAST_LONG=1
 * tries more of them. */
#include "machine/kvstore_state.h"
#include "tests/lib/case.h"
#include "tests/unit/machine/kvmodel.h"
#include "util/mem.h"

enum { STEPS = 3000, SEEDS = 6, SEEDS_LONG = 200 };

struct life {
    struct model *m;
    struct kvstore *s;
    struct pairs borrowed; /* what the store was loaded from */
    bool rarely;           /* compacted: then the records fill several chunks */
};

static void life_end(struct life *l)
{
    kvstore_free(l->s);
    pairs_clear(&l->borrowed);
    mem_free(l->m);
}

static void on_lease(void *arg, struct bytes key, int64_t before, int64_t after)
{
    struct model *m = arg;
    unsigned k = 0;

    while (k < MODEL_KEYS && !bytes_equal(m->keys[k], key))
        k++;
    cr_assert_lt(k, MODEL_KEYS);
    cr_assert_eq(m->leases[k], before);
    cr_assert_neq(before, after);
    m->leases[k] = after;
}

static struct kvstore_options options_of(struct model *m)
{
    return (struct kvstore_options){ .drop_tombstone_at_compaction = m->drop_tombstone,
                                     .lease = on_lease,
                                     .lease_arg = m };
}

static struct kvstore_span any_span(struct model *m)
{
    struct kvstore_span span = { .key = m->keys[model_below(m, MODEL_KEYS)] };

    if (model_below(m, 2) == 0)
        span.end = m->keys[model_below(m, MODEL_KEYS)]; /* "\0" is among them */
    return span;
}

/* ---- comparing -----------------------------------------------------------------------
 */

struct expect {
    const struct life *l;
    struct kvstore_span span;
    int64_t revision;
    unsigned key; /* the next to be shown, or one behind it */
    uint64_t shown, most;
};

static const struct model_version *next_expected(struct expect *x)
{
    const struct model *m = x->l->m;

    for (; x->key < MODEL_KEYS; x->key++) {
        const struct model_version *v = model_visible(m, x->key, x->revision);

        if (v != NULL && model_has(x->span, m->keys[x->key])) {
            x->key++;
            return v;
        }
    }
    return NULL;
}

static void same_record(const struct model *m, const struct model_version *v,
                        const struct kvstore_record *r)
{
    AT_END(buf_clear) struct buf rev = { 0 };
    AT_END(buf_clear) struct buf value = { 0 };

    cr_assert_not_null(v);
    model_pair(m, v, &rev, &value);
    cr_assert_eq(r->main, v->main);
    cr_assert_eq(r->sub, v->sub);
    cr_assert_eq(r->tombstone, v->tombstone);
    cr_assert(bytes_equal(r->stored, (struct bytes){ value.p, value.n }));
}

static enum rc shown(void *arg, struct bytes key, const struct kvstore_record *r,
                     bool *stop, struct err *e)
{
    struct expect *x = arg;
    const struct model_version *v = next_expected(x);

    (void)e;
    same_record(x->l->m, v, r);
    cr_assert(bytes_equal(key, x->l->m->keys[v->key]));
    *stop = ++x->shown == x->most;
    return RC_OK;
}

static void compare_get(const struct life *l, int64_t asked, int64_t revision)
{
    unsigned key = model_below(l->m, MODEL_KEYS);
    const struct model_version *v = model_visible(l->m, key, revision);
    struct kvstore_record r;
    struct err e = { 0 };
    bool found = false;

    OK(kvstore_get(l->s, l->m->keys[key], asked, &r, &found, &e), &e);
    cr_assert_eq(found, v != NULL);
    if (found)
        same_record(l->m, v, &r);
}

/* `newest` is what a reader may ask for at most. */
static void compare_range(const struct life *l, int64_t newest)
{
    int64_t asked = (int64_t)model_below(l->m, (unsigned)newest + 3) - 1;
    struct expect x = { .l = l, .span = any_span(l->m), .most = model_below(l->m, 8) };
    struct expect all = { .l = l, .span = x.span };
    uint64_t count = 0, expected = 0;
    struct err e = { 0 };
    enum rc rc = kvstore_count(l->s, x.span, asked, &count, &e);

    x.revision = all.revision = asked <= 0 ? newest : asked;
    if (x.revision > newest || x.revision < l->m->compacted) {
        cr_assert_eq(rc, RC_NOTFOUND);
        cr_assert_eq(kvstore_range(l->s, x.span, asked, shown, &x, &e), RC_NOTFOUND);
        return;
    }
    cr_assert_eq(rc, RC_OK);
    OK(kvstore_range(l->s, x.span, asked, shown, &x, &e), &e);
    while (next_expected(&all) != NULL)
        expected++;
    cr_assert_eq(count, expected);
    cr_assert_eq(x.shown, x.most == 0 || x.most > expected ? expected : x.most);
    compare_get(l, asked, x.revision);
}

struct tail {
    const struct model *m;
    size_t next, most;
};

static enum rc changed(void *arg, const struct kvstore_record *r, bool *stop,
                       struct err *e)
{
    struct tail *t = arg;

    (void)e;
    cr_assert_lt(t->next, t->m->count);
    same_record(t->m, &t->m->versions[t->next++], r);
    *stop = --t->most == 0;
    return RC_OK;
}

static void compare_changes(const struct life *l)
{
    struct tail t = { .m = l->m, .most = 1 + model_below(l->m, 30) };
    int64_t from = model_below(l->m, (unsigned)l->m->revision + 3);
    size_t end = 0, start;
    struct err e = { 0 };

    while (t.next < l->m->count && l->m->versions[t.next].main < from)
        t.next++;
    start = t.next;
    while (end < l->m->count && l->m->versions[end].main <= l->m->revision)
        end++;
    end = end > start + t.most ? start + t.most : end;
    OK(kvstore_changes(l->s, from, changed, &t, &e), &e);
    cr_assert_eq(t.next, end > start ? end : start);
}

static void compare_all(const struct life *l)
{
    AT_END(pairs_clear) struct pairs want = model_pairs(l->m);
    AT_END(pairs_clear) struct pairs got = kv_dump(l->s);
    int64_t low = l->m->compacted < 1 ? 1 : l->m->compacted;
    int64_t at = low + model_below(l->m, (unsigned)(l->m->revision - low) + 1);
    struct mvcc_hashkv h;
    struct err e = { 0 };

    kv_same(&want, &got, "model and store");
    cr_assert_eq(kvstore_bytes(l->s), want.bytes.n - want.count * 2 * sizeof(size_t));
    cr_assert_eq(kvstore_revision(l->s), l->m->revision);
    cr_assert_eq(kvstore_compacted(l->s), l->m->compacted);
    OK(kvstore_hashkv(l->s, at, &h, &e), &e);
    cr_assert_eq(h.hash, kv_history_hash(&want, l->m->compacted, at));
    for (unsigned k = 0; k < MODEL_KEYS; k++) {
        const struct model_version *v = model_visible(l->m, k, INT64_MAX);

        cr_assert_eq(l->m->leases[k], v == NULL ? 0 : v->lease);
    }
}

/* ---- living --------------------------------------------------------------------------
 */

static size_t any_size(struct model *m)
{
    unsigned what = model_below(m, 100);

    if (what == 0)
        return model_below(m, 1 << 20);
    return what < 20 ? 0 : model_below(m, 300);
}

/* A key that was deleted is not put again in the same transaction: etcd refuses it. */
static void transaction(struct life *l)
{
    struct model *m = l->m;
    unsigned ops = model_below(m, 6);
    bool gone[MODEL_KEYS] = { 0 };
    int64_t sub = 0;
    struct err e = { 0 };

    kvstore_begin(l->s);
    for (unsigned i = 0; i < ops; i++) {
        unsigned key = model_below(m, MODEL_KEYS);

        if (model_below(m, 4) == 0) {
            struct kvstore_span span = any_span(m);
            uint64_t deleted = 0, expected = 0;

            OK(kvstore_delete(l->s, span, &deleted, &e), &e);
            for (unsigned k = 0; k < MODEL_KEYS; k++)
                if (model_has(span, m->keys[k]) && model_delete(m, k, sub)) {
                    gone[k] = true;
                    expected++;
                    sub++;
                }
            cr_assert_eq(deleted, expected);
        } else if (!gone[key]) {
            size_t size = any_size(m);
            int64_t lease = model_below(m, 2) == 0 ? 0 : (int64_t)model_below(m, 9) - 4;
            AT_END(mem_end) uint8_t *value = mem_zero(size);

            memset(value, (int)(m->revision + 1) & 0xff, size);
            OK(kvstore_put(l->s, m->keys[key], (struct bytes){ value, size }, lease, &e),
               &e);
            model_put(m, key, sub++, size, lease);
        }
        cr_assert_eq(kvstore_changed(l->s), sub > 0);
        compare_range(l, m->revision + (sub > 0));
        compare_changes(l);
    }
    m->revision += sub > 0;
    cr_assert_eq(kvstore_end(l->s), m->revision);
}

static void compaction(struct life *l)
{
    int64_t low = l->m->compacted < 0 ? 0 : l->m->compacted;
    int64_t at = low + model_below(l->m, (unsigned)(l->m->revision - low) + 2);
    bool may = at > l->m->compacted && at <= l->m->revision;
    struct err e = { 0 };

    cr_assert_eq(kvstore_compact(l->s, at, &e), may ? RC_OK : RC_NOTFOUND);
    if (may)
        model_compact(l->m, at);
    compare_all(l);
}

/* Through a file and back; at times with a compaction that was only scheduled. */
static void reload(struct life *l)
{
    const struct kvstore_options options = options_of(l->m);
    struct pairs pairs = kv_dump(l->s);
    int64_t scheduled = l->m->compacted;

    kvstore_free(l->s);
    pairs_clear(&l->borrowed);
    l->borrowed = pairs;
    memset(l->m->leases, 0, sizeof l->m->leases);
    if (model_below(l->m, 2) == 0 && l->m->revision > scheduled)
        scheduled = l->m->revision - model_below(l->m, 2);
    l->s = kv_load(&options, &l->borrowed, l->m->compacted, scheduled);
    if (scheduled > l->m->compacted)
        model_compact(l->m, scheduled);
    compare_all(l);
}

static void live(unsigned seed)
{
    AT_END(life_end) struct life l = { .m = model_new(seed) };
    struct kvstore_options options;
    struct err e = { 0 };

    l.m->drop_tombstone = seed % 2 == 0;
    options = options_of(l.m);
    l.rarely = seed % 3 == 0;
    OK(kvstore_new(&options, &l.s, &e), &e);
    /* Places wrap around after 2^32 records; here soon. */
    l.s->records.first = l.s->records.base = 0U - KVRECORDS_CHUNK * (1 + seed % 2);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned what = model_below(l.m, l.rarely ? 2000 : 200);

        if (what < 3)
            compaction(&l);
        else if (what == 3)
            reload(&l);
        else
            transaction(&l);
        compare_range(&l, l.m->revision);
        compare_changes(&l);
    }
    compare_all(&l);
}

CASE(kvstore_model, random_lives_agree_with_the_model)
{
    unsigned seeds = getenv("HOLDFAST_LONG") == NULL ? SEEDS : SEEDS_LONG;

    for (unsigned seed = 1; seed <= seeds; seed++)
        live(seed);
}
