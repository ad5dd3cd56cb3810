#include "bundle/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "util/mem.h"
#include "util/os.h"

enum { SIZE = (1 << 20) + 777 };

static uint8_t data[SIZE];
static const char *scratch;
static char out[600]; /* in it: where bundles are unpacked */

static void set_up(void)
{
    scratch = tmpdir_new();
    snprintf(out, sizeof out, "%s/out", scratch);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 9));
}

#define BUNDLE(name) CASE(bundle, name, .init = set_up)

static void plant(const char *root, const char *path, const char *text)
{
    FILE *f = fopen(path_in(root, path), "w");

    cr_assert_not_null(f, "%s", path);
    fputs(text, f);
    fclose(f);
}

/* A small host: /etc/pki with two files and a link, /etc/one, /etc/h\xc3\xb6st. */
static const char *make_host(void)
{
    const char *root = tmpdir_new();

    cr_assert_eq(mkdir(path_in(root, "etc"), 0755), 0);
    cr_assert_eq(mkdir(path_in(root, "etc/pki"), 0755), 0);
    cr_assert_eq(mkdir(path_in(root, "etc/pki/deep"), 0755), 0);
    plant(root, "etc/pki/ca.crt", "certificate");
    plant(root, "etc/pki/deep/ca.key", "key");
    plant(root, "etc/one", "");
    plant(root, "etc/h\xc3\xb6st", "name");
    cr_assert_eq(symlink("/etc/shadow", path_in(root, "etc/pki/link")), 0);
    cr_assert_eq(symlink("one", path_in(root, "etc/alias")), 0);
    cr_assert_eq(mkfifo(path_in(root, "etc/pki/fifo"), 0600), 0);
    return root;
}

static const struct bundle_path listed[] = {
    { "/etc/pki", true },          { "/etc/pki/ca.crt", true }, { "/etc/one/", true },
    { "/etc/h\xc3\xb6st", false }, { "/etc/alias", false },     { "/etc/no", true },
    { "/no/such", false },
};

static enum rc pack(const char *root, struct buf *tar, uint64_t announced, size_t size,
                    struct bundle_report *report, struct err *e)
{
    const struct bundle_options o = {
        .paths = listed, .count = 7, .root = root, .snapshot_size = &announced
    };
    OWNED(sink) chain = NULL;

    TRY(buf_sink_new(tar, &chain, e));
    TRY(bundle_pack_new(GIVE(chain), &o, report, &chain, e));
    for (size_t at = 0; at < size; at += 70001)
        TRY(sink_write(chain, data + at, size - at < 70001 ? size - at : 70001, e));
    return sink_finish(chain, e);
}

static enum rc unpack(const struct buf *tar, const struct bundle_target *target,
                      struct err *e)
{
    OWNED(sink) to = NULL;

    TRY(bundle_unpack_new(target, &to, e));
    for (size_t at = 0; at < tar->n; at += 30011)
        TRY(sink_write(to, tar->p + at, tar->n - at < 30011 ? tar->n - at : 30011, e));
    return sink_finish(to, e);
}

static void pack_well(const char *root, struct buf *tar, struct bundle_report *report)
{
    struct err e = { 0 };

    OK(pack(root, tar, SIZE, SIZE, report, &e), &e);
}

static bool holds(const char *path, const void *p, size_t n)
{
    static uint8_t back[SIZE + 1];
    FILE *f = fopen(path, "rb");
    size_t got = f == NULL ? 0 : fread(back, 1, sizeof back, f);

    return f != NULL && fclose(f) == 0 && got == n && memcmp(back, p, n) == 0;
}

