#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "codec/message.h"
#include "raftstore/image.h"
#include "raftstore/picture.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "util/os.h"

static void put(struct machine *m, int i)
{
    Raftreq__InternalRaftRequest r;
    Etcdrpc__PutRequest p;
    char key[16];
    struct err e = { 0 };

    raftreq__internal_raft_request__init(&r);
    etcdrpc__put_request__init(&p);
    snprintf(key, sizeof key, "key%d", i % 100);
    p.key = codec_field(bytes_str(key));
    p.value = codec_field(bytes_str("a value that takes some bytes"));
    r.put = &p;
    OK(machine_request(m, &r, NULL, &e), &e);
}

static void filled(struct machine **out)
{
    const struct machine_options options = { .minor = 6 };
    struct err e = { 0 };

    OK(machine_new(&options, out, &e), &e);
    for (int i = 0; i < 1000; i++)
        put(*out, i);
    machine_set_index(*out, 1000, 3);
}

static uint32_t hash_of(struct machine *m)
{
    struct mvcc_hashkv h;
    struct err e = { 0 };

    OK(kvstore_hashkv(machine_kv(m), 0, &h, &e), &e);
    return h.hash;
}

CASE(image, what_is_written_is_loaded)
{
    const char *dir = tmpdir_new();
    OWNED(bolt_file) file = NULL;
    OWNED(machine) m = NULL;
    OWNED(machine) again = NULL;
    OWNED_FD int fd = -1;
    uint64_t size;
    struct err e = { 0 };

    filled(&m);
    OK(image_scratch(dir, &fd, &e), &e);
    cr_assert_str_eq(dir_listing(dir), "", "it has no name");
    OK(image_write(m, fd, "image", &size, &e), &e);
    OK(image_load(fd, "image", 6, &file, &again, &e), &e);
    cr_assert_eq(hash_of(m), hash_of(again));
    cr_assert_eq(machine_index(again), 1000);
    cr_assert_eq(machine_term(again), 3);
    machine_free(GIVE(again));
}

/* The picture shows the state as it was, whatever happens meanwhile. */
CASE(image, a_picture_is_of_one_moment)
{
    const char *dir = tmpdir_new();
    OWNED(bolt_file) file = NULL;
    OWNED(machine) m = NULL;
    OWNED(machine) again = NULL;
    struct picture p;
    uint64_t size;
    uint32_t before;
    struct err e = { 0 };

    filled(&m);
    before = hash_of(m);
    OK(picture_take(m, dir, &p, &e), &e);
    for (int i = 0; i < 100; i++)
        put(m, i);
    OK(picture_wait(&p, &size, &e), &e);
    cr_assert_neq(hash_of(m), before);
    OK(image_load(p.fd, "image", 6, &file, &again, &e), &e);
    cr_assert_eq(bolt_file_size(file), size);
    cr_assert_eq(hash_of(again), before);
    picture_clear(&p);
    machine_free(GIVE(again));
}

CASE(image, a_picture_that_nobody_waits_for_leaves_no_child)
{
    struct picture p;
    OWNED(machine) m = NULL;
    struct err e = { 0 };

    filled(&m);
    OK(picture_take(m, tmpdir_new(), &p, &e), &e);
    picture_clear(&p);
    cr_assert_eq(p.fd, -1);
    cr_assert_eq(picture_take(m, "/nonexistent", &p, &e), RC_NOTFOUND);
}

CASE(image, each_failing_write_is_told)
{
    const char *dir = tmpdir_new();
    OWNED(machine) m = NULL;
    unsigned runs = 0;
    struct err e = { 0 };

    filled(&m);
    FAULT_SWEEP(FAULT_WRITE, nth, ENOSPC) {
        OWNED_FD int fd = -1;
        uint64_t size;

        runs = nth;
        OK(image_scratch(dir, &fd, &e), &e);
        if (image_write(m, fd, "image", &size, &e) != RC_OK)
            cr_assert_eq(e.code, RC_STORAGE);
    }
    cr_assert_gt(runs, 1);
}
