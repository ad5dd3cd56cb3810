#include "boltdb/page.h"

#include <stdio.h>

const char *bolt_fault_code(const struct bolt_fault *fault)
{
    static const char *const codes[] = {
        [BOLT_FAULT_NONE] = "none",
        [BOLT_FAULT_HEADER] = "page-id",
        [BOLT_FAULT_ID] = "page-id",
        [BOLT_FAULT_KIND] = "page-kind",
        [BOLT_FAULT_EXTENT] = "page-extent",
        [BOLT_FAULT_SLACK] = "page-extent",
        [BOLT_FAULT_EMPTY] = "branch-empty",
        [BOLT_FAULT_TABLE] = "element-range",
        [BOLT_FAULT_OVERLAP] = "element-overlap",
        [BOLT_FAULT_GAP] = "element-gap",
        [BOLT_FAULT_RANGE] = "element-range",
        [BOLT_FAULT_FLAGS] = "element-flags",
        [BOLT_FAULT_KEY_SIZE] = "key-size",
        [BOLT_FAULT_KEY_ORDER] = "key-order",
        [BOLT_FAULT_BUCKET] = "bucket-header",
        [BOLT_FAULT_FREELIST] = "freelist-count",
    };

    return codes[fault->kind];
}

void bolt_fault_text(const struct bolt_fault *fault, char out[static BOLT_FAULT_TEXT])
{
    unsigned long long detail = fault->detail;
    unsigned element = fault->element;
    size_t n = BOLT_FAULT_TEXT;

    switch (fault->kind) {
    case BOLT_FAULT_NONE:
        snprintf(out, n, "is whole");
        break;
    case BOLT_FAULT_HEADER:
        snprintf(out, n, "bears no page header");
        break;
    case BOLT_FAULT_ID:
        snprintf(out, n, "names itself page %llu", detail);
        break;
    case BOLT_FAULT_KIND:
        snprintf(out, n, "is of kind 0x%llx, which does not belong here", detail);
        break;
    case BOLT_FAULT_EXTENT:
        snprintf(out, n, "claims %llu overflow pages, more than follow it", detail);
        break;
    case BOLT_FAULT_SLACK:
        snprintf(out, n, "claims %llu overflow pages, more than it fills", detail);
        break;
    case BOLT_FAULT_EMPTY:
        snprintf(out, n, "is a branch without children");
        break;
    case BOLT_FAULT_TABLE:
        snprintf(out, n, "claims %u elements, more than fit its %llu bytes", element,
                 detail);
        break;
    case BOLT_FAULT_OVERLAP:
        snprintf(out, n, "has element %u begin at its byte %llu, inside what precedes it",
                 element, detail);
        break;
    case BOLT_FAULT_GAP:
        snprintf(out, n, "has bytes that belong to no element before its byte %llu",
                 detail);
        break;
    case BOLT_FAULT_RANGE:
        snprintf(out, n, "has element %u end at its byte %llu, beyond the page", element,
                 detail);
        break;
    case BOLT_FAULT_FLAGS:
        snprintf(out, n, "has unknown flags 0x%llx in element %u", detail, element);
        break;
    case BOLT_FAULT_KEY_SIZE:
        snprintf(out, n, "has a key of %llu bytes in element %u", detail, element);
        break;
    case BOLT_FAULT_KEY_ORDER:
        snprintf(out, n, "has keys out of order at element %u", element);
        break;
    case BOLT_FAULT_BUCKET:
        snprintf(out, n, "is a bucket header of %llu bytes", detail);
        break;
    case BOLT_FAULT_FREELIST:
        snprintf(out, n, "claims %llu free pages, more than fit it", detail);
        break;
    }
}

static bool bad(struct bolt_fault *fault, enum bolt_fault_kind kind, uint32_t element,
                uint64_t detail)
{
    *fault = (struct bolt_fault){ .kind = kind, .element = element, .detail = detail };
    return false;
}

static bool known_kind(uint16_t flags)
{
    return flags == BOLT_PAGE_BRANCH || flags == BOLT_PAGE_LEAF ||
           flags == BOLT_PAGE_META || flags == BOLT_PAGE_FREELIST;
}

/* What all kinds of page share. bbolt before 1.3.7 did not look at the id, which let the
 * damage of etcd #20271 (snapshot taken during defragmentation) go on for weeks. */
static bool check_header(const uint8_t *p, uint64_t room, uint64_t id, uint32_t page_size,
                         struct bolt_fault *fault)
{
    uint16_t flags;

