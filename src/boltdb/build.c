#include "boltdb/build.h"

#include "boltdb/draft.h"
#include "boltdb/page.h"
#include "codec/crc32c.h"
#include "util/mem.h"

enum {
    PIECE = 1 << 20, /* bytes handed to the target at once */
    KEYS_MIN = 2,    /* bbolt puts no fewer in a page while it has more */
    TXID = 2,        /* even, so that the next commit overwrites the older meta */
    ELEMENTS_MAX = 65534,
    FILL_DEFAULT = 90,
    INLINE_PART = 4, /* bbolt inlines a bucket of up to this part of a page */
    LEAF_PAGES = 8,
    UNUSED_PART = 16, /* of a leaf may stay unused: up to this part */
};
#define VALUE_MAX ((uint64_t)INT32_MAX - 1)

/* One level of branches. A full branch is not written before two more children are at
 * hand, so that the last branch of a level never stands with one: etcd opens such a
 * file, serves from it, and dies at the next compaction ("parent must have at least 2
 * children"). */
struct level {
    struct draft branch;
    uint32_t cut; /* children of the full branch; 0: it is not full */
    bool written; /* has this level pages already? */
};

struct grower {
    struct draft leaf;
    struct level levels[BOLT_DEPTH_MAX]; /* 0 is just above the leaves */
};

struct bolt_builder {
    struct bolt_target target;
    uint32_t page_size;
    uint64_t fill;  /* bytes at which a page is full */
    uint64_t leaf;  /* bytes of the largest leaf of more than KEYS_MIN pairs */
    uint64_t next;  /* page */
    uint8_t *own;   /* PIECE bytes, when the target lends none */
    uint8_t *piece; /* `room` bytes, of which `held` wait for the target */
    size_t room, held;
    bool in_bucket;
    struct buf name;    /* of the current bucket */
    struct buf inlined; /* scratch for an inline bucket */
    struct grower bucket, root;
};

static void grower_clear(struct grower *g)
{
    draft_clear(&g->leaf);
    for (unsigned i = 0; i < BOLT_DEPTH_MAX; i++)
        draft_clear(&g->levels[i].branch);
}

static void grower_init(struct grower *g)
{
    g->leaf.kind = BOLT_PAGE_LEAF;
    for (unsigned i = 0; i < BOLT_DEPTH_MAX; i++)
        g->levels[i].branch.kind = BOLT_PAGE_BRANCH;
}

void bolt_builder_free(struct bolt_builder *b)
{
    if (b == NULL)
        return;
    grower_clear(&b->bucket);
    grower_clear(&b->root);
    buf_clear(&b->name);
    buf_clear(&b->inlined);
    mem_free(b->own);
    mem_free(b);
}

/* ---- bytes ------------------------------------------------------------------------ */

static enum rc next_piece(struct bolt_builder *b, struct err *e)
{
    if (b->target.lend != NULL)
        return b->target.lend(b->target.arg, &b->piece, &b->room, e);
    if (b->own == NULL)
        TRY(mem_new(&b->own, PIECE, "a piece of a database", e));
    b->piece = b->own;
    b->room = PIECE;
    return RC_OK;
}

static enum rc send(struct bolt_builder *b, struct err *e)
{
    size_t n = b->held;

    b->held = b->room = 0;
    return n == 0 ? RC_OK : b->target.append(b->target.arg, b->piece, n, e);
}

static enum rc put(void *arg, const void *p, size_t n, struct err *e)
{
    struct bolt_builder *b = arg;
    const uint8_t *from = p;

    while (n > 0) {
        size_t now;

        if (b->room == 0)
            TRY(next_piece(b, e));
        now = n < b->room - b->held ? n : b->room - b->held;
        memcpy(b->piece + b->held, from, now);
        b->held += now;
        from += now;
        n -= now;
        if (b->held == b->room)
            TRY(send(b, e));
    }
    return RC_OK;
}

static enum rc pad(struct bolt_builder *b, uint64_t n, struct err *e)
{
    static const uint8_t zeros[4096];

    while (n > 0) {
        size_t now = n < sizeof zeros ? (size_t)n : sizeof zeros;

        TRY(put(b, zeros, now, e));
        n -= now;
    }
    return RC_OK;
}

/* ---- the beginning ---------------------------------------------------------------- */

static enum rc check_options(const struct bolt_build_options *o, struct err *e)
{
    if (o->page_size < BOLT_PAGE_SIZE_MIN || o->page_size > BOLT_PAGE_SIZE_MAX ||
        (o->page_size & (o->page_size - 1)) != 0)
        return err_set(e, RC_USAGE, "page size %u is no power of two from %d to %d",
                       o->page_size, BOLT_PAGE_SIZE_MIN, BOLT_PAGE_SIZE_MAX);
    if (o->fill_percent < 10 || o->fill_percent > 100)
        return err_set(e, RC_USAGE, "fill of %u%% is not within 10 to 100",
                       o->fill_percent);
    return RC_OK;
}

