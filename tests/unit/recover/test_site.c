#include "recover/site.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "recover/journal.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "util/mem.h"
#include "util/str.h"

#define ID "0123456789abcdef"
#define SITE [[gnu::cleanup(recover_site_clear)]] struct recover_site

static void make_dir(const char *path)
{
    struct err e = { 0 };

    OK(os_mkdir(AT_FDCWD, path, &e), &e);
}

static void write_file(const char *path, const char *text)
{
    OWNED_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct err e = { 0 };

    OK(os_write_full(fd, text, strlen(text), path, &e), &e);
}

/* ---- places -------------------------------------------------------------------------
 */

CASE(site, names_beside_the_directory)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };
    SITE s = { .lock = -1 };
    char data[300];

    snprintf(data, sizeof data, "%s/data///", dir);
    OK(recover_site_name(data, NULL, ID, &s, &e), &e);
    cr_assert_str_eq(s.data.at, path_in(dir, "data"));
    cr_assert_str_eq(s.data.old, path_in(dir, "data.before-" ID));
    cr_assert_str_eq(s.data.kept, path_in(dir, "data.recovered-" ID));
    cr_assert_str_eq(s.data.made, path_in(dir, "data.recovery-" ID "/new"));
    cr_assert_str_eq(s.journal, path_in(dir, "data.recovery-" ID "/journal"));
    cr_assert(!s.inside);
}

CASE(site, there_must_be_a_place)
{
    struct err e = { 0 };
    SITE s = { .lock = -1 };

    cr_assert_eq(recover_site_name("/nowhere at all/data", NULL, ID, &s, &e),
                 RC_NOTFOUND);
    cr_assert_not_null(strstr(e.hint, "`mkdir -p '/nowhere at all'`"), "%s", e.hint);
    cr_assert_eq(recover_site_name(tmpdir_new(), "/nowhere/wal", ID, &s, &e),
                 RC_NOTFOUND);
    cr_assert_not_null(strstr(e.hint, "`mkdir -p /nowhere`"), "%s", e.hint);
    cr_assert_eq(recover_site_name("/", NULL, ID, &s, &e), RC_USAGE);
    cr_assert_eq(recover_site_name("", NULL, ID, &s, &e), RC_USAGE);
}

/* Data and log, each with its four names. */
static void with_a_log_apart(struct recover_site *s, const char *dir, bool old)
{
    struct err e = { 0 };

    OK(recover_site_name(path_in(dir, "data"), path_in(dir, "wal"), ID, s, &e), &e);
    if (old) {
        make_dir(path_in(dir, "data"));
        make_dir(path_in(dir, "wal"));
    }
    make_dir(path_in(dir, "data.recovery-" ID));
    make_dir(path_in(dir, "data.recovery-" ID "/new"));
    make_dir(path_in(dir, "wal.recovery-" ID));
}

CASE(site, a_log_apart_goes_and_comes_with_its_data)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };
    SITE s = { .lock = -1 };

    with_a_log_apart(&s, dir, true);
    for (int twice = 0; twice < 2; twice++)
        OK(recover_site_put_aside(&s, &e), &e);
    cr_assert_str_eq(dir_listing(dir), "data.before-" ID " data.recovery-" ID
                                       " wal.before-" ID " wal.recovery-" ID);
    for (int twice = 0; twice < 2; twice++)
        OK(recover_site_publish(&s, &e), &e);
    cr_assert_str_eq(dir_listing(dir),
                     "data data.before-" ID " data.recovery-" ID " wal wal.before-" ID);
    for (int twice = 0; twice < 2; twice++)
        OK(recover_site_put_back(&s, true, &e), &e);
    cr_assert_str_eq(dir_listing(dir), "data data.recovered-" ID " data.recovery-" ID
                                       " wal wal.recovered-" ID);
}

