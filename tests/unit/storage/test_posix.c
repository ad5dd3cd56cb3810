#include "storage/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "util/log.h"
#include "util/os.h"
#include "util/task.h"

enum { SIZE = 2 * FILE_BLOCK + 77 };

static uint8_t data[SIZE];
static char last_log[512];

static void keep_log(enum log_level level, const char *line, void *arg)
{
    (void)arg;
    snprintf(last_log, sizeof last_log, "%s%s",
             level == LOG_WARN_LEVEL ? "warning: " : "", line);
}

static void set_up(void)
{
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 11));
    log_to(keep_log, NULL);
    last_log[0] = '\0';
}

#define PUT(name, ...) CASE(posix, name, .init = set_up __VA_OPT__(, ) __VA_ARGS__)

static const struct posix_put_options unnamed = { 0 };
static const struct posix_put_options named = { .named_temp = true };
static const struct posix_put_options *const ways[] = { &unnamed, &named };

static enum rc put(const char *path, const struct posix_put_options *o, size_t n,
                   size_t piece, struct err *e)
{
    OWNED(sink) chain = NULL;

    TRY(posix_put_new(path, o, &chain, e));
    for (size_t at = 0; at < n; at += piece)
        TRY(sink_write(chain, data + at, n - at < piece ? n - at : piece, e));
    return sink_finish(chain, e);
}

static bool holds(const char *path, const void *p, size_t n)
{
    static uint8_t back[SIZE + 1];
    FILE *f = fopen(path, "rb");
    size_t got = f == NULL ? 0 : fread(back, 1, sizeof back, f);

    return f != NULL && fclose(f) == 0 && got == n && memcmp(back, p, n) == 0;
}

