/* From the bytes of a file to the pairs of a database. */
#include <stdlib.h>
#include <string.h>

#include "salvage/root.h"
#include "salvage/shape.h"
#include "util/mem.h"
#include "util/stop.h"

/* ---- trees ------------------------------------------------------------------------- */

static enum rc walk_bucket(struct salvage_result *r, const struct salvage_view *v,
                           const struct salvage_view *older, enum mvcc_bucket b,
                           struct err *e)
{
    struct salvage_bucket *to = &r->buckets[b];

    to->bucket = b;
    TRY(salvage_view_tree(r, v, b, &to->tree, e));
    if (older->has[b])
        TRY(salvage_view_tree(r, older, b, &to->older, e));
    TRY(salvage_bucket_read(to, e));
    salvage_scan_claim(&r->scan, &to->tree);
    return RC_OK;
}

static void unclaim(struct salvage_result *r)
{
    for (size_t i = 0; i < r->scan.count; i++)
        r->scan.leaves[i].claimed = r->scan.leaves[i].torn = r->scan.leaves[i].nested =
            false;
    for (int b = 0; b < MVCC_BUCKETS; b++)
        salvage_scan_claim(&r->scan, &r->buckets[b].tree);
    salvage_scan_settle(&r->scan);
}

static enum rc replace_key_tree(struct salvage_result *r, uint64_t root, struct err *e)
{
    struct salvage_bucket *key = &r->buckets[MVCC_KEY];

    salvage_tree_clear(&key->tree);
    salvage_pairs_clear(&key->pairs);
    salvage_pairs_clear(&key->damaged);
    TRY(salvage_tree_walk(&r->image, root, &r->seen, &key->tree, e));
    TRY(salvage_bucket_read(key, e));
    r->key_root_found = true;
    r->marks_known = r->marks_known && r->root < SALVAGE_ROOT_BEFORE;
    unclaim(r);
    return salvage_bucket_is_part(key, &r->scan)
               ? salvage_tree_lose_before(&key->tree, key->pairs.items[0].key, e)
               : RC_OK;
}

/* Is the tree of bucket key part of the one below `root`, which is whole? */
static enum rc is_part_of(struct salvage_result *r, uint64_t root, bool *out,
                          struct err *e)
{
    AT_END(salvage_tree_clear) struct salvage_tree whole = { 0 };
    const struct salvage_tree *part = &r->buckets[MVCC_KEY].tree;

    *out = false;
    TRY(salvage_tree_walk(&r->image, root, &r->seen, &whole, e));
    if (whole.lost > 0 || whole.count <= part->count)
        return RC_OK;
    for (size_t i = 0; i < whole.count && !*out; i++)
        *out = whole.spans[i].page == part->spans[0].page;
    return RC_OK;
}

/* A pointer that was damaged may lead to a page of the right kind, and then only what is
 * missing tells. */
static enum rc check_key_root(struct salvage_result *r, int64_t removed, struct err *e)
{
    const struct salvage_bucket *key = &r->buckets[MVCC_KEY];
    bool lost =
        key->tree.spans[0].page == FINDING_NO_PAGE ||
        (r->root >= SALVAGE_ROOT_BEFORE && (key->tree.lost > 0 || key->tree.astray > 0 ||
                                            !salvage_bucket_is_newest(key, &r->scan)));
    uint64_t root;
    bool part;

    if (!lost &&
        (key->tree.lost > 0 || !salvage_bucket_contradicted(key, &r->scan, removed)))
        return RC_OK;
    TRY(salvage_bucket_best_root(&r->image, &r->scan, &r->seen, &root, e));
    if (root == 0)
        return RC_OK;
    if (lost)
        return replace_key_tree(r, root, e);
    TRY(is_part_of(r, root, &part, e));
    return part ? replace_key_tree(r, root, e) : RC_OK;
}

/* ---- together ---------------------------------------------------------------------- */

