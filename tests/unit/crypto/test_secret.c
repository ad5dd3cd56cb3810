#include "crypto/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"
#include "util/str.h"

/* The text of a file of `n` bytes, then its path. */
static const char *write_file(const char *text, size_t n)
{
    const char *path = path_in(tmpdir_new(), "secret");
    OWNED_FD int fd = -1;
    struct err e = { 0 };

    OK(os_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd, &e), &e);
    OK(os_write_full(fd, text, n, path, &e), &e);
    return path;
}

static void assert_text(const struct secret *s, const char *text)
{
    cr_assert(s != NULL && bytes_is(secret_bytes(s), text), "%s", text);
    cr_assert_eq(s->text[s->n], '\0');
}

CASE(crypto_secret, is_the_first_line_of_a_file)
{
    static const struct {
        const char *file, *secret;
    } good[] = { { "word", "word" },
                 { "word\n", "word" },
                 { "word\r\n", "word" },
                 { " two words \nthe rest\n", " two words " } };

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        OWNED(secret) s = NULL;
        struct err e = { 0 };

        OK(secret_from_file(write_file(good[i].file, strlen(good[i].file)), &s, &e), &e);
        assert_text(s, good[i].secret);
        for (size_t j = s->n; j < s->room; j++)
            cr_assert_eq(s->text[j], '\0', "the rest of the file stayed in memory");
    }
}

CASE(crypto_secret, is_not_empty_and_not_endless)
{
    AT_END(mem_end) char *text = mem_zero(SECRET_LINE_MAX + 2);
    OWNED(secret) s = NULL;
    OWNED(secret) longest = NULL;
    struct err e = { 0 };

    cr_assert_eq(secret_from_file(write_file("", 0), &s, &e), RC_USAGE);
    cr_assert_eq(secret_from_file(write_file("\nword\n", 6), &s, &e), RC_USAGE);
    cr_assert(str_ends(e.why, "secret' is empty"), "%s", e.why);
    memset(text, 'x', SECRET_LINE_MAX + 1);
    cr_assert_eq(secret_from_file(write_file(text, SECRET_LINE_MAX + 1), &s, &e),
                 RC_USAGE);
    cr_assert(str_ends(e.why, "holds more than 4096 bytes, too many for a line"), "%s",
              e.why);
    text[SECRET_LINE_MAX] = '\n';
    OK(secret_from_file(write_file(text, SECRET_LINE_MAX + 1), &longest, &e), &e);
    cr_assert_eq(longest->n, SECRET_LINE_MAX);
    cr_assert_eq(secret_read_file(write_file("abc", 3), 2, &s, &e), RC_USAGE);
    cr_assert_eq(secret_from_file("/nonexistent", &s, &e), RC_NOTFOUND);
    cr_assert_null(s);
}

/* The writer keeps its end open: the secret must come at the line end. */
CASE(crypto_secret, comes_through_a_pipe_that_stays_open)
{
    OWNED(secret) s = NULL;
    struct err e = { 0 };
    int fds[2];

    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(write(fds[1], "word\n", 5), 5);
    OK(secret_from_fd(fds[0], "descriptor 3", &s, &e), &e);
    assert_text(s, "word");
    close(fds[0]);
    close(fds[1]);
}

CASE(crypto_secret, comes_from_the_environment)
{
    OWNED(secret) s = NULL;
    OWNED(secret) none = NULL;
    struct err e = { 0 };

    setenv("HOLDFAST_TEST_SECRET", "word", 1);
    OK(secret_from_env("HOLDFAST_TEST_SECRET", &s, &e), &e);
    assert_text(s, "word");
    setenv("HOLDFAST_TEST_SECRET", "", 1);
    cr_assert_eq(secret_from_env("HOLDFAST_TEST_SECRET", &none, &e), RC_USAGE);
    cr_assert_str_eq(e.why, "the first line of 'HOLDFAST_TEST_SECRET' is empty");
    unsetenv("HOLDFAST_TEST_SECRET");
    cr_assert_eq(secret_from_env("HOLDFAST_TEST_SECRET", &none, &e), RC_USAGE);
    cr_assert_str_eq(e.why, "the environment variable HOLDFAST_TEST_SECRET is not set");
}

