#include "tests/unit/boltdb/build_to.h"

#include <stdio.h>

#include "util/mem.h"

static enum rc append(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    struct image *to = arg;
    uint8_t *grown = mem_resize(to->p, to->n + n, 1);

    if (grown == NULL)
        return err_set(e, RC_NOMEM, "no memory for the target");
    to->p = grown;
    memcpy(to->p + to->n, p, n);
    to->n += n;
    return RC_OK;
}

static enum rc patch(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    struct image *to = arg;

    if (n > to->n)
        return err_set(e, RC_INTERNAL, "patch of %zu bytes over %zu", n, to->n);
    memcpy(to->p, p, n);
    return RC_OK;
}

struct bolt_target target_of(struct image *to)
{
    return (struct bolt_target){ .arg = to, .append = append, .patch = patch };
}

struct bytes revision_key(uint8_t room[static 18], uint64_t i)
{
    put_be64(room, i + 2);
    room[8] = '_';
    put_be64(room + 9, 0);
    return (struct bytes){ room, 17 };
}

enum rc build_uniform(const struct bolt_build_options *options, unsigned buckets,
                      unsigned pairs, size_t value_size, struct image *to, struct err *e)
{
    AT_END(mem_end) uint8_t *value = NULL;
    const struct bolt_target target = target_of(to);
    OWNED(bolt_builder) b = NULL;
    uint8_t key[18];
    char name[16];
    uint64_t size;

    TRY(mem_new(&value, value_size, "a value", e));
    TRY(bolt_builder_new(&target, options, &b, e));
    for (unsigned i = 0; i < buckets; i++) {
        snprintf(name, sizeof name, "b%03u", i);
        TRY(bolt_builder_bucket(b, bytes_str(name), e));
        for (unsigned k = 0; k < pairs; k++) {
            memset(value, (int)k, value_size);
            TRY(bolt_builder_pair(b, revision_key(key, k),
                                  (struct bytes){ value, value_size }, e));
        }
    }
    TRY(bolt_builder_finish(b, &size, e));
    if (size != to->n)
        return err_set(e, RC_INTERNAL, "size %llu, written %zu", (unsigned long long)size,
                       to->n);
    return RC_OK;
}
