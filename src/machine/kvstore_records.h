/* The records of a store in the order of bucket key. Internal to kvstore*.c.
 *
 * A record is known by its place, a number that counts up and may wrap around. They lie
 * in chunks of 1024, so that a table of any size grows by a chunk and shrinks from the
 * front; a compaction moves what it keeps up to the records that it leaves alone, and
 * those keep their places. */
#ifndef MACHINE_KVSTORE_RECORDS_H
#define MACHINE_KVSTORE_RECORDS_H

#include "machine/kvstore_keys.h"

/* 32 bytes. */
struct kvrecord {
    uint64_t main : 63;
    uint64_t owned : 1;    /* `stored` is ours to free */
    const uint8_t *stored; /* the KeyValue message */
    struct kvkey *key;     /* NULL: a tombstone that belongs to none */
    uint32_t sub;
    uint32_t size : 31; /* of stored; bbolt allows no more */
    uint32_t tombstone : 1;
};

enum { KVRECORDS_CHUNK = 1024 };

/* Zero-initialise, end with kvrecords_clear. */
struct kvrecords {
    struct kvrecord **chunks;
    size_t chunks_count, chunks_room;
    uint32_t base;  /* place of the first chunk's first slot */
    uint32_t first; /* place of the oldest record */
    uint32_t count;
};

void kvrecords_clear(struct kvrecords *t);

static inline struct kvrecord *kvrecords_at(const struct kvrecords *t, uint32_t place)
{
    uint32_t slot = place - t->base;

    return &t->chunks[slot / KVRECORDS_CHUNK][slot % KVRECORDS_CHUNK];
}

/* The i-th oldest, from 0. */
static inline struct kvrecord *kvrecords_nth(const struct kvrecords *t, uint32_t i)
{
    return kvrecords_at(t, t->first + i);
}

/* Room for one more record at place first + count; the caller fills it and counts it.
 * RC_NOMEM. */
enum rc kvrecords_reserve(struct kvrecords *t, struct err *e);

/* How many records have a smaller main. */
uint32_t kvrecords_below(const struct kvrecords *t, int64_t main);

/* The oldest n are gone: their bytes are the caller's to free before. */
void kvrecords_drop_oldest(struct kvrecords *t, uint32_t n);

/* Frees the bytes of a record that owns them. */
void kvrecord_release(struct kvrecord *r);

#endif
