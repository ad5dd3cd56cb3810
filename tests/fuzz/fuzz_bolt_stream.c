/* Any bytes as a database that streams by, in pieces whose size the input's length
 * chooses: the stream must tell what the walk tells. */
#include "boltdb/stream.h"
#include "tests/fuzz/bolt_image.h"

static enum rc on_leaf(void *arg, const struct bolt_page *page, uint32_t *note,
                       struct err *e)
{
    uint32_t *crc = arg;

    (void)note;
    (void)e;
    for (uint16_t i = 0; i < page->count; i++) {
        struct bolt_pair pair = bolt_leaf_at(page, i);

        *crc = crc32c_update(*crc, pair.key.p, pair.key.n);
        *crc = crc32c_update(*crc, pair.value.p, pair.value.n);
    }
    return RC_OK;
}

static void stream(const uint8_t *p, size_t n, struct findings *f,
                   struct bolt_walk_result *r)
{
    uint32_t crc = 0;
    const struct bolt_stream_visitor v = { .arg = &crc, .leaf = on_leaf };
    size_t piece = 1 + n % 1500;
    OWNED(bolt_stream) s = NULL;
    bool checked = false;
    struct err e;

    must(bolt_stream_new(&v, 0, 0, &s, &e) == RC_OK);
    for (size_t at = 0; at < n; at += piece) {
        size_t now = n - at < piece ? n - at : piece;
        AT_END(mem_end) uint8_t *copy = mem_copy(p + at, now);

        must(bolt_stream_write(s, copy, now, &e) == RC_OK);
    }
    must(bolt_stream_finish(s, f, r, &checked, &e) == RC_OK);
    must(checked);
}

static bool same(const struct findings *a, const struct findings *b)
{
    if (a->errors != b->errors || a->warnings != b->warnings || a->kept != b->kept)
        return false;
    for (size_t i = 0; i < a->kept; i++)
        if (strcmp(a->items[i].message, b->items[i].message) != 0)
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AT_END(mem_end) uint8_t *p = image_of(data, n);
    AT_END(findings_clear) struct findings by_walk = { 0 };
    AT_END(findings_clear) struct findings by_stream = { 0 };
    struct bolt_walk_result walked = { 0 }, streamed = { 0 };
    OWNED(bolt_file) file = NULL;
    struct err e;

    stream(p, n, &by_stream, &streamed);
    if (image_open(p, n, &by_walk, &file, &e) != RC_OK) {
        must(by_stream.errors > 0);
        return 0;
    }
    must(bolt_walk(file, NULL, &by_walk, &walked, &e) == RC_OK);
    must(same(&by_walk, &by_stream));
    must(memcmp(&walked, &streamed, sizeof walked) == 0);
    return 0;
}
