/* Archives that try to get out of their directory, or to fill the disk. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle/bundle.h"
#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/bundle/forge.h"
#include "util/os.h"

static const struct forged_member snapshot = { .name = BUNDLE_SNAPSHOT,
                                               .content = "a snapshot" };
static const struct forged_member good = { .name = "files/etc/good", .content = "good" };

static enum rc unpack(const struct buf *tar, const char *dir, size_t piece, struct err *e)
{
    const struct bundle_target target = { .dir = dir, .snapshot_max = 1 << 20 };
    OWNED(sink) to = NULL;

    TRY(bundle_unpack_new(&target, &to, e));
    for (size_t at = 0; at < tar->n; at += piece)
        TRY(sink_write(to, tar->p + at, tar->n - at < piece ? tar->n - at : piece, e));
    return sink_finish(to, e);
}

/* Nothing appears, neither in the directory nor where the archive points at. */
static void refused(struct forged *f, const char *why)
{
    const char *scratch = tmpdir_new();
    struct err e = { 0 };
    enum rc rc = unpack(&f->tar, path_in(scratch, "out"), 1000, &e);

    cr_assert_eq(rc, RC_CORRUPT, "%s: %d %s", why, rc, e.why);
    cr_assert(strstr(e.why, why) != NULL, "'%s' is not in '%s'", why, e.why);
    cr_assert_str_eq(dir_listing(scratch), "", "%s", why);
}

/* One hostile member amid a bundle that is good otherwise. */
static void refused_with(const struct forged_member *m, const char *why)
{
    FORGED f = { 0 };

    forge_member(&f, &good, NULL);
    forge_member(&f, m, NULL);
    forge_member(&f, &snapshot, NULL);
    forge_sums(&f);
    forge_end(&f);
    refused(&f, why);
}

