#include "storage/stream.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/posix.h"
#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "util/os.h"

static const char text[] = "not quite a snapshot, but bytes all the same";

static enum rc put_dash(const struct posix_put_options *o, struct err *e)
{
    OWNED(sink) chain = NULL;

    TRY(posix_put_new("-", o, &chain, e));
    for (size_t at = 0; at < sizeof text - 1; at += 11)
        TRY(sink_write(chain, text + at, 11, e));
    return sink_finish(chain, e);
}

static bool holds_text(const char *path)
{
    char back[2 * sizeof text];
    FILE *f = fopen(path, "rb");
    size_t got = f == NULL ? 0 : fread(back, 1, sizeof back, f);

    if (f != NULL)
        fclose(f);
    return got == sizeof text - 1 && memcmp(back, text, got) == 0;
}

static enum rc put_to(int fd, struct file_sink_result *r, struct err *e)
{
    const struct posix_put_options o = { .file.result = r };
    int saved = dup(STDOUT_FILENO);
    enum rc rc;

    if (fd >= 0)
        dup2(fd, STDOUT_FILENO);
    else
        close(STDOUT_FILENO);
    rc = put_dash(&o, e);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    return rc;
}

CASE(stream, a_dash_is_standard_output)
{
    const char *path = path_in(tmpdir_new(), "x");
    struct file_sink_result r = { 0 };
    struct err e = { 0 };
    OWNED_FD int fd = open(path, O_CREAT | O_WRONLY, 0600);
    int pipes[2];

    OK(put_to(fd, &r, &e), &e);
    cr_assert(holds_text(path));
    cr_assert_eq(r.mode, FILE_BUFFERED);
    cr_assert_eq(r.size, sizeof text - 1);
    cr_assert_eq(pipe(pipes), 0);
    OK(put_to(pipes[1], &r, &e), &e);
    cr_assert_eq(r.mode, FILE_STREAM);
    close(pipes[0]);
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(put_to(pipes[1], &r, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "cannot write 'standard output': Broken pipe");
    close(pipes[1]);
}

CASE(stream, a_full_a_closed_and_a_terminal_standard_output_are_errors)
{
    OWNED_FD int full = open("/dev/full", O_WRONLY);
    struct file_sink_result r = { 0 };
    struct err e = { 0 };
    int pty, tty;

    cr_assert_eq(put_to(full, &r, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "cannot write 'standard output': No space left on device");
    cr_assert_eq(put_to(-1, &r, &e), RC_USAGE);
    cr_assert_str_eq(e.why, "cannot write to standard output: Bad file descriptor");
    cr_assert_eq(openpty(&pty, &tty, NULL, NULL, NULL), 0);
    cr_assert_eq(put_to(tty, &r, &e), RC_REFUSED);
    cr_assert_str_eq(e.why, "standard output is a terminal, and a snapshot is not text");
    cr_assert_str_eq(e.hint, "redirect it to a file or a pipe");
    cr_assert_eq(r.size, 0);
    close(pty);
    close(tty);
}
