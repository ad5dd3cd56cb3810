#include "boltdb/tree.h"

#include <stdarg.h>
#include <stdio.h>

#include "util/mem.h"
#include "util/stop.h"

struct tree {
    const struct tree_source *source;
    const struct bolt_meta *meta;
    struct findings *findings; /* NULL: the first error ends the walk */
    uint64_t *seen;            /* one bit for each page below the high-water mark */
    struct bolt_walk_result result;
    uint64_t unseen;
    uint64_t path[BOLT_DEPTH_MAX]; /* pages from the root bucket down to this one */
    unsigned depth;                /* of them */
    unsigned bucket_depth;         /* where the current bucket's tree begins; 0: none */
};

/* A page and the keys its parent allows: lo <= key < hi. hi.p is NULL without a limit. */
struct place {
    uint64_t id;
    struct bytes lo, hi;
};

static enum rc visit(struct tree *t, const struct place *at, struct err *e);

PRINTF_LIKE(6, 7)
static enum rc report(struct tree *t, enum finding_severity severity, const char *code,
                      uint64_t page, struct err *e, const char *fmt, ...)
{
    char text[sizeof(((struct finding *)0)->message)];
    int n;
    va_list ap;

    n = snprintf(text, sizeof text, "page %llu (offset %llu) ", (unsigned long long)page,
                 (unsigned long long)page * t->meta->page_size);
    va_start(ap, fmt);
    vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
    va_end(ap);
    if (t->findings != NULL)
        return findings_add(t->findings, severity, code, page, e, "%s", text);
    if (severity == FINDING_ERROR)
        return err_set(e, RC_CORRUPT, "%s", text);
    return RC_OK;
}

static enum rc report_fault(struct tree *t, uint64_t page, const struct bolt_fault *fault,
                            struct err *e)
{
    char text[BOLT_FAULT_TEXT];

    bolt_fault_text(fault, text);
    return report(t, FINDING_ERROR, bolt_fault_code(fault), page, e, "%s", text);
}

static bool is_seen(const struct tree *t, uint64_t id)
{
    return (t->seen[id / 64] >> (id % 64) & 1) != 0;
}

static void set_seen(struct tree *t, uint64_t id)
{
    t->seen[id / 64] |= (uint64_t)1 << (id % 64);
}

static bool on_path(const struct tree *t, uint64_t id)
{
    for (unsigned i = 0; i < t->depth; i++)
        if (t->path[i] == id)
            return true;
    return false;
}

/* May the walk go to this page? Said before its content is looked at, so that a page to
 * which a thousand elements point is examined once. */
static enum rc enter(struct tree *t, uint64_t id, bool *go, struct err *e)
{
    uint64_t parent = t->depth > 0 ? t->path[t->depth - 1] : t->meta->page;

    *go = false;
    if (id < 2 || id >= t->meta->high_water)
        return report(t, FINDING_ERROR, "page-range", parent, e,
                      "points to page %llu; pages 2 to %llu are in use",
                      (unsigned long long)id,
                      (unsigned long long)t->meta->high_water - 1);
    if (t->depth == BOLT_DEPTH_MAX)
        return report(t, FINDING_ERROR, "tree-depth", id, e,
                      "lies more than %d levels deep", BOLT_DEPTH_MAX);
    if (on_path(t, id))
        return report(t, FINDING_ERROR, "page-cycle", id, e,
                      "is reached again from below itself, by page %llu",
                      (unsigned long long)parent);
    if (is_seen(t, id))
        return report(t, FINDING_ERROR, "page-twice", id, e,
                      "is in use twice, the second time by page %llu",
                      (unsigned long long)parent);
    set_seen(t, id);
    t->result.pages++;
    *go = true;
    return RC_OK;
}

/* Takes the pages that follow `id` for it; the first that is taken already is told. */
static enum rc take_overflow(struct tree *t, uint64_t id, uint32_t overflow,
                             struct err *e)
{
    uint64_t twice = 0;

    for (uint64_t next = id + 1; next <= id + overflow; next++) {
        if (is_seen(t, next) && twice == 0)
            twice = next;
        if (!is_seen(t, next)) {
            set_seen(t, next);
            t->result.pages++;
            t->result.overflow_pages++;
        }
    }
    if (twice == 0)
        return RC_OK;
    return report(t, FINDING_ERROR, "page-twice", twice, e,
                  "is in use twice, the second time as overflow of page %llu",
                  (unsigned long long)id);
}

static enum rc check_bounds(struct tree *t, const struct tree_node *node,
                            const struct place *at, struct err *e)
{
    if (node->page.count == 0)
        return RC_OK;
    if (bytes_compare(node->first, at->lo) < 0)
        return report(t, FINDING_ERROR, "key-bounds", at->id, e,
                      "begins with a key below what its parent says");
    if (at->hi.p != NULL && bytes_compare(node->last, at->hi) >= 0)
        return report(t, FINDING_ERROR, "key-bounds", at->id, e,
                      "holds keys that belong to the page after it");
    return RC_OK;
}