/* A wild mark would make all records doubtful; one from a stray copy is a lower bound. */
static struct salvage_compaction compaction_of(struct salvage_result *r)
{
    const struct salvage_bucket *meta = &r->buckets[MVCC_META];
    int64_t finished = salvage_mark_in(&meta->pairs, MVCC_FINISHED_COMPACT);
    int64_t scheduled = salvage_mark_in(&meta->pairs, MVCC_SCHEDULED_COMPACT);

    r->marks_known = meta->tree.lost == 0 && meta->damaged.count == 0 &&
                     r->root <= SALVAGE_ROOT_BEFORE;
    return (struct salvage_compaction){
        .removed = !r->marks_known        ? INT64_MAX
                   : finished > scheduled ? finished
                                          : scheduled,
        .settled = scheduled > finished ? 0 : finished,
    };
}

static int by_revision(const void *a, const void *b)
{
    const struct mvcc_rev *x = &((const struct salvage_loss *)a)->rev;
    const struct mvcc_rev *y = &((const struct salvage_loss *)b)->rev;

    if (x->main != y->main)
        return x->main < y->main ? -1 : 1;
    return (x->sub > y->sub) - (x->sub < y->sub);
}

static void add_loss(struct salvage_loss *to, size_t *count, struct bytes key, bool open)
{
    struct err ignored;

    to[*count].open = open;
    if (mvcc_rev_read(key, &to[*count].rev, &ignored) == RC_OK)
        ++*count;
}

/* The first key of a lost leaf stands in its parent, and that of an unreadable record in
 * its leaf: these records were there. */
static enum rc list_losses(const struct salvage_bucket *key, struct salvage_loss **out,
                           size_t *count, struct err *e)
{
    const struct salvage_tree *t = &key->tree;

    *count = 0;
    TRY(mem_new(out, (t->lost + key->damaged.count + 1) * sizeof **out, "losses", e));
    for (size_t i = 0; i < t->count; i++)
        if (t->spans[i].state != SALVAGE_SOUND)
            add_loss(*out, count, t->spans[i].named, true);
    for (size_t i = 0; i < key->damaged.count; i++)
        add_loss(*out, count, key->damaged.items[i].key, false);
    qsort(*out, *count, sizeof **out, by_revision);
    return RC_OK;
}

static bool has_losses(const struct salvage_bucket *b)
{
    return b->tree.lost > 0 || b->damaged.count > 0;
}

/* Is the end of the bucket lost, or its last record unreadable? */
static bool ends_unread(const struct salvage_bucket *key)
{
    const struct salvage_span *last = &key->tree.spans[key->tree.count - 1];

    if (last->state != SALVAGE_SOUND)
        return true;
    if (last->leaf.count == 0 || key->damaged.count == 0)
        return false;
    return bolt_leaf_at(&last->leaf, (uint16_t)(last->leaf.count - 1)).key.p ==
           key->damaged.items[key->damaged.count - 1].key.p;
}

static enum rc mend(struct salvage_result *r, struct err *e)
{
    struct salvage_bucket *key = &r->buckets[MVCC_KEY];
    const struct salvage_pairs *meta = &r->buckets[MVCC_META].pairs;
    AT_END(mem_end) struct salvage_loss *losses = NULL;
    struct salvage_history_options o = {
        .finished = salvage_mark_in(meta, MVCC_FINISHED_COMPACT),
        .scheduled = salvage_mark_in(meta, MVCC_SCHEDULED_COMPACT),
    };

    TRY(list_losses(key, &losses, &o.loss_count, e));
    o.losses = losses;
    r->newest_unknown = ends_unread(key);
    TRY(salvage_history_mend(&key->pairs, &o, &r->history, e));
    mvcc_rev_write(r->mark, r->history.compacted, 0);
    return RC_OK;
}