CASE(bundle_hostile, what_the_forger_makes_is_good_without_malice)
{
    const char *scratch = tmpdir_new(), *out = path_in(scratch, "out");
    FORGED f = { 0 };
    struct err e = { 0 };
    struct stat st;

    forge_member(&f, &good, NULL);
    forge_member(&f, &snapshot, NULL);
    forge_sums(&f);
    forge_end(&f);
    OK(unpack(&f.tar, out, 7, &e), &e);
    cr_assert_str_eq(dir_listing(out), "files snapshot.db");
    cr_assert_str_eq(dir_listing(path_in(out, "files/etc")), "good");
    cr_assert_eq(stat(path_in(out, "files/etc/good"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600);
    cr_assert_eq(st.st_size, 4);
}

CASE(bundle_hostile, names_that_lead_elsewhere)
{
    const char *const names[] = {
        "/etc/passwd",
        "../evil",
        "files/../../evil",
        "files/a/../b",
        "files/./a",
        "files//a",
        "files/",
        "files",
        "files/a/",
        ".",
        "",
        "evil",
        "snapshot.db/x",
        "files/a\\b",
        "files/a\nb",
        "files/a\x1b[2J",
        "files/\xc0\xaf",
        "files/\xff",
        "FILES/a",
        "files/a\x7f",
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        refused_with(&(struct forged_member){ .name = names[i], .content = "evil" }, "");
}

CASE(bundle_hostile, members_that_are_no_files)
{
    const struct forged_member members[] = {
        { .name = "files/a", .type = '1', .link = "files/etc/good" },
        { .name = "files/a", .type = '1', .link = "/etc/passwd" },
        { .name = "files/a", .type = '2', .link = "/etc" },
        { .name = "files/a", .type = '3' },
        { .name = "files/a", .type = '4' },
        { .name = "files/a", .type = '5' },
        { .name = "files/a", .type = '6' },
        { .name = "snapshot.db", .type = '2', .link = "/etc/passwd" },
        { .name = "SHA256SUMS", .type = '2', .link = "/etc/passwd" },
    };

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        refused_with(&members[i], "is no regular file");
}

CASE(bundle_hostile, a_link_and_then_a_file_through_it)
{
    const char *outside = tmpdir_new();
    const struct forged_member link = { .name = "files/a", .type = '2', .link = outside };
    const struct forged_member through = { .name = "files/a/evil", .content = "evil" };
    FORGED f = { 0 };

    forge_member(&f, &link, NULL);
    forge_member(&f, &through, NULL);
    forge_member(&f, &snapshot, NULL);
    forge_sums(&f);
    forge_end(&f);
    refused(&f, "is no regular file");
    cr_assert_str_eq(dir_listing(outside), "");
}

CASE(bundle_hostile, modes_that_give_power)
{
    const uint32_t modes[] = { 04755, 02755, 01777 };

    for (size_t i = 0; i < 3; i++)
        refused_with(&(struct forged_member){ .name = "files/a", .mode = modes[i] },
                     "has a mode that no file of a bundle has");
}

CASE(bundle_hostile, names_that_come_twice_or_collide)
{
    const struct forged_member child = { .name = "files/etc/good/below", .content = "x" };
    const struct forged_member parent = { .name = "files/etc", .content = "x" };

    refused_with(&good, "comes twice");
    refused_with(&snapshot, "comes twice");
    refused_with(&child, "is in another member's way");
    refused_with(&parent, "is in another member's way");
}

CASE(bundle_hostile, sizes_that_are_too_much)
{
    const uint64_t huge = UINT64_C(077777777777);

    refused_with(&(struct forged_member){ .name = "files/a", .claimed = huge },
                 "is larger than a bundle takes");
    refused_with(&(struct forged_member){ .name = "snapshot.db", .claimed = huge },
                 "the limit is 1048576");
    refused_with(&(struct forged_member){ .name = "SHA256SUMS", .claimed = huge },
                 "is too large");
}

/* What pax says counts, and is judged as what the header says. */
CASE(bundle_hostile, pax_headers_that_say_something_else)
{
    const struct {
        const char *keyword, *value, *why;
    } records[] = {
        { "path", "../evil", "is none that a bundle has" },
        { "path", "/etc/passwd", "is none that a bundle has" },
        { "linkpath", "/etc/passwd", "" },
        { "size", "99999999999999", "is larger than a bundle takes" },
        { "size", "-1", "" },
        { "GNU.sparse.map", "0,1,1099511627776,1", "" },
        { "GNU.sparse.realsize", "1099511627776", "" },
        { "GNU.sparse.name", "../evil", "" },
        { "SCHILY.realsize", "1099511627776", "" },
    };

    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        const struct forged_member m = { .name = "files/a", .content = "evil" };
        FORGED f = { 0 };

        forge_pax(&f, records[i].keyword, records[i].value, strlen(records[i].value));
        forge_member(&f, &m, "files/b");
        forge_member(&f, &snapshot, NULL);
        forge_sums(&f);
        forge_end(&f);
        refused(&f, records[i].why);
    }
}

CASE(bundle_hostile, a_name_with_a_nul_is_the_name_before_it_or_refused)
{
    static const char value[] = "files/ok\0/../../evil";
    const struct forged_member m = { .name = "files/a", .content = "evil" };
    FORGED f = { 0 };

    forge_pax(&f, "path", value, sizeof value - 1);
    forge_member(&f, &m, "files/ok/../../evil");
    forge_member(&f, &snapshot, NULL);
    forge_sums(&f);
    forge_end(&f);
    refused(&f, "");
}

CASE(bundle_hostile, sums_that_do_not_agree)
{
    const struct forged_member other = { .name = "files/b", .content = "x" };
    FORGED f = { 0 };

    forge_member(&f, &other, "files/c");
    forge_member(&f, &snapshot, NULL);
    forge_sums(&f);
    forge_end(&f);
    refused(&f, "does not agree");
}

CASE(bundle_hostile, what_is_not_whole)
{
    FORGED none = { 0 };
    FORGED no_sums = { 0 };
    FORGED no_snapshot = { 0 };
    FORGED more = { 0 };

    forge_end(&none);
    refused(&none, "");
    forge_member(&no_sums, &snapshot, NULL);
    forge_end(&no_sums);
    refused(&no_sums, "ends before");
    forge_member(&no_snapshot, &good, NULL);
    forge_sums(&no_snapshot);
    forge_end(&no_snapshot);
    refused(&no_snapshot, "there is no snapshot");
    forge_member(&more, &snapshot, NULL);
    forge_sums(&more);
    forge_member(&more, &good, NULL);
    forge_end(&more);
    refused(&more, "something follows the end");
}

/* Behind the contents of the three members; nobody's. */
static bool is_padding(size_t at, size_t sums)
{
    const size_t ends[] = { 512 + 4, 1536 + 10, 2560 + sums };

    for (int i = 0; i < 3; i++)
        if (at >= ends[i] && at < (ends[i] + 511) / 512 * 512)
            return true;
    return false;
}

CASE(bundle_hostile, any_bit_that_changes_is_noticed_or_does_no_harm)
{
    FORGED f = { 0 };

    forge_member(&f, &good, NULL);
    forge_member(&f, &snapshot, NULL);
    forge_sums(&f);
    forge_end(&f);
    for (size_t at = 0; at < f.tar.n; at += 23) {
        const struct bundle_target target = { .snapshot_max = 1 << 20 };
        OWNED(sink) to = NULL;
        struct err e = { 0 };
        enum rc rc;

        f.tar.p[at] ^= 0x10;
        OK(bundle_unpack_new(&target, &to, &e), &e);
        rc = sink_write(to, f.tar.p, f.tar.n, &e);
        if (rc == RC_OK)
            rc = sink_finish(to, &e);
        cr_assert(rc == RC_CORRUPT || (rc == RC_OK && is_padding(at, f.sums.n)),
                  "byte %zu: %d %s", at, rc, e.why);
        f.tar.p[at] ^= 0x10;
    }
}

CASE(bundle_hostile, a_bundle_that_is_cut_anywhere_leaves_nothing)
{
    const char *scratch = tmpdir_new();
    FORGED f = { 0 };

    forge_member(&f, &good, NULL);
    forge_member(&f, &snapshot, NULL);
    forge_sums(&f);
    for (size_t n = 0; n < f.tar.n; n += 61) {
        struct buf cut = { .p = f.tar.p, .n = n };
        struct err e = { 0 };
        enum rc rc = unpack(&cut, path_in(scratch, "out"), 4096, &e);

        if (rc == RC_OK) {
            /* Only the padding of the last member is missing. */
            cr_assert_gt(n, f.tar.n - 512);
            OK(os_remove_tree(AT_FDCWD, path_in(scratch, "out"), &e), &e);
        }
        cr_assert_str_eq(dir_listing(scratch), "", "cut at %zu: %s", n, e.why);
    }
}