/* The key of the next child bounds this one from above. */
static enum rc visit_branch(struct tree *t, const struct tree_node *node,
                            const struct place *at, struct err *e)
{
    const struct tree_source *s = t->source;
    uint8_t room[2][TREE_KEY_ROOM];
    struct bytes keys[2];
    uint64_t ids[2];
    uint16_t count = node->page.count;

    if (count == 1)
        TRY(report(t, FINDING_WARN, "branch-arity", at->id, e,
                   "is a branch with one child: etcd dies at its next compaction"));
    ids[0] = s->child(s->arg, node, 0, &keys[0], room[0]);
    for (unsigned i = 0; i < count; i++) {
        unsigned here = i & 1, next = here ^ 1;
        struct place child = { .id = ids[here], .lo = keys[here], .hi = at->hi };

        if (i + 1 < count) {
            ids[next] =
                s->child(s->arg, node, (uint16_t)(i + 1), &keys[next], room[next]);
            child.hi = keys[next];
            if (s->soon != NULL)
                s->soon(s->arg, ids[next]);
        }
        TRY(visit(t, &child, e));
    }
    return RC_OK;
}

static enum rc report_bucket(struct tree *t, uint64_t page, unsigned element,
                             const struct bolt_fault *fault, struct err *e)
{
    const char *code =
        fault->kind == BOLT_FAULT_BUCKET ? "bucket-header" : "bucket-inline";
    char text[BOLT_FAULT_TEXT];

    bolt_fault_text(fault, text);
    return report(t, FINDING_ERROR, code, page, e, "holds in element %u what %s%s",
                  element, fault->kind == BOLT_FAULT_BUCKET ? "" : "as inline bucket ",
                  text);
}

static enum rc visit_inlined(struct tree *t, const struct bolt_page *inlined,
                             uint64_t holder, struct err *e)
{
    t->result.pairs += (uint64_t)(inlined->count - inlined->buckets);
    if (inlined->buckets > 0)
        TRY(report(t, FINDING_ERROR, "bucket-nested", holder, e,
                   "holds an inline bucket with %u buckets in it", inlined->buckets));
    return t->source->inlined(t->source->arg, inlined, holder, e);
}

static enum rc visit_bucket(struct tree *t, const struct bolt_pair *pair, uint64_t holder,
                            unsigned element, struct err *e)
{
    struct bolt_bucket bucket;
    struct bolt_fault fault;
    struct place root = { 0 };
    enum rc rc;

    t->result.buckets++;
    TRY(t->source->bucket(t->source->arg, pair->key, e));
    if (!bolt_bucket_examine(pair->value, &bucket, &fault))
        return report_bucket(t, holder, element, &fault, e);
    if (bucket.root == 0)
        return visit_inlined(t, &bucket.inlined, holder, e);
    root.id = bucket.root;
    root.lo = (struct bytes){ pair->key.p, 0 };
    t->bucket_depth = t->depth;
    rc = visit(t, &root, e);
    t->bucket_depth = 0;
    return rc;
}

/* A leaf of the root bucket: all its elements are buckets. */
static enum rc visit_root_leaf(struct tree *t, const struct tree_node *node,
                               struct err *e)
{
    const struct bolt_page *page = &node->page;
    unsigned strays = (unsigned)(page->count - page->buckets);

    if (strays > 0)
        TRY(report(t, FINDING_ERROR, "root-element", page->id, e,
                   "of the root bucket holds %u elements that are no buckets", strays));
    for (uint16_t i = 0; page->buckets > 0 && i < page->count; i++) {
        struct bolt_pair pair = bolt_leaf_at(page, i);

        if (pair.is_bucket)
            TRY(visit_bucket(t, &pair, page->id, i, e));
    }
    return RC_OK;
}

static enum rc visit_leaf(struct tree *t, const struct tree_node *node, struct err *e)
{
    const struct bolt_page *page = &node->page;
    unsigned levels = t->depth - t->bucket_depth;

    if (page->count == 0 && levels > 1)
        TRY(report(t, FINDING_ERROR, "leaf-empty", page->id, e,
                   "is an empty leaf and no bucket's root"));
    if (t->bucket_depth == 0)
        return visit_root_leaf(t, node, e);
    if (levels > t->result.depth)
        t->result.depth = levels;
    if (page->buckets > 0)
        TRY(report(t, FINDING_ERROR, "bucket-nested", page->id, e,
                   "holds %u buckets inside a bucket", page->buckets));
    t->result.pairs += (uint64_t)(page->count - page->buckets);
    return t->source->leaf(t->source->arg, node, e);
}

static enum rc visit_node(struct tree *t, const struct tree_node *node,
                          const struct place *at, struct err *e)
{
    enum rc rc;

    TRY(take_overflow(t, at->id, node->page.overflow, e));
    TRY(check_bounds(t, node, at, e));
    t->path[t->depth++] = at->id;
    if (node->page.kind == BOLT_PAGE_BRANCH)
        rc = visit_branch(t, node, at, e);
    else
        rc = visit_leaf(t, node, e);
    t->depth--;
    return rc;
}

