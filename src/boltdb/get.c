#include "boltdb/page.h"

/* The element that is `key` or would precede it: the last one not greater; count when
 * all are greater. `at` is what reads an element's key. */
static uint16_t search(const struct bolt_page *page, struct bytes key,
                       struct bytes (*at)(const struct bolt_page *, uint16_t))
{
    uint32_t low = 0, high = page->count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (bytes_compare(at(page, (uint16_t)middle), key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? page->count : (uint16_t)(low - 1);
}

static struct bytes leaf_key(const struct bolt_page *page, uint16_t i)
{
    return bolt_leaf_at(page, i).key;
}

static bool search_leaf(const struct bolt_page *page, struct bytes key,
                        struct bolt_pair *out)
{
    uint16_t i = search(page, key, leaf_key);

    if (i >= page->count)
        return false;
    *out = bolt_leaf_at(page, i);
    return bytes_equal(out->key, key);
}

static enum rc search_tree(const struct bolt_file *file, uint64_t id, struct bytes key,
                           struct bolt_pair *out, bool *found, struct err *e)
{
    struct bolt_page page;

    for (unsigned depth = 0; depth < BOLT_DEPTH_MAX; depth++) {
        uint16_t i;

        TRY(bolt_page_open(bolt_file_from(file, id), id, bolt_file_meta(file)->page_size,
                           &page, e));
        if (page.kind == BOLT_PAGE_LEAF) {
            *found = search_leaf(&page, key, out);
            return RC_OK;
        }
        i = search(&page, key, bolt_branch_key);
        id = bolt_branch_child(&page, i < page.count ? i : 0);
    }
    return err_set(e, RC_CORRUPT, "page %llu lies more than %d levels deep",
                   (unsigned long long)id, BOLT_DEPTH_MAX);
}

static enum rc get(const struct bolt_file *file, struct bytes name, struct bytes key,
                   struct bolt_pair *out, bool *found, struct err *e)
{
    struct bolt_bucket bucket;
    struct bolt_pair entry;
    bool there;

    TRY(search_tree(file, bolt_file_meta(file)->root, name, &entry, &there, e));
    if (!there || !entry.is_bucket) {
        *found = false;
        return RC_OK;
    }
    TRY(bolt_bucket_open(entry.value, &bucket, e));
    if (bucket.root != 0)
        return search_tree(file, bucket.root, key, out, found, e);
    *found = search_leaf(&bucket.inlined, key, out);
    return RC_OK;
}

enum rc bolt_file_get(const struct bolt_file *file, const char *bucket, struct bytes key,
                      struct bytes *value, bool *found, struct err *e)
{
    struct bolt_pair pair;
    bool there;

    if (get(file, bytes_str(bucket), key, &pair, &there, e) != RC_OK)
        return err_wrap(e, "looking up a key of bucket '%s' in '%s'", bucket,
                        bolt_file_name(file));
    if (there && pair.is_bucket)
        there = false;
    if (there)
        *value = pair.value;
    *found = there;
    return RC_OK;
}
