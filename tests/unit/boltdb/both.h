/* One database through the walk and through the stream: they must tell the same. */
#ifndef TESTS_UNIT_BOLTDB_BOTH_H
#define TESTS_UNIT_BOLTDB_BOTH_H

#include "tests/forge/golden.h"

/* What a reader of all pairs would see, in order: a sum over buckets, the pages of their
 * leaves and the pairs on them. */
struct reading {
    uint32_t sum;
    bool opened, checked;
    struct findings findings; /* end with findings_clear */
    struct bolt_walk_result result;
};

void read_by_walk(const void *p, size_t n, struct reading *out);
void read_by_stream(const void *p, size_t n, size_t piece, struct reading *out);

/* Asserts that they agree; `what` and `seed` go into the message. True when there is an
 * error. */
bool both_agree(const void *p, size_t n, size_t piece, const char *what, unsigned seed);

#endif
