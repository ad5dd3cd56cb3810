#include "machine/kvstore_keys.h"

#include "util/mem.h"

enum { PLACES_MIN = 4, BLOCKS_MIN = 16 };

/* ---- one key ---------------------------------------------------------------------- */

enum rc kvkey_new(struct bytes key, struct kvkey **out, struct err *e)
{
    struct kvkey *k;

    if (key.n > INT32_MAX)
        return err_set(e, RC_NOMEM, "no memory for a key of %zu bytes", key.n);
    TRY(mem_new(&k, sizeof *k + key.n, "a key", e));
    k->size = (uint32_t)key.n & INT32_MAX;
    if (key.n > 0)
        memcpy(k->bytes, key.p, key.n);
    k->places = &k->one;
    *out = k;
    return RC_OK;
}

void kvkey_free(struct kvkey *k)
{
    if (k == NULL)
        return;
    if (k->places != &k->one)
        mem_free(k->places);
    mem_free(k);
}

enum rc kvkey_reserve(struct kvkey *k, struct err *e)
{
    uint32_t room = k->room == 0 ? PLACES_MIN : k->room * 2;
    uint32_t *places;

    if (k->count < k->room || k->count == 0)
        return RC_OK;
    places = mem_resize(k->room == 0 ? NULL : k->places, room, sizeof *places);
    if (places == NULL)
        return err_set(e, RC_NOMEM, "no memory for %u revisions of a key", room);
    if (k->room == 0)
        places[0] = k->one;
    k->places = places;
    k->room = room;
    return RC_OK;
}

void kvkey_append(struct kvkey *k, uint32_t place)
{
    k->places[k->count++] = place;
}

/* A smaller array may not be had; then the large one stays. */
static void shrink(struct kvkey *k)
{
    uint32_t room = k->room;
    uint32_t *places;

    if (k->room == 0)
        return;
    if (k->count <= 1) {
        k->one = k->places[0];
        mem_free(k->places);
        k->places = &k->one;
        k->room = 0;
        return;
    }
    while (k->count <= room / 4)
        room /= 2;
    if (room == k->room)
        return;
    places = mem_resize(k->places, room, sizeof *places);
    if (places == NULL)
        return;
    k->places = places;
    k->room = room;
}

void kvkey_drop_oldest(struct kvkey *k, uint32_t n)
{
    k->count -= n;
    memmove(k->places, k->places + n, k->count * sizeof *k->places);
    shrink(k);
}

/* ---- all keys --------------------------------------------------------------------- */

void kvkeys_clear(struct kvkeys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        for (uint32_t j = 0; j < keys->blocks[i]->count; j++)
            kvkey_free(keys->blocks[i]->items[j]);
        mem_free(keys->blocks[i]);
    }
    mem_free(keys->blocks);
    *keys = (struct kvkeys){ 0 };
}

