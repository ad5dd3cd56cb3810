#include <stdio.h>

#include "boltdb/file.h"
#include "codec/crc32c.h"

enum {
    MAGIC_AT = 16,
    CHECKED = 56, /* bytes under the checksum, magic to txid */
};

static bool page_size_allowed(uint32_t n)
{
    return n >= BOLT_PAGE_SIZE_MIN && n <= BOLT_PAGE_SIZE_MAX && (n & (n - 1)) == 0;
}

enum rc bolt_meta_read(struct bytes page, struct bolt_meta *out, struct err *e)
{
    const uint8_t *m;

    if (page.n < MAGIC_AT + BOLT_META_SIZE)
        return err_set(e, RC_CORRUPT, "no room for a meta page");
    m = page.p + MAGIC_AT;
    if (le32(m) == __builtin_bswap32(BOLT_MAGIC))
        return err_set(e, RC_CORRUPT, "written on a big-endian machine");
    if (le32(m) != BOLT_MAGIC)
        return err_set(e, RC_CORRUPT, "no bbolt magic");
    if (le32(m + 4) != BOLT_VERSION)
        return err_set(e, RC_CORRUPT, "format version %u, not 2", le32(m + 4));
    if (le64(m + CHECKED) != fnv1a64(m, CHECKED))
        return err_set(e, RC_CORRUPT, "checksum mismatch");
    if (!page_size_allowed(le32(m + 8)))
        return err_set(e, RC_CORRUPT, "page size %u", le32(m + 8));
    *out = (struct bolt_meta){ .page_size = le32(m + 8),
                               .root = le64(m + 16),
                               .freelist = le64(m + 32),
                               .high_water = le64(m + 40),
                               .txid = le64(m + 48) };
    return RC_OK;
}

static struct bytes from(struct bytes head, size_t at)
{
    if (at >= head.n)
        return (struct bytes){ head.p, 0 };
    return (struct bytes){ head.p + at, head.n - at };
}

/* Meta page 1 stands one page into the file; with page 0 lost, only a valid meta that
 * names the distance it was found at tells the page size. */
static enum rc search_second(struct bytes head, struct bolt_meta *out, struct err *e)
{
    struct bolt_meta m = { 0 };

    for (uint32_t at = BOLT_PAGE_SIZE_MIN; at <= BOLT_PAGE_SIZE_MAX; at *= 2)
        if (bolt_meta_read(from(head, at), &m, e) == RC_OK && m.page_size == at) {
            *out = m;
            return RC_OK;
        }
    return err_set(e, RC_CORRUPT, "no meta page at any page size");
}

static enum rc read_second(struct bytes head, const struct bolt_meta *first,
                           struct bolt_meta *out, struct err *e)
{
    struct bolt_meta m = { 0 };

    if (first == NULL)
        return search_second(head, out, e);
    TRY(bolt_meta_read(from(head, first->page_size), &m, e));
    if (m.page_size != first->page_size)
        return err_set(e, RC_CORRUPT, "page size %u, but meta page 0 says %u",
                       m.page_size, first->page_size);
    *out = m;
    return RC_OK;
}

/* The two describe consecutive transactions unless a commit was lost or forged. */
static enum rc compare(const struct bolt_meta metas[2], struct findings *f, struct err *e)
{
    uint64_t a = metas[0].txid, b = metas[1].txid;

    if (f == NULL || a - b == 1 || b - a == 1)
        return RC_OK;
    return findings_add(f, FINDING_NOTE, "meta-txid", 0, e,
                        "the meta pages are of transactions %llu and %llu, which do not "
                        "follow each other",
                        (unsigned long long)a, (unsigned long long)b);
}

enum rc bolt_meta_choose(struct bytes head, struct findings *f, struct bolt_meta *out,
                         struct err *e)
{
    struct bolt_meta metas[2] = { 0 };
    struct err why[2] = { 0 };
    bool good[2];
    unsigned use;

    good[0] = bolt_meta_read(head, &metas[0], &why[0]) == RC_OK;
    good[1] = read_second(head, good[0] ? &metas[0] : NULL, &metas[1], &why[1]) == RC_OK;
    if (!good[0] && !good[1])
        return err_set(e, RC_CORRUPT, "no valid meta page (page 0: %s; page 1: %s)",
                       why[0].why, why[1].why);
    if (good[0] && good[1])
        TRY(compare(metas, f, e));
    use = good[1] && (!good[0] || metas[1].txid > metas[0].txid);
    if (f != NULL && good[0] != good[1])
        TRY(findings_add(f, FINDING_WARN, "meta-bad", 1 - use, e,
                         "meta page %u is bad (%s); meta page %u is used, its last "
                         "transaction is %llu",
                         1 - use, why[1 - use].why, use,
                         (unsigned long long)metas[use].txid));
    *out = metas[use];
    out->page = use;
    return RC_OK;
}
