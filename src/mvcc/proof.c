#include "mvcc/proof.h"

#include <stdlib.h>

#include "boltdb/stream.h"
#include "util/mem.h"
#include "util/os.h"

/* A leaf that is not taken for one of bucket key. */
struct other_leaf {
    uint64_t page, length;
    uint32_t crc;
    uint32_t pairs;
};

struct mvcc_proof {
    struct bolt_stream *stream;
    struct mvcc_history *history;
    uint8_t seed[SIPHASH_KEY_SIZE];
    struct mvcc_powers powers;
    size_t history_max;
    bool doubtful; /* something is not as it should be, or not for us to judge */

    /* Bucket key as it goes by: leaves whose names all are revisions. */
    uint64_t leaves, pairs;
    struct mvcc_chain chain;
    struct mvcc_record held; /* the newest record waits: it may be a bump's */
    uint64_t held_page;
    bool holds;

    struct other_leaf *others; /* pages ascend */
    size_t count, capacity;

    /* While the tree is put together. */
    struct mvcc_sums sums;
    enum mvcc_bucket bucket;
    uint64_t reached, last_reached; /* leaves of bucket key, and the newest of them */
};

/* ---- while it goes by ------------------------------------------------------------- */

static bool is_revision(struct bytes key)
{
    return (key.n == MVCC_REV_SIZE || key.n == MVCC_TOMBSTONE_SIZE) && key.p[8] == '_';
}

/* The last name is looked at first: where leaves are not of bucket key, it tells. */
static bool is_key_leaf(const struct bolt_page *page)
{
    if (page->count == 0 || page->buckets > 0)
        return false;
    for (uint16_t i = page->count; i > 0; i--)
        if (!is_revision(bolt_leaf_at(page, (uint16_t)(i - 1)).key))
            return false;
    return true;
}

static enum rc pass_held(struct mvcc_proof *p, struct err *e)
{
    return p->holds ? mvcc_history_add(p->history, &p->held, p->held_page, e) : RC_OK;
}

/* A record that cannot be read was copied as it is; the walk over the file says so. */
static enum rc take_record(struct mvcc_proof *p, struct bytes key, struct bytes value,
                           uint32_t crc, uint64_t page, struct err *e)
{
    struct mvcc_rev rev;
    struct err why;

    TRY(pass_held(p, e));
    p->holds = mvcc_rev_read(key, &rev, &why) == RC_OK &&
               mvcc_record_read(p->seed, &rev, value, &p->held, &why) == RC_OK;
    p->held.crc = crc;
    p->held_page = page;
    p->doubtful |= !p->holds;
    return RC_OK;
}

static enum rc take_pair(struct mvcc_proof *p, struct bytes key, struct bytes value,
                         uint64_t page, struct err *e)
{
    uint32_t crc = mvcc_pair_crc(key, value);

    p->pairs++;
    mvcc_chain_add(&p->chain, &p->powers, crc, (uint64_t)key.n + value.n);
    return p->doubtful ? RC_OK : take_record(p, key, value, crc, page, e);
}

/* The walk over the file has the memory for itself. */
static void limit_history(struct mvcc_proof *p)
{
    if (p->history == NULL || mvcc_history_memory(p->history) <= p->history_max)
        return;
    mvcc_history_free(p->history);
    p->history = NULL;
    p->doubtful = true;
}

static enum rc take_key_leaf(struct mvcc_proof *p, const struct bolt_page *page,
                             struct err *e)
{
    p->leaves++;
    for (uint16_t i = 0; i < page->count; i++) {
        struct bolt_pair pair = bolt_leaf_at(page, i);

        TRY(take_pair(p, pair.key, pair.value, page->id, e));
    }
    limit_history(p);
    return RC_OK;
}

static enum rc make_room(struct mvcc_proof *p, struct err *e)
{
    size_t capacity = p->capacity == 0 ? 64 : p->capacity * 2;
    void *more;

    if (p->count < p->capacity)
        return RC_OK;
    more = mem_resize(p->others, capacity, sizeof *p->others);
    if (more == NULL)
        return err_set(e, RC_NOMEM, "no memory for %zu leaves", capacity);
    p->others = more;
    p->capacity = capacity;
    return RC_OK;
}

static enum rc take_other_leaf(struct mvcc_proof *p, const struct bolt_page *page,
                               struct err *e)
{
    struct mvcc_chain chain = { 0 };
    uint32_t pairs = 0;

    TRY(make_room(p, e));
    for (uint16_t i = 0; i < page->count; i++) {
        struct bolt_pair pair = bolt_leaf_at(page, i);

        if (pair.is_bucket)
            continue;
        mvcc_chain_bytes(&chain, pair.key);
        mvcc_chain_bytes(&chain, pair.value);
        pairs++;
    }
    p->others[p->count++] = (struct other_leaf){
        .page = page->id, .length = chain.length, .crc = chain.crc, .pairs = pairs
    };
    return RC_OK;
}

static enum rc on_leaf(void *arg, const struct bolt_page *page, uint32_t *note,
                       struct err *e)
{
    (void)note;
    return is_key_leaf(page) ? take_key_leaf(arg, page, e)
                             : take_other_leaf(arg, page, e);
}

