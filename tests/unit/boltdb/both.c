#include "tests/unit/boltdb/both.h"

#include "boltdb/page.h"
#include "boltdb/stream.h"
#include "codec/crc32c.h"
#include "tests/lib/case.h"
#include "util/mem.h"

/* Pairs are summed page by page, since that is how the stream sees them. */
struct tally {
    struct reading *out;
    uint64_t page;
    uint32_t page_sum;
    uint32_t page_pairs;
    struct {
        uint32_t sum, pairs;
    } * leaves; /* of the stream, by page */
    size_t leaf_count;
};

static void add_pair(struct tally *t, struct bytes key, struct bytes value)
{
    t->page_sum = crc32c_update(t->page_sum, key.p, key.n);
    t->page_sum = crc32c_update(t->page_sum, value.p, value.n);
    t->page_pairs++;
}

static void end_page(struct tally *t)
{
    uint32_t sum = t->out->sum;

    if (t->page_pairs > 0) {
        sum = crc32c_update(sum, &t->page, sizeof t->page);
        t->out->sum = crc32c_update(sum, &t->page_sum, sizeof t->page_sum);
    }
    t->page_sum = t->page_pairs = 0;
}

static enum rc on_bucket(void *arg, struct bytes name, struct err *e)
{
    struct tally *t = arg;

    (void)e;
    end_page(t);
    t->out->sum = crc32c_update(t->out->sum, name.p, name.n);
    return RC_OK;
}

static enum rc on_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                       struct err *e)
{
    struct tally *t = arg;

    (void)e;
    if (page != t->page)
        end_page(t);
    t->page = page;
    add_pair(t, key, value);
    return RC_OK;
}

void read_by_walk(const void *p, size_t n, struct reading *out)
{
    struct tally t = { .out = out };
    const struct bolt_visitor v = { .arg = &t, .bucket = on_bucket, .pair = on_pair };
    OWNED(bolt_file) file = NULL;
    struct err e = { 0 };

    *out = (struct reading){ .checked = true };
    out->opened = image_open(p, n, &out->findings, &file, &e) == RC_OK;
    if (!out->opened) {
        cr_assert_eq(e.code, RC_CORRUPT, "%s", e.why);
        return;
    }
    OK(bolt_walk(file, &v, &out->findings, &out->result, &e), &e);
    end_page(&t);
}

static enum rc on_leaf(void *arg, const struct bolt_page *page, uint32_t *note,
                       struct err *e)
{
    struct tally *t = arg;

    (void)note;
    (void)e;
    while (t->leaf_count <= page->id) {
        size_t count = t->leaf_count == 0 ? 256 : t->leaf_count * 2;

        t->leaves = mem_resize(t->leaves, count, sizeof *t->leaves);
        memset(t->leaves + t->leaf_count, 0, (count - t->leaf_count) * sizeof *t->leaves);
        t->leaf_count = count;
    }
    t->page_sum = t->page_pairs = 0;
    for (uint16_t i = 0; i < page->count; i++) {
        struct bolt_pair pair = bolt_leaf_at(page, i);

        if (!pair.is_bucket)
            add_pair(t, pair.key, pair.value);
    }
    t->leaves[page->id].sum = t->page_sum;
    t->leaves[page->id].pairs = t->page_pairs;
    t->page_sum = t->page_pairs = 0;
    return RC_OK;
}

static enum rc on_reached(void *arg, uint64_t page, uint32_t note, struct err *e)
{
    struct tally *t = arg;

    (void)note;
    (void)e;
    end_page(t);
    cr_assert_lt(page, t->leaf_count);
    t->page = page;
    t->page_sum = t->leaves[page].sum;
    t->page_pairs = t->leaves[page].pairs;
    return RC_OK;
}

void read_by_stream(const void *p, size_t n, size_t piece, struct reading *out)
{
    struct tally t = { .out = out };
    const struct bolt_stream_visitor v = { .arg = &t,
                                           .leaf = on_leaf,
                                           .bucket = on_bucket,
                                           .reached = on_reached,
                                           .inlined = on_pair };
    OWNED(bolt_stream) s = NULL;
    struct err e = { 0 };

    *out = (struct reading){ .opened = true };
    OK(bolt_stream_new(&v, 0, 0, &s, &e), &e);
    for (size_t at = 0; at < n; at += piece) {
        /* A copy of its own size, so that reading beyond a piece is noticed. */
        size_t now = n - at < piece ? n - at : piece;
        AT_END(mem_end) uint8_t *copy = mem_copy((const uint8_t *)p + at, now);

        OK(bolt_stream_write(s, copy, now, &e), &e);
    }
    OK(bolt_stream_finish(s, &out->findings, &out->result, &out->checked, &e), &e);
    end_page(&t);
    mem_free(t.leaves);
}

static bool same(const struct findings *a, const struct findings *b)
{
    if (a->kept != b->kept || a->errors != b->errors || a->warnings != b->warnings ||
        a->notes != b->notes)
        return false;
    for (size_t i = 0; i < a->kept; i++)
        if (strcmp(a->items[i].code, b->items[i].code) != 0 ||
            strcmp(a->items[i].message, b->items[i].message) != 0 ||
            a->items[i].page != b->items[i].page)
            return false;
    return true;
}

bool both_agree(const void *p, size_t n, size_t piece, const char *what, unsigned seed)
{
    struct reading walk, stream;
    char by_walk[4096], by_stream[4096];
    bool damaged;

    read_by_walk(p, n, &walk);
    read_by_stream(p, n, piece, &stream);
    findings_print(&walk.findings, by_walk, sizeof by_walk);
    findings_print(&stream.findings, by_stream, sizeof by_stream);
    damaged = !walk.opened || walk.findings.errors > 0;
    cr_assert(stream.checked, "%s, seed %u", what, seed);
    cr_assert_eq(damaged, stream.findings.errors > 0, "%s, seed %u:\n%s\n%s", what, seed,
                 by_walk, by_stream);
    if (walk.opened) {
        cr_assert(same(&walk.findings, &stream.findings), "%s, seed %u:\n%s\n%s", what,
                  seed, by_walk, by_stream);
        cr_assert_eq(walk.sum, stream.sum, "%s, seed %u: order or pairs", what, seed);
        cr_assert_eq(memcmp(&walk.result, &stream.result, sizeof walk.result), 0,
                     "%s, seed %u: counts", what, seed);
    }
    findings_clear(&walk.findings);
    findings_clear(&stream.findings);
    return damaged;
}