static void plant(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");

    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

PUT(makes_a_private_file_of_any_size_in_any_pieces)
{
    const size_t sizes[] = { 0, 1, 4096, 5000, SIZE }, pieces[] = { 1, 2, 7, 65536 };
    const char *dir = tmpdir_new(), *path = path_in(dir, "x.db");

    for (size_t w = 0; w < 2; w++)
        for (size_t s = 0; s < 5; s++)
            for (size_t i = sizes[s] > 5000 ? 3 : 0; i < 4; i++) {
                struct file_sink_result r = { 0 };
                struct posix_put_options o = *ways[w];
                struct err e = { 0 };
                struct stat st;

                o.file.result = &r;
                OK(put(path, &o, sizes[s], pieces[i], &e), &e);
                cr_assert(holds(path, data, sizes[s]), "way %zu, size %zu, pieces %zu", w,
                          sizes[s], pieces[i]);
                cr_assert_str_eq(dir_listing(dir), "x.db");
                cr_assert_eq(stat(path, &st), 0);
                cr_assert_eq(st.st_mode & 07777, 0600);
                cr_assert_eq(st.st_nlink, 1);
                cr_assert_eq(r.size, sizes[s]);
                cr_assert_eq(unlink(path), 0);
            }
}

PUT(has_no_name_until_it_is_whole)
{
    const char *dir = tmpdir_new(), *path = path_in(dir, "x.db");
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    OK(posix_put_new(path, NULL, &chain, &e), &e);
    OK(sink_write(chain, data, SIZE, &e), &e);
    cr_assert_str_eq(dir_listing(dir), "");
    OK(sink_finish(chain, &e), &e);
    cr_assert_str_eq(dir_listing(dir), "x.db");
}

PUT(dropped_before_finish_it_leaves_nothing)
{
    const char *dir = tmpdir_new(), *path = path_in(dir, "x.db");

    for (size_t w = 0; w < 2; w++)
        for (size_t n = 0; n <= SIZE; n += SIZE / 2) {
            OWNED(sink) chain = NULL;
            struct err e = { 0 };

            OK(posix_put_new(path, ways[w], &chain, &e), &e);
            OK(sink_write(chain, data, n, &e), &e);
            sink_free(GIVE(chain));
            cr_assert_str_eq(dir_listing(dir), "", "way %zu, %zu bytes", w, n);
        }
}

PUT(the_umask_does_not_matter)
{
    const mode_t masks[] = { 0, 022, 0777 };
    const char *dir = tmpdir_new(), *path = path_in(dir, "x.db");

    for (size_t w = 0; w < 2; w++)
        for (size_t m = 0; m < 3; m++) {
            struct posix_put_options o = *ways[w];
            struct err e = { 0 };
            struct stat st;
            enum rc rc;
            mode_t before = umask(masks[m]);

            o.file.read_back = true;
            rc = put(path, &o, 5000, 5000, &e);
            umask(before);
            OK(rc, &e);
            cr_assert_eq(stat(path, &st), 0);
            cr_assert_eq(st.st_mode & 07777, 0600, "way %zu, umask %03o: %03o", w,
                         masks[m], st.st_mode & 07777);
            cr_assert_eq(unlink(path), 0);
        }
}

/* ---- what is there stays
 * -------------------------------------------------------------------- */

PUT(an_existing_file_is_refused_and_stays)
{
    const char *dir = tmpdir_new(), *path = path_in(dir, "x.db");
    struct err e = { 0 };
    char expected[600];

    plant(path, "old");
    for (size_t w = 0; w < 2; w++) {
        cr_assert_eq(put(path, ways[w], 10, 10, &e), RC_REFUSED);
        snprintf(expected, sizeof expected, "writing '%s'", path);
        cr_assert_str_eq(e.what, expected);
        snprintf(expected, sizeof expected, "'%s' exists already", path);
        cr_assert_str_eq(e.why, expected);
        cr_assert_str_eq(e.hint,
                         "nothing is overwritten; choose another name or remove it");
        cr_assert(holds(path, "old", 3));
        cr_assert_str_eq(dir_listing(dir), "x.db");
    }
}

PUT(links_fifos_and_directories_are_refused_without_a_look_behind_them)
{
    const char *const names[] = { "a-link", "b-dangling", "c-fifo", "d-dir" };
    const char *dir = tmpdir_new();
    struct err e = { 0 };

    plant(path_in(dir, "victim"), "precious");
    cr_assert_eq(symlink("victim", path_in(dir, "a-link")), 0);
    cr_assert_eq(symlink("nowhere", path_in(dir, "b-dangling")), 0);
    cr_assert_eq(mkfifo(path_in(dir, "c-fifo"), 0600), 0);
    cr_assert_eq(mkdir(path_in(dir, "d-dir"), 0700), 0);
    for (size_t w = 0; w < 2; w++)
        for (int i = 0; i < 4; i++) {
            OWNED(sink) chain = NULL;

            cr_assert_eq(posix_put_new(path_in(dir, names[i]), ways[w], &chain, &e),
                         RC_REFUSED, "%s, at once", names[i]);
            cr_assert(strstr(e.why, "exists already") != NULL, "%s", e.why);
        }
    cr_assert(holds(path_in(dir, "victim"), "precious", 8));
    cr_assert_str_eq(dir_listing(dir), "a-link b-dangling c-fifo d-dir victim");
}

PUT(a_name_that_is_taken_meanwhile_is_not_overwritten)
{
    for (size_t w = 0; w < 2; w++)
        for (int link = 0; link < 2; link++) {
            const char *dir = tmpdir_new(), *path = path_in(dir, "x.db");
            OWNED(sink) chain = NULL;
            struct err e = { 0 };

            plant(path_in(dir, "victim"), "precious");
            OK(posix_put_new(path, ways[w], &chain, &e), &e);
            OK(sink_write(chain, data, SIZE, &e), &e);
            if (link)
                cr_assert_eq(symlink("victim", path), 0);
            else
                plant(path, "precious");
            cr_assert_eq(sink_finish(chain, &e), RC_REFUSED, "way %zu", w);
            cr_assert_str_eq(e.why,
                             "somebody else made 'x.db' while it was being written");
            cr_assert_str_eq(e.hint, "nothing is overwritten; choose another name");
            sink_free(GIVE(chain));
            cr_assert(holds(path, "precious", 8));
            cr_assert_str_eq(dir_listing(dir), "victim x.db");
        }
}

PUT(names_that_are_no_files_are_refused)
{
    const char *dir = tmpdir_new();
    const char *const bad[] = { "", ".", "..", "/" };
    struct err e = { 0 };
    char path[600];

    for (int i = 0; i < 4; i++)
        cr_assert_eq(put(bad[i], NULL, 1, 1, &e), RC_USAGE, "'%s': %s", bad[i], e.why);
    snprintf(path, sizeof path, "%s/", dir);
    cr_assert_eq(put(path, NULL, 1, 1, &e), RC_USAGE);
    cr_assert_str_eq(e.hint, "give a file name");
}

PUT(a_missing_directory_is_told_with_advice)
{
    struct err e = { 0 };
    const char *dir = tmpdir_new();
    char path[600];

    snprintf(path, sizeof path, "%s/no/x.db", dir);
    cr_assert_eq(put(path, NULL, 1, 1, &e), RC_NOTFOUND);
    cr_assert_str_eq(e.hint, "make the directory first, or mount what belongs there");
}

PUT(very_long_names_work_both_ways)
{
    const char *dir = tmpdir_new();
    char name[256];

    for (size_t w = 0; w < 2; w++) {
        struct err e = { 0 };

        memset(name, 'a' + (int)w, 255);
        name[255] = '\0';
        OK(put(path_in(dir, name), ways[w], 5000, 7, &e), &e);
        cr_assert(holds(path_in(dir, name), data, 5000));
    }
    cr_assert_eq(strlen(dir_listing(dir)), 2 * 255 + 1, "only the two");
}

PUT(a_directory_that_anybody_may_write_to_is_refused)
{
    const char *dir = tmpdir_new(), *path = path_in(dir, "x.db");
    struct err e = { 0 };

    cr_assert_eq(chmod(dir, 0777), 0);
    cr_assert_eq(put(path, NULL, 1, 1, &e), RC_REFUSED);
    cr_assert(strstr(e.why, "anybody may write to the directory of '") == e.why);
    cr_assert_str_eq(e.hint, "chmod o-w the directory, or choose another one");
    cr_assert_eq(chmod(dir, 01777), 0);
    OK(put(path, NULL, 1, 1, &e), &e);
    cr_assert_str_eq(last_log, "");
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(chmod(dir, 0770), 0);
    OK(put(path, NULL, 1, 1, &e), &e);
    cr_assert(strstr(last_log, "warning: the directory of '") == last_log, "%s",
              last_log);
    cr_assert(strstr(last_log, "is writable for its group") != NULL);
}

/* ---- two at once
 * ------------------------------------------------------------------------------ */

PUT(of_two_puts_to_one_path_exactly_one_wins)
{
    for (size_t w = 0; w < 4; w++) {
        const char *dir = tmpdir_new(), *path = path_in(dir, "x.db");
        OWNED(sink) first = NULL;
        OWNED(sink) second = NULL;
        struct err e = { 0 };

        OK(posix_put_new(path, ways[w / 2], &first, &e), &e);
        OK(posix_put_new(path, ways[w % 2], &second, &e), &e);
        OK(sink_write(first, data, 1000, &e), &e);
        OK(sink_write(second, data + 1, SIZE - 1, &e), &e);
        OK(sink_finish(second, &e), &e);
        cr_assert_eq(sink_finish(first, &e), RC_REFUSED, "ways %zu", w);
        sink_free(GIVE(first));
        sink_free(GIVE(second));
        cr_assert(holds(path, data + 1, SIZE - 1));
        cr_assert_str_eq(dir_listing(dir), "x.db");
    }
}

struct racer {
    const char *path;
    size_t way, size;
};

static enum rc race(void *arg, struct err *e)
{
    const struct racer *r = arg;

    return put(r->path, ways[r->way], r->size, 65536, e);
}

PUT(of_many_racing_puts_exactly_one_wins_and_is_whole)
{
    const char *dir = tmpdir_new(), *path = path_in(dir, "x.db");

    for (int round = 0; round < 10; round++) {
        struct racer racers[6];
        struct task tasks[6];
        struct err e = { 0 };
        size_t won = 0, winner = 0;

        for (size_t i = 0; i < 6; i++) {
            racers[i] = (struct racer){ path, i % 2, 100000 + i };
            OK(task_start(&tasks[i], race, &racers[i], &e), &e);
        }
        for (size_t i = 0; i < 6; i++) {
            enum rc rc = task_join(&tasks[i], &e);

            cr_assert(rc == RC_OK || rc == RC_REFUSED, "%s / %s", e.what, e.why);
            won += rc == RC_OK;
            winner = rc == RC_OK ? i : winner;
        }
        cr_assert_eq(won, 1, "round %d: %zu winners", round, won);
        cr_assert(holds(path, data, racers[winner].size));
        cr_assert_str_eq(dir_listing(dir), "x.db");
        cr_assert_eq(unlink(path), 0);
    }
}

/* ---- leftovers of a crash
 * ------------------------------------------------------------------------ */

PUT(leftovers_of_the_same_name_are_swept_and_nothing_else)
{
    const char *dir = tmpdir_new();
    const char *const others[] = { ".x.db.holdfast-0123456g.part",
                                   ".x.db.holdfast-0123.part",
                                   ".y.db.holdfast-01234567.part",
                                   "x.db.holdfast-01234567.part",
                                   ".x.db.holdfast-01234567.part2" };
    struct err e = { 0 };

    plant(path_in(dir, ".x.db.holdfast-01234567.part"), "left over");
    plant(path_in(dir, "victim"), "precious");
    cr_assert_eq(symlink("victim", path_in(dir, ".x.db.holdfast-00000000.part")), 0);
    cr_assert_eq(mkfifo(path_in(dir, ".x.db.holdfast-00000001.part"), 0600), 0);
    for (int i = 0; i < 5; i++)
        plant(path_in(dir, others[i]), "not ours");
    OK(put(path_in(dir, "x.db"), NULL, 10, 10, &e), &e);
    cr_assert_str_eq(last_log, "removed '.x.db.holdfast-01234567.part', left behind by a "
                               "put that did not end");
    cr_assert_str_eq(dir_listing(dir),
                     ".x.db.holdfast-00000000.part .x.db.holdfast-00000001.part "
                     ".x.db.holdfast-0123.part .x.db.holdfast-01234567.part2 "
                     ".x.db.holdfast-0123456g.part .y.db.holdfast-01234567.part victim "
                     "x.db x.db.holdfast-01234567.part");
    cr_assert(holds(path_in(dir, "victim"), "precious", 8));
}

PUT(work_under_way_is_not_swept)
{
    const char *dir = tmpdir_new(), *path = path_in(dir, "x.db");
    OWNED(sink) slow = NULL;
    OWNED(sink) other = NULL;
    struct err e = { 0 };

    OK(posix_put_new(path, &named, &slow, &e), &e);
    OK(sink_write(slow, data, 5000, &e), &e);
    OK(posix_put_new(path, &named, &other, &e), &e);
    sink_free(GIVE(other));
    cr_assert_str_eq(last_log, "");
    OK(sink_finish(slow, &e), &e);
    cr_assert(holds(path, data, 5000));
    cr_assert_str_eq(dir_listing(dir), "x.db");
}

static _Noreturn void crash_in_the_middle(const char *path)
{
    struct sink *chain = NULL;
    struct err e = { 0 };

    if (posix_put_new(path, &named, &chain, &e) == RC_OK &&
        sink_write(chain, data, SIZE, &e) == RC_OK)
        kill(getpid(), SIGKILL);
    _exit(1);
}

PUT(a_killed_put_is_cleaned_up_by_the_next_one)
{
    const char *dir = tmpdir_new(), *path = path_in(dir, "x.db");
    struct err e = { 0 };
    pid_t child = fork();
    int status;

    if (child == 0)
        crash_in_the_middle(path);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cr_assert(strstr(dir_listing(dir), ".x.db.holdfast-") != NULL);
    OK(put(path, &named, SIZE, 65536, &e), &e);
    cr_assert_str_eq(dir_listing(dir), "x.db");
    cr_assert(holds(path, data, SIZE));
}

/* ---- every n-th call fails
 * -------------------------------------------------------------------------- */

struct sweep {
    enum fault_point point;
    int error;
    unsigned runs[2]; /* expected, without and with a named temporary file */
};

/* Either the whole file under its name, or nothing at all; and RC_OK means the first. */
static void check_outcome(const char *dir, enum rc rc, const struct err *e,
                          const char *where)
{
    const char *path = path_in(dir, "x.db");

    if (rc == RC_OK) {
        cr_assert_str_eq(dir_listing(dir), "old.db x.db", "%s", where);
        cr_assert(holds(path, data, SIZE), "%s", where);
        cr_assert_eq(unlink(path), 0);
    } else {
        cr_assert_str_eq(dir_listing(dir), "old.db", "%s", where);
        cr_assert_neq(e->why[0], '\0', "%s", where);
    }
    cr_assert(holds(path_in(dir, "old.db"), "old", 3), "%s", where);
}

static unsigned run_sweep(const char *dir, const struct sweep *s, size_t way)
{
    unsigned runs = 0;

    FAULT_SWEEP(s->point, nth, s->error) {
        struct file_sink_result r = { .size = 99 };
        struct posix_put_options o = *ways[way];
        struct err e = { 0 };
        char where[100];
        enum rc rc;

        o.file.result = &r;
        rc = put(path_in(dir, "x.db"), &o, SIZE, 65536, &e);
        snprintf(where, sizeof where, "point %d, errno %d, way %zu, call %u: %d",
                 s->point, s->error, way, nth, rc);
        runs = nth;
        check_outcome(dir, rc, &e, where);
        cr_assert_eq(r.size, rc == RC_OK ? SIZE : 99, "%s", where);
    }
    return runs;
}

PUT(any_failed_call_leaves_the_whole_file_or_nothing)
{
    const struct sweep sweeps[] = {
        { FAULT_WRITE, ENOSPC, { 3 + 1, 3 + 1 } },
        { FAULT_WRITE, EIO, { 3 + 1, 3 + 1 } },
        { FAULT_WRITE, 0, { 3 + 1, 3 + 1 } },
        { FAULT_FSYNC, EIO, { 2 + 1, 2 + 1 } }, /* the file, the directory */
        { FAULT_RENAME, EIO, { 1 + 1, 1 + 1 } },
        { FAULT_RENAME, EEXIST, { 1 + 1, 1 + 1 } },
        { FAULT_OPEN, EIO, { 5 + 1, 4 + 1 } }, /* parent, name, list, (proc), file */
        { FAULT_OPEN, EMFILE, { 5 + 1, 4 + 1 } },
    };
    const char *dir = tmpdir_new();

    plant(path_in(dir, "old.db"), "old");
    for (size_t i = 0; i < sizeof sweeps / sizeof sweeps[0]; i++)
        for (size_t w = 0; w < 2; w++) {
            unsigned runs = run_sweep(dir, &sweeps[i], w);

            cr_assert_eq(runs, sweeps[i].runs[w], "sweep %zu, way %zu: %u runs", i, w,
                         runs);
        }
}

PUT(no_memory_leaves_nothing)
{
    const char *dir = tmpdir_new();
    const struct sweep s = { FAULT_ALLOC, 0, { 0, 0 } };

    plant(path_in(dir, "old.db"), "old");
    for (size_t w = 0; w < 2; w++) {
        unsigned runs = run_sweep(dir, &s, w);

        /* The list of the directory takes two or more. */
        cr_assert(runs > 7 && runs < 20, "%u runs", runs);
    }
}

/* ---- file systems that know less
 * ----------------------------------------------------------------- */

static struct os_calls kernel;
static int refusal;

static int openat_without_tmpfile(int dir, const char *path, int flags, mode_t mode)
{
    if ((flags & O_TMPFILE) != O_TMPFILE)
        return kernel.openat(dir, path, flags, mode);
    errno = refusal;
    return -1;
}

static int openat_without_proc(int dir, const char *path, int flags, mode_t mode)
{
    if (strncmp(path, "/proc/", 6) != 0)
        return kernel.openat(dir, path, flags, mode);
    errno = ENOENT;
    return -1;
}

static int renameat2_unknown(int dir, const char *from, int to_dir, const char *to,
                             unsigned flags)
{
    (void)dir;
    (void)from;
    (void)to_dir;
    (void)to;
    (void)flags;
    errno = refusal;
    return -1;
}

PUT(without_unnamed_files_or_renameat2_it_works_all_the_same)
{
    const int causes[] = { EOPNOTSUPP, EISDIR, EINVAL };
    const char *dir = tmpdir_new(), *path = path_in(dir, "x.db");

    kernel = os;
    for (int i = 0; i < 4; i++) {
        struct err e = { 0 };

        os = kernel;
        refusal = i < 3 ? causes[i] : 0;
        os.openat = i < 3 ? openat_without_tmpfile : openat_without_proc;
        OK(put(path, NULL, SIZE, 65536, &e), &e);
        cr_assert(holds(path, data, SIZE), "way %d", i);
        cr_assert_str_eq(dir_listing(dir), "x.db");
        cr_assert_eq(unlink(path), 0);
    }
    for (int i = 0; i < 2; i++) {
        struct err e = { 0 };

        os = kernel;
        refusal = i == 0 ? EINVAL : ENOSYS;
        os.renameat2 = renameat2_unknown;
        OK(put(path, &named, SIZE, 65536, &e), &e);
        cr_assert(holds(path, data, SIZE));
        cr_assert_str_eq(dir_listing(dir), "x.db");
        cr_assert_eq(put(path, &named, SIZE, 65536, &e), RC_REFUSED);
        cr_assert_eq(unlink(path), 0);
    }
}

static int lax_fstat(int fd, struct stat *st)
{
    int r = kernel.fstat(fd, st);

    if (S_ISREG(st->st_mode))
        st->st_mode |= 0044;
    return r;
}

PUT(a_file_system_without_permissions_is_refused)
{
    const char *dir = tmpdir_new(), *path = path_in(dir, "x.db");

    kernel = os;
    os.fstat = lax_fstat;
    for (size_t w = 0; w < 2; w++) {
        struct err e = { 0 };

        cr_assert_eq(put(path, ways[w], 1, 1, &e), RC_STORAGE);
        cr_assert_str_eq(e.why, "the file system gives 'x.db' mode 644 and not 600");
        cr_assert_str_eq(e.hint, "write to a file system that has permissions");
        cr_assert_str_eq(dir_listing(dir), "");
    }
}

PUT(the_name_is_looked_at_before_the_work)
{
    const char *dir = tmpdir_new();
    char taken[256], free_name[256];
    struct err e = { 0 };

    snprintf(taken, sizeof taken, "%s", path_in(dir, "taken"));
    snprintf(free_name, sizeof free_name, "%s", path_in(dir, "free"));
    cr_assert_eq(symlink("nowhere", taken), 0);
    OK(posix_put_check(free_name, &e), &e);
    OK(posix_put_check("-", &e), &e);
    cr_assert_eq(posix_put_check(taken, &e), RC_REFUSED);
    cr_assert_not_null(strstr(e.why, "exists already"), "%s", e.why);
    cr_assert_eq(posix_put_check(path_in(dir, "."), &e), RC_USAGE);
    cr_assert_eq(posix_put_check(path_in(dir, "no/x.db"), &e), RC_NOTFOUND);
    cr_assert_str_eq(dir_listing(dir), "taken");
}