    if (room < BOLT_PAGE_HEADER || room < page_size)
        return bad(fault, BOLT_FAULT_HEADER, 0, 0);
    flags = le16(p + 8);
    if (le64(p) != id && !known_kind(flags))
        return bad(fault, BOLT_FAULT_HEADER, 0, 0);
    if (le64(p) != id)
        return bad(fault, BOLT_FAULT_ID, 0, le64(p));
    if (!known_kind(flags))
        return bad(fault, BOLT_FAULT_KIND, 0, flags);
    if (le32(p + 12) >= room / page_size)
        return bad(fault, BOLT_FAULT_EXTENT, 0, le32(p + 12));
    return true;
}

bool bolt_page_head(const uint8_t *p, uint64_t room, uint64_t id, uint32_t page_size,
                    struct bolt_page *out, struct bolt_fault *fault)
{
    uint16_t flags;

    if (!check_header(p, room, id, page_size, fault))
        return false;
    flags = le16(p + 8);
    if (flags != BOLT_PAGE_BRANCH && flags != BOLT_PAGE_LEAF)
        return bad(fault, BOLT_FAULT_KIND, 0, flags);
    *out = (struct bolt_page){ .p = p,
                               .id = id,
                               .overflow = le32(p + 12),
                               .count = le16(p + 10),
                               .kind = (enum bolt_page_kind)flags };
    out->extent = (uint64_t)page_size * (1 + (uint64_t)out->overflow);
    return true;
}

/* Revision keys differ within their first 8 bytes nearly always. */
static bool follows(struct bytes key, struct bytes before)
{
    if (key.n >= 8 && before.n >= 8) {
        uint64_t a = be64(before.p), b = be64(key.p);

        if (a != b)
            return a < b;
    }
    return bytes_compare(before, key) < 0;
}

struct element {
    uint64_t at; /* of the key, from the page's header on */
    uint32_t flags, key_size, value_size;
};

static struct element read_element(const struct bolt_page *page, uint32_t i)
{
    uint64_t table = BOLT_PAGE_HEADER + (uint64_t)i * BOLT_ELEMENT;
    const uint8_t *p = page->p + table;

    if (page->kind == BOLT_PAGE_BRANCH)
        return (struct element){ .at = table + le32(p), .key_size = le32(p + 4) };
    return (struct element){ .at = table + le32(p + 4),
                             .flags = le32(p),
                             .key_size = le32(p + 8),
                             .value_size = le32(p + 12) };
}

static bool key_size_allowed(const struct bolt_page *page, uint32_t i, uint32_t size)
{
    if (size == 0)
        return page->kind == BOLT_PAGE_BRANCH && i == 0;
    return size <= BOLT_KEY_MAX;
}

/* bbolt writes nothing behind the header of an empty leaf, and an element's position is
 * never 0: what stands there is an element that the count no longer knows. */
static bool lost_all(const struct bolt_page *page)
{
    return page->count == 0 && page->extent >= BOLT_PAGE_HEADER + BOLT_ELEMENT &&
           le32(page->p + BOLT_PAGE_HEADER + 4) != 0;
}

/* Every bbolt writes keys and values in the order of the elements, right after the table
 * and each other. Insisting on it finds overlaps in one pass, keeps the work on a hostile
 * page in proportion to its size, and tells a count that lost elements, which bbolt takes
 * as it is. */
bool bolt_page_body(struct bolt_page *page, struct bolt_fault *fault)
{
    uint64_t end = BOLT_PAGE_HEADER + (uint64_t)page->count * BOLT_ELEMENT;
    struct bytes before = { page->p, 0 };
    uint32_t buckets = 0;

    if (page->kind == BOLT_PAGE_BRANCH && page->count == 0)
        return bad(fault, BOLT_FAULT_EMPTY, 0, 0);
    if (end > page->extent)
        return bad(fault, BOLT_FAULT_TABLE, page->count, page->extent);
    if (lost_all(page))
        return bad(fault, BOLT_FAULT_GAP, 0, BOLT_PAGE_HEADER + BOLT_ELEMENT);
    for (uint32_t i = 0; i < page->count; i++) {
        struct element el = read_element(page, i);
        struct bytes key;
        bool gap;

        if (el.flags > 1)
            return bad(fault, BOLT_FAULT_FLAGS, i, el.flags);
        if (el.at < end)
            return bad(fault, BOLT_FAULT_OVERLAP, i, el.at);
        gap = el.at != end;
        end = el.at + el.key_size + el.value_size;
        if (end > page->extent)
            return bad(fault, BOLT_FAULT_RANGE, i, end);
        if (gap)
            return bad(fault, BOLT_FAULT_GAP, i, el.at);
        if (!key_size_allowed(page, i, el.key_size))
            return bad(fault, BOLT_FAULT_KEY_SIZE, i, el.key_size);
        key = (struct bytes){ page->p + el.at, el.key_size };
        if (i > 0 && !follows(key, before))
            return bad(fault, BOLT_FAULT_KEY_ORDER, i, 0);
        before = key;
        buckets += el.flags;
    }
    /* Old bbolt takes a page too many when the last one is full, and never more. */
    if (page->overflow > end * (1 + (uint64_t)page->overflow) / page->extent)
        return bad(fault, BOLT_FAULT_SLACK, 0, page->overflow);
    page->buckets = (uint16_t)buckets;
    return true;
}

