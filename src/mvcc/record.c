#include "mvcc/record.h"

static struct mvcc_key_id key_id(const uint8_t *seed, struct bytes key)
{
    struct siphash h = siphash_of(seed, key.p, key.n);

    return (struct mvcc_key_id){ .a = h.low, .b = (uint32_t)h.high };
}

/* A key of no bytes is refused by etcd's API; only the record that a revision bump leaves
 * has none, for its value is empty. */
enum rc mvcc_record_read(const uint8_t seed[static SIPHASH_KEY_SIZE],
                         const struct mvcc_rev *rev, struct bytes value,
                         struct mvcc_record *out, struct err *e)
{
    struct mvcc_kv kv;
    bool bump = value.n == 0 && !rev->tombstone;

    if (value.n > INT32_MAX)
        return err_set(e, RC_CORRUPT, "a value of %zu bytes, bbolt allows 2147483646",
                       value.n);
    TRY(mvcc_kv_read(value, &kv, e));
    if (kv.key.n == 0 && !bump)
        return err_set(e, RC_CORRUPT, "the record names no key");
    *out = (struct mvcc_record){
        .main = rev->main,
        .sub = rev->sub,
        .create = kv.create,
        .mod = kv.mod,
        .version = kv.version,
        .lease = kv.lease,
        .key = key_id(seed, kv.key),
        .length = value.n + (rev->tombstone ? MVCC_TOMBSTONE_SIZE : MVCC_REV_SIZE),
        .tombstone = rev->tombstone,
        .padded = rev->tombstone &&
                  (kv.create | kv.mod | kv.version | kv.lease || kv.value.n != 0),
        .bump = bump,
        .kubernetes = bytes_starts(kv.key, "/registry/"),
    };
    return RC_OK;
}
