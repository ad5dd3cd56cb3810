#include "mvcc/history.h"

#include <inttypes.h>

#include "codec/crc32c.h"
#include "mvcc/history_state.h"
#include "util/mem.h"
#include "util/os.h"

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static enum rc check_revision(const struct mvcc_history_options *o, struct err *e)
{
    int64_t compacted = larger(o->finished, o->scheduled);

    if (o->revision < 0)
        return err_set(e, RC_USAGE, "revision %" PRId64 " is negative", o->revision);
    if (o->revision != 0 && o->revision < compacted)
        return err_set(e, RC_NOTFOUND,
                       "revision %" PRId64 " has been compacted, the oldest one left "
                       "is %" PRId64 HINT "an older snapshot may still have it",
                       o->revision, compacted);
    return RC_OK;
}

enum rc mvcc_history_new(const struct mvcc_history_options *options, struct findings *f,
                         struct mvcc_history **out, struct err *e)
{
    OWNED(mvcc_history) h = NULL;

    TRY(check_revision(options, e));
    TRY(mem_new(&h, sizeof *h, "a history", e));
    TRY(os_random(h->seed, sizeof h->seed, e));
    h->options = *options;
    h->f = f;
    h->compacted = larger(options->finished, options->scheduled);
    h->hash_revision = options->revision == 0 ? INT64_MAX : options->revision;
    mvcc_powers_init(&h->powers);
    *out = GIVE(h);
    return RC_OK;
}

void mvcc_history_free(struct mvcc_history *h)
{
    if (h == NULL)
        return;
    mvcc_keys_clear(&h->keys);
    mem_free(h->kept);
    mem_free(h->counted);
    mem_free(h);
}

size_t mvcc_history_memory(const struct mvcc_history *h)
{
    return h->keys.count * sizeof *h->keys.items +
           h->keys.capacity * sizeof *h->keys.table + h->kept_count * sizeof *h->kept +
           (h->counted == NULL ? 0 : h->places_all / 8 + 1);
}

void mvcc_history_seed(struct mvcc_history *h,
                       const uint8_t seed[static SIPHASH_KEY_SIZE])
{
    memcpy(h->seed, seed, sizeof h->seed);
}

/* ---- HashKV ----------------------------------------------------------------------- */

static void keep(struct mvcc_history *h, struct mvcc_key *k, uint32_t place)
{
    if (!mvcc_key_is(k, MVCC_KEY_KEEP))
        h->keep_keys++;
    mvcc_key_set(k, MVCC_KEY_KEEP);
    k->kept = place;
}

static void keep_none(struct mvcc_history *h, struct mvcc_key *k)
{
    if (mvcc_key_is(k, MVCC_KEY_KEEP))
        h->keep_keys--;
    mvcc_key_unset(k, MVCC_KEY_KEEP);
    k->kept = MVCC_KEY_NOT_KEPT;
}

/* The keep set of etcd's keyIndex.keep(R), one record at a time: of the first generation
 * whose tombstone lies at or past R, else of the last one, the newest record up to R; but
 * never a tombstone. */
static void choose(struct mvcc_history *h, struct mvcc_key *k,
                   const struct mvcc_record *r, uint32_t place)
{
    if (mvcc_key_is(k, MVCC_KEY_CHOSEN))
        return;
    if (!r->tombstone) {
        if (r->main <= h->hash_revision)
            keep(h, k, place);
        return;
    }
    if (!mvcc_key_is(k, MVCC_KEY_ALIVE))
        return;
    if (r->main >= h->hash_revision)
        mvcc_key_set(k, MVCC_KEY_CHOSEN);
    if (r->main <= h->hash_revision)
        keep_none(h, k);
}

/* Places are 32 bits wide: a database of 2^32 records has no room in 8 GiB. */
static enum rc kept_add(struct mvcc_history *h, const struct mvcc_record *r,
                        struct err *e)
{
    if (h->kept_count == h->kept_capacity) {
        size_t capacity = h->kept_capacity == 0 ? 1024 : h->kept_capacity * 2;
        void *more = mem_resize(h->kept, capacity, sizeof *h->kept);

        if (more == NULL || capacity > MVCC_KEY_NOT_KEPT) {
            h->kept = more == NULL ? h->kept : more;
            return err_set(e, RC_NOMEM, "no memory for %zu records", capacity);
        }
        h->kept = more;
        h->kept_capacity = capacity;
    }
    h->kept[h->kept_count++] =
        (struct history_kept){ .crc = r->crc, .length = (uint32_t)r->length };
    return RC_OK;
}

