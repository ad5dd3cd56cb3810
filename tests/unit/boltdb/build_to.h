/* A database built into memory. */
#ifndef TESTS_UNIT_BOLTDB_BUILD_TO_H
#define TESTS_UNIT_BOLTDB_BUILD_TO_H

#include "boltdb/build.h"
#include "tests/forge/golden.h"

struct bolt_target target_of(struct image *to);

/* Key i is a revision key of main revision i + 2. */
struct bytes revision_key(uint8_t room[static 18], uint64_t i);

/* `buckets` buckets b000, b001, ... of `pairs` revision keys with values of value_size.
 */
enum rc build_uniform(const struct bolt_build_options *options, unsigned buckets,
                      unsigned pairs, size_t value_size, struct image *to, struct err *e);

#endif
