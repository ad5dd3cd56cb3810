#include "mvcc/keys.h"

#include "tests/lib/case.h"

CASE(mvcc_keys, keeps_each_through_growth)
{
    AT_END(mvcc_keys_clear) struct mvcc_keys keys = { 0 };
    struct mvcc_key *k;
    struct err e = { 0 };

    /* The half of the hash that slots carry is the same for all of them. */
    for (unsigned i = 0; i < 5000; i++) {
        OK(mvcc_keys_at(&keys, (struct mvcc_key_id){ (uint64_t)(i / 2) << 40, i % 2 }, &k,
                        &e),
           &e);
        cr_assert_eq(k->kept, MVCC_KEY_NOT_KEPT, "%u is new", i);
        k->kept = i;
    }
    cr_assert_eq(keys.count, 5000);
    cr_assert_geq(keys.capacity * 3 / 4, keys.count);
    for (unsigned i = 0; i < 5000; i++) {
        OK(mvcc_keys_at(&keys, (struct mvcc_key_id){ (uint64_t)(i / 2) << 40, i % 2 }, &k,
                        &e),
           &e);
        cr_assert_eq(k->kept, i);
    }
    cr_assert_eq(keys.count, 5000);
}

CASE(mvcc_keys, version_and_flags_share_a_word)
{
    struct mvcc_key k = { .version_flags =
                              (uint64_t)MVCC_KEY_VERSION_MAX << 8 | MVCC_KEY_SEEN };

    mvcc_key_set(&k, MVCC_KEY_ALIVE);
    cr_assert_eq(mvcc_key_version(&k), MVCC_KEY_VERSION_MAX);
    cr_assert(mvcc_key_is(&k, MVCC_KEY_ALIVE));
    mvcc_key_unset(&k, MVCC_KEY_ALIVE);
    cr_assert_not(mvcc_key_is(&k, MVCC_KEY_ALIVE));
    cr_assert(mvcc_key_is(&k, MVCC_KEY_SEEN));
}
