/* Databases to look into: those that real etcd wrote, and invented ones with a history.
 */
#ifndef TESTS_UNIT_SNAPSHOT_INSPECT_FIXTURE_H
#define TESTS_UNIT_SNAPSHOT_INSPECT_FIXTURE_H

#include "mvcc/schema.h"
#include "util/bytes.h"

enum { GOLDEN_COUNT = 4 };
extern const char *const golden_names[GOLDEN_COUNT]; /* "etcd-3.4" ... */

/* A file of tests/golden/NAME, unpacked. End with buf_clear. */
struct buf golden_unpack(const char *name, const char *file);

/* The path of a new file with these bytes, in a rotating buffer. */
const char *file_of(struct bytes content);
const char *golden_file(const char *name); /* the snapshot, unpacked */

/* A record of bucket key; version 0 is a tombstone. */
struct event {
    int64_t main, sub, create, version, lease;
    struct bytes key, value; /* borrowed */
};

/* A pair of any other bucket. */
struct extra {
    enum mvcc_bucket bucket;
    struct bytes key, value;
};

/* What a database is made of; extras in the order of their buckets' keys. */
struct invented {
    const struct event *events;
    size_t event_count;
    const struct extra *extras;
    size_t extra_count;
    int64_t finished, scheduled; /* 0: none */
};

const char *invented_file(const struct invented *db);

#define TEXT(literal) ((struct bytes){ (const uint8_t *)(literal), sizeof(literal) - 1 })

/* A history as etcd might have written it: transactions over a few dozen keys, some
 * prefixes of others, some with bytes that are no text, some longer than most. */
enum { TALE_KEYS = 40, TALE_EVENTS = 1500 };
struct tale {
    struct event events[TALE_EVENTS];
    size_t count;
    int64_t revision;
    unsigned seed;
    uint8_t names[TALE_KEYS][64];
    size_t name_sizes[TALE_KEYS];
    struct event last[TALE_KEYS]; /* version 0: not alive */
};
void tale_begin(struct tale *t, unsigned seed);
void tale_go_on(struct tale *t, unsigned transactions);
const char *tale_file(const struct tale *t);

/* The event that a range at `revision` finds for a key, by looking at all of them; NULL
 * when the key is not alive. */
const struct event *tale_at(const struct tale *t, struct bytes key, int64_t revision);

#endif