static bool is_zero(const uint8_t *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* A page that was wiped inside a large value. */
static uint64_t zeros_in(const struct bolt_page *leaf, uint32_t page_size)
{
    uint64_t n = 0;

    for (uint64_t at = page_size; at + page_size <= leaf->extent; at += page_size)
        n += is_zero(leaf->p + at, page_size);
    return n;
}

static enum rc count_zeros(struct salvage_result *r, struct err *e)
{
    for (int b = 0; b < MVCC_BUCKETS; b++) {
        const struct salvage_tree *t = &r->buckets[b].tree;

        TRY(stop_check(e));
        for (size_t i = 0; i < t->count; i++)
            if (t->spans[i].state == SALVAGE_SOUND)
                r->zero_pages += zeros_in(&t->spans[i].leaf, r->image.page_size);
    }
    return RC_OK;
}

/* Is this all of some commit? */
static bool is_base_whole(const struct salvage_result *r)
{
    bool whole = r->root != SALVAGE_ROOT_NONE && r->zero_pages == 0 &&
                 !r->key_root_found && r->unknown_buckets == 0 &&
                 r->history.gap_count == 0 && r->history.version_count == 0;

    for (int b = 0; b < MVCC_BUCKETS; b++)
        whole = whole && !has_losses(&r->buckets[b]);
    return whole;
}

static enum rc check_anything(const struct salvage_result *r, const char *name,
                              struct err *e)
{
    size_t pairs = 0;

    for (int b = 0; b < MVCC_BUCKETS; b++)
        pairs += r->buckets[b].pairs.count;
    if (pairs > 0 || r->root != SALVAGE_ROOT_NONE)
        return RC_OK;
    return err_set(e, RC_CORRUPT, "'%s' holds no page of an etcd database", name);
}

static enum rc read_all(struct salvage_result *r, const char *name,
                        const struct salvage_how *how, struct err *e)
{
    struct salvage_compaction c;
    struct salvage_view v, older;

    TRY(salvage_marks_new(&r->seen, r->image.pages, e));
    TRY(salvage_scan_run(&r->image, &r->scan, e));
    TRY(salvage_root_choose(r, how->before, &v, &older, e));
    r->unknown_buckets = v.unknown;
    for (int b = 0; b < MVCC_BUCKETS; b++)
        TRY(walk_bucket(r, &v, &older, (enum mvcc_bucket)b, e));
    salvage_scan_settle(&r->scan);
    TRY(salvage_bucket_fill(&r->buckets[MVCC_META], &r->scan,
                            &(struct salvage_compaction){ 0 }, how->take_doubtful, e));
    c = compaction_of(r);
    if (!how->before)
        TRY(check_key_root(r, c.removed, e));
    for (int b = 0; b < MVCC_BUCKETS; b++)
        if (b != MVCC_META)
            TRY(salvage_bucket_fill(&r->buckets[b], &r->scan, &c, how->take_doubtful, e));
    TRY(check_anything(r, name, e));
    TRY(count_zeros(r, e));
    return mend(r, e);
}

enum rc salvage_read(int fd, const char *name, const struct salvage_how *how,
                     struct salvage_result *out, struct err *e)
{
    TRY(salvage_image_open(fd, name, &out->image, e));
    out->metas_bad = 2 - out->image.metas_good;
    out->truncated = out->image.truncated;
    TRY(salvage_digest_check(out, e));
    TRY(read_all(out, name, how, e));
    out->base_whole = is_base_whole(out);
    out->whole = out->base_whole && out->newest_commit && !out->digest_wrong;
    return bolt_file_intact(out->image.file, e);
}

void salvage_result_clear(struct salvage_result *r)
{
    for (int b = 0; b < MVCC_BUCKETS; b++)
        salvage_bucket_clear(&r->buckets[b]);
    salvage_history_clear(&r->history);
    datadir_tail_clear(&r->tail);
    datadir_free(r->dir);
    str_list_clear(&r->log.lost);
    mem_free(r->log.why);
    snap_made_clear(&r->made);
    salvage_scan_clear(&r->scan);
    salvage_marks_clear(&r->seen);
    salvage_image_clear(&r->image);
}
