#include "salvage/tree.h"

#include "util/mem.h"
#include "util/stop.h"

/* ---- marks ------------------------------------------------------------------------- */

enum rc salvage_marks_new(struct salvage_marks *m, uint64_t pages, struct err *e)
{
    m->now = 0;
    return mem_new(&m->of, (pages + 1) * sizeof *m->of, "a mark for each page", e);
}

void salvage_marks_clear(struct salvage_marks *m)
{
    mem_free(m->of);
    *m = (struct salvage_marks){ 0 };
}

/* ---- spans ------------------------------------------------------------------------- */

static enum rc add_span(struct salvage_tree *t, const struct salvage_span *span,
                        struct err *e)
{
    if (t->count == t->capacity) {
        size_t more = t->capacity == 0 ? 16 : t->capacity * 2;
        struct salvage_span *grown = mem_resize(t->spans, more, sizeof *grown);

        if (grown == NULL)
            return err_set(e, RC_NOMEM, "no memory for %zu spans of a tree", more);
        t->spans = grown;
        t->capacity = more;
    }
    t->spans[t->count++] = *span;
    t->lost += span->state != SALVAGE_SOUND;
    return RC_OK;
}

void salvage_tree_clear(struct salvage_tree *t)
{
    mem_free(t->spans);
    *t = (struct salvage_tree){ 0 };
}

enum rc salvage_tree_inline(const struct bolt_page *leaf, uint64_t page,
                            struct salvage_tree *out, struct err *e)
{
    const struct salvage_span all = { .leaf = *leaf, .page = page };

    return add_span(out, &all, e);
}

enum rc salvage_tree_none(struct salvage_tree *out, struct err *e)
{
    const struct salvage_span all = { .page = FINDING_NO_PAGE,
                                      .state = SALVAGE_BRANCH_LOST };

    return add_span(out, &all, e);
}

enum rc salvage_tree_lose_before(struct salvage_tree *t, struct bytes first,
                                 struct err *e)
{
    const struct salvage_span before = { .to = first,
                                         .page = FINDING_NO_PAGE,
                                         .state = SALVAGE_BRANCH_LOST };

    TRY(add_span(t, &before, e));
    memmove(t->spans + 1, t->spans, (t->count - 1) * sizeof *t->spans);
    t->spans[0] = before;
    t->spans[1].from = first;
    return RC_OK;
}

const struct salvage_span *salvage_tree_find(const struct salvage_tree *t,
                                             struct bytes key)
{
    size_t from = 0, to = t->count;

    while (to - from > 1) {
        size_t middle = from + (to - from) / 2;

        if (bytes_compare(t->spans[middle].from, key) <= 0)
            from = middle;
        else
            to = middle;
    }
    return &t->spans[from];
}

/* ---- the walk ---------------------------------------------------------------------- */

struct walk {
    const struct salvage_image *image;
    struct salvage_marks *seen;
    struct salvage_tree *tree;
    struct bytes last; /* key of the newest sound leaf */
    uint64_t steps;
};

static struct bytes first_key(const struct bolt_page *page)
{
    if (page->count == 0)
        return (struct bytes){ 0 };
    return page->kind == BOLT_PAGE_LEAF ? bolt_leaf_at(page, 0).key
                                        : bolt_branch_key(page, 0);
}

static struct bytes last_key(const struct bolt_page *page)
{
    uint16_t last = (uint16_t)(page->count - 1);

    if (page->count == 0)
        return (struct bytes){ 0 };
    return page->kind == BOLT_PAGE_LEAF ? bolt_leaf_at(page, last).key
                                        : bolt_branch_key(page, last);
}

static bool before(struct bytes key, struct bytes bound)
{
    return bound.n == 0 || bytes_compare(key, bound) < 0;
}

/* Where its parent wants it; or, when the parent's key is what is damaged, between what
 * came before and `next`, the first key of the page behind it. */
static bool in_place(const struct walk *w, const struct bolt_page *page,
                     const struct salvage_span *want, struct bytes next)
{
    struct bytes first = first_key(page), last = last_key(page);

    if (page->count == 0)
        return want->depth == 1;
    if (bytes_compare(want->named, first) <= 0 && before(last, want->to))
        return true;
    return next.n > 0 && before(last, next) && before(w->last, first);
}

/* A page with its own number, or at least a kind, or wiped, is the one that was meant:
 * the pointer to it is right, its content is gone. */
