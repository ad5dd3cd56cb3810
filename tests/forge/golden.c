#include "tests/forge/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "codec/crc32c.h"
#include "tests/lib/case.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/os.h"

const char *const golden_names[GOLDEN_COUNT] = { "etcd-3.4", "etcd-3.5", "etcd-3.6",
                                                 "etcd-3.7" };

static struct image read_golden(const char *name, const char *file)
{
    struct image image = { 0 };
    struct err e = { 0 };
    char path[128];

    snprintf(path, sizeof path, "tests/golden/%s/%s", name, file);
    OK(os_read_file(path, 1 << 20, &image.p, &image.n, &e), &e);
    return image;
}

struct image golden_load(const char *name)
{
    OWNED_IMAGE packed = read_golden(name, "snapshot.db.zst");
    unsigned long long size = ZSTD_getFrameContentSize(packed.p, packed.n);
    struct image image;

    cr_assert_lt(size, 1 << 24);
    image.n = size;
    image.p = mem_zero(size);
    cr_assert_eq(ZSTD_decompress(image.p, image.n, packed.p, packed.n), size);
    return image;
}

void image_clear(struct image *image)
{
    mem_free(image->p);
    *image = (struct image){ 0 };
}

uint64_t golden_number(const char *name, const char *file, const char *field)
{
    OWNED_IMAGE text = read_golden(name, file);
    OWNED(json) j = NULL;
    struct err e = { 0 };
    uint64_t n = 0;

    OK(json_parse((struct bytes){ text.p, text.n }, file, &j, &e), &e);
    cr_assert(json_get_u64(j, field, &n), "%s of %s/%s", field, name, file);
    return n;
}

int image_fd(const void *p, size_t n)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    struct err e = { 0 };

    cr_assert_geq(fd, 0);
    OK(os_write_full(fd, p, n, "image", &e), &e);
    return fd;
}

enum rc image_open(const void *p, size_t n, struct findings *f, struct bolt_file **out,
                   struct err *e)
{
    OWNED_FD int fd = image_fd(p, n);

    return bolt_file_open_fd(fd, "image", f, out, e);
}

static enum rc total_bucket(void *arg, struct bytes name, struct err *e)
{
    struct totals *t = arg;

    (void)e;
    t->buckets++;
    t->crc = crc32c_update(t->crc, name.p, name.n);
    return RC_OK;
}

static enum rc total_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                          struct err *e)
{
    struct totals *t = arg;

    (void)e;
    (void)page;
    t->pairs++;
    t->crc = crc32c_update(t->crc, key.p, key.n);
    t->crc = crc32c_update(t->crc, value.p, value.n);
    return RC_OK;
}

struct bolt_visitor totals_of(struct totals *t)
{
    return (struct bolt_visitor){ .arg = t, .bucket = total_bucket, .pair = total_pair };
}

struct bolt_walk_result image_walk(const void *p, size_t n, struct findings *f,
                                   struct totals *t)
{
    const struct bolt_visitor v = totals_of(t);
    struct bolt_walk_result result = { 0 };
    OWNED(bolt_file) file = NULL;
    struct err e = { 0 }, more = { 0 };

    if (image_open(p, n, f, &file, &e) != RC_OK)
        OK(findings_add(f, FINDING_ERROR, "open", FINDING_NO_PAGE, &more, "%s", e.why),
           &more);
    else
        OK(bolt_walk(file, &v, f, &result, &e), &e);
    return result;
}

bool findings_has(const struct findings *f, const char *code, uint64_t page)
{
    for (size_t i = 0; i < f->kept; i++)
        if (strcmp(f->items[i].code, code) == 0 && f->items[i].page == page)
            return true;
    return false;
}

void findings_print(const struct findings *f, char *out, size_t n)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < f->kept && at < n; i++)
        at += (size_t)snprintf(out + at, n - at, "%s@%llu: %s\n", f->items[i].code,
                               (unsigned long long)f->items[i].page, f->items[i].message);
}
