/* One page, as a checked window on bytes, wherever they come from (a mapped file, a
 * stream, an inline bucket). A page is examined as a whole and once; afterwards its
 * elements are read without asking again. */
#ifndef BOLTDB_PAGE_H
#define BOLTDB_PAGE_H

#include "boltdb/file.h"

enum {
    BOLT_KEY_MAX = 32768,
    BOLT_FAULT_TEXT = 128, /* room for what bolt_fault_text says */
};

/* Borrowed; valid as long as the bytes are. */
struct bolt_page {
    const uint8_t *p; /* page header */
    uint64_t extent;  /* page size times (1 + overflow); for inline buckets their size */
    uint64_t id;
    uint32_t overflow;
    uint16_t count;
    uint16_t buckets; /* elements of a leaf that are buckets */
    enum bolt_page_kind kind;
};

struct bolt_pair {
    struct bytes key, value;
    bool is_bucket; /* value is a bucket header, perhaps with an inline bucket */
};

/* Open a window on a tree page whose bytes from its header on are `bytes` (all there are
 * up to the high-water mark). Checks everything that one page can tell: it names itself
 * `id`, has exactly one kind (branch or leaf), its extent lies within `bytes`, the
 * element table and every key and value lie within the extent, in order and without
 * overlap (as every bbolt packs them), keys are neither empty (for branches: except the
 * first) nor longer than 32768 and strictly ascending, a branch is not empty. RC_CORRUPT
 * names the page, the element and the offset in the page. */
enum rc bolt_page_open(struct bytes bytes, uint64_t id, uint32_t page_size,
                       struct bolt_page *out, struct err *e);

/* What is wrong with a page, in so few bytes that it can be kept for pages which may turn
 * out to be unreachable; a code and a sentence are made of it when one is reached. */
enum bolt_fault_kind {
    BOLT_FAULT_NONE,
    BOLT_FAULT_HEADER,  /* no page header at all */
    BOLT_FAULT_ID,      /* another page's header; detail: its id */
    BOLT_FAULT_KIND,    /* detail: the flags found */
    BOLT_FAULT_EXTENT,  /* detail: the overflow claimed */
    BOLT_FAULT_SLACK,   /* detail: overflow */
    BOLT_FAULT_EMPTY,   /* a branch without children */
    BOLT_FAULT_TABLE,   /* element: how many; detail: the extent */
    BOLT_FAULT_OVERLAP, /* detail: where the element's key begins in the page */
    BOLT_FAULT_GAP,     /* likewise */
    BOLT_FAULT_RANGE,   /* detail: where the element ends in the page */
    BOLT_FAULT_FLAGS,   /* detail: the element's flags */
    BOLT_FAULT_KEY_SIZE,
    BOLT_FAULT_KEY_ORDER,
    BOLT_FAULT_BUCKET,   /* detail: bytes of a bucket's value, too few or too many */
    BOLT_FAULT_FREELIST, /* detail: ids claimed by a freelist page */
};
struct bolt_fault {
    enum bolt_fault_kind kind;
    uint32_t element;
    uint64_t detail;
};

/* Finding code ("page-id", "element-range", ...) and predicate: "names itself page 9". */
const char *bolt_fault_code(const struct bolt_fault *fault);
void bolt_fault_text(const struct bolt_fault *fault, char out[static BOLT_FAULT_TEXT]);

/* The two halves of bolt_page_open without its error: false sets *fault. `head` needs
 * only the page's first 16 bytes and how many bytes there are up to the high-water mark;
 * `body` needs the whole extent at page->p. */
bool bolt_page_head(const uint8_t *p, uint64_t room, uint64_t id, uint32_t page_size,
                    struct bolt_page *out, struct bolt_fault *fault);
bool bolt_page_body(struct bolt_page *page, struct bolt_fault *fault);

/* The ids in a freelist page, `ids` pointing at `count` little-endian u64. */
struct bolt_freelist {
    const uint8_t *ids;
    uint64_t count;
    uint32_t overflow;
};
bool bolt_freelist_open(const uint8_t *p, uint64_t room, uint64_t id, uint32_t page_size,
                        struct bolt_freelist *out, struct bolt_fault *fault);

/* Element i < count of a page that passed: cannot fail. Should the bytes have changed
 * since (a running etcd reuses its free pages), the windows may be empty or hold other
 * bytes, but stay within the page. */
static inline struct bytes bolt_window(const struct bolt_page *page, uint64_t at,
                                       uint64_t n)
{
    if (at > page->extent || n > page->extent - at)
        return (struct bytes){ page->p, 0 };
    return (struct bytes){ page->p + at, n };
}

static inline struct bolt_pair bolt_leaf_at(const struct bolt_page *page, uint16_t i)
{
    uint64_t table = BOLT_PAGE_HEADER + (uint64_t)i * BOLT_ELEMENT;
    const uint8_t *element = page->p + table;
    uint64_t at = table + le32(element + 4);
    uint32_t key_size = le32(element + 8);

    return (struct bolt_pair){ .key = bolt_window(page, at, key_size),
                               .value =
                                   bolt_window(page, at + key_size, le32(element + 12)),
                               .is_bucket = (le32(element) & 1) != 0 };
}

static inline struct bytes bolt_branch_key(const struct bolt_page *page, uint16_t i)
{
    uint64_t table = BOLT_PAGE_HEADER + (uint64_t)i * BOLT_ELEMENT;
    const uint8_t *element = page->p + table;

    return bolt_window(page, table + le32(element), le32(element + 4));
}

static inline uint64_t bolt_branch_child(const struct bolt_page *page, uint16_t i)
{
    return le64(page->p + BOLT_PAGE_HEADER + (size_t)i * BOLT_ELEMENT + 8);
}

/* The header of a bucket, from the value of a bucket element: `root` is its tree, or 0
 * for an inline bucket, whose page is then opened into `inlined`. */
struct bolt_bucket {
    uint64_t root, sequence;
    struct bolt_page inlined; /* only when root == 0 */
};
enum rc bolt_bucket_open(struct bytes value, struct bolt_bucket *out, struct err *e);
bool bolt_bucket_examine(struct bytes value, struct bolt_bucket *out,
                         struct bolt_fault *fault);

#endif
