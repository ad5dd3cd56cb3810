#include "restore/members.h"

#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"

static const char three[] = "c=http://10.0.0.3:2380, a=http://10.0.0.1:2380,"
                            "b=https://[::1]:2380,a=http://10.0.0.1:2381";

CASE(restore_members, reads_the_syntax_of_initial_cluster)
{
    AT_END(restore_members_clear) struct restore_members m = { 0 };
    const struct restore_member *a;
    struct err e = { 0 };

    OK(restore_members_parse(three, &m, &e), &e);
    cr_assert_eq(m.count, 3);
    a = restore_members_find(&m, "a");
    cr_assert(a != NULL && a->peer_urls.count == 2);
    cr_assert_str_eq(a->peer_urls.items[0], "http://10.0.0.1:2380");
    cr_assert_str_eq(a->peer_urls.items[1], "http://10.0.0.1:2381");
    cr_assert_null(restore_members_find(&m, "d"));
}

/* The ids of etcd 3.4 to 3.7 for the same URL and token. */
CASE(restore_members, ids_are_etcds)
{
    AT_END(restore_members_clear) struct restore_members m = { 0 };
    struct err e = { 0 };
    uint64_t cluster = 0;

    OK(restore_members_parse("x=http://127.0.0.1:31001", &m, &e), &e);
    OK(restore_members_identify(&m, "tok-34", &cluster, &e), &e);
    cr_assert_eq(m.items[0].id, 0x4dabe5588c0f9f70);
    cr_assert_eq(cluster, UINT64_C(10614978292194422135));
}

CASE(restore_members, a_token_changes_every_id_and_members_are_sorted_by_it)
{
    AT_END(restore_members_clear) struct restore_members m = { 0 };
    AT_END(restore_members_clear) struct restore_members n = { 0 };
    struct err e = { 0 };
    uint64_t one = 0, other = 0;

    OK(restore_members_parse(three, &m, &e), &e);
    OK(restore_members_parse(three, &n, &e), &e);
    OK(restore_members_identify(&m, "one", &one, &e), &e);
    OK(restore_members_identify(&n, "other", &other, &e), &e);
    cr_assert_neq(one, other);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_neq(restore_members_find(&m, n.items[i].name)->id, n.items[i].id);
        cr_assert(i == 0 || m.items[i - 1].id < m.items[i].id);
    }
}

CASE(restore_members, what_etcd_would_refuse_is_refused_by_name)
{
    static const char *const cases[][2] = {
        { "", "names no member" },
        { " , ", "names no member" },
        { "a", "'a' in --initial-cluster is not NAME=URL" },
        { "=http://h:1", "is not NAME=URL" },
        { "a=", "does not begin with http" },
        { "a=h:2380", "does not begin with http" },
        { "a=ftp://h:2380", "does not begin with http" },
        { "a=http://h", "is not SCHEME://HOST:PORT" },
        { "a=http://:2380", "is not SCHEME://HOST:PORT" },
        { "a=http://h:", "is not SCHEME://HOST:PORT" },
        { "a=http://h:70000", "is not SCHEME://HOST:PORT" },
        { "a=http://::1:2380", "is not SCHEME://HOST:PORT" },
        { "a=http://u@h:2380", "is not SCHEME://HOST:PORT" },
        { "a=http://h:2380/", "has a path" },
        { "a=http://h:2380,b=http://h:2380", "has the URL 'http://h:2380' twice" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AT_END(restore_members_clear) struct restore_members m = { 0 };
        struct err e = { 0 };

        cr_assert_eq(restore_members_parse(cases[i][0], &m, &e), RC_USAGE, "%s",
                     cases[i][0]);
        cr_assert_not_null(strstr(e.why, cases[i][1]), "%s: %s", cases[i][0], e.why);
        cr_assert_null(m.items, "%s", cases[i][0]);
    }
}

CASE(restore_members, survives_every_failed_allocation)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        AT_END(restore_members_clear) struct restore_members m = { 0 };
        struct err e = { 0 };
        enum rc rc = restore_members_parse(three, &m, &e);

        runs = nth;
        cr_assert(rc == RC_NOMEM || (rc == RC_OK && m.count == 3), "allocation %u", nth);
    }
    cr_assert_geq(runs, 12);
}
