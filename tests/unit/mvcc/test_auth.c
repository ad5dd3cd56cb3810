#include "mvcc/schema.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"

#define TEXT(literal) ((struct bytes){ (const uint8_t *)(literal), sizeof(literal) - 1 })

static const struct bytes bob =
    TEXT("\x0a\3bob\x12\5crypt\x1a\4read\x1a\5write\x22\2\x08\1");
static const struct bytes guests =
    TEXT("\x0a\6guests\x12\x0a\x08\2\x12\2/a\x1a\2/b\x12\3\x12\1k");

CASE(mvcc_auth, reads_users)
{
    AT_END(mvcc_user_clear) struct mvcc_user u = { 0 };
    struct err e = { 0 };

    OK(mvcc_user_read(TEXT("bob"), bob, &u, &e), &e);
    cr_assert_str_eq(u.name, "bob");
    cr_assert_eq(u.roles.count, 2);
    cr_assert_str_eq(u.roles.items[1], "write");
    cr_assert(u.has_password && u.no_password);
}

CASE(mvcc_auth, reads_roles)
{
    AT_END(mvcc_role_clear) struct mvcc_role r = { 0 };
    struct err e = { 0 };

    OK(mvcc_role_read(TEXT("guests"), guests, &r, &e), &e);
    cr_assert_str_eq(r.name, "guests");
    cr_assert_eq(r.count, 2);
    cr_assert_eq(r.permissions[0].kind, MVCC_READWRITE);
    cr_assert(bytes_is(r.permissions[0].key, "/a"));
    cr_assert(bytes_is(r.permissions[0].range_end, "/b"));
    cr_assert_eq(r.permissions[1].kind, MVCC_READ);
    cr_assert_eq(r.permissions[1].range_end.n, 0);
}

CASE(mvcc_auth, refuses_what_is_none)
{
    struct mvcc_role r = { .count = 77 };
    struct mvcc_user u = { .name = NULL };
    struct err e = { 0 };

    cr_assert_eq(mvcc_user_read(TEXT("eve"), bob, &u, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "key 'eve' holds the name 'bob'");
    cr_assert_eq(mvcc_user_read(TEXT("x"), TEXT("\x0a\1x\x18\1"), &u, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "field 3 has the wire type 0");
    cr_assert_eq(mvcc_user_read(TEXT("x"), TEXT("\x0a\1x\x22\2\x0a\1"), &u, &e),
                 RC_CORRUPT);
    cr_assert_eq(mvcc_role_read(TEXT("x"), TEXT("\x0a\1x\x12\2\x12\1"), &r, &e),
                 RC_CORRUPT);
    cr_assert_str_eq(e.why, "malformed protobuf field at byte 0 of 2");
    cr_assert_eq(r.count, 77);
}

CASE(mvcc_auth, gives_up_cleanly_without_memory)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        AT_END(mvcc_user_clear) struct mvcc_user u = { 0 };
        AT_END(mvcc_role_clear) struct mvcc_role r = { 0 };
        struct err e = { 0 };
        enum rc rc = mvcc_user_read(TEXT("bob"), bob, &u, &e);

        if (rc == RC_OK)
            rc = mvcc_role_read(TEXT("guests"), guests, &r, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "%u: %s", nth, e.why);
        runs = nth;
    }
    cr_assert_eq(runs, 13, "5 for the user, 7 for the role, 1 clean run, not %u", runs);
}