/* At no moment there is data without its log under etcd's names. */
CASE(site, no_data_without_its_log)
{
    for (unsigned nth = 1; nth <= 4; nth++) {
        const char *dir = tmpdir_new();
        struct err e = { 0 };
        SITE s = { .lock = -1 };
        enum rc first, then = RC_OK;

        with_a_log_apart(&s, dir, true);
        fault_arm(FAULT_RENAME, nth, EIO);
        first = recover_site_put_aside(&s, &e);
        if (first == RC_OK)
            then = recover_site_publish(&s, &e);
        cr_assert(fault_disarm() && (first == RC_STORAGE || then == RC_STORAGE), "%u",
                  nth);
        cr_assert(!recover_exists(s.data.at) || recover_exists(s.wal.at), "%u", nth);
        if (first != RC_OK)
            OK(recover_site_put_aside(&s, &e), &e);
        OK(recover_site_publish(&s, &e), &e);
        cr_assert(recover_exists(s.data.at) && recover_exists(s.wal.at), "%u", nth);
        cr_assert(recover_exists(s.data.old) && recover_exists(s.wal.old), "%u", nth);
    }
}

CASE(site, what_somebody_put_there_stays)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };

    make_dir(path_in(dir, "from"));
    make_dir(path_in(dir, "to"));
    cr_assert_eq(recover_move(path_in(dir, "from"), path_in(dir, "to"), &e), RC_REFUSED);
    cr_assert_str_eq(dir_listing(dir), "from to");
}

/* ---- the journal --------------------------------------------------------------------
 */

#define JOURNAL [[gnu::cleanup(recover_journal_close)]] struct recover_journal

static void open_it(const char *path, struct recover_journal *j)
{
    struct err e = { 0 };

    OK(recover_journal_open(path, ID, "m0", j, &e), &e);
}

CASE(journal, remembers)
{
    const char *path = path_in(tmpdir_new(), "journal");
    struct err e = { 0 };
    {
        JOURNAL j = { .fd = -1 };

        open_it(path, &j);
        j.was_running = true;
        OK(recover_journal_begin(&j, RECOVER_STEP_STOP, &e), &e);
        OK(recover_journal_done(&j, RECOVER_STEP_STOP, &e), &e);
        j.revision = 1000000021;
        j.hashkv = 4000000000u;
        OK(recover_journal_begin(&j, RECOVER_STEP_BUILD, &e), &e);
    }
    JOURNAL j = { .fd = -1 };

    open_it(path, &j);
    cr_assert(j.done[RECOVER_STEP_STOP] && j.was_running);
    cr_assert(j.begun[RECOVER_STEP_BUILD] && !j.done[RECOVER_STEP_BUILD]);
    cr_assert(!j.begun[RECOVER_STEP_ASIDE] && !j.back_begun);
    cr_assert_eq(j.revision, 1000000021);
    cr_assert_eq(j.hashkv, 4000000000u);
    OK(recover_journal_back(&j, false, &e), &e);
    recover_journal_close(&j);
    open_it(path, &j);
    cr_assert(j.back_begun && !j.back_done);
}

/* Cut at any byte, it is as if the last line had not been written, and goes on. */
CASE(journal, cut_anywhere)
{
    const char *dir = tmpdir_new(), *path = path_in(dir, "journal");
    AT_END(mem_end) uint8_t *whole = NULL;
    struct err e = { 0 };
    size_t n = 0;
    {
        JOURNAL j = { .fd = -1 };

        open_it(path, &j);
        OK(recover_journal_begin(&j, RECOVER_STEP_STOP, &e), &e);
        OK(recover_journal_done(&j, RECOVER_STEP_STOP, &e), &e);
    }
    OK(os_read_file(path, 1 << 20, &whole, &n, &e), &e);
    for (size_t cut = 0; cut < n; cut++) {
        AT_END(mem_end) char *text = mem_str_n((const char *)whole, cut);
        JOURNAL j = { .fd = -1 };

        write_file(path, text);
        open_it(path, &j);
        cr_assert(!j.done[RECOVER_STEP_STOP], "cut at %zu of %zu", cut, n);
        OK(recover_journal_done(&j, RECOVER_STEP_STOP, &e), &e);
        recover_journal_close(&j);
        open_it(path, &j);
        cr_assert(j.done[RECOVER_STEP_STOP], "cut at %zu of %zu", cut, n);
    }
}

CASE(journal, of_another_plan_or_member)
{
    const char *path = path_in(tmpdir_new(), "journal");
    JOURNAL j = { .fd = -1 };
    struct err e = { 0 };

    open_it(path, &j);
    recover_journal_close(&j);
    cr_assert_eq(recover_journal_open(path, "ffffffffffffffff", "m0", &j, &e),
                 RC_REFUSED);
    cr_assert_eq(recover_journal_open(path, ID, "m1", &j, &e), RC_REFUSED);
}