static bool was_meant(const struct salvage_image *i, uint64_t id)
{
    const uint8_t *p;

    if (id < 2 || id >= i->pages)
        return i->truncated;
    p = i->bytes.p + id * i->page_size;
    if (le64(p) == id || le16(p + 8) == BOLT_PAGE_LEAF || le16(p + 8) == BOLT_PAGE_BRANCH)
        return true;
    for (uint32_t at = 0; at < i->page_size; at++)
        if (p[at] != 0)
            return false;
    return true;
}

static enum rc lose(struct walk *w, const struct salvage_span *want, bool damaged,
                    struct err *e)
{
    struct salvage_span span = *want;

    /* Which of the two, is known when the depth is: see settle(). */
    span.state = damaged ? SALVAGE_LEAF_LOST : SALVAGE_BRANCH_LOST;
    return add_span(w->tree, &span, e);
}

static enum rc visit(struct walk *w, const struct salvage_span *want, struct bytes next,
                     struct err *e);

/* The first key of page `id`, or what its parent says it is. */
static struct bytes key_of_page(const struct walk *w, uint64_t id, struct bytes otherwise)
{
    struct bolt_page page;

    if (!salvage_image_page(w->image, id, &page) || page.count == 0)
        return otherwise;
    return first_key(&page);
}

static enum rc visit_children(struct walk *w, const struct bolt_page *page,
                              const struct salvage_span *span, struct bytes next,
                              struct err *e)
{
    for (uint16_t i = 0; i < page->count; i++) {
        bool last = i + 1 == page->count;
        struct bytes key = bolt_branch_key(page, i);
        uint16_t after = (uint16_t)(i + 1);
        const struct salvage_span child = {
            .from = i == 0 ? span->from : key,
            .to = last ? span->to : bolt_branch_key(page, after),
            .named = key,
            .page = bolt_branch_child(page, i),
            .depth = span->depth + 1,
        };

        TRY(visit(w, &child,
                  last ? next : key_of_page(w, bolt_branch_child(page, after), child.to),
                  e));
    }
    return RC_OK;
}

static enum rc add_leaf(struct walk *w, const struct bolt_page *page,
                        const struct salvage_span *want, struct err *e)
{
    struct salvage_span span = *want;

    span.leaf = *page;
    w->tree->depth = want->depth;
    if (page->count > 0)
        w->last = last_key(page);
    return add_span(w->tree, &span, e);
}

static enum rc visit(struct walk *w, const struct salvage_span *want, struct bytes next,
                     struct err *e)
{
    struct bolt_page page;
    bool depth_fits;

    if (++w->steps % 1024 == 0)
        TRY(stop_check(e));
    if (!salvage_image_page(w->image, want->page, &page))
        return lose(w, want, was_meant(w->image, want->page), e);
    depth_fits = w->tree->depth == 0 ||
                 (page.kind == BOLT_PAGE_LEAF ? want->depth == w->tree->depth
                                              : want->depth < w->tree->depth);
    if (want->depth > BOLT_DEPTH_MAX || !depth_fits ||
        w->seen->of[want->page] == w->seen->now || !in_place(w, &page, want, next))
        return lose(w, want, false, e);
    w->seen->of[want->page] = w->seen->now;
    w->tree->visited++;
    w->tree->astray += want->named.n > 0 && !bytes_equal(first_key(&page), want->named);
    if (page.kind == BOLT_PAGE_LEAF)
        return add_leaf(w, &page, want, e);
    return visit_children(w, &page, want, next, e);
}

/* All leaves lie at one depth, so a page that was lost above it was a branch. Without any
 * leaf nobody can tell. */
static void settle(struct salvage_tree *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->spans[i].state == SALVAGE_LEAF_LOST && t->spans[i].depth != t->depth)
            t->spans[i].state = SALVAGE_BRANCH_LOST;
}

enum rc salvage_tree_walk(const struct salvage_image *i, uint64_t root,
                          struct salvage_marks *seen, struct salvage_tree *out,
                          struct err *e)
{
    const struct salvage_span all = { .page = root, .depth = 1 };
    struct walk w = { .image = i, .seen = seen, .tree = out };

    seen->now++;
    TRY(visit(&w, &all, (struct bytes){ 0 }, e));
    settle(out);
    return RC_OK;
}
