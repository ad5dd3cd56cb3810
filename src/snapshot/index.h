/* The records of bucket key in the order of their user keys, and of one key in the order
 * of revisions: what etcd's own index knows, and the history with it.
 *
 * An entry refers into the mapped file, whose keys are compared where they lie. Memory:
 * 24 bytes a record, so 64 MiB hold 2.8 million records, as many as lie in 8 GiB, the
 * most that etcd advises, at 3 KiB each. Superseded ones are among them, for their size
 * counts; whoever fills the index leaves out what nobody asked for, such as other
 * prefixes and later revisions. It ends at SNAP_INDEX_BYTES.
 *
 * The sort is a multikey quicksort (Bentley and Sedgewick, 1997) that keeps seven bytes
 * of each key in its entry: keys of one cluster share long prefixes and lie all over the
 * file, so comparing them whole would miss the cache twice at every comparison. */
#ifndef SNAPSHOT_INDEX_H
#define SNAPSHOT_INDEX_H

#include "boltdb/file.h"
#include "mvcc/schema.h"

#define SNAP_INDEX_BYTES ((size_t)512 << 20)

struct snap_index_entry {
    uint64_t word;  /* seven bytes of the key, and how many follow: for the sort */
    uint64_t at;    /* where the value lies in the file, with flags on top */
    uint32_t size;  /* of the value */
    uint32_t order; /* in which it was added */
};

/* Zero-initialise with the file; end with snap_index_clear. */
struct snap_index {
    const struct bolt_file *file; /* borrowed */
    struct snap_index_entry *items;
    size_t count, room;
    size_t bytes_max; /* 0: SNAP_INDEX_BYTES */
};
void snap_index_clear(struct snap_index *ix);

/* A pair of bucket key, in revision order; both lie in the mapped file, the value behind
 * the key. `user_key` is what mvcc_kv_read found in the value. RC_NOMEM, also when it
 * would take more than bytes_max: then with advice. */
enum rc snap_index_add(struct snap_index *ix, struct bytes key, struct bytes value,
                       struct bytes user_key, struct err *e);

/* After the last one. RC_INTERRUPTED when a stop is wanted. */
enum rc snap_index_sort(struct snap_index *ix, struct err *e);

/* One user key, with its records from the oldest to the newest: the entries from `first`
 * up to `end`. Zero-initialised it stands before the first key. */
struct snap_key {
    size_t first, end;
};
bool snap_index_next(const struct snap_index *ix, struct snap_key *key);

/* Is the newest record a put? */
bool snap_index_alive(const struct snap_index *ix, const struct snap_key *key);

/* The user key of entry i; bytes of bucket key and value together. */
struct bytes snap_index_key(const struct snap_index *ix, size_t i);
uint64_t snap_index_size(const struct snap_index *ix, size_t i);

/* Entry i in full, borrowed from the file. */
struct snap_record {
    struct mvcc_rev rev;
    struct mvcc_kv kv; /* of a tombstone only the key */
    struct bytes raw;  /* the value in the bucket, of which kv was read */
};
/* RC_CORRUPT when the file has changed since the entry was added. */
enum rc snap_index_record(const struct snap_index *ix, size_t i, struct snap_record *out,
                          struct err *e);

/* The newest put of a key that is alive. */
enum rc snap_index_newest(const struct snap_index *ix, const struct snap_key *key,
                          struct snap_record *out, struct err *e);

#endif
