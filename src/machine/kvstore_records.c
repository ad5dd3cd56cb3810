#include "machine/kvstore_records.h"

#include "util/mem.h"

enum { CHUNKS_MIN = 16 };

_Static_assert(sizeof(struct kvrecord) == 32, "one for each of millions of records");

void kvrecord_release(struct kvrecord *r)
{
    if (r->owned)
        mem_free((void *)(uintptr_t)r->stored);
    r->owned = 0;
    r->stored = NULL;
}

void kvrecords_clear(struct kvrecords *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        kvrecord_release(kvrecords_nth(t, i));
    for (size_t i = 0; i < t->chunks_count; i++)
        mem_free(t->chunks[i]);
    mem_free(t->chunks);
    *t = (struct kvrecords){ 0 };
}

enum rc kvrecords_reserve(struct kvrecords *t, struct err *e)
{
    uint32_t slot = t->first + t->count - t->base;
    struct kvrecord *chunk;

    if (slot / KVRECORDS_CHUNK < t->chunks_count)
        return RC_OK;
    if (t->count > UINT32_MAX - 2 * KVRECORDS_CHUNK)
        return err_set(e, RC_NOMEM, "more than %u records", t->count);
    if (t->chunks_count == t->chunks_room) {
        size_t room = t->chunks_room == 0 ? CHUNKS_MIN : t->chunks_room * 2;
        void *more = mem_resize(t->chunks, room, sizeof *t->chunks);

        if (more == NULL)
            return err_set(e, RC_NOMEM, "no memory for %u records", t->count);
        t->chunks = more;
        t->chunks_room = room;
    }
    chunk = mem_resize(NULL, KVRECORDS_CHUNK, sizeof *chunk);
    if (chunk == NULL)
        return err_set(e, RC_NOMEM, "no memory for %u records", t->count);
    t->chunks[t->chunks_count++] = chunk;
    return RC_OK;
}

uint32_t kvrecords_below(const struct kvrecords *t, int64_t main)
{
    uint32_t low = 0, high = t->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if ((int64_t)kvrecords_nth(t, middle)->main < main)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void kvrecords_drop_oldest(struct kvrecords *t, uint32_t n)
{
    size_t chunks;

    t->first += n;
    t->count -= n;
    chunks = (t->first - t->base) / KVRECORDS_CHUNK;
    if (chunks == 0)
        return;
    for (size_t i = 0; i < chunks; i++)
        mem_free(t->chunks[i]);
    t->chunks_count -= chunks;
    memmove(t->chunks, t->chunks + chunks, t->chunks_count * sizeof *t->chunks);
    t->base += (uint32_t)chunks * KVRECORDS_CHUNK;
}
