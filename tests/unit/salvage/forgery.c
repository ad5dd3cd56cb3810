#include "tests/unit/salvage/forgery.h"

#include <stdio.h>
#include <stdlib.h>

#include "boltdb/build.h"
#include "boltdb/page.h"
#include "codec/crc32c.h"
#include "codec/pb.h"
#include "defrag/keep.h"
#include "tests/flow/golden.h"
#include "tests/lib/image.h"

enum { PAGE = 512, RECORDS = 4000, KEYS = 200, VALUE = 4096, INDEX = 4711 };

struct step {
    int64_t main, sub, create, version;
    unsigned key, size;
    uint8_t life;
    bool tombstone, gone;
};

struct past {
    struct step steps[RECORDS];
    size_t count;
    int64_t main;
    uint8_t life;
    struct {
        int64_t create, version; /* version 0: not there */
    } keys[KEYS];
};

/* ---- a history --------------------------------------------------------------------- */

static void change(struct past *p, unsigned key, int64_t sub, unsigned size, bool deletes)
{
    struct step *s = &p->steps[p->count++];

    *s = (struct step){
        .main = p->main, .sub = sub, .key = key, .size = size, .life = p->life
    };
    if (deletes) {
        s->tombstone = true;
        p->keys[key].version = 0;
        return;
    }
    if (p->keys[key].version == 0)
        p->keys[key].create = p->main;
    s->version = ++p->keys[key].version;
    s->create = p->keys[key].create;
}

static void grow(struct past *p, const struct forgery_options *o, uint64_t *seed,
                 unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        unsigned changes = 1 + (unsigned)(golden_random(seed) % 3);
        unsigned first = (unsigned)(golden_random(seed) % o->keys);

        p->main++;
        for (unsigned c = 0; c < changes; c++) {
            unsigned key = (first + c) % o->keys;
            bool deletes = p->keys[key].version > 0 && golden_random(seed) % 4 == 0;
            unsigned size = 20 + (unsigned)(golden_random(seed) % 60);

            if (golden_random(seed) % 40 == 0)
                size = o->value_max;
            change(p, key, (int64_t)c, size, deletes);
        }
    }
}

static void add_number(struct buf *b, uint32_t field, int64_t n)
{
    struct err e = { 0 };

    if (n != 0)
        OK(pb_put_u64(b, field, (uint64_t)n, &e), &e);
}

static void write_pair(const struct step *s, struct buf *key, struct buf *value)
{
    static uint8_t filler[VALUE];
    uint8_t rev[MVCC_TOMBSTONE_SIZE];
    char name[16];
    struct err e = { 0 };

    key->n = value->n = 0;
    mvcc_rev_write(rev, s->main, s->sub);
    rev[MVCC_REV_SIZE] = 't';
    OK(buf_add(key, rev, s->tombstone ? MVCC_TOMBSTONE_SIZE : MVCC_REV_SIZE, &e), &e);
    snprintf(name, sizeof name, "key%03u", s->key);
    OK(pb_put_bytes(value, 1, bytes_str(name), &e), &e);
    if (s->tombstone)
        return;
    add_number(value, 2, s->create);
    add_number(value, 3, s->main);
    add_number(value, 4, s->version);
    memset(filler, 'a' + s->life, sizeof filler);
    OK(pb_put_bytes(value, 5, (struct bytes){ filler, s->size }, &e), &e);
}

/* ---- a file ------------------------------------------------------------------------ */

static void put(struct bolt_builder *to, const char *key, const void *value, size_t n)
{
    struct err e = { 0 };

    OK(bolt_builder_pair(to, bytes_str(key), (struct bytes){ value, n }, &e), &e);
}

static void put_meta(struct bolt_builder *to, uint64_t at, int64_t compacted)
{
    uint8_t rev[MVCC_REV_SIZE], index[8];

    put_be64(index, at);
    put(to, MVCC_CONSISTENT_INDEX, index, sizeof index);
    if (compacted == 0)
        return;
    mvcc_rev_write(rev, compacted, 0);
    put(to, MVCC_FINISHED_COMPACT, rev, sizeof rev);
    put(to, MVCC_SCHEDULED_COMPACT, rev, sizeof rev);
}

static void put_records(struct bolt_builder *to, const struct past *p)
{
    AT_END(buf_clear) struct buf key = { 0 };
    AT_END(buf_clear) struct buf value = { 0 };
    struct err e = { 0 };

    for (size_t i = 0; i < p->count; i++) {
        if (p->steps[i].gone)
            continue;
        write_pair(&p->steps[i], &key, &value);
        OK(bolt_builder_pair(to, (struct bytes){ key.p, key.n },
                             (struct bytes){ value.p, value.n }, &e),
           &e);
    }
}

static struct buf build(const struct past *p, uint64_t at, int64_t compacted)
{
    const struct bolt_build_options options = { .page_size = PAGE };
    struct buf image = { 0 };
    const struct bolt_target to = image_target(&image);
    OWNED(bolt_builder) b = NULL;
    struct err e = { 0 };
    uint64_t size;

    OK(bolt_builder_new(&to, &options, &b, &e), &e);
    for (int n = 0; n < MVCC_BUCKETS; n++) {
        OK(bolt_builder_bucket(b, bytes_str(mvcc_bucket_name((enum mvcc_bucket)n)), &e),
           &e);
        if (n == MVCC_META)
            put_meta(b, at, compacted);
        if (n == MVCC_KEY)
            put_records(b, p);
    }
    OK(bolt_builder_finish(b, &size, &e), &e);
    return image;
}

