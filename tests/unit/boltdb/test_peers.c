/* What the builder wrote, as bbolt's own checker and etcd's own tool see it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "boltdb/build.h"
#include "tests/lib/case.h"
#include "tests/lib/cluster.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/boltdb/build_to.h"
#include "util/json.h"
#include "util/os.h"

static const char *write_image(const struct image *db)
{
    const char *path = path_in(tmpdir_new(), "db");
    struct err e = { 0 };
    OWNED_FD int fd = -1;

    OK(os_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd, &e), &e);
    OK(os_write_full(fd, db->p, db->n, path, &e), &e);
    return path;
}

/* scripts/peers builds bbolt; a machine without it skips, loudly. */
static const char *bbolt(void)
{
    static char path[512];
    const char *peers = getenv("HOLDFAST_PEERS"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");

    if (peers != NULL)
        snprintf(path, sizeof path, "%s/tools/bbolt", peers);
    else if (cache != NULL)
        snprintf(path, sizeof path, "%s/holdfast/peers/tools/bbolt", cache);
    else
        snprintf(path, sizeof path, "%s/.cache/holdfast/peers/tools/bbolt",
                 home != NULL ? home : "");
    if (access(path, X_OK) != 0)
        cr_skip_test("no bbolt at %s: run scripts/peers", path);
    return path;
}

static void expect_accepted(const struct image *db, const char *what, unsigned n)
{
    const char *path = write_image(db);
    RUN(p, bbolt(), "check", path);

    cr_assert_eq(p.status, 0, "%s %u: %s%s", what, n, p.out, p.err);
    cr_assert_str_eq(p.out, "OK\n", "%s %u", what, n);
}

CASE(boltdb_peers, bbolt_accepts_all_shapes)
{
    static const struct bolt_build_options options[] = {
        { 0, 0, 0 },      { 512, 10, 1 },   { 1024, 100, 3 },
        { 4096, 100, 0 }, { 16384, 90, 0 }, { 65536, 90, 2 },
    };

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        for (unsigned pairs = 0; pairs < 20000; pairs = pairs * 11 + 1) {
            OWNED_IMAGE db = { 0 };
            struct err e = { 0 };

            OK(build_uniform(&options[i], pairs % 7, pairs, i % 2 == 0 ? 700 : 40, &db,
                             &e),
               &e);
            if (db.n >= 4096) /* bbolt reads that much before it looks */
                expect_accepted(&db, "pairs", pairs);
        }
}

CASE(boltdb_peers, bbolt_accepts_overflow)
{
    static const size_t sizes[] = { 4000, 4047, 4048, 4063, 4064, 9000, 1 << 20 };

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        OWNED_IMAGE db = { 0 };
        struct err e = { 0 };

        OK(build_uniform(NULL, 2, 5, sizes[i], &db, &e), &e);
        expect_accepted(&db, "value of bytes", (unsigned)sizes[i]);
    }
}

static uint64_t field(const struct json *j, const char *name)
{
    uint64_t n = 0;

    cr_assert(json_get_u64(j, name, &n), "%s", name);
    return n;
}

CASE(boltdb_peers, etcdctl_reads_the_same_as_our_walk)
{
    static const char *const env[] = { "ETCDCTL_API=3", NULL };
    static const struct proc_options options = { .env = env };
    const struct cluster_backend *peer = cluster_backend("3.4");

    if (!cluster_available(peer))
        cr_skip_test("etcdctl is not in the peers' cache");
    for (unsigned pairs = 3; pairs < 3000; pairs *= 9) {
        OWNED_IMAGE db = { 0 };
        AT_END(findings_clear) struct findings f = { 0 };
        AT_END(proc_end) struct proc p = { 0 };
        OWNED(json) j = NULL;
        struct totals t = { 0 };
        struct err e = { 0 };

        OK(build_uniform(NULL, 10, pairs, 500, &db, &e), &e);
        image_walk(db.p, db.n, &f, &t);
        proc_run(&p, &options,
                 (const char *const[]){ cluster_tool(peer, "etcdctl"), "snapshot",
                                        "status", "-w", "json", write_image(&db), NULL });
        cr_assert_eq(p.status, 0, "%u pairs: %s", pairs, p.err);
        OK(json_parse(bytes_str(p.out), "status", &j, &e), &e);
        cr_assert_eq(field(j, "hash"), t.crc, "%u pairs", pairs);
        cr_assert_eq(field(j, "totalKey"), t.pairs, "%u pairs", pairs);
        cr_assert_eq(field(j, "totalSize"), db.n, "%u pairs", pairs);
    }
}
