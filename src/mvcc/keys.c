#include "mvcc/keys.h"

#include "util/mem.h"

enum { CAPACITY_MIN = 1024 };

_Static_assert(sizeof(struct mvcc_key) == 40, "one entry for each of millions of keys");

static struct mvcc_key_id id_of(const struct mvcc_key *k)
{
    return (struct mvcc_key_id){ .a = k->id_a, .b = k->id_b };
}

/* The slot where the key is, or the free one where it belongs. */
static struct mvcc_key *probe(const struct mvcc_keys *keys, struct mvcc_key_id id)
{
    size_t mask = keys->capacity - 1;

    for (size_t i = (size_t)id.a & mask;; i = (i + 1) & mask) {
        struct mvcc_key *k = &keys->slots[i];

        if (!mvcc_key_is(k, MVCC_KEY_USED) || (k->id_a == id.a && k->id_b == id.b))
            return k;
    }
}

static enum rc grow(struct mvcc_keys *keys, struct err *e)
{
    size_t capacity = keys->capacity == 0 ? CAPACITY_MIN : keys->capacity * 2;
    struct mvcc_keys larger = { .capacity = capacity, .count = keys->count };

    TRY(mem_new(&larger.slots, capacity * sizeof *larger.slots, "the key table", e));
    for (size_t i = 0; i < keys->capacity; i++)
        if (mvcc_key_is(&keys->slots[i], MVCC_KEY_USED))
            *probe(&larger, id_of(&keys->slots[i])) = keys->slots[i];
    mem_free(keys->slots);
    *keys = larger;
    return RC_OK;
}

enum rc mvcc_keys_at(struct mvcc_keys *keys, struct mvcc_key_id id, struct mvcc_key **out,
                     struct err *e)
{
    struct mvcc_key *k;

    if (keys->count >= keys->capacity / 4 * 3)
        TRY(grow(keys, e));
    k = probe(keys, id);
    if (!mvcc_key_is(k, MVCC_KEY_USED)) {
        *k = (struct mvcc_key){
            .id_a = id.a,
            .id_b = id.b,
            .kept = MVCC_KEY_NOT_KEPT,
            .version_flags = MVCC_KEY_USED,
        };
        keys->count++;
    }
    *out = k;
    return RC_OK;
}

void mvcc_keys_clear(struct mvcc_keys *keys)
{
    mem_free(keys->slots);
    *keys = (struct mvcc_keys){ 0 };
}
