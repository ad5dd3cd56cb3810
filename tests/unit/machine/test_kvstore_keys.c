#include "machine/kvstore_keys.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "util/mem.h"

static struct kvkey *key_of(const void *p, size_t n)
{
    struct kvkey *k = NULL;
    struct err e = { 0 };

    OK(kvkey_new((struct bytes){ p, n }, &k, &e), &e);
    return k;
}

static struct bytes name(unsigned i)
{
    static char text[16];

    snprintf(text, sizeof text, "%06u", i);
    return (struct bytes){ (const uint8_t *)text, 6 };
}

/* ---- the set --------------------------------------------------------------------------
 */

enum { NAMES = 6000 };

struct set {
    struct kvkeys keys;
    bool in[NAMES];
    unsigned seed;
};

static void set_end(struct set *s)
{
    kvkeys_clear(&s->keys);
}

static void toggle(struct set *s, unsigned i)
{
    struct kvkeys_at at;
    struct err e = { 0 };

    cr_assert_eq(kvkeys_find(&s->keys, name(i), &at), s->in[i], "%u", i);
    if (s->in[i]) {
        struct kvkey *k = kvkeys_item(&s->keys, at);

        kvkeys_remove(&s->keys, at);
        kvkey_free(k);
    } else {
        OK(kvkeys_insert(&s->keys, at, key_of(name(i).p, 6), &e), &e);
    }
    s->in[i] = !s->in[i];
}

static void check(const struct set *s)
{
    struct kvkeys_at at = { 0 };

    for (size_t b = 0; b < s->keys.count; b++) {
        cr_assert_gt(s->keys.blocks[b]->count, 0);
        cr_assert_leq(s->keys.blocks[b]->count, KVKEYS_BLOCK);
    }
    for (unsigned i = 0; i < NAMES; i++) {
        if (!s->in[i])
            continue;
        cr_assert_not_null(kvkeys_item(&s->keys, at));
        cr_assert(bytes_equal(kvkey_bytes(kvkeys_item(&s->keys, at)), name(i)));
        kvkeys_next(&s->keys, &at);
    }
    cr_assert_null(kvkeys_item(&s->keys, at));
}

CASE(kvstore_keys, stay_in_order_whatever_comes_and_goes)
{
    AT_END(set_end) struct set s = { .seed = 7 };

    check(&s);
    for (unsigned round = 0; round < 12; round++) {
        /* Grows and shrinks by turns, so that blocks split and merge. */
        for (unsigned n = 0; n < 8000; n++) {
            unsigned i = (unsigned)rand_r(&s.seed) % NAMES;

            if (s.in[i] == (round % 2 == 1) || rand_r(&s.seed) % 8 == 0)
                toggle(&s, i);
        }
        check(&s);
    }
    for (unsigned i = 0; i < NAMES; i++)
        if (s.in[i])
            toggle(&s, i);
    check(&s);
    cr_assert_eq(s.keys.count, 0);
}

CASE(kvstore_keys, that_come_in_order_fill_their_blocks)
{
    AT_END(set_end) struct set s = { 0 };

    for (unsigned i = 0; i < NAMES; i++)
        toggle(&s, i);
    check(&s);
    cr_assert_eq(s.keys.count, (NAMES + KVKEYS_BLOCK - 1) / KVKEYS_BLOCK);
    for (unsigned i = 0; i < NAMES; i++)
        if (i % 16 != 0)
            toggle(&s, i);
    check(&s);
    cr_assert_leq(s.keys.count, 2 * (NAMES / 16) / (KVKEYS_BLOCK / 2) + 1);
}

CASE(kvstore_keys, that_come_backwards_are_found_as_well)
{
    AT_END(set_end) struct set s = { 0 };

    for (unsigned i = NAMES; i-- > 0;)
        toggle(&s, i);
    check(&s);
}

/* ---- places ---------------------------------------------------------------------------
 */