static void is_the_host(void)
{
    const char *files = path_in(out, "files/etc");
    struct stat st;

    cr_assert_str_eq(dir_listing(out), "files snapshot.db");
    cr_assert_str_eq(dir_listing(files), "alias h\xc3\xb6st one pki");
    cr_assert_str_eq(dir_listing(path_in(files, "pki")), "ca.crt deep");
    cr_assert(holds(path_in(files, "pki/ca.crt"), "certificate", 11));
    cr_assert(holds(path_in(files, "pki/deep/ca.key"), "key", 3));
    cr_assert(holds(path_in(files, "h\xc3\xb6st"), "name", 4));
    cr_assert(holds(path_in(out, BUNDLE_SNAPSHOT), data, SIZE));
    cr_assert_eq(stat(path_in(files, "pki/deep/ca.key"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600);
    cr_assert_eq(stat(path_in(files, "pki"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0700);
}

BUNDLE(comes_back_as_it_was)
{
    AT_END(bundle_report_clear) struct bundle_report report = { 0 };
    AT_END(buf_clear) struct buf tar = { 0 };
    const struct bundle_target target = { .dir = out };
    struct err e = { 0 };

    pack_well(make_host(), &tar, &report);
    OK(unpack(&tar, &target, &e), &e);
    is_the_host();
    cr_assert_str_eq(dir_listing(scratch), "out");
}

BUNDLE(says_what_it_found_and_what_not)
{
    AT_END(bundle_report_clear) struct bundle_report report = { 0 };
    AT_END(buf_clear) struct buf tar = { 0 };

    pack_well(make_host(), &tar, &report);
    cr_assert_eq(report.packed.count, 5);
    cr_assert_str_eq(report.packed.items[0], "/etc/pki/ca.crt");
    cr_assert_str_eq(report.packed.items[1], "/etc/pki/deep/ca.key");
    cr_assert_eq(report.missing.count, 2);
    cr_assert_str_eq(report.missing.items[0], "/etc/no");
    cr_assert_str_eq(report.missing.items[1], "/no/such");
    cr_assert_eq(report.missing_required, 1);
    cr_assert_eq(report.passed_over.count, 2);
    cr_assert_str_eq(report.passed_over.items[0], "/etc/pki/fifo");
    cr_assert_str_eq(report.passed_over.items[1], "/etc/pki/link");
    cr_assert_eq(report.bytes, 11 + 3 + 4);
}

/* The promise: nobody needs us to open it. */
BUNDLE(tar_and_sha256sum_read_it)
{
    AT_END(bundle_report_clear) struct bundle_report report = { 0 };
    AT_END(buf_clear) struct buf tar = { 0 };
    FILE *f = fopen(out, "wb");

    cr_assert_not_null(f);
    pack_well(make_host(), &tar, &report);
    cr_assert_eq(fwrite(tar.p, 1, tar.n, f), tar.n);
    fclose(f);
    RUN(list, "tar", "--quoting-style=literal", "-tf", out);
    cr_assert_eq(list.status, 0, "%s", list.err);
    cr_assert_str_eq(list.out, "files/etc/pki/ca.crt\nfiles/etc/pki/deep/ca.key\n"
                               "files/etc/one\nfiles/etc/h\xc3\xb6st\nfiles/etc/alias\n"
                               "snapshot.db\nSHA256SUMS\n");
    RUN(extract, "tar", "-xf", out, "-C", scratch);
    cr_assert_eq(extract.status, 0, "%s", extract.err);
    RUN(check, "sh", "-c", "cd \"$0\" && sha256sum --quiet --strict -c SHA256SUMS",
        scratch);
    cr_assert_eq(check.status, 0, "%s%s", check.out, check.err);
    cr_assert(holds(path_in(scratch, BUNDLE_SNAPSHOT), data, SIZE));
}

/* ---- the snapshot elsewhere
 * --------------------------------------------------------------- */

struct watched {
    struct sink base;
    uint64_t *bytes;
    unsigned *finishes;
};

static enum rc watch_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct watched *w = (struct watched *)s;

    cr_assert(memcmp(data + *w->bytes, p, n) == 0);
    *w->bytes += n;
    (void)e;
    return RC_OK;
}

static enum rc watch_finish(struct sink *s, struct err *e)
{
    (void)e;
    ++*((struct watched *)s)->finishes;
    return RC_OK;
}

static struct sink *watch(uint64_t *bytes, unsigned *finishes)
{
    static const struct sink_ops ops = { .name = "watched",
                                         .write = watch_write,
                                         .finish = watch_finish };
    struct watched *w = mem_zero(sizeof *w);

    cr_assert_not_null(w);
    *w = (struct watched){ .base.ops = &ops, .bytes = bytes, .finishes = finishes };
    return &w->base;
}

BUNDLE(the_snapshot_can_go_to_another_sink)
{
    AT_END(bundle_report_clear) struct bundle_report report = { 0 };
    AT_END(buf_clear) struct buf tar = { 0 };
    uint64_t bytes = 0;
    unsigned finishes = 0;
    struct err e = { 0 };

    pack_well(make_host(), &tar, &report);
    OK(unpack(&tar, &(struct bundle_target){ .snapshot = watch(&bytes, &finishes) }, &e),
       &e);
    cr_assert_eq(bytes, SIZE);
    cr_assert_eq(finishes, 1);
    bytes = finishes = 0;
    tar.p[tar.n - 1400] ^= 1;
    cr_assert_eq(
        unpack(&tar, &(struct bundle_target){ .snapshot = watch(&bytes, &finishes) }, &e),
        RC_CORRUPT);
    cr_assert_eq(finishes, 0, "it is not told to be whole");
}

/* ---- refusals
 * --------------------------------------------------------------------------- */

BUNDLE(a_snapshot_of_another_size_than_announced_is_no_bundle)
{
    const uint64_t announced[] = { 0, SIZE - 1, SIZE + 1 };
    const char *root = make_host();

    for (int i = 0; i < 3; i++) {
        AT_END(bundle_report_clear) struct bundle_report report = { 0 };
        AT_END(buf_clear) struct buf tar = { 0 };
        struct err e = { 0 };

        cr_assert_eq(pack(root, &tar, announced[i], SIZE, &report, &e),
                     i == 0 ? RC_INTERNAL : RC_CORRUPT, "%s", e.why);
    }
}

BUNDLE(paths_that_are_none_are_refused)
{
    const char *const bad[] = { "", "/", "etc/pki", "/etc/../root", "/etc/.." };
    const uint64_t size = 1;

    for (int i = 0; i < 5; i++) {
        const struct bundle_path path = { bad[i], false };
        const struct bundle_options o = { .paths = &path,
                                          .count = 1,
                                          .snapshot_size = &size };
        AT_END(bundle_report_clear) struct bundle_report report = { 0 };
        AT_END(buf_clear) struct buf tar = { 0 };
        OWNED(sink) chain = NULL;
        struct err e = { 0 };

        OK(buf_sink_new(&tar, &chain, &e), &e);
        cr_assert_eq(bundle_pack_new(GIVE(chain), &o, &report, &chain, &e), RC_USAGE,
                     "'%s'", bad[i]);
    }
}

BUNDLE(a_file_that_is_too_large_is_refused)
{
    AT_END(bundle_report_clear) struct bundle_report report = { 0 };
    AT_END(buf_clear) struct buf tar = { 0 };
    const char *root = make_host();
    struct err e = { 0 };

    cr_assert_eq(truncate(path_in(root, "etc/one"), BUNDLE_FILE_MAX + 1), 0);
    cr_assert_eq(pack(root, &tar, SIZE, SIZE, &report, &e), RC_REFUSED);
    cr_assert(strstr(e.why, "/etc/one' is larger than the 16 MiB") != NULL, "%s", e.why);
}

BUNDLE(what_exists_is_not_touched)
{
    AT_END(bundle_report_clear) struct bundle_report report = { 0 };
    AT_END(buf_clear) struct buf tar = { 0 };
    struct err e = { 0 };

    pack_well(make_host(), &tar, &report);
    cr_assert_eq(mkdir(path_in(scratch, "dir"), 0700), 0);
    cr_assert_eq(symlink("nowhere", path_in(scratch, "link")), 0);
    for (int i = 0; i < 2; i++) {
        const struct bundle_target t = { .dir =
                                             path_in(scratch, i == 0 ? "dir" : "link") };

        cr_assert_eq(unpack(&tar, &t, &e), RC_REFUSED, "%s", e.why);
    }
    cr_assert_eq(
        unpack(&tar, &(struct bundle_target){ .dir = path_in(scratch, "no/x") }, &e),
        RC_NOTFOUND);
    cr_assert_str_eq(dir_listing(scratch), "dir link");
}

BUNDLE(given_up_in_the_middle_leaves_nothing)
{
    AT_END(bundle_report_clear) struct bundle_report report = { 0 };
    AT_END(buf_clear) struct buf tar = { 0 };
    const struct bundle_target target = { .dir = out };

    pack_well(make_host(), &tar, &report);
    for (size_t n = 0; n < tar.n; n += tar.n / 5) {
        OWNED(sink) to = NULL;
        struct err e = { 0 };

        OK(bundle_unpack_new(&target, &to, &e), &e);
        OK(sink_write(to, tar.p, n, &e), &e);
        sink_free(GIVE(to));
        cr_assert_str_eq(dir_listing(scratch), "");
    }
}

BUNDLE(leftovers_of_a_crash_are_swept_and_nothing_else)
{
    const struct bundle_target target = { .dir = out };
    OWNED(sink) busy = NULL;
    OWNED(sink) to = NULL;
    struct err e = { 0 };

    OK(bundle_unpack_new(&target, &busy, &e), &e);
    cr_assert_eq(mkdir(path_in(scratch, ".out.holdfast-01234567.part"), 0700), 0);
    cr_assert_eq(mkdir(path_in(scratch, ".out.holdfast-0123456x.part"), 0700), 0);
    cr_assert_eq(mkdir(path_in(scratch, ".out2.holdfast-01234567.part"), 0700), 0);
    plant(scratch, ".out.holdfast-01234567.part/ca.key", "key");
    OK(bundle_unpack_new(&target, &to, &e), &e);
    sink_free(GIVE(to));
    cr_assert_neq(access(path_in(scratch, ".out.holdfast-01234567.part"), F_OK), 0);
    sink_free(GIVE(busy));
    cr_assert_str_eq(dir_listing(scratch),
                     ".out.holdfast-0123456x.part .out2.holdfast-01234567.part");
}

/* ---- every n-th call fails
 * ---------------------------------------------------------------- */

BUNDLE(any_failed_call_leaves_all_or_nothing)
{
    const struct {
        enum fault_point point;
        int error;
    } sweeps[] = { { FAULT_ALLOC, 0 },      { FAULT_OPEN, EIO },
                   { FAULT_WRITE, ENOSPC }, { FAULT_FSYNC, EIO },
                   { FAULT_RENAME, EIO },   { FAULT_MKDIR, ENOSPC },
                   { FAULT_RENAME, EEXIST } };
    AT_END(bundle_report_clear) struct bundle_report report = { 0 };
    AT_END(buf_clear) struct buf tar = { 0 };
    const struct bundle_target target = { .dir = out };

    pack_well(make_host(), &tar, &report);
    for (size_t i = 0; i < sizeof sweeps / sizeof sweeps[0]; i++) {
        unsigned runs = 0;

        FAULT_SWEEP(sweeps[i].point, nth, sweeps[i].error) {
            struct err e = { 0 };
            enum rc rc = unpack(&tar, &target, &e);

            runs = nth;
            (void)fault_disarm();
            if (rc == RC_OK) {
                is_the_host();
                OK(os_remove_tree(AT_FDCWD, out, &e), &e);
            }
            cr_assert_str_eq(dir_listing(scratch), "", "sweep %zu, call %u", i, nth);
        }
        cr_assert_gt(runs, 1, "sweep %zu", i);
    }
}

BUNDLE(no_memory_packs_nothing_that_reads_as_whole)
{
    const char *root = make_host();
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        AT_END(bundle_report_clear) struct bundle_report report = { 0 };
        AT_END(buf_clear) struct buf tar = { 0 };
        struct err e = { 0 };
        enum rc rc = pack(root, &tar, SIZE, SIZE, &report, &e);

        runs = nth;
        if (rc != RC_OK)
            cr_assert_neq(unpack(&tar, &(struct bundle_target){ 0 }, &e), RC_OK,
                          "call %u", nth);
    }
    cr_assert_gt(runs, 20);
}
