#include "tests/unit/mvcc/fixture.h"

#include <stdio.h>
#include <sys/mman.h>
#include <zstd.h>

#include "boltdb/build.h"
#include "codec/pb.h"
#include "tests/lib/case.h"
#include "tests/lib/image.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

const char *const golden_names[GOLDEN_COUNT] = { "etcd-3.4", "etcd-3.5", "etcd-3.6",
                                                 "etcd-3.7" };

/* ---- golden files ----------------------------------------------------------------- */

static struct buf unpack(struct buf packed)
{
    unsigned long long size = ZSTD_getFrameContentSize(packed.p, packed.n);
    struct buf out = { 0 };
    struct err e = { 0 };

    cr_assert_lt(size, 64 << 20);
    OK(buf_reserve(&out, size + 1, &e), &e);
    out.n = ZSTD_decompress(out.p, out.cap, packed.p, packed.n);
    cr_assert_eq(out.n, size);
    return out;
}

struct buf golden_read(const char *name, const char *file)
{
    AT_END(buf_clear) struct buf raw = { 0 };
    struct err e = { 0 };
    char path[128];

    snprintf(path, sizeof path, "tests/golden/%s/%s", name, file);
    OK(os_read_file(path, 1 << 20, &raw.p, &raw.n, &e), &e);
    if (str_ends(file, ".zst"))
        return unpack(raw);
    struct buf out = raw;

    raw = (struct buf){ 0 };
    return out;
}

struct json *golden_json(const char *name, const char *file)
{
    AT_END(buf_clear) struct buf text = golden_read(name, file);
    struct json *j = NULL;
    struct err e = { 0 };

    while (text.n > 0 && text.p[text.n - 1] == '\n')
        text.n--;
    OK(json_parse((struct bytes){ text.p, text.n }, file, &j, &e), &e);
    return j;
}

enum rc image_open(struct bytes image, struct findings *f, struct bolt_file **out,
                   struct err *e)
{
    OWNED_FD int fd = memfd_create("image", MFD_CLOEXEC);

    cr_assert_geq(fd, 0);
    TRY(os_write_full(fd, image.p, image.n, "image", e));
    return bolt_file_open_fd(fd, "image", f, out, e);
}

void image_survey(struct bytes image, struct findings *f, struct mvcc_facts *facts)
{
    const struct mvcc_survey_options full = { .level = MVCC_FULL, .status_hash = true };
    OWNED(bolt_file) file = NULL;
    struct err e = { 0 };

    OK(image_open(image, f, &file, &e), &e);
    OK(mvcc_survey_file(file, &full, f, facts, &e), &e);
}

/* ---- findings --------------------------------------------------------------------- */

const struct finding *findings_find(const struct findings *f, const char *code)
{
    for (size_t i = 0; i < f->kept; i++)
        if (strcmp(f->items[i].code, code) == 0)
            return &f->items[i];
    return NULL;
}

const char *findings_text(const struct findings *f)
{
    static char text[8192];
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < f->kept && at < sizeof text; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s %s: %s\n",
                               finding_severity_name(f->items[i].severity),
                               f->items[i].code, f->items[i].message);
    return text;
}

/* ---- invented databases ----------------------------------------------------------- */

static void put(struct buf *b, const void *p, size_t n)
{
    struct err e = { 0 };

    OK(buf_add(b, p, n, &e), &e);
}

void pairs_add(struct pairs *p, struct bytes key, struct bytes value)
{
    put(&p->bytes, &key.n, sizeof key.n);
    put(&p->bytes, &value.n, sizeof value.n);
    put(&p->bytes, key.p, key.n);
    put(&p->bytes, value.p, value.n);
    p->count++;
}

void pairs_text(struct pairs *p, const char *key, const char *value)
{
    pairs_add(p, bytes_str(key), bytes_str(value));
}

void pairs_clear(struct pairs *p)
{
    buf_clear(&p->bytes);
    p->count = 0;
}

void database_clear(struct database *db)
{
    for (size_t b = 0; b < MVCC_BUCKETS; b++)
        pairs_clear(&db->buckets[b]);
}

void database_meta(struct database *db, int64_t finished, int64_t scheduled)
{
    static const uint8_t seven[8] = { [7] = 7 }, two[8] = { [7] = 2 };
    struct pairs *meta = &db->buckets[MVCC_META];
    uint8_t rev[MVCC_REV_SIZE];

    pairs_add(meta, bytes_str("consistent_index"), BYTES_OF(seven));
    mvcc_rev_write(rev, finished, 0);
    if (finished >= 0)
        pairs_add(meta, bytes_str(MVCC_FINISHED_COMPACT), BYTES_OF(rev));
    mvcc_rev_write(rev, scheduled, 0);
    if (scheduled >= 0)
        pairs_add(meta, bytes_str(MVCC_SCHEDULED_COMPACT), BYTES_OF(rev));
    pairs_add(meta, bytes_str("term"), BYTES_OF(two));
}

static void build_bucket(struct bolt_builder *b, const struct database *db,
                         enum mvcc_bucket bucket)
{
    const uint8_t *p = db->buckets[bucket].bytes.p;
    struct err e = { 0 };

    OK(bolt_builder_bucket(b, bytes_str(mvcc_bucket_name(bucket)), &e), &e);
    for (size_t i = 0; i < db->buckets[bucket].count; i++) {
        size_t n[2];

        memcpy(n, p, sizeof n);
        p += sizeof n;
        OK(bolt_builder_pair(b, (struct bytes){ p, n[0] },
                             (struct bytes){ p + n[0], n[1] }, &e),
           &e);
        p += n[0] + n[1];
    }
}

struct buf database_image(const struct database *db)
{
    struct buf image = { .cap_max = 1 << 28 };
    const struct bolt_target target = image_target(&image);
    const struct bolt_build_options options = { 0 };
    OWNED(bolt_builder) b = NULL;
    struct err e = { 0 };
    uint64_t size;

    OK(bolt_builder_new(&target, &options, &b, &e), &e);
    for (enum mvcc_bucket bucket = 0; bucket < MVCC_BUCKETS; bucket++)
        if (!db->without[bucket])
            build_bucket(b, db, bucket);
    OK(bolt_builder_finish(b, &size, &e), &e);
    cr_assert_eq(size, image.n);
    return image;
}

static void number_put(struct buf *b, uint32_t field, int64_t value)
{
    struct err e = { 0 };

    if (value != 0)
        OK(pb_put_u64(b, field, (uint64_t)value, &e), &e);
}

void change_pair(const struct change *c, struct buf *key, struct buf *value)
{
    uint8_t rev[MVCC_REV_SIZE];
    struct err e = { 0 };

    mvcc_rev_write(rev, c->main, c->sub);
    put(key, rev, sizeof rev);
    OK(pb_put_bytes(value, 1, bytes_str(c->key), &e), &e);
    if (c->version == 0) {
        put(key, "t", 1);
        return;
    }
    number_put(value, 2, c->create);
    number_put(value, 3, c->main);
    number_put(value, 4, c->version);
    if (c->value != NULL)
        OK(pb_put_bytes(value, 5, bytes_str(c->value), &e), &e);
    number_put(value, 6, c->lease);
}

void database_change(struct database *db, const struct change *c)
{
    AT_END(buf_clear) struct buf key = { 0 };
    AT_END(buf_clear) struct buf value = { 0 };

    change_pair(c, &key, &value);
    pairs_add(&db->buckets[MVCC_KEY], (struct bytes){ key.p, key.n },
              (struct bytes){ value.p, value.n });
}