enum rc mvcc_proof_take(void *proof, const uint8_t *p, size_t n, struct err *e)
{
    return bolt_stream_write(((struct mvcc_proof *)proof)->stream, p, n, e);
}

/* ---- the tree, as the stream tells it --------------------------------------------- */

static void add_chain(struct mvcc_proof *p, struct mvcc_chain chain, uint64_t pairs)
{
    p->sums.pairs += pairs;
    p->sums.buckets[p->bucket].pairs += pairs;
    mvcc_chain_add(&p->sums.buckets[p->bucket].chain, &p->powers, chain.crc,
                   chain.length);
}

static enum rc on_bucket(void *arg, struct bytes name, struct err *e)
{
    struct mvcc_proof *p = arg;

    (void)e;
    p->bucket = mvcc_bucket_find(name);
    mvcc_chain_bytes(&p->sums.buckets[p->bucket].chain, name);
    if (p->bucket == MVCC_KEY)
        add_chain(p, p->chain, p->pairs);
    return RC_OK;
}

static int by_page(const void *a, const void *b)
{
    uint64_t x = ((const struct other_leaf *)a)->page,
             y = ((const struct other_leaf *)b)->page;

    return x < y ? -1 : x > y;
}

static const struct other_leaf *other_leaf(const struct mvcc_proof *p, uint64_t page)
{
    const struct other_leaf wanted = { .page = page };

    return p->count == 0
               ? NULL
               : bsearch(&wanted, p->others, p->count, sizeof *p->others, by_page);
}

/* Ascending pages of bucket key, none of them another leaf, and in the end as many as
 * went by: so all of them, in the order in which they were taken in. */
static enum rc on_reached(void *arg, uint64_t page, uint32_t note, struct err *e)
{
    struct mvcc_proof *p = arg;
    const struct other_leaf *other = other_leaf(p, page);

    (void)note;
    (void)e;
    if (p->bucket == MVCC_KEY) {
        p->doubtful |= other != NULL || page <= p->last_reached;
        p->reached++;
        p->last_reached = page;
    } else if (other == NULL) {
        p->doubtful = true;
    } else {
        add_chain(p, (struct mvcc_chain){ other->crc, other->length }, other->pairs);
    }
    return RC_OK;
}

/* A small bucket, perhaps bucket key itself: then no leaves of it went by. */
static enum rc on_inlined(void *arg, struct bytes key, struct bytes value, uint64_t page,
                          struct err *e)
{
    struct mvcc_proof *p = arg;
    uint32_t crc = mvcc_pair_crc(key, value);

    add_chain(p, (struct mvcc_chain){ crc, (uint64_t)key.n + value.n }, 1);
    if (p->bucket != MVCC_KEY || p->doubtful)
        return RC_OK;
    return take_record(p, key, value, crc, page, e);
}

/* ---- from beginning to end -------------------------------------------------------- */

void mvcc_proof_free(struct mvcc_proof *p)
{
    if (p == NULL)
        return;
    bolt_stream_free(p->stream);
    mvcc_history_free(p->history);
    mem_free(p->others);
    mem_free(p);
}

enum rc mvcc_proof_new(const struct mvcc_proof_options *o, struct mvcc_proof **out,
                       struct err *e)
{
    const struct mvcc_history_options history = {
        .finished = o->finished, .scheduled = o->scheduled, .hash = true, .checks = true
    };
    OWNED(mvcc_proof) p = NULL;

    TRY(mem_new(&p, sizeof *p, "the proof of a database", e));
    const struct bolt_stream_visitor v = { p, .leaf = on_leaf, .bucket = on_bucket,
                                           .reached = on_reached, .inlined = on_inlined };

    TRY(os_random(p->seed, sizeof p->seed, e));
    TRY(mvcc_history_new(&history, o->findings, &p->history, e));
    p->history_max = o->history_max == 0 ? MVCC_PROOF_HISTORY : o->history_max;
    mvcc_history_seed(p->history, p->seed);
    mvcc_powers_init(&p->powers);
    TRY(bolt_stream_new_built(&v, o->page_size, &p->stream, e));
    *out = GIVE(p);
    return RC_OK;
}

enum rc mvcc_proof_finish(struct mvcc_proof *p, struct bytes head, int64_t newest,
                          struct mvcc_sums *out, bool *known, struct err *e)
{
    AT_END(findings_clear) struct findings damage = { 0 };
    struct bolt_walk_result walked;
    bool checked;

    TRY(bolt_stream_head(p->stream, head, e));
    TRY(bolt_stream_finish(p->stream, &damage, &walked, &checked, e));
    TRY(findings_verdict(&damage, e));
    *known = checked && !p->doubtful && p->reached == p->leaves;
    if (!*known)
        return RC_OK;
    if (p->held.main <= newest)
        TRY(pass_held(p, e));
    TRY(mvcc_history_finish(p->history, NULL, &p->sums.history, e));
    *out = p->sums;
    return RC_OK;
}
