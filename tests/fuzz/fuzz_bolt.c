/* Any bytes as a database file: open, walk with every pair read to its last byte, look a
 * key up. What walks clean must come out of the builder with the same pairs. */
#include "boltdb/build.h"
#include "tests/fuzz/bolt_image.h"
#include "tests/lib/image.h"

struct sum {
    uint32_t crc;
    uint64_t pairs;
    struct bolt_builder *copy; /* may be NULL */
};

static enum rc on_bucket(void *arg, struct bytes name, struct err *e)
{
    struct sum *s = arg;

    s->crc = crc32c_update(s->crc, name.p, name.n);
    return s->copy == NULL ? RC_OK : bolt_builder_bucket(s->copy, name, e);
}

static enum rc on_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                       struct err *e)
{
    struct sum *s = arg;

    (void)page;
    s->pairs++;
    s->crc = crc32c_update(s->crc, key.p, key.n);
    s->crc = crc32c_update(s->crc, value.p, value.n);
    return s->copy == NULL ? RC_OK : bolt_builder_pair(s->copy, key, value, e);
}

static struct sum walk(const struct bolt_file *file, struct bolt_builder *copy,
                       size_t *errors)
{
    AT_END(findings_clear) struct findings f = { 0 };
    struct sum s = { .copy = copy };
    const struct bolt_visitor v = { .arg = &s, .bucket = on_bucket, .pair = on_pair };
    struct bolt_walk_result r;
    struct err e;

    must(bolt_walk(file, &v, &f, &r, &e) == RC_OK);
    must(r.pairs == s.pairs);
    *errors = f.errors;
    return s;
}

static void rebuild(const struct bolt_file *file, const struct sum *before)
{
    const struct bolt_build_options options = { .page_size = FUZZ_PAGE };
    AT_END(buf_clear) struct buf to = { 0 };
    const struct bolt_target target = image_target(&to);
    OWNED(bolt_builder) b = NULL;
    OWNED(bolt_file) again = NULL;
    struct sum after;
    size_t errors;
    uint64_t size;
    struct err e;

    must(bolt_builder_new(&target, &options, &b, &e) == RC_OK);
    walk(file, b, &errors);
    must(bolt_builder_finish(b, &size, &e) == RC_OK && size == to.n);
    must(image_open(to.p, to.n, NULL, &again, &e) == RC_OK);
    after = walk(again, NULL, &errors);
    must(errors == 0 && after.crc == before->crc && after.pairs == before->pairs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AT_END(mem_end) uint8_t *p = image_of(data, n);
    OWNED(bolt_file) file = NULL;
    AT_END(findings_clear) struct findings f = { 0 };
    struct bytes value = { NULL, 0 };
    bool there = false;
    struct sum before;
    size_t errors;
    struct err e;

    if (image_open(p, n, &f, &file, &e) != RC_OK)
        return 0;
    before = walk(file, NULL, &errors);
    if (errors == 0)
        rebuild(file, &before);
    if (bolt_file_get(file, "key", (struct bytes){ p, n < 17 ? n : 17 }, &value, &there,
                      &e) == RC_OK &&
        there)
        crc32c_update(0, value.p, value.n);
    return 0;
}
