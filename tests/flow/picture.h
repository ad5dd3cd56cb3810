/* Everything that clients can see of a cluster, as text: one line for each key (with its
 * revisions, lease and a digest of its value), lease, user and role. A restore is right
 * when the picture afterwards is the picture before. */
#ifndef TESTS_FLOW_PICTURE_H
#define TESTS_FLOW_PICTURE_H

#include "wire/wire.h"

struct picture {
    struct buf text; /* zero-initialise, end with picture_clear */
    int64_t revision;
    size_t keys, leases;
};

/* Needs role root when authentication is on. */
void picture_take(struct wire_client *c, struct picture *out);
static inline void picture_clear(struct picture *p)
{
    buf_clear(&p->text);
}
#define PICTURE [[gnu::cleanup(picture_clear)]] struct picture

/* Fails the test with the first lines that differ. */
void picture_same(const struct picture *before, const struct picture *after,
                  const char *what);

#endif