/* Their CRCs take too much: which of them count is kept, and another pass hashes these.
 */
static void drop_kept(struct mvcc_history *h)
{
    mem_free(h->kept);
    h->kept = NULL;
    h->kept_count = h->kept_capacity = 0;
    h->by_bits = true;
}

/* A tombstone at the compaction revision counts nowhere: 3.4.34 and 3.5.16 keep it, older
 * ones removed it, and both must come to the same hash. */
static uint32_t place_of(struct mvcc_history *h, const struct mvcc_record *r)
{
    if (r->main > h->compacted || (r->main == h->compacted && r->tombstone))
        return MVCC_KEY_NOT_KEPT;
    return (uint32_t)h->places++;
}

static enum rc hash_record(struct mvcc_history *h, const struct mvcc_record *r,
                           uint32_t place, struct err *e)
{
    if (place == MVCC_KEY_NOT_KEPT) {
        if (r->main > h->compacted && r->main <= h->hash_revision)
            mvcc_chain_add(&h->above, &h->powers, r->crc, r->length);
        return RC_OK;
    }
    if (!h->by_bits && h->keys_max > 0 && h->kept_count == h->keys_max)
        drop_kept(h);
    if (h->places > MVCC_KEY_NOT_KEPT)
        return err_set(e, RC_NOMEM, "more than %u records up to the compaction",
                       MVCC_KEY_NOT_KEPT);
    return h->by_bits ? RC_OK : kept_add(h, r, e);
}

static bool counts(const struct mvcc_history *h, uint32_t place)
{
    if (h->keep_keys == 0) /* etcd filters only with a set to filter by */
        return true;
    return h->by_bits ? (h->counted[place / 8] >> place % 8 & 1) != 0
                      : h->kept[place].counted;
}

static void rehash(struct mvcc_history *h, const struct mvcc_record *r, uint32_t place)
{
    if (place != MVCC_KEY_NOT_KEPT && counts(h, place))
        mvcc_chain_add(&h->below, &h->powers, r->crc, r->length);
}

static uint32_t hash_end(struct mvcc_history *h)
{
    struct mvcc_chain all = { .crc = crc32c_update(0, "key", 3) };

    for (uint32_t i = 0; i < h->kept_count; i++)
        if (counts(h, i))
            mvcc_chain_add(&all, &h->powers, h->kept[i].crc, h->kept[i].length);
    mvcc_chain_add(&all, &h->powers, h->below.crc, h->below.length);
    mvcc_chain_add(&all, &h->powers, h->above.crc, h->above.length);
    return all.crc;
}

/* ---- records ---------------------------------------------------------------------- */

/* The counters change by one up, one down, or not at all; unsigned arithmetic wraps to
 * the same. */
static void take(struct mvcc_history *h, struct mvcc_key *k, const struct mvcc_record *r)
{
    bool alive = mvcc_key_is(k, MVCC_KEY_ALIVE);
    uint64_t flags = k->version_flags & 0xff & ~(uint64_t)MVCC_KEY_ALIVE;
    uint64_t change = (uint64_t)!r->tombstone - (uint64_t)alive;

    h->result.indexed_keys += change;
    h->result.kubernetes_keys += r->kubernetes ? change : 0;
    h->bump_alive |= r->bump;
    k->version_flags = (uint64_t)r->version << 8 | flags | MVCC_KEY_SEEN |
                       (r->tombstone ? 0 : MVCC_KEY_ALIVE) |
                       (r->kubernetes ? MVCC_KEY_KUBERNETES : 0);
    k->create = r->create;
    k->lease = r->lease;
}

/* What is not a question of keys, once for each record. */
static enum rc take_first(struct mvcc_history *h, const struct mvcc_record *r,
                          uint32_t place, uint64_t page, struct err *e)
{
    if (h->options.checks)
        TRY(history_check_sequence(h, r, page, e));
    if (h->options.hash)
        TRY(hash_record(h, r, place, e));
    h->result.records++;
    h->result.tombstones += r->tombstone;
    h->result.last_main = larger(h->result.last_main, r->main);
    h->last_sub = r->sub;
    return RC_OK;
}