enum rc bolt_builder_new(const struct bolt_target *target,
                         const struct bolt_build_options *options,
                         struct bolt_builder **out, struct err *e)
{
    struct bolt_build_options o = { 0 };
    OWNED(bolt_builder) b = NULL;

    if (options != NULL)
        o = *options;
    if (o.page_size == 0)
        o.page_size = 4096;
    if (o.fill_percent == 0)
        o.fill_percent = FILL_DEFAULT;
    if (o.leaf_pages == 0)
        o.leaf_pages = LEAF_PAGES;
    TRY(check_options(&o, e));
    TRY(mem_new(&b, sizeof *b, "a database builder", e));
    b->target = *target;
    b->page_size = o.page_size;
    b->fill = (uint64_t)o.page_size * o.fill_percent / 100;
    b->leaf = (uint64_t)o.page_size * o.leaf_pages;
    b->next = 2;
    grower_init(&b->bucket);
    grower_init(&b->root);
    TRY(pad(b, 2 * (uint64_t)o.page_size, e)); /* the metas come last */
    *out = GIVE(b);
    return RC_OK;
}

/* ---- pages ------------------------------------------------------------------------ */

static uint64_t extent_of(const struct bolt_builder *b, uint64_t size)
{
    return (size + b->page_size - 1) / b->page_size * b->page_size;
}

/* The first n elements become the next page, which *id names. */
static enum rc write_page(struct bolt_builder *b, const struct draft *d, uint32_t n,
                          uint64_t *id, struct err *e)
{
    uint64_t size = draft_size_of(d, n), extent = extent_of(b, size);
    uint64_t pages = extent / b->page_size;

    TRY(draft_write(d, n, b->next, (uint32_t)(pages - 1), put, b, e));
    TRY(pad(b, extent - size, e));
    *id = b->next;
    b->next += pages;
    return RC_OK;
}

static bool is_full(const struct bolt_builder *b, const struct draft *d, uint64_t more)
{
    return d->count == ELEMENTS_MAX || (d->count >= KEYS_MIN && d->size + more > b->fill);
}

/* Pairs of some thousand bytes end well before their page does, and what is left would be
 * written, kept and read for nothing: a quarter of a database of Kubernetes. So their
 * leaf goes on over several pages until little is left of the last one. */
static bool leaf_goes_on(const struct bolt_builder *b, uint64_t size, uint64_t more)
{
    uint64_t extent = extent_of(b, size);
    uint64_t full = extent == b->page_size ? b->fill : extent;
    uint64_t unused = size < full ? full - size : 0;

    if (extent_of(b, size + more) > b->leaf)
        return false;
    return (extent > b->page_size && more <= unused) || unused * UNUSED_PART > full;
}

static bool leaf_is_full(const struct bolt_builder *b, const struct draft *d,
                         uint64_t more)
{
    return is_full(b, d, more) &&
           (d->count == ELEMENTS_MAX || !leaf_goes_on(b, d->size, more));
}

static enum rc add_child(struct bolt_builder *b, struct level *level, struct bytes key,
                         uint64_t id, struct err *e);

static enum rc write_branch(struct bolt_builder *b, struct level *level, uint32_t n,
                            struct err *e)
{
    uint64_t id;

    TRY(write_page(b, &level->branch, n, &id, e));
    TRY(add_child(b, level + 1, draft_first_key(&level->branch), id, e));
    draft_drop(&level->branch, n);
    level->cut = 0;
    level->written = true;
    return RC_OK;
}

/* With two children or more to a branch, the levels never come near BOLT_DEPTH_MAX. */
static enum rc add_child(struct bolt_builder *b, struct level *level, struct bytes key,
                         uint64_t id, struct err *e)
{
    struct draft *branch = &level->branch;
    const struct draft_element child = { .child = id };

    if (level->cut == 0 && is_full(b, branch, BOLT_ELEMENT + key.n))
        level->cut = branch->count;
    TRY(draft_add(branch, &child, key, (struct bytes){ key.p, 0 }, e));
    if (level->cut > 0 && branch->count == level->cut + KEYS_MIN)
        TRY(write_branch(b, level, level->cut, e));
    return RC_OK;
}

static enum rc write_leaf(struct bolt_builder *b, struct grower *g, struct err *e)
{
    struct bytes key = { (const uint8_t *)"", 0 };
    uint64_t id;

    TRY(write_page(b, &g->leaf, g->leaf.count, &id, e));
    if (g->leaf.count > 0)
        key = draft_first_key(&g->leaf);
    TRY(add_child(b, &g->levels[0], key, id, e));
    draft_drop(&g->leaf, g->leaf.count);
    return RC_OK;
}

static enum rc add_pair(struct bolt_builder *b, struct grower *g, uint32_t flags,
                        struct bytes key, struct bytes value, struct err *e)
{
    const struct draft_element element = { .flags = flags };

    if (leaf_is_full(b, &g->leaf, BOLT_ELEMENT + key.n + value.n))
        TRY(write_leaf(b, g, e));
    return draft_add(&g->leaf, &element, key, value, e);
}

/* What is left of a level: one branch, or two when it is over full. A third child that
 * came alone joins the two before it, in one page however large. */
