#include "lab/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/os.h"

static const char *const sleeper[] = { "/bin/sleep", "60", NULL };

static struct lab_child started(const char *log, const char *const argv[])
{
    struct lab_child c;
    struct err e = { 0 };

    OK(lab_child_start(argv, &(struct lab_child_options){ log, true }, &c, &e), &e);
    return c;
}

static void until(const struct lab_child *c, enum lab_child_state wanted)
{
    for (int i = 0; i < 1000 && lab_child_state(c) != wanted; i++)
        clock_sleep_ms(5);
    cr_assert_eq(lab_child_state(c), wanted);
}

CASE(lab_child, has_a_session_of_its_own_and_is_seen_to_stop_and_end)
{
    struct lab_child c = started(path_in(tmpdir_new(), "log"), sleeper);
    struct err e = { 0 };

    cr_assert_eq(getsid(c.pid), c.pid);
    cr_assert_eq(lab_child_state(&c), LAB_CHILD_RUNS);
    OK(lab_child_signal(&c, SIGSTOP, &e), &e);
    until(&c, LAB_CHILD_STOPPED);
    OK(lab_child_signal(&c, SIGCONT, &e), &e);
    until(&c, LAB_CHILD_RUNS);
    OK(lab_child_signal(&c, SIGSTOP, &e), &e);
    OK(lab_child_end(&c, SIGTERM, &e), &e); /* also a stopped one */
    cr_assert_eq(c.pid, 0);
    cr_assert_eq(lab_child_state(&c), LAB_CHILD_GONE);
    OK(lab_child_end(&c, SIGTERM, &e), &e);
    OK(lab_child_signal(&c, SIGTERM, &e), &e);
}

CASE(lab_child, another_process_of_the_same_number_is_left_alone)
{
    struct lab_child c = started(path_in(tmpdir_new(), "log"), sleeper), other = c;
    struct err e = { 0 };

    other.started++;
    cr_assert_eq(lab_child_state(&other), LAB_CHILD_GONE);
    OK(lab_child_signal(&other, SIGKILL, &e), &e);
    OK(lab_child_end(&other, SIGKILL, &e), &e);
    cr_assert_eq(lab_child_state(&c), LAB_CHILD_RUNS);
    OK(lab_child_end(&c, SIGKILL, &e), &e);
}

/* What a file holds by now, ended by NUL; "" when there is none. */
static void text_of(const char *path, char *out, size_t size)
{
    AT_END(mem_end) uint8_t *text = NULL;
    struct err e = { 0 };
    size_t n = 0;

    if (os_read_file(path, size - 1, &text, &n, &e) != RC_OK)
        n = 0;
    if (n > 0)
        memcpy(out, text, n);
    out[n] = '\0';
}

/* A wrapper that does not exec leaves a server behind when it alone is killed. */
CASE(lab_child, what_it_started_ends_with_it)
{
    const char *log = path_in(tmpdir_new(), "log");
    const char *const wrapper[] = { "/bin/sh", "-c", "sleep 1000 & echo $!; wait", NULL };
    struct lab_child c = started(log, wrapper);
    char number[64] = "", path[96], command[64];
    struct err e = { 0 };

    while (strchr(number, '\n') == NULL) {
        clock_sleep_ms(5);
        text_of(log, number, sizeof number);
    }
    snprintf(path, sizeof path, "/proc/%.*s/cmdline", (int)strcspn(number, "\n"), number);
    text_of(path, command, sizeof command);
    cr_assert_str_not_empty(command);
    OK(lab_child_end(&c, SIGKILL, &e), &e);
    while (command[0] != '\0') { /* nobody may reap it; then there is nothing to read */
        clock_sleep_ms(5);
        text_of(path, command, sizeof command);
    }
}

/* Signals that we ignore or catch are back to normal, and what it prints is kept. */
CASE(lab_child, starts_with_clean_signals_and_a_log)
{
    const char *log = path_in(tmpdir_new(), "log");
    AT_END(mem_end) uint8_t *text = NULL;
    struct lab_child c;
    struct err e = { 0 };
    size_t n;

    signal(SIGTERM, SIG_IGN);
    for (int i = 0; i < 2; i++) {
        c = started(log, (const char *const[]){ "/bin/sh", "-c",
                                                "echo out; echo err >&2; read x || "
                                                "echo no input; kill $$; echo alive",
                                                NULL });
        until(&c, LAB_CHILD_GONE);
        OK(lab_child_end(&c, SIGKILL, &e), &e);
    }
    OK(os_read_file(log, 4096, &text, &n, &e), &e);
    cr_assert(
        bytes_is((struct bytes){ text, n }, "out\nerr\nno input\nout\nerr\nno input\n"),
        "%.*s", (int)n, (char *)text);
}

CASE(lab_child, what_cannot_run_is_told)
{
    const char *dir = tmpdir_new();
    struct lab_child c;
    struct err e = { 0 };

    cr_assert_eq(lab_child_start((const char *const[]){ "/nowhere/at-all", NULL },
                                 &(struct lab_child_options){ path_in(dir, "log"), true },
                                 &c, &e),
                 RC_NOTFOUND);
    cr_assert_str_eq(e.why, "cannot run '/nowhere/at-all': No such file or directory");
    cr_assert_eq(c.pid, 0);
    cr_assert_eq(lab_child_start(sleeper,
                                 &(struct lab_child_options){ "/nowhere/at-all", true },
                                 &c, &e),
                 RC_NOTFOUND);
}

CASE(lab_child, programs_are_found_in_the_path)
{
    const char *dir = tmpdir_new();
    AT_END(mem_end) char *found = NULL;
    AT_END(mem_end) char *none = NULL;
    struct err e = { 0 };

    setenv("PATH", dir, 1);
    cr_assert_eq(lab_program_find("some-server", &none, &e), RC_NOTFOUND);
    cr_assert(strstr(e.why, "there is no 'some-server' beside this program") != NULL);
    cr_assert_eq(symlink("/bin/sleep", path_in(dir, "some-server")), 0);
    OK(lab_program_find("some-server", &found, &e), &e);
    cr_assert_str_eq(found, path_in(dir, "some-server"));
}

CASE(lab_child, any_failing_allocation_is_told)
{
    setenv("PATH", "/nowhere:/bin", 1);
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        AT_END(mem_end) char *found = NULL;
        struct err e = { 0 };
        enum rc rc = lab_program_find("sleep", &found, &e);

        cr_assert(rc == RC_OK ? strcmp(found, "/bin/sleep") == 0 : rc == RC_NOMEM);
        cr_assert(rc != RC_OK || nth > 3);
    }
}