/* Recursion ends at BOLT_DEPTH_MAX, which enter() sees to. */
static enum rc visit(struct tree *t, const struct place *at, struct err *e)
{
    struct tree_node node;
    struct bolt_fault fault;
    bool go;

    TRY(stop_check(e));
    TRY(enter(t, at->id, &go, e));
    if (!go)
        return RC_OK;
    switch (t->source->look(t->source->arg, at->id, &node, &fault)) {
    case TREE_FOUND:
        return visit_node(t, &node, at, e);
    case TREE_FAULTY:
        return report_fault(t, at->id, &fault, e);
    case TREE_UNSEEN:
        t->unseen++;
        return RC_OK;
    }
    return RC_OK;
}

/* Ids ascend, lie in the file and belong to nobody; *free counts those that do. */
static enum rc check_free_ids(struct tree *t, const struct bolt_freelist *list,
                              uint64_t *free, struct err *e)
{
    uint64_t before = 0;

    for (uint64_t i = 0; i < list->count; i++) {
        uint64_t id = le64(list->ids + i * 8);

        if (id < 2 || id >= t->meta->high_water)
            TRY(report(t, FINDING_ERROR, "freelist-range", t->meta->freelist, e,
                       "lists page %llu as free; pages 2 to %llu are in use",
                       (unsigned long long)id,
                       (unsigned long long)t->meta->high_water - 1));
        else if (i > 0 && id <= before)
            TRY(report(t, FINDING_ERROR, "freelist-order", t->meta->freelist, e,
                       "lists page %llu after page %llu", (unsigned long long)id,
                       (unsigned long long)before));
        else if (is_seen(t, id))
            TRY(report(t, FINDING_ERROR, "free-reachable", id, e,
                       "is listed as free, yet it is in use"));
        else
            ++*free;
        before = id;
    }
    return RC_OK;
}

static enum rc check_leaks(struct tree *t, uint64_t pages, uint64_t free, struct err *e)
{
    uint64_t owned = 2 + t->result.pages + pages + free;

    if (owned >= t->meta->high_water)
        return RC_OK;
    return report(t, FINDING_WARN, "page-leaked", t->meta->freelist, e,
                  "does not list %llu pages that nothing uses: space is lost, no data",
                  (unsigned long long)(t->meta->high_water - owned));
}

/* A persisted freelist is believed by bbolt: a page in it that is in use will be written
 * over (etcd #8813). etcd itself never writes one. Sets *pages to those it occupies. */
static enum rc check_freelist(struct tree *t, uint64_t *pages, struct err *e)
{
    const struct bolt_meta *meta = t->meta;
    struct bolt_freelist list;
    struct bolt_fault fault;
    const uint8_t *p;
    uint64_t room, free = 0;

    if (meta->freelist < 2 || meta->freelist >= meta->high_water)
        return report(t, FINDING_ERROR, "freelist-range", meta->page, e,
                      "names page %llu as freelist; pages 2 to %llu are in use",
                      (unsigned long long)meta->freelist,
                      (unsigned long long)meta->high_water - 1);
    p = t->source->freelist(t->source->arg, &room);
    if (p == NULL) {
        t->unseen++;
        return RC_OK;
    }
    if (!bolt_freelist_open(p, room, meta->freelist, meta->page_size, &list, &fault))
        return report_fault(t, meta->freelist, &fault, e);
    *pages = 1 + (uint64_t)list.overflow;
    for (uint64_t i = 0; i < *pages; i++)
        if (is_seen(t, meta->freelist + i))
            return report(t, FINDING_ERROR, "page-twice", meta->freelist + i, e,
                          "is in use twice, the second time as freelist");
    TRY(check_free_ids(t, &list, &free, e));
    return check_leaks(t, *pages, free, e);
}

enum rc tree_walk(const struct tree_source *source, struct findings *f,
                  struct bolt_walk_result *out, uint64_t *unseen, struct err *e)
{
    const struct bolt_meta *meta = source->meta;
    struct tree t = { .source = source, .meta = meta, .findings = f };
    struct place root = { .id = meta->root };
    uint64_t freelist_pages = 0, used;
    AT_END(mem_end) uint64_t *seen = NULL;

    TRY(mem_new(&seen, (size_t)(meta->high_water / 64 + 1) * sizeof *seen,
                "the map of pages", e));
    t.seen = seen;
    TRY(visit(&t, &root, e));
    if (meta->freelist != BOLT_NO_FREELIST)
        TRY(check_freelist(&t, &freelist_pages, e));
    used = 2 + t.result.pages + freelist_pages;
    if (used < meta->high_water)
        t.result.free_pages = meta->high_water - used;
    *out = t.result;
    *unseen = t.unseen;
    return RC_OK;
}