CASE(crypto_secret, survives_failing_reads_and_a_lack_of_memory)
{
    const char *path = write_file("word\n", 5);
    unsigned reads = 0, allocations = 0;

    FAULT_SWEEP(FAULT_READ, nth, EIO) {
        OWNED(secret) s = NULL;
        struct err e = { 0 };

        reads = nth;
        cr_assert(secret_from_file(path, &s, &e) == RC_OK || e.code == RC_STORAGE);
    }
    FAULT_SWEEP(FAULT_ALLOC, nth, ENOMEM) {
        OWNED(secret) s = NULL;
        struct err e = { 0 };

        allocations = nth;
        cr_assert(secret_from_file(path, &s, &e) == RC_OK || e.code == RC_NOMEM);
    }
    cr_assert_eq(reads, 2);
    cr_assert_eq(allocations, 2);
}

/* ---- terminal ---------------------------------------------------------------------- */

/* In a child that has a new terminal: asks, and tells what came of it by its status. */
static void ask_and_exit(bool twice)
{
    OWNED(secret) s = NULL;
    struct err e = { 0 };
    int status;

    if (secret_from_prompt("Passphrase: ", twice, &s, &e) == RC_OK)
        status = bytes_is(secret_bytes(s), "word") ? 0 : 1;
    else
        status = 100 + (int)e.code;
    secret_free(GIVE(s));
    _exit(status);
}

/* Waits for `text` on the terminal, then types `answer`. */
static void expect(int tty, const char *text, const char *answer, char *seen, size_t size)
{
    size_t n = strlen(seen);
    const char *from = seen + n;

    while (strstr(from, text) == NULL) {
        ssize_t got = read(tty, seen + n, size - n - 1);

        cr_assert(got > 0 || errno == EINTR, "the terminal closed after '%s'", seen);
        n += got > 0 ? (size_t)got : 0;
        seen[n] = '\0';
    }
    cr_assert_eq(write(tty, answer, strlen(answer)), (ssize_t)strlen(answer));
}

static int status_of(pid_t child)
{
    int status = 0;

    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int type_twice(const char *first, const char *second, char *seen, size_t size)
{
    int tty = -1, status;
    pid_t child = forkpty(&tty, NULL, NULL, NULL);

    cr_assert_geq(child, 0);
    if (child == 0)
        ask_and_exit(second != NULL);
    expect(tty, "Passphrase: ", first, seen, size);
    if (second != NULL)
        expect(tty, "The same again: ", second, seen, size);
    status = status_of(child);
    close(tty);
    return status;
}

CASE(crypto_secret, is_typed_without_echo)
{
    char seen[512] = "";

    cr_assert_eq(type_twice("word\n", NULL, seen, sizeof seen), 0);
    cr_assert_null(strstr(seen, "word"), "%s", seen);
}

CASE(crypto_secret, is_typed_twice_the_same)
{
    char seen[512] = "", other[512] = "";

    cr_assert_eq(type_twice("word\n", "word\n", seen, sizeof seen), 0);
    cr_assert_null(strstr(seen, "word"), "%s", seen);
    cr_assert_eq(type_twice("word\n", "wird\n", other, sizeof other), 100 + RC_USAGE);
}

/* The terminal is put back also when a signal ends the question. */
CASE(crypto_secret, a_signal_ends_the_question)
{
    int tty = -1;
    char seen[64] = "";
    pid_t child = forkpty(&tty, NULL, NULL, NULL);
    struct termios state;

    if (child == 0) {
        stop_install();
        ask_and_exit(false);
    }
    expect(tty, "Passphrase: ", "\x03", seen, sizeof seen);
    cr_assert_eq(status_of(child), 100 + RC_INTERRUPTED);
    cr_assert_eq(tcgetattr(tty, &state), 0);
    cr_assert((state.c_lflag & ECHO) != 0, "echo is still off");
    close(tty);
}

CASE(crypto_secret, cannot_be_typed_without_a_terminal)
{
    pid_t child = fork();

    if (child == 0) {
        setsid();
        ask_and_exit(false);
    }
    cr_assert_eq(status_of(child), 100 + RC_USAGE);
}

/* In a child, because what is forbidden here would stop the leak check of the test. */
CASE(crypto_secret, a_guarded_process_leaves_no_core)
{
    pid_t child = fork();

    if (child == 0) {
        struct rlimit core = { 1, 1 };
        struct err e = { 0 };
        bool guarded = crypto_guard_process(&e) == RC_OK &&
                       getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 &&
                       prctl(PR_GET_DUMPABLE) == 0;

        _exit(guarded ? 0 : 1);
    }
    cr_assert_eq(status_of(child), 0);
}
