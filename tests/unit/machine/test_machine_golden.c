/* Databases and logs that real etcd wrote: tests/golden. */
#include <fcntl.h>
#include <stdio.h>

#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/machine/mfixture.h"
#include "tests/unit/mvcc/fixture.h"
#include "util/os.h"

#define BYTES(buf) ((struct bytes){ (buf).p, (buf).n })

static struct bolt_file *golden_file(const char *name, const char *file)
{
    AT_END(buf_clear) struct buf db = golden_read(name, file);
    struct bolt_file *f = NULL;
    struct err e = { 0 };

    OK(image_open(BYTES(db), NULL, &f, &e), &e);
    return f;
}

static void loads_and_dumps(const char *name, int minor, const char *path)
{
    OWNED(bolt_file) file = golden_file(name, path);
    OWNED(machine) m = machine_of(minor);
    struct err e = { 0 };
    char what[80];

    snprintf(what, sizeof what, "%s/%s", name, path);
    OK(machine_load(m, file, &e), &e);
    OWNED(bolt_file) ours = machine_file(m);

    same_files(ours, file, NULL, what);
}

CASE(machine_golden, an_unchanged_file_stays_as_it_is)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        loads_and_dumps(golden_names[i], 4 + (int)i, "snapshot.db.zst");
        loads_and_dumps(golden_names[i], 4 + (int)i, "data/db.zst");
    }
}

/* Members of 3.4 salt a password's hash each for itself. */
static bool salted(struct bytes bucket, struct bytes key)
{
    (void)key;
    return bytes_is(bucket, "authUsers");
}

CASE(machine_golden, a_log_makes_the_database_that_etcd_made_of_it)
{
    static const char wal[] = "0000000000000000-0000000000000000.wal";

    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        const char *dir = tmpdir_new();
        OWNED(machine) m = machine_of(4 + (int)i);
        OWNED(bolt_file) file = golden_file(golden_names[i], "data/db.zst");
        AT_END(buf_clear) struct buf log = { 0 };
        char path[128];
        struct err e = { 0 };

        snprintf(path, sizeof path, "data/%s.zst", wal);
        log = golden_read(golden_names[i], path);
        OWNED_FD int fd = -1;

        OK(os_open(AT_FDCWD, path_in(dir, wal), O_WRONLY | O_CREAT, 0600, &fd, &e), &e);
        OK(os_write_full(fd, log.p, log.n, wal, &e), &e);
        replay(m, dir, index_in(file));
        OWNED(bolt_file) ours = machine_file(m);

        same_files(ours, file, i == 0 ? salted : NULL, golden_names[i]);
    }
}
