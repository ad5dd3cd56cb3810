/* A snapshot's SHA-256 over a damaged file. It tells of damage that nothing else shows;
 * and it proves a meta page that is gone: bbolt writes both of a snapshot from one (Tx.
 * WriteTo: the same root, txid in page 0 and txid - 1 in page 1), so the lost one can be
 * made again, and when the digest then matches, all is as it was. */
#include <string.h>

#include "codec/crc32c.h"
#include "salvage/salvage.h"
#include "snapshot/trailer.h"
#include "util/mem.h"
#include "util/stop.h"

enum { STEP = 1 << 20 };

/* The meta page that stood beside the good one. */
static void make_other(const struct salvage_image *i, unsigned lost, uint8_t *page)
{
    const uint8_t *good = i->bytes.p + (1 - lost) * (size_t)i->page_size;
    uint8_t *meta = page + BOLT_PAGE_HEADER;
    uint64_t txid = i->metas[0].txid;

    put_le64(page, lost);
    put_le16(page + 8, BOLT_PAGE_META);
    memcpy(meta, good + BOLT_PAGE_HEADER, BOLT_META_SIZE);
    put_le64(meta + 48, lost == 0 ? txid + 1 : txid - 1);
    put_le64(meta + 56, fnv1a64(meta, 56));
}

static enum rc hash_from(struct sha256 *hash, struct bytes b, uint64_t from, uint64_t to,
                         struct err *e)
{
    for (uint64_t at = from; at < to; at += STEP) {
        TRY(stop_check(e));
        TRY(sha256_add(hash, b.p + at, to - at < STEP ? to - at : STEP, e));
    }
    return RC_OK;
}

static enum rc prove_other(struct salvage_result *r, struct err *e)
{
    const struct salvage_image *i = &r->image;
    unsigned lost = 1 - i->metas[0].page;
    uint64_t end = i->bytes.n - SNAP_TRAILER_SIZE, size = i->page_size;
    AT_END(mem_end) uint8_t *page = NULL;
    OWNED(sha256) hash = NULL;
    uint8_t digest[SHA256_SIZE];

    if (end < 2 * size)
        return RC_OK;
    TRY(mem_new(&page, i->page_size, "a meta page", e));
    make_other(i, lost, page);
    TRY(sha256_new(&hash, e));
    TRY(hash_from(hash, i->bytes, 0, lost * size, e));
    TRY(sha256_add(hash, page, i->page_size, e));
    TRY(hash_from(hash, i->bytes, (lost + 1) * size, end, e));
    TRY(sha256_end(hash, digest, e));
    r->meta_proved = memcmp(digest, i->bytes.p + end, sizeof digest) == 0;
    return RC_OK;
}

enum rc salvage_digest_check(struct salvage_result *r, struct err *e)
{
    struct snap_trailer t;

    if (r->truncated || !snap_has_trailer(r->image.bytes.n))
        return RC_OK;
    TRY(snap_trailer_read(r->image.bytes, &t, e));
    if (!t.matches && r->image.metas_good == 1)
        TRY(prove_other(r, e));
    r->digest_wrong = !t.matches && !r->meta_proved;
    return RC_OK;
}
