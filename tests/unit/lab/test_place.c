#include "lab/place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/lab/fixture.h"
#include "util/mem.h"
#include "util/os.h"

static const char *lab_dir(const char *dir)
{
    return path_in(dir, "lab");
}

static struct lab *made(const char *dir)
{
    struct lab *l = fixture_lab(dir, 3);
    struct err e = { 0 };

    OK(lab_place_make(l, &e), &e);
    OK(lab_place_save(l, &e), &e);
    return l;
}

static enum rc again(const char *dir, bool to_change, struct lab **out, struct err *e)
{
    return lab_open(lab_dir(dir), to_change, out, e);
}

CASE(lab_place, what_is_saved_is_read)
{
    const char *dir = tmpdir_new();
    OWNED(lab) l = made(dir), *back = NULL;
    struct err e = { 0 };
    struct stat st;

    cr_assert(stat(lab_dir(dir), &st) == 0 && (st.st_mode & 0777) == 0700);
    l->tls = true;
    l->auth = true;
    l->kind = LAB_ETCD;
    l->members[1].child = (struct lab_child){ 4711, UINT64_C(1) << 62 };
    l->cut[0][2] = l->cut[2][1] = true;
    OK(lab_place_save(l, &e), &e);
    lab_free(GIVE(l));
    OK(again(dir, true, &back, &e), &e);
    cr_assert(back->made && back->tls && back->auth && back->kind == LAB_ETCD);
    cr_assert_str_eq(back->server, "/bin/true");
    cr_assert(back->count == 3 && back->minor == 6 && back->heartbeat_ms == 100 &&
              back->election_ms == 1000);
    cr_assert_str_eq(back->members[2].name, "m3");
    cr_assert_eq(back->members[2].client_port, 20005);
    cr_assert_eq(back->members[2].peer_port, 20006);
    cr_assert_eq(back->members[1].child.pid, 4711);
    cr_assert_eq(back->members[1].child.started, UINT64_C(1) << 62);
    for (size_t a = 0; a < 3; a++)
        for (size_t b = 0; b < 3; b++)
            cr_assert_eq(back->cut[a][b], (a == 0 && b == 2) || (a == 2 && b == 1));
    cr_assert_str_eq(dir_listing(lab_dir(dir)), "lab.json");
}

CASE(lab_place, a_second_lab_is_refused)
{
    const char *dir = tmpdir_new();
    OWNED(lab) l = made(dir), *second = fixture_lab(dir, 1), *third = fixture_lab(dir, 1);
    struct err e = { 0 };

    cr_assert_eq(lab_place_make(second, &e), RC_LOCKED);
    lab_free(GIVE(l));
    cr_assert_eq(lab_place_make(third, &e), RC_REFUSED);
    cr_assert(strstr(e.why, "there is a lab in '") == e.why, "%s", e.why);
    cr_assert(strstr(e.hint, "'holdfast lab down' ends it") == e.hint);
}

CASE(lab_place, lookers_share_and_changers_do_not)
{
    const char *dir = tmpdir_new();
    OWNED(lab) l = made(dir), *a = NULL, *b = NULL, *c = NULL;
    struct err e = { 0 };

    cr_assert_eq(again(dir, false, &a, &e), RC_LOCKED);
    lab_free(GIVE(l));
    OK(again(dir, false, &a, &e), &e);
    OK(again(dir, false, &b, &e), &e);
    cr_assert_eq(again(dir, true, &c, &e), RC_LOCKED);
    cr_assert(strstr(e.why, "another command is at work in '") == e.why);
}

CASE(lab_place, only_an_empty_directory_of_ours_is_taken)
{
    const char *dir = tmpdir_new();
    OWNED(lab)
    full = fixture_lab(dir, 1), *open = fixture_lab(dir, 1),
    *linked = fixture_lab(dir, 1), *good = fixture_lab(dir, 1);
    struct err e = { 0 };
    bool left;

    cr_assert_eq(mkdir(lab_dir(dir), 0777), 0);
    cr_assert_eq(mkdir(path_in(lab_dir(dir), "mine"), 0700), 0);
    cr_assert_eq(lab_place_make(full, &e), RC_REFUSED);
    cr_assert(strstr(e.why, "is not empty") != NULL, "%s", e.why);
    cr_assert_eq(rmdir(path_in(lab_dir(dir), "mine")), 0);
    cr_assert_eq(chmod(lab_dir(dir), 0777), 0);
    cr_assert_eq(lab_place_make(open, &e), RC_REFUSED);
    cr_assert(strstr(e.why, "others may write to it") != NULL, "%s", e.why);
    cr_assert_eq(chmod(lab_dir(dir), 0755), 0);
    lab_free(GIVE(full));
    OK(lab_place_make(good, &e), &e);
    OK(lab_place_save(good, &e), &e);
    OK(lab_place_remove(good, &left, &e), &e);
    cr_assert_str_eq(dir_listing(dir), "lab"); /* it was there before */
    cr_assert_eq(rmdir(lab_dir(dir)), 0);
    cr_assert_eq(symlink("/tmp", lab_dir(dir)), 0);
    cr_assert_eq(lab_place_make(linked, &e), RC_NOTFOUND);
    cr_assert(strstr(e.why, "Not a directory") != NULL, "%s", e.why);
}

