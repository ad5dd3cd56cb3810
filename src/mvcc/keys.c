#include "mvcc/keys.h"

#include <string.h>

#include "util/mem.h"

enum { CAPACITY_MIN = 1024 };

_Static_assert(sizeof(struct mvcc_key) == 40, "one entry for each of millions of keys");

/* A slot carries enough of the hash to be moved, and nearly always to be refused, without
 * a look at the entry. */
static uint64_t slot_of(struct mvcc_key_id id, size_t place)
{
    return id.a << 32 | (place + 1);
}

/* The slot where the key is, or the free one where it belongs. */
static size_t probe(const struct mvcc_keys *keys, struct mvcc_key_id id)
{
    size_t mask = keys->capacity - 1;

    for (size_t i = (uint32_t)id.a & mask;; i = (i + 1) & mask) {
        uint64_t slot = keys->table[i];
        const struct mvcc_key *k;

        if (slot == 0)
            return i;
        if (slot >> 32 != (uint32_t)id.a)
            continue;
        k = &keys->items[(uint32_t)slot - 1];
        if (k->id_a == id.a && k->id_b == id.b)
            return i;
    }
}

static void put_slot(uint64_t *table, size_t capacity, uint64_t slot)
{
    size_t to = slot >> 32 & (capacity - 1);

    while (table[to] != 0)
        to = (to + 1) & (capacity - 1);
    table[to] = slot;
}

/* A table twice as large. Slots move by what they carry. */
static enum rc grow_table(struct mvcc_keys *keys, struct err *e)
{
    size_t capacity = keys->capacity == 0 ? CAPACITY_MIN : keys->capacity * 2;
    uint64_t *table;

    TRY(mem_new(&table, capacity * sizeof *table, "the key table", e));
    for (size_t i = 0; i < keys->capacity; i++)
        if (keys->table[i] != 0)
            put_slot(table, capacity, keys->table[i]);
    mem_free(keys->table);
    keys->table = table;
    keys->capacity = capacity;
    return RC_OK;
}

static enum rc grow_items(struct mvcc_keys *keys, struct err *e)
{
    size_t room = keys->room == 0 ? CAPACITY_MIN : keys->room * 2;
    struct mvcc_key *items;

    if (room > UINT32_MAX)
        return err_set(e, RC_NOMEM, "more than %zu keys", keys->room);
    items = mem_resize(keys->items, room, sizeof *items);
    if (items == NULL)
        return err_set(e, RC_NOMEM, "no memory for %zu keys", room);
    keys->items = items;
    keys->room = room;
    return RC_OK;
}

enum rc mvcc_keys_at(struct mvcc_keys *keys, struct mvcc_key_id id, struct mvcc_key **out,
                     struct err *e)
{
    size_t i;

    if (keys->count >= keys->capacity / 4 * 3)
        TRY(grow_table(keys, e));
    if (keys->count == keys->room)
        TRY(grow_items(keys, e));
    i = probe(keys, id);
    if (keys->table[i] == 0) {
        keys->table[i] = slot_of(id, keys->count);
        keys->items[keys->count++] = (struct mvcc_key){
            .id_a = id.a,
            .id_b = id.b,
            .kept = MVCC_KEY_NOT_KEPT,
        };
    }
    *out = &keys->items[(uint32_t)keys->table[i] - 1];
    return RC_OK;
}

void mvcc_keys_retain(struct mvcc_keys *keys, unsigned shift, uint32_t part)
{
    size_t kept = 0;

    for (size_t i = 0; i < keys->count; i++)
        if (mvcc_key_part(keys->items[i].id_b, shift) == part)
            keys->items[kept++] = keys->items[i];
    keys->count = kept;
    if (keys->capacity > 0)
        memset(keys->table, 0, keys->capacity * sizeof *keys->table);
    for (size_t i = 0; i < kept; i++)
        put_slot(keys->table, keys->capacity,
                 slot_of((struct mvcc_key_id){ .a = keys->items[i].id_a }, i));
}

void mvcc_keys_clear(struct mvcc_keys *keys)
{
    mem_free(keys->items);
    mem_free(keys->table);
    *keys = (struct mvcc_keys){ 0 };
}
