#include "care/lock.h"

#include <string.h>

#include "care/room.h"
#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"

CASE(care_lock, streams_share_and_changes_are_alone)
{
    OWNED(care_store) s = NULL;
    OWNED_FD int one = -1;
    OWNED_FD int two = -1;
    OWNED_FD int change = -1;
    OWNED_FD int other = -1;
    struct err e = { 0 };

    OK(care_store_open(path_in(tmpdir_new(), "state"), &s, &e), &e);
    OK(care_lock_take(s, 0xc1, CARE_LOCK_STREAM, &one, &e), &e);
    OK(care_lock_take(s, 0xc1, CARE_LOCK_STREAM, &two, &e), &e);
    cr_assert_eq(care_lock_take(s, 0xc1, CARE_LOCK_CHANGE, &change, &e), RC_LOCKED);
    cr_assert(strstr(e.why, "a snapshot of this cluster") != NULL, "%s", e.why);
    OK(care_lock_take(s, 0xc2, CARE_LOCK_CHANGE, &other, &e), &e);
    os_fd_end(&one);
    os_fd_end(&two);
    one = two = -1;
    OK(care_lock_take(s, 0xc1, CARE_LOCK_CHANGE, &change, &e), &e);
    cr_assert_eq(care_lock_take(s, 0xc1, CARE_LOCK_STREAM, &one, &e), RC_LOCKED);
    cr_assert(strstr(e.why, "a defragmentation of this cluster") != NULL, "%s", e.why);
}

CASE(care_lock, without_a_state_directory_there_is_none)
{
    struct err e = { 0 };
    int fd = 5;

    OK(care_lock_take(NULL, 0xc1, CARE_LOCK_CHANGE, &fd, &e), &e);
    cr_assert_eq(fd, -1);
}

CASE(care_room, a_copy_needs_a_fifth_more)
{
    struct care_room r = { .path = "/var/lib/etcd/member/snap/db", .free = 1200 };
    struct err e = { 0 };
    bool found = true;

    OK(care_room_check(&r, 1000, "m0", &e), &e);
    r.free = 1199;
    cr_assert_eq(care_room_check(&r, 1000, "m0", &e), RC_REFUSED);
    cr_assert(strstr(e.why, "m0 needs 1.2 kB for a copy beside") != NULL, "%s", e.why);
    OK(care_room_find("http://192.0.2.1:1", &r, &found, &e), &e);
    cr_assert(!found);
}