static void write_state(const char *dir, const char *text)
{
    struct err e = { 0 };
    OWNED_FD int fd = -1;

    OK(os_open(AT_FDCWD, path_in(lab_dir(dir), "lab.json"), O_WRONLY | O_CREAT | O_TRUNC,
               0600, &fd, &e),
       &e);
    OK(os_write_full(fd, text, strlen(text), "lab.json", &e), &e);
}

#define STATE(members, cut)                                                          \
    "{\"format\":1,\"made\":true,\"etcd\":false,\"server\":\"/x\",\"minor\":6,"      \
    "\"heartbeat_ms\":1,\"election_ms\":2,\"tls\":false,\"auth\":false,\"members\":" \
    "[" members "],\"cut\":[" cut "]}"
#define MEMBER "{\"client_port\":1,\"peer_port\":2,\"pid\":0,\"started\":0}"

CASE(lab_place, what_is_no_lab_is_told)
{
    static const char *const wrong[] = {
        "",
        "{}",
        "[]",
        "null",
        STATE("", ""),
        STATE(MEMBER, "0,1"),
        STATE(MEMBER, "\"m\",0"),
        STATE("{\"client_port\":0,\"peer_port\":2,\"pid\":0,\"started\":0}", ""),
        STATE("{\"client_port\":1,\"peer_port\":65536,\"pid\":0,\"started\":0}", ""),
        STATE("{\"client_port\":1,\"peer_port\":2,\"pid\":4294967296,\"started\":0}", ""),
        STATE("{\"client_port\":1,\"peer_port\":2,\"pid\":-1,\"started\":0}", ""),
        STATE(MEMBER "," MEMBER "," MEMBER "," MEMBER "," MEMBER "," MEMBER "," MEMBER
                     "," MEMBER,
              ""),
    };
    const char *dir = tmpdir_new();
    OWNED(lab) none = NULL, *good = NULL;
    struct err e = { 0 };

    cr_assert_eq(again(dir, true, &none, &e), RC_NOTFOUND);
    cr_assert(strstr(e.hint, "'holdfast lab up' makes one") == e.hint);
    cr_assert_eq(mkdir(lab_dir(dir), 0700), 0);
    cr_assert_eq(again(dir, true, &none, &e), RC_NOTFOUND);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_state(dir, wrong[i]);
        cr_assert_eq(again(dir, true, &none, &e), RC_CORRUPT, "%s", wrong[i]);
    }
    write_state(dir, STATE(MEMBER, "0,0"));
    OK(again(dir, true, &good, &e), &e);
}

CASE(lab_place, what_others_put_there_stays)
{
    const char *dir = tmpdir_new();
    OWNED(lab) l = made(dir);
    struct err e = { 0 };
    bool left = false;

    OK(os_mkdir(l->fd, "m1", &e), &e);
    OK(os_mkdir(l->fd, "m1/lab", &e), &e);
    OK(lab_place_write(l, "m1/lab/closed-1", "x", &e), &e);
    OK(lab_place_write(l, "m3.log", "x", &e), &e);
    OK(lab_place_write(l, "m2.sock", "x", &e), &e);
    OK(lab_place_write(l, "root.password", "x", &e), &e);
    OK(lab_place_write(l, "m4.log", "x", &e), &e);
    OK(lab_place_write(l, "m1.old", "x", &e), &e);
    OK(lab_place_remove(l, &left, &e), &e);
    cr_assert(left);
    cr_assert_str_eq(dir_listing(lab_dir(dir)), "m1.old m4.log");
    cr_assert_eq(unlink(path_in(lab_dir(dir), "m4.log")), 0);
    cr_assert_eq(unlink(path_in(lab_dir(dir), "m1.old")), 0);
    OK(lab_place_remove(l, &left, &e), &e);
    cr_assert(!left);
    cr_assert_str_eq(dir_listing(dir), "");
}

/* The old state or the new one, whatever fails. */
static void sweep(enum fault_point point, int error, unsigned least)
{
    const char *dir = tmpdir_new();
    OWNED(lab) l = made(dir);
    unsigned runs = 0;

    FAULT_SWEEP(point, nth, error) {
        OWNED(lab) seen = NULL;
        struct err e = { 0 };
        uint64_t before = l->election_ms;
        bool saved;

        l->election_ms = 2000 + nth;
        saved = lab_place_save(l, &e) == RC_OK;
        runs = nth;
        fault_disarm();
        os.flock(l->fd, 8 /* LOCK_UN */);
        OK(again(dir, false, &seen, &e), &e);
        cr_assert_eq(seen->election_ms, saved ? l->election_ms : before);
        l->election_ms = seen->election_ms;
        if (saved)
            break;
    }
    cr_assert_geq(runs, least, "only %u runs", runs);
}

CASE(lab_place, a_save_that_fails_changes_nothing)
{
    sweep(FAULT_OPEN, EMFILE, 2);
    sweep(FAULT_WRITE, ENOSPC, 2);
    sweep(FAULT_RENAME, EIO, 2);
    sweep(FAULT_ALLOC, 0, 2);
}
