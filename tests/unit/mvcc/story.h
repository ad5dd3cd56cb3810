/* Random histories as an etcd could have written them: transactions of puts and deletes,
 * compactions by the old and the new rule for tombstones, one that was interrupted, and
 * revision bumps of restores. */
#ifndef TESTS_UNIT_MVCC_STORY_H
#define TESTS_UNIT_MVCC_STORY_H

#include "tests/unit/mvcc/fixture.h"
#include "tests/unit/mvcc/reference.h"

enum { STORY_KEYS = 8, STORY_RECORDS = 400 };

struct story_record {
    int64_t main, sub, create, version; /* version 0: a tombstone */
    unsigned key;                       /* STORY_KEYS: the key "" of a bump */
};

struct story {
    struct story_record records[STORY_RECORDS];
    size_t count;
    int64_t revision, finished, scheduled;
    size_t live; /* keys a client can see at the end */
    bool bumped;
    unsigned seed;
    struct {
        bool alive;
        int64_t create, version;
    } keys[STORY_KEYS];
};

void story_make(struct story *s, unsigned seed, unsigned steps);

/* The story as a database, and for the reference; `pairs` holds the bytes of both. */
void story_pairs(const struct story *s, struct pairs *pairs);
void pairs_reference(const struct pairs *pairs, int64_t compact, struct reference *r);

/* Calls back each pair in order. */
void pairs_each(const struct pairs *pairs,
                void (*pair)(void *arg, struct bytes key, struct bytes value), void *arg);

#endif
