/* Which page is the root of bucket key, when nothing says so. */
#include "salvage/bucket.h"
#include "salvage/shape.h"

struct contender {
    uint64_t page;
    struct bytes newest;
    size_t lost, astray;
    unsigned depth;
    uint64_t records;
};

static bool is_better(const struct contender *a, const struct contender *b)
{
    int newer = bytes_compare(a->newest, b->newest);

    if (newer != 0)
        return newer > 0;
    if (a->lost != b->lost)
        return a->lost < b->lost;
    if (a->astray != b->astray)
        return a->astray < b->astray;
    if (a->depth != b->depth)
        return a->depth > b->depth;
    return a->records < b->records;
}

static enum rc measure(const struct salvage_image *i, uint64_t page,
                       struct salvage_marks *seen, uint64_t *steps, struct contender *out,
                       struct err *e)
{
    AT_END(salvage_tree_clear) struct salvage_tree t = { 0 };

    *out = (struct contender){ .page = page };
    TRY(salvage_tree_walk(i, page, seen, &t, e));
    for (size_t n = 0; n < t.count; n++) {
        const struct bolt_page *leaf = &t.spans[n].leaf;

        if (t.spans[n].state != SALVAGE_SOUND || leaf->count == 0)
            continue;
        /* An old branch may point to what has become a leaf of something else. */
        if (salvage_shape_of(leaf) != MVCC_KEY) {
            out->lost++;
            continue;
        }
        out->records += leaf->count;
        out->newest = bolt_leaf_at(leaf, (uint16_t)(leaf->count - 1)).key;
    }
    out->lost += t.lost;
    out->astray = t.astray;
    out->depth = t.depth;
    *steps += t.visited + t.count;
    return RC_OK;
}

static enum rc contend(const struct salvage_image *i, uint64_t page,
                       struct salvage_marks *seen, uint64_t *steps,
                       struct contender *best, struct err *e)
{
    struct contender c;

    TRY(measure(i, page, seen, steps, &c, e));
    if (c.records > 0 && (best->page == 0 || is_better(&c, best)))
        *best = c;
    return RC_OK;
}

/* All subtrees of a tree together are as many pages as the tree times its depth. A file
 * made to take longer is looked at so far and no further. */
enum { STEPS_A_PAGE = 64 };

enum rc salvage_bucket_best_root(const struct salvage_image *i,
                                 const struct salvage_scan *s, struct salvage_marks *seen,
                                 uint64_t *out, struct err *e)
{
    struct contender best = { 0 };
    uint64_t steps = 0, limit = STEPS_A_PAGE * (i->pages + 1);

    for (size_t n = 0; n < s->branches.count && steps < limit; n++)
        TRY(contend(i, s->branches.items[n], seen, &steps, &best, e));
    for (size_t n = 0; n < s->count && steps < limit; n++)
        if (s->leaves[n].bucket == MVCC_KEY)
            TRY(contend(i, s->leaves[n].page.id, seen, &steps, &best, e));
    *out = best.page;
    return RC_OK;
}
