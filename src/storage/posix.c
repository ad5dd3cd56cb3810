#include "storage/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "storage/stream.h"
#include "storage/temp.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

struct posix_put {
    struct sink base;
    char *path;
    const char *name; /* the last component, inside `path` */
    int dir;
    struct temp temp;
    struct sink *file; /* writes to temp.fd, so it must end before that closes */
    struct file_sink_result stored, *result;
    bool replace;
};

static enum rc put_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    return sink_write(((struct posix_put *)s)->file, p, n, e);
}

/* The order is the promise: the bytes are durable before the name exists, and the name
 * is durable before anybody is told. */
static enum rc put_finish(struct sink *s, struct err *e)
{
    struct posix_put *p = (struct posix_put *)s;
    enum rc rc;

    TRY(sink_finish(p->file, e));
    TRY(p->replace ? temp_replace(&p->temp, e) : temp_publish(&p->temp, e));
    rc = os_sync_dir(p->dir, p->path, e);
    if (rc != RC_OK && !p->replace)
        temp_unpublish(&p->temp);
    else if (rc == RC_OK && p->result != NULL)
        *p->result = p->stored;
    return rc;
}

static void put_release(struct sink *s)
{
    struct posix_put *p = (struct posix_put *)s;

    sink_free(p->file);
    temp_close(&p->temp);
    os_fd_end(&p->dir);
    mem_free(p->path);
}

static const struct sink_ops put_ops = {
    .name = "posix",
    .write = put_write,
    .finish = put_finish,
    .release = put_release,
};

/* ---- safety rules
 * ------------------------------------------------------------------------ */

static enum rc check_name(const struct posix_put *p, struct err *e)
{
    if (p->name[0] == '\0' || strcmp(p->name, ".") == 0 || strcmp(p->name, "..") == 0)
        return err_set(e, RC_USAGE, "'%s' names no file" HINT "give a file name",
                       p->path);
    return RC_OK;
}

/* Whoever may write to the directory may put a link where our file is to be, or swap
 * the file afterwards. The sticky bit leaves that power to its owner alone. */
enum rc posix_check_directory(int dir, const char *path, struct err *e)
{
    struct stat st;
    bool sticky;

    if (os.fstat(dir, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat the directory of '%s'", path);
    sticky = (st.st_mode & S_ISVTX) != 0;
    if ((st.st_mode & S_IWOTH) != 0 && !sticky)
        return err_set(e, RC_REFUSED,
                       "anybody may write to the directory of '%s'" HINT
                       "chmod o-w the directory, or choose another one",
                       path);
    if ((st.st_mode & S_IWGRP) != 0 && !sticky)
        log_warn("the directory of '%s' is writable for its group", path);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        log_warn("the directory of '%s' belongs to another user (%u)", path,
                 (unsigned)st.st_uid);
    return RC_OK;
}

/* O_PATH looks at the name itself: a link is a link, a FIFO does not hang. */
static int look_at(int dir, const char *name)
{
    return os.openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
}

enum rc posix_check_absent(int dir, const char *name, const char *path, struct err *e)
{
    OWNED_FD int fd = look_at(dir, name);

    if (fd >= 0)
        return err_set(e, RC_REFUSED,
                       "'%s' exists already" HINT
                       "nothing is overwritten; choose another name or remove it",
                       path);
    if (errno != ENOENT)
        return err_sys(e, RC_STORAGE, "cannot look for '%s'", path);
    return RC_OK;
}

static bool is_regular(int dir, const char *name)
{
    OWNED_FD int fd = look_at(dir, name);
    struct stat st;

    return fd >= 0 && os.fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static enum rc check_absent(const struct posix_put *p, struct err *e)
{
    if (p->replace && is_regular(p->dir, p->name))
        return RC_OK;
    return posix_check_absent(p->dir, p->name, p->path, e);
}

static enum rc open_directory(struct posix_put *p, struct err *e)
{
    enum rc rc = os_open_parent(p->path, &p->dir, &p->name, e);

    if (rc == RC_NOTFOUND)
        err_hint(e, "make the directory first, or mount what belongs there");
    return rc;
}

/* ---- construction
 * -------------------------------------------------------------------------- */

static enum rc prepare(struct posix_put *p, const struct posix_put_options *o,
                       struct err *e)
{
    struct file_sink_options file = o->file;

    if (p->dir < 0)
        TRY(open_directory(p, e));
    TRY(check_name(p, e));
    TRY(posix_check_directory(p->dir, p->path, e));
    TRY(check_absent(p, e));
    TRY(temp_sweep(p->dir, p->name, e));
    TRY(temp_open(&p->temp, p->dir, p->name, o->named_temp || p->replace, e));
    p->result = o->file.result;
    file.result = &p->stored;
    return file_sink_new(p->temp.fd, p->path, &file, &p->file, e);
}

/* `dir` -1: the one that the path names. */
static enum rc put_new(int dir, const char *path, const struct posix_put_options *o,
                       struct sink **out, struct err *e)
{
    OWNED_FD int held = dir;
    OWNED(sink) made = NULL;
    struct posix_put *p = NULL;

    TRY(mem_new(&p, sizeof *p, "a file under way", e));
    made = &p->base;
    p->base = (struct sink){ .ops = &put_ops };
    p->dir = os_fd_give(&held);
    p->temp.fd = -1;
    p->replace = o->replace;
    p->path = mem_str(path);
    if (p->path == NULL)
        return err_set(e, RC_NOMEM, "no memory for the path '%s'", path);
    p->name = strrchr(p->path, '/') == NULL ? p->path : strrchr(p->path, '/') + 1;
    if (prepare(p, o, e) != RC_OK)
        return err_wrap(e, "writing '%s'", path);
    *out = GIVE(made);
    return RC_OK;
}

static enum rc check_target(struct posix_put *p, struct err *e)
{
    TRY(open_directory(p, e));
    TRY(check_name(p, e));
    return check_absent(p, e);
}

enum rc posix_put_check(const char *path, struct err *e)
{
    AT_END(mem_end) char *copy = NULL;
    struct posix_put p = { .dir = -1 };
    enum rc rc;

    if (strcmp(path, "-") == 0)
        return RC_OK;
    TRY(str_format(&copy, e, "%s", path));
    p.path = copy;
    rc = check_target(&p, e);
    os_fd_end(&p.dir);
    return rc == RC_OK ? rc : err_wrap(e, "writing '%s'", path);
}

static const struct posix_put_options none = { 0 };

enum rc posix_put_at(int dir, const char *path, const struct posix_put_options *options,
                     struct sink **out, struct err *e)
{
    return put_new(dir, path, options == NULL ? &none : options, out, e);
}

enum rc posix_put_new(const char *path, const struct posix_put_options *options,
                      struct sink **out, struct err *e)
{
    const struct posix_put_options *o = options == NULL ? &none : options;

    if (strcmp(path, "-") == 0)
        return stream_sink_new(STDOUT_FILENO, "standard output", o->file.result, out, e);
    return put_new(-1, path, o, out, e);
}

enum rc posix_put_text(const char *path, const char *text, struct err *e)
{
    const struct posix_put_options options = { .file = { .buffered = true } };
    OWNED(sink) to = NULL;

    TRY(posix_put_new(path, &options, &to, e));
    TRY(sink_write(to, text, strlen(text), e));
    return sink_finish(to, e);
}
