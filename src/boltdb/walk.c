#include "boltdb/walk.h"

#include "boltdb/tree.h"

struct walk {
    const struct bolt_file *file;
    const struct bolt_visitor *visitor;
};

static enum tree_look look(void *arg, uint64_t id, struct tree_node *out,
                           struct bolt_fault *fault)
{
    const struct bolt_file *file = ((struct walk *)arg)->file;
    struct bytes bytes = bolt_file_from(file, id);
    struct bolt_page *page = &out->page;

    if (!bolt_page_head(bytes.p, bytes.n, id, bolt_file_meta(file)->page_size, page,
                        fault) ||
        !bolt_page_body(page, fault))
        return TREE_FAULTY;
    if (page->count == 0)
        return TREE_FOUND;
    if (page->kind == BOLT_PAGE_LEAF) {
        out->first = bolt_leaf_at(page, 0).key;
        out->last = bolt_leaf_at(page, (uint16_t)(page->count - 1)).key;
    } else {
        out->first = bolt_branch_key(page, 0);
        out->last = bolt_branch_key(page, (uint16_t)(page->count - 1));
    }
    return TREE_FOUND;
}

/* The processor's own prefetching ends at each 4 KiB, so the page after this one is asked
 * for while this one is read: with many small pairs a third of the walk's time. */
static void soon(void *arg, uint64_t id)
{
    enum { LINE = 64, AHEAD = 4096 };
    struct bytes bytes = bolt_file_from(((struct walk *)arg)->file, id);

    for (size_t at = 0; at < AHEAD && at < bytes.n; at += LINE)
        __builtin_prefetch(bytes.p + at);
}

static uint64_t child(void *arg, const struct tree_node *node, uint16_t i,
                      struct bytes *key, uint8_t room[static TREE_KEY_ROOM])
{
    (void)arg;
    (void)room;
    *key = bolt_branch_key(&node->page, i);
    return bolt_branch_child(&node->page, i);
}

static const uint8_t *freelist(void *arg, uint64_t *room)
{
    const struct bolt_file *file = ((struct walk *)arg)->file;
    struct bytes bytes = bolt_file_from(file, bolt_file_meta(file)->freelist);

    *room = bytes.n;
    return bytes.p;
}

static enum rc bucket(void *arg, struct bytes name, struct err *e)
{
    const struct bolt_visitor *v = ((struct walk *)arg)->visitor;

    return v->bucket != NULL ? v->bucket(v->arg, name, e) : RC_OK;
}

/* Buckets inside buckets have been reported; only pairs are shown. */
static enum rc show(const struct bolt_visitor *v, const struct bolt_page *page,
                    uint64_t id, struct err *e)
{
    if (v->pair == NULL)
        return RC_OK;
    for (uint16_t i = 0; i < page->count; i++) {
        struct bolt_pair pair = bolt_leaf_at(page, i);

        if (!pair.is_bucket)
            TRY(v->pair(v->arg, pair.key, pair.value, id, e));
    }
    return RC_OK;
}

static enum rc leaf(void *arg, const struct tree_node *node, struct err *e)
{
    return show(((struct walk *)arg)->visitor, &node->page, node->page.id, e);
}

static enum rc inlined(void *arg, const struct bolt_page *page, uint64_t holder,
                       struct err *e)
{
    return show(((struct walk *)arg)->visitor, page, holder, e);
}

enum rc bolt_walk(const struct bolt_file *file, const struct bolt_visitor *v,
                  struct findings *f, struct bolt_walk_result *out, struct err *e)
{
    static const struct bolt_visitor blind = { 0 };
    struct walk w = { .file = file, .visitor = v != NULL ? v : &blind };
    const struct tree_source source = { .arg = &w,
                                        .meta = bolt_file_meta(file),
                                        .look = look,
                                        .soon = soon,

                                        .child = child,
                                        .freelist = freelist,
                                        .bucket = bucket,
                                        .leaf = leaf,
                                        .inlined = inlined };
    uint64_t unseen;

    return tree_walk(&source, f, out, &unseen, e);
}
