/* Keys and values. With authentication on, each call needs a role that grants the keys
 * it names, and compaction role root. */
#ifndef WIRE_KV_H
#define WIRE_KV_H

#include "codec/message.h"
#include "wire/wire.h"

struct wire_kv {
    struct bytes key, value;
    int64_t create_revision, mod_revision, version, lease;
};

/* Which keys. An `end` without bytes means only `key`; an end of one zero byte, all keys
 * from `key` on. */
struct wire_range {
    struct bytes key, end;
    int64_t revision;  /* 0: the newest */
    int64_t limit;     /* 0: all */
    bool serializable; /* answered by a member alone; may be stale */
    bool keys_only, count_only;
};

struct wire_kvs {
    struct wire_header header;
    struct wire_kv *items; /* borrowed from `reply` */
    size_t count;
    int64_t total; /* keys in the range, whatever the limit */
    bool more;
    void *reply;
};

/* One answer, of at most 8 MiB (RC_CORRUPT beyond: use wire_range_each). */
enum rc wire_range_get(struct wire_client *c, const struct wire_range *q,
                       struct wire_kvs *out, struct err *e);
void wire_kvs_clear(struct wire_kvs *k);

typedef enum rc wire_kv_fn(void *arg, const struct wire_kv *kv, struct err *e);

/* All keys of the range in order, page after page, all as of one revision: q->revision,
 * or that of the first page, which *revision tells. Pages adapt to the size of the
 * values. WIRE_COMPACTED when a compaction overtakes it. q->limit is not used. */
enum rc wire_range_each(struct wire_client *c, const struct wire_range *q, wire_kv_fn *fn,
                        void *arg, int64_t *revision, struct err *e);

/* `h` may be NULL. */
enum rc wire_put(struct wire_client *c, struct bytes key, struct bytes value,
                 int64_t lease, struct wire_header *h, struct err *e);

/* Deletes a range as struct wire_range has it; *deleted counts the keys. */
enum rc wire_delete(struct wire_client *c, struct bytes key, struct bytes end,
                    int64_t *deleted, struct wire_header *h, struct err *e);

/* A transaction of the caller's making; *out is for codec_free. */
enum rc wire_txn(struct wire_client *c, const Etcdrpc__TxnRequest *q,
                 Etcdrpc__TxnResponse **out, struct wire_header *h, struct err *e);

/* Forgets the history up to `revision`. physical: answers only when the space is free
 * inside the database, which takes up to minutes. */
enum rc wire_compact(struct wire_client *c, int64_t revision, bool physical,
                     struct err *e);

#endif
