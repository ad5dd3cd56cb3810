/* Databases that real etcd wrote, in memory, and a walk over them that computes what
 * `etcdctl snapshot status` prints. */
#ifndef TESTS_FORGE_GOLDEN_H
#define TESTS_FORGE_GOLDEN_H

#include "boltdb/file.h"
#include "boltdb/walk.h"

enum { GOLDEN_COUNT = 4 };
extern const char *const golden_names[GOLDEN_COUNT]; /* "etcd-3.4" ... */

struct image {
    uint8_t *p;
    size_t n;
};
struct image golden_load(const char *name); /* with its 32-byte trailer */
void image_clear(struct image *image);
#define OWNED_IMAGE AT_END(image_clear) struct image

uint64_t golden_number(const char *name, const char *file, const char *field);

/* The bytes as an open file (a memfd) that goes away with its last descriptor. */
int image_fd(const void *p, size_t n);
enum rc image_open(const void *p, size_t n, struct findings *f, struct bolt_file **out,
                   struct err *e);

/* What snapshot status tells, and a running total that a test may compare. */
struct totals {
    uint32_t crc;
    uint64_t buckets, pairs;
};
struct bolt_visitor totals_of(struct totals *t);

/* Open and walk; findings land in f, as does "open" (ERROR) when opening fails. */
struct bolt_walk_result image_walk(const void *p, size_t n, struct findings *f,
                                   struct totals *t);

bool findings_has(const struct findings *f, const char *code, uint64_t page);
void findings_print(const struct findings *f, char *out, size_t n);

#endif
