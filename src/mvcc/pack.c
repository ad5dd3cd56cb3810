#include "mvcc/pack.h"

#include "mvcc/chain.h"
#include "mvcc/keys.h"

enum {
    PLAIN = 1, /* key and value follow, `sub` and `length` bytes long */
    TOMBSTONE = 2,
    PADDED = 4,
    BUMP = 8,
    KUBERNETES = 16,
    LEASED = 32, /* the lease follows */
};

struct item {
    int64_t main, create;
    uint64_t version_flags; /* version << 8 | flags */
    uint64_t key_a;
    uint32_t key_b, crc, length, sub;
};

_Static_assert(sizeof(struct item) == 48, "one for each of millions of records");

/* Bucket key is not known by name yet. Names in other buckets are text, whose first byte
 * would make this a revision beyond 2^61. */
#define MAIN_LIMIT ((int64_t)1 << 61)

/* Whether nothing is lost when the record is packed. */
static bool packs(const struct mvcc_record *r)
{
    bool put = !r->tombstone && !r->bump;

    return r->main < MAIN_LIMIT && r->sub <= UINT32_MAX && r->length <= UINT32_MAX &&
           r->version >= 0 && r->version <= MVCC_KEY_VERSION_MAX &&
           (!put || r->mod == r->main);
}

static enum rc add_record(struct buf *b, const struct mvcc_record *r, struct err *e)
{
    uint64_t flags = (r->tombstone ? TOMBSTONE : 0u) | (r->padded ? PADDED : 0u) |
                     (r->bump ? BUMP : 0u) | (r->kubernetes ? KUBERNETES : 0u) |
                     (r->lease != 0 ? LEASED : 0u);
    const struct item item = {
        .main = r->main,
        .create = r->create,
        .version_flags = (uint64_t)r->version << 8 | flags,
        .key_a = r->key.a,
        .key_b = r->key.b,
        .crc = r->crc,
        .length = (uint32_t)r->length,
        .sub = (uint32_t)r->sub,
    };

    TRY(buf_add(b, &item, sizeof item, e));
    return r->lease == 0 ? RC_OK : buf_add(b, &r->lease, sizeof r->lease, e);
}

static enum rc add_plain(struct buf *b, struct bytes key, struct bytes value,
                         struct err *e)
{
    const struct item item = {
        .version_flags = PLAIN,
        .length = (uint32_t)value.n,
        .sub = (uint32_t)key.n,
    };

    TRY(buf_add(b, &item, sizeof item, e));
    TRY(buf_add(b, key.p, key.n, e));
    return buf_add(b, value.p, value.n, e);
}

enum rc mvcc_pack_add(struct buf *b, const uint8_t seed[static SIPHASH_KEY_SIZE],
                      struct bytes key, struct bytes value, struct err *e)
{
    struct mvcc_record r;
    struct mvcc_rev rev;
    struct err why;

    if (mvcc_rev_read(key, &rev, &why) != RC_OK ||
        mvcc_record_read(seed, &rev, value, &r, &why) != RC_OK || !packs(&r))
        return add_plain(b, key, value, e);
    r.crc = mvcc_pair_crc(key, value);
    return add_record(b, &r, e);
}

static void take(struct bytes *rest, void *to, size_t n)
{
    memcpy(to, rest->p, n);
    *rest = (struct bytes){ rest->p + n, rest->n - n };
}

static struct bytes borrow(struct bytes *rest, size_t n)
{
    struct bytes taken = { rest->p, n };

    *rest = (struct bytes){ rest->p + n, rest->n - n };
    return taken;
}

static struct mvcc_record record_of(const struct item *item, int64_t lease)
{
    uint64_t flags = item->version_flags;

    return (struct mvcc_record){
        .main = item->main,
        .sub = item->sub,
        .create = item->create,
        .mod = item->main,
        .version = (int64_t)(item->version_flags >> 8),
        .lease = lease,
        .key = { .a = item->key_a, .b = item->key_b },
        .crc = item->crc,
        .length = item->length,
        .tombstone = (flags & TOMBSTONE) != 0,
        .padded = (flags & PADDED) != 0,
        .bump = (flags & BUMP) != 0,
        .kubernetes = (flags & KUBERNETES) != 0,
    };
}

bool mvcc_pack_next(struct bytes *rest, struct mvcc_packed *out)
{
    struct item item;
    int64_t lease = 0;

    if (rest->n == 0)
        return false;
    take(rest, &item, sizeof item);
    if (item.version_flags & PLAIN) {
        struct bytes key = borrow(rest, item.sub);

        *out = (struct mvcc_packed){ .key = key, .value = borrow(rest, item.length) };
        return true;
    }
    if (item.version_flags & LEASED)
        take(rest, &lease, sizeof lease);
    *out = (struct mvcc_packed){ .reduced = true, .record = record_of(&item, lease) };
    return true;
}