static void compact(struct past *p, int64_t at)
{
    const struct defrag_keep_rule rule = { .revision = at };
    AT_END(buf_clear) struct buf key = { 0 };
    AT_END(buf_clear) struct buf value = { 0 };
    OWNED(defrag_keep) keep = NULL;
    struct err e = { 0 };

    OK(defrag_keep_new(&rule, &keep, &e), &e);
    for (size_t i = 0; i < p->count; i++) {
        write_pair(&p->steps[i], &key, &value);
        OK(defrag_keep_add(keep, (struct bytes){ key.p, key.n },
                           (struct bytes){ value.p, value.n }, &e),
           &e);
    }
    defrag_keep_settle(keep);
    for (size_t i = 0; i < p->count; i++)
        p->steps[i].gone = !defrag_keep_has(keep, i);
}

/* The leaves of bucket key of `from`, as free pages at the end of `to`. */
static void leave_behind(struct buf *to, const struct buf *from)
{
    uint64_t pages = from->n / PAGE;
    struct err e = { 0 };

    for (uint64_t id = 2; id < pages; id++) {
        const uint8_t *page = from->p + id * PAGE;
        uint64_t at = to->n / PAGE;
        struct bolt_fault fault;
        struct bolt_page leaf;

        if (!bolt_page_head(page, (pages - id) * PAGE, id, PAGE, &leaf, &fault) ||
            leaf.kind != BOLT_PAGE_LEAF || !bolt_page_body(&leaf, &fault) ||
            leaf.buckets > 0)
            continue;
        OK(buf_add(to, page, leaf.extent, &e), &e);
        put_le64(to->p + at * PAGE, at);
        id += leaf.overflow;
    }
    for (size_t m = 0; m < 2; m++) {
        uint8_t *meta = to->p + m * PAGE + 16;

        put_le64(meta + 40, to->n / PAGE);
        put_le64(meta + 56, fnv1a64(meta, 56));
    }
}

/* ---- one more commit --------------------------------------------------------------- */

/* All that a page points to lies `by` pages further. */
static void move_page(uint8_t *page, uint64_t by)
{
    put_le64(page, le64(page) + by);
    for (uint16_t i = 0; i < le16(page + 10); i++) {
        uint8_t *element = page + 16 + 16 * (size_t)i;
        uint8_t *value = element + le32(element + 4) + le32(element + 8);

        if (le16(page + 8) == BOLT_PAGE_BRANCH)
            put_le64(element + 8, le64(element + 8) + by);
        else if (le32(element) == 1 && le64(value) != 0)
            put_le64(value, le64(value) + by);
    }
}

static void set_meta(struct buf *image, size_t page, uint64_t root, uint64_t txid)
{
    uint8_t *meta = image->p + page * PAGE + 16;

    if (root != 0)
        put_le64(meta + 16, root);
    put_le64(meta + 40, image->n / PAGE);
    put_le64(meta + 48, txid);
    put_le64(meta + 56, fnv1a64(meta, 56));
}

/* As bbolt does it: into other pages than those in force, then the other meta. */
static void commit(struct buf *image, struct buf *next)
{
    uint64_t by = image->n / PAGE - 2, root = le64(next->p + 16 + 16) + by;
    uint64_t pages = next->n / PAGE;
    struct err e = { 0 };

    for (uint64_t id = 2; id < pages; id++) {
        uint8_t *page = next->p + id * PAGE;

        id += le32(page + 12);
        move_page(page, by);
    }
    OK(buf_add(image, next->p + 2 * (size_t)PAGE, next->n - 2 * (size_t)PAGE, &e), &e);
    set_meta(image, 0, 0, 2);
    set_meta(image, 1, root, 3);
}

static void add_commit(struct buf *image, struct past *p, const struct forgery_options *o,
                       uint64_t *seed)
{
    AT_END(buf_clear) struct buf next = { 0 };

    grow(p, o, seed, o->next);
    if (o->next_compacted > 0)
        compact(p, o->next_compacted);
    next = build(p, INDEX + o->next,
                 o->next_compacted > 0 ? o->next_compacted : o->compacted);
    commit(image, &next);
}

struct buf forgery_make(const struct forgery_options *o)
{
    static struct past p, other;
    AT_END(buf_clear) struct buf before = { 0 };
    AT_END(buf_clear) struct buf fork = { 0 };
    uint64_t seed = o->seed;
    struct buf image;

    p = (struct past){ .main = 1 };
    cr_assert_leq(o->keys, KEYS);
    cr_assert_leq(o->value_max, VALUE);
    cr_assert_leq(3 * o->steps + 300, RECORDS);
    grow(&p, o, &seed, o->steps);
    other = p;
    before = build(&p, INDEX, 0);
    if (o->compacted > 0)
        compact(&p, o->compacted);
    if (o->fork) {
        other.life = 1;
        grow(&other, o, &seed, 20);
        fork = build(&other, INDEX, 0);
        grow(&p, o, &seed, 30);
    }
    image = build(&p, INDEX, o->compacted);
    if (o->past)
        leave_behind(&image, &before);
    if (o->fork)
        leave_behind(&image, &fork);
    if (o->next > 0)
        add_commit(&image, &p, o, &seed);
    return image;
}
