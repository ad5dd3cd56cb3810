/* Snapshots that real etcd wrote, and small things that tests of damage do with files.
 * In a header, since a flow test is one file. */
#ifndef TESTS_FLOW_GOLDEN_H
#define TESTS_FLOW_GOLDEN_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "snapshot/verify.h"
#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "util/bytes.h"
#include "util/mem.h"
#include "util/os.h"

static const char *const golden_versions[] = { "3.4", "3.5", "3.6", "3.7" };
enum { GOLDEN_VERSIONS = 4, GOLDEN_TRAILER = 32 };

static inline struct buf golden_file(const char *path)
{
    struct buf b = { 0 };
    struct err e = { 0 };

    OK(os_read_file(path, (size_t)64 << 20, &b.p, &b.n, &e), &e);
    return b;
}

/* The snapshot of that version with its trailer; for buf_clear. */
static inline struct buf golden_snapshot(const char *version)
{
    char path[128];
    struct buf all = { 0 };

    snprintf(path, sizeof path, "tests/golden/etcd-%s/snapshot.db.zst", version);
    AT_END(buf_clear) struct buf packed = golden_file(path);

    all.n = (size_t)ZSTD_getFrameContentSize(packed.p, packed.n);
    cr_assert_lt(all.n, 1 << 24);
    all.p = mem_zero(all.n);
    cr_assert_eq(ZSTD_decompress(all.p, all.n, packed.p, packed.n), all.n);
    return all;
}

static inline void golden_write(const char *path, const void *p, size_t n)
{
    OWNED_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct err e = { 0 };

    cr_assert_geq(fd, 0, "%s", path);
    OK(os_write_full(fd, p, n, path, &e), &e);
}

/* One bit, in the middle of the file. */
static inline void golden_flip(const char *path)
{
    AT_END(buf_clear) struct buf all = golden_file(path);

    all.p[all.n / 2] ^= 1;
    golden_write(path, all.p, all.n);
}

static inline bool golden_same(const char *path, struct buf want)
{
    AT_END(buf_clear) struct buf got = golden_file(path);

    return got.n == want.n && memcmp(got.p, want.p, want.n) == 0;
}

/* HashKV of tests/golden/etcd-3.6/facts.json. */
enum { GOLDEN_HASHKV = 1484043585 };

/* dir/data as etcd would find it after a restore of 3.6: log (dir/wal when `apart`),
 * marker and a database with the whole history. */
static inline void golden_check_restored(const char *dir, bool apart, const char *note)
{
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };
    const struct snap_verify_options o = { .file = path_in(dir, "data/member/snap/db"),
                                           .level = SNAP_LEVEL_FULL };
    struct err e = { 0 };

    cr_assert_str_eq(dir_listing(path_in(dir, "data/member/snap")),
                     "0000000000000001-0000000000000001.snap db", "%s", note);
    cr_assert_not_null(
        strstr(dir_listing(path_in(dir, apart ? "wal" : "data/member/wal")),
               "0000000000000000-0000000000000000.wal"),
        "%s", note);
    OK(snap_verify(&o, &v, &e), &e);
    cr_assert_eq(v.findings.errors, 1, "%s: more than the missing trailer: %s", note,
                 v.findings.items[0].message);
    cr_assert_eq(v.facts.hashkv.hash, GOLDEN_HASHKV, "%s", note);
}

/* Memory instead of a disk: thousands of fsyncs would be most of the time. */
static inline void golden_in_memory(void)
{
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
}

/* As many as given, or with HOLDFAST_LONG many times more. */
static inline unsigned golden_effort(unsigned usual, unsigned longer)
{
    return getenv("HOLDFAST_LONG") != NULL ? longer : usual;
}

/* Numbers that are the same in every run of one seed (splitmix64). */
static inline uint64_t golden_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

#endif
