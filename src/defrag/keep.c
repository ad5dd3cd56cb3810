#include "defrag/keep.h"

#include "mvcc/keys.h"
#include "util/mem.h"
#include "util/os.h"

enum { WORD = 64, WORDS_MIN = 1024, SHIFT_MAX = 16 };

struct defrag_keep {
    struct defrag_keep_rule rule;
    uint8_t seed[SIPHASH_KEY_SIZE];
    struct mvcc_keys keys;
    uint64_t *stays; /* a bit for each record up to the revision */
    size_t words;
    uint32_t count; /* of these records */
    bool above;     /* records beyond the revision have begun */

    size_t keys_max; /* 0: no bound */
    unsigned shift;  /* keys are in 2^shift parts */
    uint32_t part;   /* the one at hand: 0 in the first pass */
    uint32_t at;     /* records so far in this pass */
};

enum rc defrag_keep_new(const struct defrag_keep_rule *rule, struct defrag_keep **out,
                        struct err *e)
{
    OWNED(defrag_keep) k = NULL;

    TRY(mem_new(&k, sizeof *k, "a compaction", e));
    TRY(os_random(k->seed, sizeof k->seed, e));
    k->rule = *rule;
    *out = GIVE(k);
    return RC_OK;
}

void defrag_keep_free(struct defrag_keep *k)
{
    if (k == NULL)
        return;
    mvcc_keys_clear(&k->keys);
    mem_free(k->stays);
    mem_free(k);
}

static void mark(struct defrag_keep *k, uint32_t ordinal, bool stays)
{
    uint64_t bit = UINT64_C(1) << ordinal % WORD;

    if (stays)
        k->stays[ordinal / WORD] |= bit;
    else
        k->stays[ordinal / WORD] &= ~bit;
}

/* The key keeps this record, and none that it kept so far. */
static void keep_only(struct defrag_keep *k, struct mvcc_key *key, uint32_t ordinal)
{
    if (key->kept != MVCC_KEY_NOT_KEPT)
        mark(k, key->kept, false);
    key->kept = ordinal;
    if (ordinal != MVCC_KEY_NOT_KEPT)
        mark(k, ordinal, true);
}

/* A tombstone ends the generation. At the revision itself the new rule stops looking for
 * a later one; a tombstone after a tombstone belongs to no generation at all. */
static void end_generation(struct defrag_keep *k, struct mvcc_key *key,
                           const struct mvcc_record *r, uint32_t ordinal)
{
    bool ends = mvcc_key_is(key, MVCC_KEY_ALIVE) || !mvcc_key_is(key, MVCC_KEY_SEEN);

    if (!ends)
        return;
    if (r->main == k->rule.revision && !k->rule.drops_tombstone) {
        keep_only(k, key, ordinal);
        mvcc_key_set(key, MVCC_KEY_CHOSEN);
    } else {
        keep_only(k, key, MVCC_KEY_NOT_KEPT);
    }
    mvcc_key_unset(key, MVCC_KEY_ALIVE);
}

static void decide(struct defrag_keep *k, struct mvcc_key *key,
                   const struct mvcc_record *r, uint32_t ordinal)
{
    if (mvcc_key_is(key, MVCC_KEY_CHOSEN))
        return;
    if (r->tombstone) {
        end_generation(k, key, r, ordinal);
    } else {
        keep_only(k, key, ordinal);
        mvcc_key_set(key, MVCC_KEY_ALIVE);
    }
    mvcc_key_set(key, MVCC_KEY_SEEN);
}

static enum rc reserve_bit(struct defrag_keep *k, struct err *e)
{
    size_t more = k->words == 0 ? WORDS_MIN : k->words * 2;
    uint64_t *grown;

    if (k->at / WORD < k->words)
        return RC_OK;
    if (k->at >= MVCC_KEY_NOT_KEPT - WORD)
        return err_set(e, RC_REFUSED, "more than %u records are too many to compact",
                       MVCC_KEY_NOT_KEPT - WORD);
    grown = mem_resize(k->stays, more, sizeof *grown);
    if (grown == NULL)
        return err_set(e, RC_NOMEM, "no memory for the bits of %zu records", more * WORD);
    memset(grown + k->words, 0, (more - k->words) * sizeof *grown);
    k->stays = grown;
    k->words = more;
    return RC_OK;
}

/* A mapped file may change under its reader. */
static enum rc changed(struct err *e)
{
    return err_set(e, RC_CORRUPT, "the records changed while they were read");
}

/* Half of the keys at hand wait for a pass of their own. */
static void halve(struct defrag_keep *k)
{
    k->shift++;
    for (size_t i = 0; i < k->keys.count; i++)
        if (mvcc_key_part(k->keys.items[i].id_b, k->shift) != k->part)
            keep_only(k, &k->keys.items[i], MVCC_KEY_NOT_KEPT);
    mvcc_keys_retain(&k->keys, k->shift, k->part);
}

static enum rc take(struct defrag_keep *k, const struct mvcc_record *r, struct err *e)
{
    struct mvcc_key *entry;

    if (k->part > 0 && k->at == k->count)
        return changed(e);
    TRY(reserve_bit(k, e));
    if (mvcc_key_part(r->key.b, k->shift) == k->part) {
        TRY(mvcc_keys_at(&k->keys, r->key, &entry, e));
        decide(k, entry, r, k->at);
    }
    k->at++;
    if (k->part > 0)
        return RC_OK;
    k->count = k->at;
    if (k->keys.count == k->keys_max && k->keys_max > 0 && k->shift < SHIFT_MAX)
        halve(k);
    return RC_OK;
}

enum rc defrag_keep_add(struct defrag_keep *k, struct bytes key, struct bytes value,
                        struct err *e)
{
    struct mvcc_record r;
    struct mvcc_rev rev;

    if (k->above)
        return RC_OK;
    TRY(mvcc_rev_read(key, &rev, e));
    k->above = rev.main > k->rule.revision;
    if (k->above)
        return RC_OK;
    TRY(mvcc_record_read(k->seed, &rev, value, &r, e));
    return take(k, &r, e);
}

void defrag_keep_bound(struct defrag_keep *k, size_t keys_max)
{
    k->keys_max = keys_max;
}

enum rc defrag_keep_again(struct defrag_keep *k, bool *again, struct err *e)
{
    if (k->at != k->count)
        return changed(e);
    *again = k->part + 1 < UINT32_C(1) << k->shift;
    if (!*again)
        return RC_OK;
    k->part++;
    k->at = 0;
    k->above = false;
    mvcc_keys_retain(&k->keys, 0, UINT32_MAX);
    return RC_OK;
}

void defrag_keep_settle(struct defrag_keep *k)
{
    mvcc_keys_clear(&k->keys);
}

bool defrag_keep_has(const struct defrag_keep *k, uint64_t ordinal)
{
    return ordinal >= k->count || (k->stays[ordinal / WORD] >> ordinal % WORD & 1) != 0;
}

const struct defrag_keep_rule *defrag_keep_rule(const struct defrag_keep *k)
{
    return &k->rule;
}