static enum rc finish_level(struct bolt_builder *b, struct level *level, struct err *e)
{
    uint32_t cut = level->cut;

    if (cut > KEYS_MIN && level->branch.count == cut + 1)
        TRY(write_branch(b, level, cut - 1, e));
    return write_branch(b, level, level->branch.count, e);
}

/* Ends a tree and leaves the grower empty; the last page to have no parent is the root.
 */
static enum rc finish_tree(struct bolt_builder *b, struct grower *g, uint64_t *root,
                           struct err *e)
{
    struct level *level = g->levels;

    TRY(write_leaf(b, g, e));
    while (level->written || level->branch.count > 1) {
        TRY(finish_level(b, level, e));
        level->written = false;
        level++;
    }
    *root = level->branch.elements[0].child;
    draft_drop(&level->branch, 1);
    return RC_OK;
}

static enum rc put_inlined(void *arg, const void *p, size_t n, struct err *e)
{
    return buf_add(arg, p, n, e);
}

static bool fits_inline(const struct bolt_builder *b)
{
    const struct grower *g = &b->bucket;

    return !g->levels[0].written && g->levels[0].branch.count == 0 &&
           g->leaf.size <= b->page_size / INLINE_PART;
}

static enum rc inline_bucket(struct bolt_builder *b, struct err *e)
{
    struct draft *leaf = &b->bucket.leaf;

    TRY(draft_write(leaf, leaf->count, 0, 0, put_inlined, &b->inlined, e));
    draft_drop(leaf, leaf->count);
    return RC_OK;
}

static enum rc end_bucket(struct bolt_builder *b, struct err *e)
{
    uint8_t header[BOLT_BUCKET_HEADER] = { 0 };
    struct bytes name = { b->name.p, b->name.n };
    uint64_t root = 0;

    if (!b->in_bucket)
        return RC_OK;
    b->inlined.n = 0;
    TRY(buf_add(&b->inlined, header, sizeof header, e));
    if (fits_inline(b)) {
        TRY(inline_bucket(b, e));
    } else {
        TRY(finish_tree(b, &b->bucket, &root, e));
        put_le64(b->inlined.p, root);
    }
    b->in_bucket = false;
    return add_pair(b, &b->root, 1, name, (struct bytes){ b->inlined.p, b->inlined.n },
                    e);
}

static enum rc check_key(const struct draft *leaf, struct bytes key, const char *noun,
                         struct err *e)
{
    if (key.n == 0 || key.n > BOLT_KEY_MAX)
        return err_set(e, RC_INTERNAL, "a %s of %zu bytes cannot be stored", noun, key.n);
    if (leaf->count > 0 && bytes_compare(draft_last_key(leaf), key) >= 0)
        return err_set(e, RC_INTERNAL, "%ss do not ascend", noun);
    return RC_OK;
}

enum rc bolt_builder_bucket(struct bolt_builder *b, struct bytes name, struct err *e)
{
    TRY(end_bucket(b, e));
    TRY(check_key(&b->root.leaf, name, "bucket name", e));
    b->name.n = 0;
    TRY(buf_add(&b->name, name.p, name.n, e));
    b->in_bucket = true;
    return RC_OK;
}

enum rc bolt_builder_pair(struct bolt_builder *b, struct bytes key, struct bytes value,
                          struct err *e)
{
    if (!b->in_bucket)
        return err_set(e, RC_INTERNAL, "a pair outside of a bucket");
    TRY(check_key(&b->bucket.leaf, key, "key", e));
    if (value.n > VALUE_MAX)
        return err_set(e, RC_INTERNAL, "a value of %zu bytes cannot be stored", value.n);
    return add_pair(b, &b->bucket, 0, key, value, e);
}

static void encode_meta(const struct bolt_builder *b, uint64_t root, unsigned page,
                        uint8_t *to)
{
    uint8_t *meta = to + BOLT_PAGE_HEADER;

    put_le64(to, page);
    put_le16(to + 8, BOLT_PAGE_META);
    put_le32(meta, BOLT_MAGIC);
    put_le32(meta + 4, BOLT_VERSION);
    put_le32(meta + 8, b->page_size);
    put_le64(meta + 16, root);
    put_le64(meta + 32, BOLT_NO_FREELIST);
    put_le64(meta + 40, b->next);
    put_le64(meta + 48, TXID - page);
    put_le64(meta + 56, fnv1a64(meta, 56));
}

enum rc bolt_builder_finish(struct bolt_builder *b, uint64_t *size, struct err *e)
{
    AT_END(mem_end) uint8_t *metas = NULL;
    uint64_t root;

    TRY(end_bucket(b, e));
    TRY(finish_tree(b, &b->root, &root, e));
    TRY(send(b, e));
    TRY(mem_new(&metas, 2 * (size_t)b->page_size, "the meta pages", e));
    encode_meta(b, root, 0, metas);
    encode_meta(b, root, 1, metas + b->page_size);
    TRY(b->target.patch(b->target.arg, metas, 2 * (size_t)b->page_size, e));
    *size = b->next * b->page_size;
    return RC_OK;
}