CASE(kvstore_keys, places_come_at_the_end_and_go_at_the_front)
{
    OWNED(kvkey) k = key_of("a", 1);
    uint32_t next = 0, oldest = 0;
    unsigned seed = 3;
    struct err e = { 0 };

    for (unsigned round = 0; round < 400; round++) {
        for (unsigned n = (unsigned)rand_r(&seed) % 40; n > 0; n--) {
            OK(kvkey_reserve(k, &e), &e);
            kvkey_append(k, next++);
        }
        if (k->count > 0) {
            uint32_t n = 1 + (uint32_t)rand_r(&seed) % k->count;

            kvkey_drop_oldest(k, n);
            oldest += n;
        }
        cr_assert_eq(k->count, next - oldest);
        for (uint32_t i = 0; i < k->count; i++)
            cr_assert_eq(k->places[i], oldest + i);
        cr_assert(k->room <= 4 || k->room < 8 * (k->count + 1), "%u for %u", k->room,
                  k->count);
    }
}

/* ---- sorting --------------------------------------------------------------------------
 */

static void free_all(struct kvkey **items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        kvkey_free(items[i]);
}

/* Few letters, zeros among them, and long common beginnings: all that is hard. */
static struct kvkey *hard_key(unsigned *seed, unsigned number)
{
    static const uint8_t letters[] = { 0, 0, 'a', 0xff };
    uint8_t text[2048];
    size_t n = 0, prefix = (size_t)(rand_r(seed) % 4) * 331;
    size_t more = (size_t)rand_r(seed) % 24;

    memset(text, 0, sizeof text);
    n = prefix;
    for (size_t i = 0; i < more; i++)
        text[n++] = letters[rand_r(seed) % 4];
    put_be32(text + n, number); /* distinct */
    return key_of(text, n + 4);
}

static void sorted(struct kvkey *const *items, size_t n)
{
    for (size_t i = 1; i < n; i++)
        cr_assert_lt(bytes_compare(kvkey_bytes(items[i - 1]), kvkey_bytes(items[i])), 0,
                     "%zu of %zu", i, n);
}

CASE(kvstore_keys, hard_ones_are_sorted)
{
    enum { HARD = 3000 };
    static struct kvkey *items[HARD];
    struct err e = { 0 };

    for (unsigned seed = 1; seed < 6; seed++) {
        unsigned s = seed;

        for (unsigned i = 0; i < HARD; i++)
            items[i] = hard_key(&s, i);
        OK(kvkeys_sort(items, HARD, &e), &e);
        sorted(items, HARD);
        free_all(items, HARD);
    }
}

CASE(kvstore_keys, of_zeros_are_sorted_by_their_length)
{
    enum { ZEROS = 700 };
    static const uint8_t zeros[ZEROS];
    static struct kvkey *items[ZEROS];
    struct err e = { 0 };

    for (unsigned i = 0; i < ZEROS; i++)
        items[i] = key_of(zeros, (i * 389) % ZEROS);
    OK(kvkeys_sort(items, ZEROS, &e), &e);
    sorted(items, ZEROS);
    cr_assert_eq(items[0]->size, 0);
    free_all(items, ZEROS);
    OK(kvkeys_sort(items, 0, &e), &e);
}

static enum rc some_work(struct kvkeys *keys, struct err *e)
{
    struct kvkey *items[2] = { NULL, NULL };
    enum rc rc = kvkey_new(bytes_str("b"), &items[0], e);

    if (rc == RC_OK)
        rc = kvkey_new(bytes_str("a"), &items[1], e);
    if (rc == RC_OK)
        rc = kvkeys_sort(items, 2, e);
    if (rc == RC_OK)
        rc = kvkeys_fill(keys, items, 2, e);
    if (rc != RC_OK)
        free_all(items, 2);
    return rc;
}

CASE(kvstore_keys, a_failed_allocation_leaves_the_keys_with_the_caller)
{
    unsigned failed = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 1) {
        AT_END(kvkeys_clear) struct kvkeys keys = { 0 };
        struct err e = { 0 };
        enum rc rc = some_work(&keys, &e);

        cr_assert(rc == RC_OK || rc == RC_NOMEM);
        cr_assert_eq(keys.count, rc == RC_OK);
        failed += rc == RC_NOMEM;
    }
    cr_assert_eq(failed, 5);
}