/* A key that is let go is counted again in the pass of its part. */
static void let_go(struct mvcc_history *h, struct mvcc_key *k)
{
    if (mvcc_key_is(k, MVCC_KEY_ALIVE)) {
        h->result.indexed_keys--;
        h->result.kubernetes_keys -= mvcc_key_is(k, MVCC_KEY_KUBERNETES);
    }
    keep_none(h, k);
}

/* Half of the keys at hand make room, and so does half of what is still to come. */
static void halve(struct mvcc_history *h)
{
    h->let_go[h->shift++] = h->ordinal;
    for (size_t i = 0; i < h->keys.count; i++)
        if (mvcc_key_part(h->keys.items[i].id_b, h->shift) != h->part)
            let_go(h, &h->keys.items[i]);
    mvcc_keys_retain(&h->keys, h->shift, h->part);
}

static enum rc take_key(struct mvcc_history *h, const struct mvcc_record *r,
                        uint32_t place, uint64_t page, struct err *e)
{
    struct mvcc_key *k;

    TRY(mvcc_keys_at(&h->keys, r->key, &k, e));
    if (h->options.checks)
        TRY(history_check_record(h, k, r, page, e));
    if (h->options.hash)
        choose(h, k, r, place);
    take(h, k, r);
    if (h->pass == HISTORY_FIRST && h->keys.count == h->keys_max && h->keys_max > 0 &&
        h->shift < HISTORY_SHIFT_MAX)
        halve(h);
    return RC_OK;
}

/* A mapped file may change under its reader. */
static enum rc check_same(const struct mvcc_history *h, bool same, struct err *e)
{
    if (same || h->pass == HISTORY_FIRST)
        return RC_OK;
    return err_set(e, RC_CORRUPT, "the records changed while they were read");
}

static enum rc take_oldest(struct mvcc_history *h, struct err *e)
{
    const struct mvcc_record *r = &h->next[h->first];
    uint64_t page = h->next_page[h->first];
    uint32_t place = place_of(h, r);

    h->first = (h->first + 1) % HISTORY_QUEUE;
    h->queued--;
    h->ordinal++;
    TRY(check_same(h, h->places <= h->places_all, e));
    if (h->pass == HISTORY_HASH)
        rehash(h, r, place);
    if (h->pass == HISTORY_HASH || h->pass == HISTORY_PASSED)
        return RC_OK;
    if (h->pass == HISTORY_FIRST)
        TRY(take_first(h, r, place, page, e));
    if (mvcc_key_part(r->key.b, h->shift) != h->part)
        return RC_OK;
    h->quiet = h->part > 0 && h->ordinal <= h->let_go[__builtin_ctz(h->part)];
    TRY(take_key(h, r, place, page, e));
    h->quiet = false;
    return RC_OK;
}

static enum rc take_all(struct mvcc_history *h, struct err *e)
{
    while (h->queued > 0)
        TRY(take_oldest(h, e));
    return RC_OK;
}

enum rc mvcc_history_add(struct mvcc_history *h, const struct mvcc_record *r,
                         uint64_t page, struct err *e)
{
    size_t at;

    if (h->queued == HISTORY_QUEUE)
        TRY(take_oldest(h, e));
    mvcc_keys_soon(&h->keys, r->key);
    at = (h->first + h->queued++) % HISTORY_QUEUE;
    h->next[at] = *r;
    h->next_page[at] = page;
    return RC_OK;
}

/* HashKV is unknown from here on: etcd itself would stop at this record. */
static enum rc reject_key(struct mvcc_history *h, uint64_t page, const struct err *why,
                          struct err *e)
{
    TRY(take_all(h, e));
    if (h->pass != HISTORY_FIRST)
        return RC_OK;
    h->result.rejected++;
    if (h->f == NULL) /* the page is named anyway */
        return history_tell(h, RULE_REVISION_KEY, FINDING_ERROR, page, e, "%s", why->why);
    return history_tell(h, RULE_REVISION_KEY, FINDING_ERROR, page, e,
                        "a record of page %" PRIu64 ": %s", page, why->why);
}

static enum rc reject_value(struct mvcc_history *h, const struct mvcc_rev *rev,
                            uint64_t page, const struct err *why, struct err *e)
{
    TRY(take_all(h, e));
    h->result.last_main = larger(h->result.last_main, rev->main);
    h->last_sub = rev->sub;
    if (h->pass != HISTORY_FIRST)
        return RC_OK;
    h->result.rejected++;
    return history_tell(h, RULE_KEY_VALUE, FINDING_ERROR, page, e,
                        "revision %" PRId64 "/%" PRId64 ": %s", rev->main, rev->sub,
                        why->why);
}

