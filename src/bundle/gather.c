#include "bundle/gather.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/names.h"
#include "util/mem.h"
#include "util/os.h"

enum { DEPTH_MAX = 32 };

struct gathering {
    struct bundle_report *report;
    const char *root;
    bundle_file_fn *fn;
    void *arg;
};

static enum rc read_content(int fd, const char *path, struct buf *out, struct err *e)
{
    for (;;) {
        size_t got = 0;

        TRY(buf_reserve(out, 64 << 10, e));
        TRY(os_read_some(fd, out->p + out->n, out->cap - out->n, &got, path, e));
        out->n += got;
        if (got == 0)
            return RC_OK;
        if (out->n > BUNDLE_FILE_MAX)
            return err_set(e, RC_REFUSED,
                           "'%s' is larger than the %d MiB that a bundle takes", path,
                           BUNDLE_FILE_MAX >> 20);
    }
}

static enum rc count_in(struct bundle_report *r, const char *path, size_t n,
                        struct err *e)
{
    r->bytes += n;
    if (r->packed.count == BUNDLE_FILES_MAX || r->bytes > BUNDLE_TOTAL_MAX)
        return err_set(e, RC_REFUSED,
                       "'%s' does not fit any more: a bundle takes %d files of %d MiB "
                       "together" HINT "list fewer or smaller directories",
                       path, BUNDLE_FILES_MAX, BUNDLE_TOTAL_MAX >> 20);
    return str_list_add(&r->packed, path, e);
}

static enum rc take_file(struct gathering *g, const char *path, const char *name, int fd,
                         const struct stat *st, struct err *e)
{
    AT_END(buf_clear) struct buf content = { .cap_max = (size_t)2 * BUNDLE_FILE_MAX };
    struct bundle_file f = { .name = name,
                             .mode = st->st_mode & 0777,
                             .uid = st->st_uid,
                             .gid = st->st_gid,
                             .modified_s = st->st_mtim.tv_sec };

    TRY(read_content(fd, path, &content, e));
    TRY(count_in(g->report, path, content.n, e));
    f.content = (struct bytes){ content.p, content.n };
    return g->fn(g->arg, &f, e);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum rc take(struct gathering *g, int dir, const char *name, const char *path,
                    int depth, struct err *e);

static enum rc take_directory(struct gathering *g, int fd, const char *path, int depth,
                              struct err *e)
{
    AT_END(str_list_clear) struct str_list names = { 0 };

    if (depth == DEPTH_MAX)
        return err_set(e, RC_REFUSED, "'%s' lies deeper than %d directories", path,
                       DEPTH_MAX);
    TRY(os_list(fd, ".", &names, e));
    if (names.count > 1)
        qsort(names.items, names.count, sizeof *names.items, compare);
    for (size_t i = 0; i < names.count; i++) {
        AT_END(mem_end) char *below = NULL;

        struct err gone = { 0 };
        enum rc rc;

        TRY(str_format(&below, e, "%s/%s", path, names.items[i]));
        rc = take(g, fd, names.items[i], below, depth + 1, &gone);
        if (rc != RC_OK && rc != RC_NOTFOUND) {
            *e = gone;
            return rc;
        }
    }
    return RC_OK;
}

/* What is there? O_PATH opens anything, and nothing happens by it. */
static enum rc look(int dir, const char *name, const char *path, int nofollow,
                    struct stat *st, struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(os_open(dir, name, O_PATH | nofollow, 0, &fd, e));
    if (os.fstat(fd, st) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat '%s'", path);
    return RC_OK;
}

/* A link inside a directory is not followed, a listed path that is one is: it says where
 * the file is, and whoever listed it wants the file. */
static enum rc take(struct gathering *g, int dir, const char *name, const char *path,
                    int depth, struct err *e)
{
    AT_END(mem_end) char *member = NULL;
    int nofollow = depth == 0 ? 0 : O_NOFOLLOW;
    OWNED_FD int fd = -1;
    struct stat st;

    if (str_list_has(&g->report->packed, path))
        return RC_OK;
    TRY(str_format(&member, e, BUNDLE_FILES "%s", path + 1));
    TRY(look(dir, name, path, nofollow, &st, e));
    if ((!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) || !bundle_name_is_file(member))
        return str_list_add(&g->report->passed_over, path, e);
    TRY(os_open(dir, name, O_RDONLY | O_NONBLOCK | nofollow, 0, &fd, e));
    if (os.fstat(fd, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat '%s'", path);
    return S_ISDIR(st.st_mode) ? take_directory(g, fd, path, depth, e)
                               : take_file(g, path, member, fd, &st, e);
}

/* Only what the list itself names can be missing; a file that goes while its directory is
 * read has not been there. */
static enum rc take_listed(struct gathering *g, const struct bundle_path *p,
                           struct err *e)
{
    AT_END(mem_end) char *real = NULL, *path = NULL;
    size_t n = strlen(p->path);
    struct err missing = { 0 };
    enum rc rc;

    while (n > 1 && p->path[n - 1] == '/')
        n--;
    if (p->path[0] != '/' || n < 2 || strstr(p->path, "/../") != NULL ||
        str_ends(p->path, "/.."))
        return err_set(e, RC_USAGE, "'%s' is no absolute path of a file or directory",
                       p->path);
    TRY(str_format(&path, e, "%.*s", (int)n, p->path));
    TRY(str_format(&real, e, "%s%s", g->root, path));
    rc = take(g, AT_FDCWD, real, path, 0, &missing);
    if (rc == RC_NOTFOUND) {
        g->report->missing_required += p->required;
        return str_list_add(&g->report->missing, path, e);
    }
    if (rc == RC_OK)
        return RC_OK;
    *e = missing;
    return err_wrap(e, "packing '%s'", path);
}

enum rc bundle_gather(const struct bundle_options *o, struct bundle_report *report,
                      bundle_file_fn *fn, void *arg, struct err *e)
{
    struct gathering g = { report, o->root == NULL ? "" : o->root, fn, arg };

    for (size_t i = 0; i < o->count; i++)
        TRY(take_listed(&g, &o->paths[i], e));
    return RC_OK;
}

void bundle_report_clear(struct bundle_report *r)
{
    str_list_clear(&r->packed);
    str_list_clear(&r->missing);
    str_list_clear(&r->passed_over);
}
