/* Writes a snapshot like a Kubernetes control plane's straight to a file, as large as
 * wanted, in seconds instead of the minutes that a running etcd takes for it. For
 * `make bench`; not part of the product.
 *
 *   invent FILE BYTES VALUE UPDATES LAST     keys with values of VALUE bytes, each
 *                                            written UPDATES + 1 times, until BYTES are
 *                                            stored; the LAST revisions rewrite the first
 *                                            keys, so that two files of the same size can
 *                                            differ in their newest changes
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/pb.h"
#include "crypto/sha256.h"
#include "mvcc/schema.h"
#include "storage/dbfile.h"
#include "util/mem.h"
#include "util/os.h"

static void must(enum rc rc, const struct err *e)
{
    if (rc == RC_OK)
        return;
    fprintf(stderr, "invent: %s: %s\n", e->what, e->why);
    exit(1);
}

struct writer {
    struct bolt_builder *builder;
    struct buf value; /* of the bucket: a KeyValue */
    uint8_t *noise;   /* two values' worth, of which each takes a part */
    size_t value_size;
    uint64_t keys, updates;
    int64_t revision;
};

static void put_key(struct writer *w, uint64_t key, int64_t create, int64_t version)
{
    uint8_t name[MVCC_REV_SIZE];
    char user_key[80];
    struct err e = { 0 };

    w->revision++;
    mvcc_rev_write(name, w->revision, 0);
    snprintf(user_key, sizeof user_key,
             "/registry/%s/namespace-%03" PRIu64 "/object-%08" PRIu64,
             key % 3 == 0 ? "pods" : "configmaps", key % 200, key);
    w->value.n = 0;
    must(pb_put_bytes(&w->value, 1, bytes_str(user_key), &e), &e);
    must(pb_put_u64(&w->value, 2, (uint64_t)create, &e), &e);
    must(pb_put_u64(&w->value, 3, (uint64_t)w->revision, &e), &e);
    must(pb_put_u64(&w->value, 4, (uint64_t)version, &e), &e);
    must(pb_put_bytes(&w->value, 5,
                      (struct bytes){ w->noise + (uint64_t)w->revision % w->value_size,
                                      w->value_size },
                      &e),
         &e);
    must(bolt_builder_pair(w->builder, BYTES_OF(name),
                           (struct bytes){ w->value.p, w->value.n }, &e),
         &e);
}

/* Round after round over all keys, and the first ones once more. */
static void put_keys(struct writer *w, uint64_t last)
{
    for (uint64_t round = 0; round <= w->updates; round++)
        for (uint64_t key = 0; key < w->keys; key++)
            put_key(w, key, (int64_t)key + 2, (int64_t)round + 1);
    for (uint64_t key = 0; key < last && key < w->keys; key++)
        put_key(w, key, (int64_t)key + 2, (int64_t)w->updates + 2);
}

static void put_buckets(struct writer *w, uint64_t last)
{
    static const uint8_t index[8] = { [5] = 1 }, term[8] = { [7] = 2 };
    struct err e = { 0 };

    for (enum mvcc_bucket b = 0; b < MVCC_BUCKETS; b++) {
        must(bolt_builder_bucket(w->builder, bytes_str(mvcc_bucket_name(b)), &e), &e);
        if (b == MVCC_KEY)
            put_keys(w, last);
    }
    must(bolt_builder_pair(w->builder, bytes_str(MVCC_CONSISTENT_INDEX), BYTES_OF(index),
                           &e),
         &e);
    must(bolt_builder_pair(w->builder, bytes_str(MVCC_TERM), BYTES_OF(term), &e), &e);
}

static void fill(uint8_t *p, size_t n)
{
    uint64_t state = 1;

    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005 + 1442695040888963407;
        p[i] = (uint8_t)(state >> 56);
    }
}

/* A snapshot's trailer. */
static void append_digest(struct dbfile *file, int fd, uint64_t size)
{
    static uint8_t piece[1 << 20];
    uint8_t digest[SHA256_SIZE];
    OWNED(sha256) h = NULL;
    struct err e = { 0 };

    must(sha256_new(&h, &e), &e);
    for (uint64_t at = 0; at < size; at += sizeof piece) {
        size_t n = size - at < sizeof piece ? (size_t)(size - at) : sizeof piece;

        must(os_pread_full(fd, piece, n, at, "the file", &e), &e);
        must(sha256_add(h, piece, n, &e), &e);
    }
    must(sha256_end(h, digest, &e), &e);
    must(dbfile_append(file, digest, sizeof digest, &e), &e);
}

static void write_file(const char *path, struct writer *w, uint64_t last)
{
    OWNED_FD int fd = -1;
    OWNED(dbfile) file = NULL;
    OWNED(bolt_builder) builder = NULL;
    struct err e = { 0 };
    uint64_t size;

    must(os_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_TRUNC, 0600, &fd, &e), &e);
    must(dbfile_new(fd, path, NULL, &file, &e), &e);

    const struct bolt_target target = dbfile_target(file);

    must(bolt_builder_new(&target, NULL, &builder, &e), &e);
    w->builder = builder;
    put_buckets(w, last);
    must(bolt_builder_finish(builder, &size, &e), &e);
    must(dbfile_finish(file, &e), &e);
    append_digest(file, fd, size);
    printf("%" PRIu64 " bytes, %" PRIu64 " keys, revision %" PRId64 "\n", size, w->keys,
           w->revision);
}

int main(int argc, char **argv)
{
    AT_END(mem_end) uint8_t *noise = NULL;
    struct writer w = { .revision = 1 };
    struct err e = { 0 };

    if (argc != 6) {
        fprintf(stderr, "usage: invent FILE BYTES VALUE UPDATES LAST\n");
        return 2;
    }
    w.value_size = strtoul(argv[3], NULL, 10);
    w.updates = strtoull(argv[4], NULL, 10);
    w.keys = strtoull(argv[2], NULL, 10) / (w.value_size + 100) / (w.updates + 1);
    must(mem_new(&noise, 2 * w.value_size, "values", &e), &e);
    fill(noise, 2 * w.value_size);
    w.noise = noise;
    write_file(argv[1], &w, strtoull(argv[5], NULL, 10));
    buf_clear(&w.value);
    return 0;
}