enum rc mvcc_history_pair(struct mvcc_history *h, struct bytes key, struct bytes value,
                          uint32_t crc, uint64_t page, struct err *e)
{
    struct mvcc_record r;
    struct mvcc_rev rev;
    struct err why;

    if (mvcc_rev_read(key, &rev, &why) != RC_OK)
        return reject_key(h, page, &why, e);
    if (mvcc_record_read(h->seed, &rev, value, &r, &why) != RC_OK)
        return reject_value(h, &rev, page, &why, e);
    r.crc = crc;
    return mvcc_history_add(h, &r, page, e);
}

/* ---- passes ----------------------------------------------------------------------- */

void mvcc_history_bound(struct mvcc_history *h, size_t keys_max)
{
    h->keys_max = keys_max;
}

bool mvcc_history_wants_crc(const struct mvcc_history *h)
{
    return h->options.hash && (h->pass == HISTORY_FIRST || h->pass == HISTORY_HASH);
}

/* The keys of this part have said which of their records count. */
static enum rc mark_counted(struct mvcc_history *h, struct err *e)
{
    if (h->by_bits && h->counted == NULL)
        TRY(mem_new(&h->counted, h->places_all / 8 + 1, "a bit for each record", e));
    for (size_t i = 0; i < h->keys.count; i++) {
        uint32_t place = h->keys.items[i].kept;

        if (place == MVCC_KEY_NOT_KEPT)
            continue;
        if (h->by_bits)
            h->counted[place / 8] |= (uint8_t)(1 << place % 8);
        else
            h->kept[place].counted = true;
    }
    return RC_OK;
}

static void next_pass(struct mvcc_history *h)
{
    if (h->part + 1 < UINT32_C(1) << h->shift) {
        h->pass = HISTORY_LATER;
        h->part++;
    } else {
        h->pass = h->by_bits ? HISTORY_HASH : HISTORY_PASSED;
    }
    if (h->pass != HISTORY_PASSED)
        mvcc_keys_retain(&h->keys, 0, UINT32_MAX);
    h->ordinal = h->places = 0;
}

enum rc mvcc_history_again(struct mvcc_history *h, const struct mvcc_lease_ids *leases,
                           bool *again, struct err *e)
{
    TRY(take_all(h, e));
    if (h->pass == HISTORY_FIRST) {
        h->records_all = h->ordinal;
        h->places_all = h->places;
    }
    TRY(check_same(h, h->pass == HISTORY_PASSED || h->ordinal == h->records_all, e));
    if (h->pass == HISTORY_HASH)
        h->pass = HISTORY_PASSED;
    if (h->pass != HISTORY_PASSED) {
        TRY(mark_counted(h, e));
        if (h->options.checks && leases != NULL)
            TRY(history_check_leases(h, leases, e));
        next_pass(h);
    }
    *again = h->pass != HISTORY_PASSED;
    return RC_OK;
}

/* ---- the end ---------------------------------------------------------------------- */

enum rc mvcc_history_finish(struct mvcc_history *h, const struct mvcc_lease_ids *leases,
                            struct mvcc_history_result *out, struct err *e)
{
    struct mvcc_history_result *r = &h->result;
    bool again;

    TRY(mvcc_history_again(h, leases, &again, e));
    if (again)
        return err_set(e, RC_INTERNAL, "a history ends before all its passes");
    /* A new store is at 1. Both marks count: the compaction may have removed the records
     * that the revision would be known by. */
    r->revision = larger(larger(r->last_main, h->compacted), 1);
    if (h->options.revision > r->revision)
        return err_set(e, RC_NOTFOUND,
                       "revision %" PRId64 " lies in the future, the database is at "
                       "revision %" PRId64 HINT "leave the revision out for the newest",
                       h->options.revision, r->revision);
    if (h->options.checks)
        TRY(history_check_marks(h, e));
    TRY(history_tell_rest(h, e));
    r->live_keys = r->indexed_keys - h->bump_alive;
    r->hash_known = h->options.hash && r->rejected == 0;
    r->hashkv = (struct mvcc_hashkv){
        .hash = r->hash_known ? hash_end(h) : 0,
        .revision = h->options.revision == 0 ? r->revision : h->options.revision,
        .compact_revision = h->compacted,
    };
    *out = *r;
    return RC_OK;
}