/* The last block that does not begin beyond the key; the first one when all do. */
static size_t find_block(const struct kvkeys *keys, struct bytes key)
{
    size_t low = 0, high = keys->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (bytes_compare(kvkey_bytes(keys->blocks[middle]->items[0]), key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? 0 : low - 1;
}

bool kvkeys_find(const struct kvkeys *keys, struct bytes key, struct kvkeys_at *at)
{
    const struct kvkeys_block *block;
    uint32_t low = 0, high;

    *at = (struct kvkeys_at){ .block = find_block(keys, key) };
    if (at->block == keys->count)
        return false;
    block = keys->blocks[at->block];
    high = block->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int c = bytes_compare(kvkey_bytes(block->items[middle]), key);

        if (c == 0) {
            at->item = middle;
            return true;
        }
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    at->item = low;
    if (low == block->count)
        *at = (struct kvkeys_at){ .block = at->block + 1 };
    return false;
}

static enum rc add_block(struct kvkeys *keys, size_t at, struct err *e)
{
    struct kvkeys_block *block;

    if (keys->count == keys->room) {
        size_t room = keys->room == 0 ? BLOCKS_MIN : keys->room * 2;
        void *more = mem_resize(keys->blocks, room, sizeof *keys->blocks);

        if (more == NULL)
            return err_set(e, RC_NOMEM, "no memory for %zu blocks of keys", room);
        keys->blocks = more;
        keys->room = room;
    }
    TRY(mem_new(&block, sizeof *block, "a block of keys", e));
    memmove(keys->blocks + at + 1, keys->blocks + at,
            (keys->count - at) * sizeof *keys->blocks);
    keys->blocks[at] = block;
    keys->count++;
    return RC_OK;
}

/* Behind a full block comes another, which takes its upper half; or nothing when the new
 * key is to be the last of all, so that keys which come in order leave full blocks. */
static enum rc split(struct kvkeys *keys, struct kvkeys_at *at, struct err *e)
{
    bool last = at->block + 1 == keys->count && at->item == KVKEYS_BLOCK;
    uint32_t stay = last ? KVKEYS_BLOCK : KVKEYS_BLOCK / 2;
    struct kvkeys_block *from, *to;

    TRY(add_block(keys, at->block + 1, e));
    from = keys->blocks[at->block];
    to = keys->blocks[at->block + 1];
    to->count = KVKEYS_BLOCK - stay;
    memcpy(to->items, from->items + stay, to->count * sizeof *to->items);
    from->count = stay;
    if (at->item > stay || last)
        *at = (struct kvkeys_at){ at->block + 1, at->item - stay };
    return RC_OK;
}

enum rc kvkeys_insert(struct kvkeys *keys, struct kvkeys_at at, struct kvkey *k,
                      struct err *e)
{
    struct kvkeys_block *block;

    if (keys->count == 0)
        TRY(add_block(keys, 0, e));
    /* In front of a block and behind the one before it is the same place. */
    if (at.item == 0 && at.block > 0)
        at = (struct kvkeys_at){ at.block - 1, keys->blocks[at.block - 1]->count };
    if (keys->blocks[at.block]->count == KVKEYS_BLOCK)
        TRY(split(keys, &at, e));
    block = keys->blocks[at.block];
    memmove(block->items + at.item + 1, block->items + at.item,
            (block->count - at.item) * sizeof *block->items);
    block->items[at.item] = k;
    block->count++;
    return RC_OK;
}

static void remove_block(struct kvkeys *keys, size_t at)
{
    mem_free(keys->blocks[at]);
    keys->count--;
    memmove(keys->blocks + at, keys->blocks + at + 1,
            (keys->count - at) * sizeof *keys->blocks);
}

/* Two neighbours that fill half a block together become one. */
static void merge(struct kvkeys *keys, size_t at)
{
    struct kvkeys_block *to, *from;

    if (at + 1 >= keys->count)
        return;
    to = keys->blocks[at];
    from = keys->blocks[at + 1];
    if (to->count + from->count > KVKEYS_BLOCK / 2)
        return;
    memcpy(to->items + to->count, from->items, from->count * sizeof *to->items);
    to->count += from->count;
    remove_block(keys, at + 1);
}

void kvkeys_remove(struct kvkeys *keys, struct kvkeys_at at)
{
    struct kvkeys_block *block = keys->blocks[at.block];

    block->count--;
    memmove(block->items + at.item, block->items + at.item + 1,
            (block->count - at.item) * sizeof *block->items);
    if (block->count == 0)
        remove_block(keys, at.block);
    else
        merge(keys, at.block);
    if (at.block > 0)
        merge(keys, at.block - 1);
}

enum rc kvkeys_fill(struct kvkeys *keys, struct kvkey **sorted, size_t n, struct err *e)
{
    AT_END(kvkeys_clear) struct kvkeys filled = { 0 };

    for (size_t i = 0; i < n; i += KVKEYS_BLOCK)
        TRY(add_block(&filled, filled.count, e));
    for (size_t i = 0; i < n; i++) {
        struct kvkeys_block *block = filled.blocks[i / KVKEYS_BLOCK];

        block->items[block->count++] = sorted[i];
    }
    *keys = filled;
    filled = (struct kvkeys){ 0 };
    return RC_OK;
}
