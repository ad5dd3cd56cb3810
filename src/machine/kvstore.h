/* etcd's key space with its history, in memory: what bucket `key` means, ready to be read
 * and changed. Semantics: etcd server/storage/mvcc (kvstore.go, kvstore_txn.go,
 * key_index.go, kvstore_compaction.go), 3.4 to 3.7.
 *
 * A record is the stored KeyValue message, exactly as bucket `key` holds it. Records of a
 * loaded file stay where they are (borrowed: the mapping must outlive the store), those
 * of later writes are owned, so that a large database costs its index and not its bytes.
 *
 * Not thread-safe. Memory: 32 bytes a record, about 8 more for each but the first of its
 * key, and about 80 and the key a distinct key (measured: 152 MB for a million records of
 * a million keys of 42 bytes, 52 MB when they are of 100,000 keys; a third more while
 * loading). Owned records cost their bytes and malloc's 8 to 24. */
#ifndef MACHINE_KVSTORE_H
#define MACHINE_KVSTORE_H

#include "mvcc/history.h"
#include "mvcc/schema.h"
#include "util/own.h"

struct kvstore;

struct kvstore_options {
    /* A tombstone exactly at the compaction revision survives it (3.4.34, 3.5.16, 3.6
     * and later) or does not. */
    bool drop_tombstone_at_compaction;

    /* Told when a key's lease changes: 0 is none. Called inside a write, also while
     * loading (then only with the outcome, at kvstore_load_end). May be NULL. */
    void (*lease)(void *arg, struct bytes key, int64_t before, int64_t after);
    void *lease_arg;
};

enum rc kvstore_new(const struct kvstore_options *options, struct kvstore **out,
                    struct err *e);
void kvstore_free(struct kvstore *s);
OWN_DEFINE(kvstore)

/* ---- from and to bucket `key` ---------------------------------------------------------
 */

/* Before anything else: the pairs of bucket `key` in order, then the end with the marks
 * of bucket meta (MVCC_NEVER_COMPACTED when absent). With scheduled beyond finished the
 * compaction is completed, as a booting server does. RC_CORRUPT for a pair that cannot
 * be read, is out of order, or lies beyond what etcd can reach (main above 2^62, sub
 * above 2^32); it then changed nothing. `value` stays borrowed. */
enum rc kvstore_load(struct kvstore *s, struct bytes key, struct bytes value,
                     struct err *e);
enum rc kvstore_load_end(struct kvstore *s, int64_t finished, int64_t scheduled,
                         struct err *e);

/* All records in the order of bucket `key`; rev has its 't' when it is a tombstone. */
enum rc kvstore_dump(const struct kvstore *s,
                     enum rc (*pair)(void *arg, struct bytes rev, struct bytes value,
                                     struct err *e),
                     void *arg, struct err *e);

/* ---- facts ----------------------------------------------------------------------------
 */

int64_t kvstore_revision(const struct kvstore *s);  /* newest; 1 when empty */
int64_t kvstore_compacted(const struct kvstore *s); /* or MVCC_NEVER_COMPACTED */
uint64_t kvstore_bytes(const struct kvstore *s); /* keys and values of all records: what
                                                    bucket `key` needs, without pages */
uint64_t kvstore_records(const struct kvstore *s);

/* HashKV at `revision` (0: newest), as mvcc/history.h. Between writes. RC_NOTFOUND:
 * compacted or future. One bit of memory a record up to the compaction. */
enum rc kvstore_hashkv(const struct kvstore *s, int64_t revision, struct mvcc_hashkv *out,
                       struct err *e);

/* ---- reading --------------------------------------------------------------------------
 */

/* A range as etcd writes it: `end` empty is the one key, "\0" everything from key on. */
struct kvstore_span {
    struct bytes key, end;
};
bool kvstore_span_has(struct kvstore_span span, struct bytes key);

/* Borrowed until the next write or compaction. */
struct kvstore_record {
    int64_t main, sub;
    bool tombstone;
    struct bytes stored; /* the KeyValue message: field `kvs` of a RangeResponse as is */
};

/* The records visible at `revision` (0 or less: newest, inside a write its own changes
 * included) in key order. The visitor sets *stop to end it. RC_NOTFOUND with `why` told
 * by kvstore_compacted(): at or below... revision < compacted, or beyond the newest. */
enum rc kvstore_range(const struct kvstore *s, struct kvstore_span span, int64_t revision,
                      enum rc (*visit)(void *arg, struct bytes key,
                                       const struct kvstore_record *r, bool *stop,
                                       struct err *e),
                      void *arg, struct err *e);

/* How many, without looking at records. */
enum rc kvstore_count(const struct kvstore *s, struct kvstore_span span, int64_t revision,
                      uint64_t *out, struct err *e);

/* One key; *found false when it does not exist then. */
enum rc kvstore_get(const struct kvstore *s, struct bytes key, int64_t revision,
                    struct kvstore_record *out, bool *found, struct err *e);

/* The records with main from `from` on, in order: what watchers are shown. At most up to
 * the newest committed revision. */
enum rc kvstore_changes(const struct kvstore *s, int64_t from,
                        enum rc (*visit)(void *arg, const struct kvstore_record *r,
                                         bool *stop, struct err *e),
                        void *arg, struct err *e);

/* ---- writing --------------------------------------------------------------------------
 */

/* All changes between begin and end share the next revision, subs from 0; end raises the
 * revision when there were any, and returns it. Only out of memory can fail a write, and
 * the store must then be thrown away. */
void kvstore_begin(struct kvstore *s);
int64_t kvstore_end(struct kvstore *s);
bool kvstore_changed(const struct kvstore *s); /* since begin */

enum rc kvstore_put(struct kvstore *s, struct bytes key, struct bytes value,
                    int64_t lease, struct err *e);
enum rc kvstore_delete(struct kvstore *s, struct kvstore_span span, uint64_t *deleted,
                       struct err *e);

/* Between writes. RC_NOTFOUND as etcd: at or below the last compaction (compacted), or
 * beyond the newest revision (future); the store is then unchanged. */
enum rc kvstore_compact(struct kvstore *s, int64_t revision, struct err *e);

#endif