enum rc bolt_page_open(struct bytes bytes, uint64_t id, uint32_t page_size,
                       struct bolt_page *out, struct err *e)
{
    char text[BOLT_FAULT_TEXT];
    struct bolt_fault fault;
    struct bolt_page page;

    if (bolt_page_head(bytes.p, bytes.n, id, page_size, &page, &fault) &&
        bolt_page_body(&page, &fault)) {
        *out = page;
        return RC_OK;
    }
    bolt_fault_text(&fault, text);
    return err_set(e, RC_CORRUPT, "page %llu (offset %llu) %s", (unsigned long long)id,
                   (unsigned long long)id * page_size, text);
}

bool bolt_freelist_open(const uint8_t *p, uint64_t room, uint64_t id, uint32_t page_size,
                        struct bolt_freelist *out, struct bolt_fault *fault)
{
    uint64_t count, extent, at = BOLT_PAGE_HEADER;

    if (!check_header(p, room, id, page_size, fault))
        return false;
    if (le16(p + 8) != BOLT_PAGE_FREELIST)
        return bad(fault, BOLT_FAULT_KIND, 0, le16(p + 8));
    extent = (uint64_t)page_size * (1 + (uint64_t)le32(p + 12));
    count = le16(p + 10);
    /* 65535 or more do not fit the header's 16 bits: the count moves into the array. */
    if (count == UINT16_MAX) {
        count = le64(p + at);
        at += 8;
    }
    if (count > (extent - at) / 8)
        return bad(fault, BOLT_FAULT_FREELIST, 0, count);
    *out =
        (struct bolt_freelist){ .ids = p + at, .count = count, .overflow = le32(p + 12) };
    return true;
}

static bool open_inlined(struct bytes bytes, struct bolt_page *out,
                         struct bolt_fault *fault)
{
    if (bytes.n > UINT32_MAX)
        return bad(fault, BOLT_FAULT_BUCKET, 0, bytes.n);
    if (!bolt_page_head(bytes.p, bytes.n, 0, (uint32_t)bytes.n, out, fault))
        return false;
    if (out->kind != BOLT_PAGE_LEAF)
        return bad(fault, BOLT_FAULT_KIND, 0, out->kind);
    return bolt_page_body(out, fault);
}

bool bolt_bucket_examine(struct bytes value, struct bolt_bucket *out,
                         struct bolt_fault *fault)
{
    struct bolt_bucket b = { 0 };

    if (value.n < BOLT_BUCKET_HEADER)
        return bad(fault, BOLT_FAULT_BUCKET, 0, value.n);
    b.root = le64(value.p);
    b.sequence = le64(value.p + 8);
    if (b.root != 0 && value.n != BOLT_BUCKET_HEADER)
        return bad(fault, BOLT_FAULT_BUCKET, 0, value.n);
    if (b.root == 0 && value.n < BOLT_BUCKET_HEADER + BOLT_PAGE_HEADER)
        return bad(fault, BOLT_FAULT_BUCKET, 0, value.n);
    if (b.root == 0) {
        struct bytes page = { value.p + BOLT_BUCKET_HEADER,
                              value.n - BOLT_BUCKET_HEADER };

        if (!open_inlined(page, &b.inlined, fault))
            return false;
    }
    *out = b;
    return true;
}

enum rc bolt_bucket_open(struct bytes value, struct bolt_bucket *out, struct err *e)
{
    char text[BOLT_FAULT_TEXT];
    struct bolt_fault fault;

    if (bolt_bucket_examine(value, out, &fault))
        return RC_OK;
    bolt_fault_text(&fault, text);
    if (fault.kind == BOLT_FAULT_BUCKET)
        return err_set(e, RC_CORRUPT, "a bucket's value %s", text);
    return err_set(e, RC_CORRUPT, "an inline bucket's page %s", text);
}
