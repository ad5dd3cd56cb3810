#include "salvage/history.h"

#include "defrag/keep.h"
#include "mvcc/keys.h"
#include "util/mem.h"
#include "util/os.h"

void salvage_history_clear(struct salvage_history *h)
{
    mem_free(h->gaps);
    mem_free(h->versions);
    salvage_pairs_clear(&h->cut);
    *h = (struct salvage_history){ 0 };
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Room for one more element behind `count`; `list` is where the pointer is. */
static enum rc reserve(void *list, size_t count, size_t *capacity, size_t size,
                       struct err *e)
{
    size_t more = *capacity == 0 ? 16 : *capacity * 2;
    void *grown;

    if (count < *capacity)
        return RC_OK;
    memcpy(&grown, list, sizeof grown);
    grown = mem_resize(grown, more, size);
    if (grown == NULL)
        return err_set(e, RC_NOMEM, "no memory for a list of %zu losses", more);
    memcpy(list, &grown, sizeof grown);
    *capacity = more;
    return RC_OK;
}

/* ---- what a compaction had removed --------------------------------------------------
 */

static enum rc decide(const struct salvage_pairs *records, int64_t finished,
                      struct defrag_keep **out, struct err *e)
{
    const struct defrag_keep_rule rule = { .revision = finished };
    OWNED(defrag_keep) keep = NULL;

    TRY(defrag_keep_new(&rule, &keep, e));
    for (size_t i = 0; i < records->count; i++)
        TRY(defrag_keep_add(keep, records->items[i].key, records->items[i].value, e));
    defrag_keep_settle(keep);
    *out = GIVE(keep);
    return RC_OK;
}

/* What the tree in force holds stays as it is. */
static enum rc drop_superseded(struct salvage_pairs *records,
                               const struct salvage_history_options *o,
                               struct salvage_history *out, struct err *e)
{
    OWNED(defrag_keep) keep = NULL;
    size_t kept = 0;

    if (o->finished < 1 || o->scheduled > o->finished)
        return RC_OK;
    TRY(decide(records, o->finished, &keep, e));
    for (size_t i = 0; i < records->count; i++)
        if (records->items[i].origin == SALVAGE_TREE || defrag_keep_has(keep, i))
            records->items[kept++] = records->items[i];
    out->superseded = records->count - kept;
    records->count = kept;
    return RC_OK;
}

/* ---- holes ------------------------------------------------------------------------- */

struct mending {
    const struct salvage_history_options *options;
    struct salvage_history *out;
    struct mvcc_keys keys;
    uint8_t seed[SIPHASH_KEY_SIZE];
    int64_t floor;     /* up to here records may be missing: the larger mark, or 1 */
    int64_t main, sub; /* newest so far */
    bool open;         /* what follows it is lost, to an end that is not known */
    size_t next_loss;
};

static void mending_end(struct mending *m)
{
    mvcc_keys_clear(&m->keys);
}

static enum rc add_gap(struct mending *m, const struct salvage_gap *gap, struct err *e)
{
    struct salvage_history *h = m->out;

    TRY(reserve(&h->gaps, h->gap_count, &h->gap_capacity, sizeof *h->gaps, e));
    h->gaps[h->gap_count++] = *gap;
    h->compacted = larger(h->compacted, gap->last_main);
    return RC_OK;
}

/* What is lost behind main/sub ends with that revision at the latest. Does all of it
 * count with the revisions that follow? */
static enum rc close_open(struct mending *m, bool *whole, struct err *e)
{
    const struct salvage_gap rest = { m->main, m->main, m->sub + 1, SALVAGE_SUB_OPEN };

    *whole = m->open && m->sub < 0;
    if (m->open && !*whole)
        TRY(add_gap(m, &rest, e));
    m->open = false;
    return RC_OK;
}

/* Something with this revision was there; now or once. What should lie between it and the
 * newest so far is missing. `jumps`: no revision was between the two. */
static enum rc arrive(struct mending *m, int64_t main, int64_t sub, bool jumps,
                      struct err *e)
{
    int64_t expected = main == m->main ? m->sub + 1 : 0;
    const struct salvage_gap subs = { main, main, expected, sub - 1 };
    struct salvage_gap mains = { 0, jumps ? m->main : main - 1, -1, -1 };
    bool whole = false;

    if (main != m->main)
        TRY(close_open(m, &whole, e));
    mains.main = larger(whole ? m->main - 1 : m->main, m->floor) + 1;
    if (main > m->floor && mains.last_main >= mains.main)
        TRY(add_gap(m, &mains, e));
    if (main > m->floor && sub > expected)
        TRY(add_gap(m, &subs, e));
    m->main = main;
    m->sub = sub;
    m->open = false;
    return RC_OK;
}

/* Nothing is left behind the newest so far. */
static enum rc arrive_at_end(struct mending *m, struct err *e)
{
    const struct salvage_gap last = { m->main, m->main, -1, -1 };
    bool whole;

    TRY(close_open(m, &whole, e));
    return whole ? add_gap(m, &last, e) : RC_OK;
}

static bool comes_before(const struct mvcc_rev *a, int64_t main, int64_t sub)
{
    return a->main < main || (a->main == main && a->sub < sub);
}

static enum rc lose(struct mending *m, const struct salvage_loss *loss, struct err *e)
{
    const struct mvcc_rev *rev = &loss->rev;
    const struct salvage_gap itself = { rev->main, rev->main, rev->sub, rev->sub };

    TRY(arrive(m, rev->main, rev->sub, false, e));
    if (!loss->open)
        return add_gap(m, &itself, e);
    m->sub--;
    m->open = true;
    return RC_OK;
}

/* What is known to be lost before main/sub. */
static enum rc pass_losses(struct mending *m, int64_t main, int64_t sub, struct err *e)
{
    const struct salvage_history_options *o = m->options;

    for (; m->next_loss < o->loss_count &&
           comes_before(&o->losses[m->next_loss].rev, main, sub);
         m->next_loss++) {
        const struct salvage_loss *loss = &o->losses[m->next_loss];
        const struct mvcc_rev newest = { .main = m->main, .sub = m->sub };

        if (loss->rev.main > m->floor &&
            comes_before(&newest, loss->rev.main, loss->rev.sub))
            TRY(lose(m, loss, e));
    }
    return RC_OK;
}

/* ---- the history of one key ---------------------------------------------------------
 */

static bool follows(const struct mvcc_key *k, const struct mvcc_record *r, int64_t floor)
{
    bool whole = mvcc_key_is(k, MVCC_KEY_SEEN) || r->main > floor;
    bool alive = mvcc_key_is(k, MVCC_KEY_ALIVE);

    if (r->bump)
        return true;
    if (r->tombstone)
        return alive || !whole;
    if (alive)
        return r->version == mvcc_key_version(k) + 1 && r->create == k->create;
    if (r->main > floor && (r->create == r->main) != (r->version == 1))
        return false;
    return r->version == 1 || !whole;
}

static enum rc miss_versions(struct mending *m, const struct mvcc_key *k,
                             const struct mvcc_record *r, struct bytes value,
                             struct err *e)
{
    bool alive = mvcc_key_is(k, MVCC_KEY_ALIVE);
    bool same = alive && (r->tombstone || r->create == k->create);
    struct salvage_history *h = m->out;
    struct mvcc_kv kv;

    TRY(mvcc_kv_read(value, &kv, e));
    TRY(reserve(&h->versions, h->version_count, &h->version_capacity, sizeof *h->versions,
                e));
    h->versions[h->version_count++] = (struct salvage_version){
        .key = kv.key,
        .first = same ? mvcc_key_version(k) + 1 : 1,
        .last = r->tombstone ? 0 : r->version - 1,
        .after = larger(k->lease, 0),
        .before = r->main,
    };
    return RC_OK;
}

/* The entry's lease has no use here: it holds the revision of the newest record. */
static void take(struct mvcc_key *k, const struct mvcc_record *r)
{
    uint64_t flags = MVCC_KEY_SEEN | (r->tombstone ? 0 : MVCC_KEY_ALIVE);

    k->version_flags = (uint64_t)r->version << 8 | flags;
    k->create = r->create;
    k->lease = r->main;
}

static enum rc read_record(const struct mending *m, const struct salvage_pair *x,
                           struct mvcc_record *out, struct err *e)
{
    struct mvcc_rev rev;

    TRY(mvcc_rev_read(x->key, &rev, e));
    return mvcc_record_read(m->seed, &rev, x->value, out, e);
}

static enum rc mend_record(struct mending *m, const struct salvage_pair *x, uint32_t i,
                           struct err *e)
{
    struct mvcc_record r;
    struct mvcc_key *k;

    TRY(read_record(m, x, &r, e));
    TRY(mvcc_keys_at(&m->keys, r.key, &k, e));
    TRY(pass_losses(m, r.main, r.sub, e));
    TRY(arrive(m, r.main, r.sub, r.bump, e));
    if (!follows(k, &r, m->floor)) {
        TRY(miss_versions(m, k, &r, x->value, e));
        k->kept = i;
        m->out->compacted = larger(m->out->compacted, r.main);
    }
    take(k, &r);
    return RC_OK;
}

/* Of each key, what comes before its last hole goes. */
static enum rc cut(struct mending *m, struct salvage_pairs *records, struct err *e)
{
    size_t kept = 0;

    for (size_t i = 0; i < records->count; i++) {
        struct mvcc_record r;
        struct mvcc_key *k;

        TRY(read_record(m, &records->items[i], &r, e));
        TRY(mvcc_keys_at(&m->keys, r.key, &k, e));
        if (k->kept == MVCC_KEY_NOT_KEPT || i >= k->kept)
            records->items[kept++] = records->items[i];
        else
            TRY(salvage_pairs_add(&m->out->cut, &records->items[i], e));
    }
    records->count = kept;
    return RC_OK;
}

enum rc salvage_history_mend(struct salvage_pairs *records,
                             const struct salvage_history_options *o,
                             struct salvage_history *out, struct err *e)
{
    AT_END(mending_end) struct mending m = { .options = o, .out = out };

    out->found = out->compacted = larger(o->finished, o->scheduled);
    m.floor = larger(out->compacted, 1);
    TRY(os_random(m.seed, sizeof m.seed, e));
    TRY(drop_superseded(records, o, out, e));
    if (records->count >= MVCC_KEY_NOT_KEPT)
        return err_set(e, RC_REFUSED, "%zu records are too many to salvage",
                       records->count);
    for (size_t i = 0; i < records->count; i++)
        TRY(mend_record(&m, &records->items[i], (uint32_t)i, e));
    TRY(pass_losses(&m, INT64_MAX, 0, e));
    TRY(arrive_at_end(&m, e));
    out->newest = m.main;
    return out->version_count > 0 ? cut(&m, records, e) : RC_OK;
}
