#include "crypto/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <termios.h>

#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"

static enum rc secret_with_room(size_t room, struct secret **out, struct err *e)
{
    struct secret *s = NULL;

    TRY(mem_new(&s, sizeof *s + room + 1, "a secret", e));
    s->room = room;
    *out = s;
    return RC_OK;
}

enum rc secret_new(struct bytes text, struct secret **out, struct err *e)
{
    struct secret *s = NULL;

    TRY(secret_with_room(text.n, &s, e));
    if (text.n > 0)
        memcpy(s->text, text.p, text.n);
    s->n = text.n;
    *out = s;
    return RC_OK;
}

void secret_free(struct secret *s)
{
    if (s != NULL)
        mem_wipe(s, sizeof *s + s->room + 1);
    mem_free(s);
}

/* Unlike os_read_some(), a signal ends the wait: somebody may be typing. */
static enum rc read_piece(int fd, const char *name, struct secret *s, size_t *got,
                          struct err *e)
{
    ssize_t n;

    do {
        TRY(stop_check(e));
        n = os.read(fd, s->text + s->n, s->room - s->n);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_sys(e, RC_STORAGE, "cannot read '%s'", name);
    *got = (size_t)n;
    return RC_OK;
}

/* To the end of the input or, with `line`, to the first line end. The memory never
 * grows: a copy left behind by realloc() could not be wiped. */
static enum rc read_all(int fd, const char *name, bool line, struct secret *s,
                        struct err *e)
{
    size_t got = 0;

    do {
        if (s->n == s->room)
            return err_set(e, RC_USAGE, "'%s' holds more than %zu bytes, too many%s",
                           name, s->room - 1, line ? " for a line" : "");
        TRY(read_piece(fd, name, s, &got, e));
        s->n += got;
    } while (got > 0 && !(line && memchr(s->text + s->n - got, '\n', got) != NULL));
    return RC_OK;
}

static enum rc first_line(const char *name, struct secret *s, struct err *e)
{
    const char *end = memchr(s->text, '\n', s->n);
    size_t n = end == NULL ? s->n : (size_t)(end - s->text);

    if (n > 0 && s->text[n - 1] == '\r')
        n--;
    mem_wipe(s->text + n, s->room - n);
    s->n = n;
    return n > 0 ? RC_OK : err_set(e, RC_USAGE, "the first line of '%s' is empty", name);
}

enum rc secret_from_fd(int fd, const char *name, struct secret **out, struct err *e)
{
    OWNED(secret) s = NULL;

    TRY(secret_with_room(SECRET_LINE_MAX + 1, &s, e));
    TRY(read_all(fd, name, true, s, e));
    TRY(first_line(name, s, e));
    *out = GIVE(s);
    return RC_OK;
}

static enum rc open_private(const char *path, int *out, struct err *e)
{
    OWNED_FD int fd = -1;
    struct stat st;

    TRY(os_open(AT_FDCWD, path, O_RDONLY | O_NOCTTY, 0, &fd, e));
    if (os.fstat(fd, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat '%s'", path);
    if (S_ISDIR(st.st_mode))
        return err_set(e, RC_USAGE, "'%s' is a directory, not a file", path);
    if (S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
        log_warn("'%s' holds a secret and others may read it (mode %04o): chmod 600 it",
                 path, st.st_mode & 07777);
    *out = os_fd_give(&fd);
    return RC_OK;
}

enum rc secret_read_file(const char *path, size_t max, struct secret **out, struct err *e)
{
    OWNED(secret) s = NULL;
    OWNED_FD int fd = -1;

    TRY(open_private(path, &fd, e));
    TRY(secret_with_room(max + 1, &s, e));
    TRY(read_all(fd, path, false, s, e));
    *out = GIVE(s);
    return RC_OK;
}

enum rc secret_from_file(const char *path, struct secret **out, struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(open_private(path, &fd, e));
    return secret_from_fd(fd, path, out, e);
}

enum rc secret_from_env(const char *variable, struct secret **out, struct err *e)
{
    OWNED(secret) s = NULL;
    const char *value = getenv(variable);

    if (value == NULL)
        return err_set(e, RC_USAGE, "the environment variable %s is not set", variable);
    TRY(secret_new(bytes_str(value), &s, e));
    TRY(first_line(variable, s, e));
    *out = GIVE(s);
    return RC_OK;
}

/* Nothing may return between the two tcsetattr calls, or the shell stays mute. */
static enum rc ask(int tty, const char *prompt, struct secret **out, struct err *e)
{
    struct termios before, quiet;
    enum rc rc;

    if (tcgetattr(tty, &before) < 0)
        return err_sys(e, RC_USAGE, "the terminal cannot be asked for a secret");
    quiet = before;
    quiet.c_lflag = (quiet.c_lflag & ~(tcflag_t)ECHO) | ECHONL;
    if (tcsetattr(tty, TCSAFLUSH, &quiet) < 0)
        return err_sys(e, RC_USAGE, "the terminal cannot hide what is typed");
    rc = os_write_full(tty, prompt, strlen(prompt), "/dev/tty", e);
    if (rc == RC_OK)
        rc = secret_from_fd(tty, "/dev/tty", out, e);
    tcsetattr(tty, TCSAFLUSH, &before);
    return rc;
}

static enum rc open_terminal(int *tty, struct err *e)
{
    struct err why;

    if (os_open(AT_FDCWD, "/dev/tty", O_RDWR | O_NOCTTY, 0, tty, &why) == RC_OK)
        return RC_OK;
    return err_set(e, RC_USAGE,
                   "there is no terminal to ask for a secret" HINT
                   "give it in a file or through a descriptor");
}

enum rc secret_from_prompt(const char *prompt, bool twice, struct secret **out,
                           struct err *e)
{
    OWNED(secret) first = NULL;
    OWNED(secret) again = NULL;
    OWNED_FD int tty = -1;

    TRY(open_terminal(&tty, e));
    TRY(ask(tty, prompt, &first, e));
    if (twice) {
        TRY(ask(tty, "The same again: ", &again, e));
        if (!bytes_equal(secret_bytes(first), secret_bytes(again)))
            return err_set(e, RC_USAGE, "the two differ; nothing was done");
    }
    *out = GIVE(first);
    return RC_OK;
}

enum rc crypto_guard_process(struct err *e)
{
    struct rlimit none = { 0, 0 };

    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
        return err_sys(e, RC_INTERNAL, "cannot forbid core files of this process");
    return RC_OK;
}
