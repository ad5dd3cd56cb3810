#include "wal/raft_ids.h"

#include "tests/lib/case.h"
#include "tests/lib/fault.h"

CASE(wal_raft_ids, match_a_real_member_and_its_cluster)
{
    const char *const urls[] = { "http://127.0.0.1:31001" };
    uint64_t member, cluster;
    struct err e = { 0 };

    OK(wal_member_id(urls, 1, "tok-34", &member, &e), &e);
    cr_assert_eq(member, 0x4dabe5588c0f9f70);
    OK(wal_cluster_id(&member, 1, &cluster, &e), &e);
    cr_assert_eq(cluster, 10614978292194422135u);
}

/* The golden restores: three members, token tok-golden. */
CASE(wal_raft_ids, match_a_real_restore_in_any_order)
{
    static const char *const urls[] = { "http://127.0.0.1:31001",
                                        "http://127.0.0.1:31003",
                                        "http://127.0.0.1:31005" };
    static const size_t orders[][3] = { { 0, 1, 2 }, { 2, 0, 1 }, { 2, 1, 0 } };
    uint64_t id[3], cluster;
    struct err e = { 0 };

    for (size_t i = 0; i < 3; i++)
        OK(wal_member_id(&urls[i], 1, "tok-golden", &id[i], &e), &e);
    cr_assert_eq(id[0], 17486735555321366281u);
    cr_assert_eq(id[2], 4929592047848112471u);
    for (size_t i = 0; i < 3; i++) {
        const size_t *o = orders[i];
        uint64_t ids[] = { id[o[0]], id[o[1]], id[o[2]] };

        OK(wal_cluster_id(ids, 3, &cluster, &e), &e);
        cr_assert_eq(cluster, 7137467414495541690u, "order %zu", i);
    }
}

CASE(wal_raft_ids, sort_the_urls_of_a_member)
{
    const char *const a[] = { "http://a:1", "http://b:1" };
    const char *const b[] = { "http://b:1", "http://a:1" };
    uint64_t x, y, z;
    struct err e = { 0 };

    OK(wal_member_id(a, 2, "t", &x, &e), &e);
    OK(wal_member_id(b, 2, "t", &y, &e), &e);
    OK(wal_member_id(b, 2, "u", &z, &e), &e);
    cr_assert(x == y && x != z);
    cr_assert_str_eq(b[0], "http://b:1");
}

CASE(wal_raft_ids, no_memory_is_an_error)
{
    const char *const urls[] = { "http://a:1" };
    uint64_t id = 1;
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct err e = { 0 };

        runs = nth;
        if (wal_member_id(urls, 1, "t", &id, &e) != RC_OK)
            cr_assert(e.code == RC_NOMEM && id == 1, "allocation %u", nth);
        if (wal_cluster_id(&id, 1, &id, &e) != RC_OK)
            cr_assert_eq(e.code, RC_NOMEM, "allocation %u", nth);
        id = 1;
    }
    cr_assert_eq(runs, 5, "two allocations each, a clean run");
}
