#include "tests/lib/powercut_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "util/mem.h"
#include "util/os.h"

static struct os_calls real;
static struct powercut *recording;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- memory --------------------------------------------------------------------------
 */

void *powercut_one_more(void *items, size_t count, size_t size)
{
    uint8_t *all = realloc(items, (count + 1) * size);

    cr_assert_not_null(all);
    memset(all + count * size, 0, size);
    return all;
}

static struct buf bytes_of(int fd)
{
    struct buf b = { .cap_max = (size_t)1 << 30 };
    uint8_t piece[1 << 16];
    struct err e;
    ssize_t n;
    off_t at = 0;

    while ((n = pread(fd, piece, sizeof piece, at)) > 0) {
        cr_assert_eq(buf_add(&b, piece, (size_t)n, &e), RC_OK);
        at += n;
    }
    return b;
}

/* ---- who is who ----------------------------------------------------------------------
 */

static int node_of(const struct powercut *p, const struct stat *st)
{
    for (size_t i = p->node_count; i-- > 0;)
        if (p->nodes[i].number == st->st_ino && p->nodes[i].device == st->st_dev)
            return (int)i;
    return NOBODY;
}

static int new_node(struct powercut *p, const struct stat *st)
{
    int old = node_of(p, st);

    if (old != NOBODY)
        p->nodes[old].number = 0;
    p->nodes = powercut_one_more(p->nodes, p->node_count, sizeof *p->nodes);
    p->nodes[p->node_count] = (struct node){ .device = st->st_dev,
                                             .number = st->st_ino,
                                             .directory = S_ISDIR(st->st_mode) };
    return (int)p->node_count++;
}

static int node_at(const struct powercut *p, int dir, const char *path, int flags)
{
    struct stat st;

    return fstatat(dir, path, &st, flags) == 0 ? node_of(p, &st) : NOBODY;
}

/* The name as an entry; its directory is NOBODY when it is none of ours. */
static struct entry locate(const struct powercut *p, int dir, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct entry x = { .directory = NOBODY, .node = NOBODY };
    char parent[PATH_MAX];

    snprintf(parent, sizeof parent, "%.*s",
             slash == NULL   ? 1
             : slash == path ? 1
                             : (int)(slash - path),
             slash == NULL ? "." : path);
    snprintf(x.name, sizeof x.name, "%s", slash == NULL ? path : slash + 1);
    x.directory = node_at(p, dir, parent, 0);
    return x;
}

void powercut_add(struct entries *l, const struct entry *x)
{
    l->items = powercut_one_more(l->items, l->count, sizeof *l->items);
    l->items[l->count++] = *x;
}

/* ---- SQLite --------------------------------------------------------------------------
 */

static bool is_aside(const char *name)
{
    return strstr(name, ".sqlite") != NULL;
}

static void read_aside(struct aside *a, int root, int dir, const char *name)
{
    const int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    a->names = powercut_one_more(a->names, a->count, sizeof *a->names);
    a->bytes = powercut_one_more(a->bytes, a->count, sizeof *a->bytes);
    a->names[a->count].directory = root;
    snprintf(a->names[a->count].name, NAME_SIZE, "%s", name);
    a->bytes[a->count++] = bytes_of(fd);
    close(fd);
}

static void aside_end(struct aside *a)
{
    for (size_t i = 0; i < a->count; i++)
        buf_clear(&a->bytes[i]);
    free(a->names);
    free(a->bytes);
}

static void read_asides(const struct powercut *p, struct aside *a)
{
    for (size_t i = 0; i < p->root_count; i++) {
        DIR *d = opendir(p->roots[i]);

        cr_assert_not_null(d);
        for (struct dirent *x; (x = readdir(d)) != NULL;)
            if (is_aside(x->d_name))
                read_aside(a, (int)i, dirfd(d), x->d_name);
        closedir(d);
    }
}

static bool same_aside(const struct aside *a, const struct aside *b)
{
    bool same = a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++)
        same = strcmp(a->names[i].name, b->names[i].name) == 0 &&
               a->bytes[i].n == b->bytes[i].n &&
               (a->bytes[i].n == 0 ||
                memcmp(a->bytes[i].p, b->bytes[i].p, a->bytes[i].n) == 0);
    return same;
}

static size_t note_asides(struct powercut *p)
{
    struct aside now = { 0 };

    read_asides(p, &now);
    if (p->aside_count > 0 && same_aside(&now, &p->asides[p->aside_count - 1])) {
        aside_end(&now);
        return p->aside_count - 1;
    }
    p->asides = powercut_one_more(p->asides, p->aside_count, sizeof *p->asides);
    p->asides[p->aside_count] = now;
    return p->aside_count++;
}

/* ---- recording -----------------------------------------------------------------------
 */

static struct call *new_call(struct powercut *p, enum kind kind, const char *what,
                             const char *name)
{
    struct call *c;

    p->calls = powercut_one_more(p->calls, p->call_count, sizeof *p->calls);
    c = &p->calls[p->call_count++];
    c->kind = kind;
    c->node = c->from.node = c->to.node = NOBODY;
    c->aside = note_asides(p);
    snprintf(c->note, sizeof c->note, "%s %.255s", what, name);
    return c;
}

static void note_named(struct powercut *p, const char *what, const struct entry *x,
                       int node)
{
    struct call *c;

    if (x->directory == NOBODY || node == NOBODY || is_aside(x->name))
        return;
    c = new_call(p, NAMED, what, x->name);
    c->to = *x;
    c->to.node = node;
}

static void note_unnamed(struct powercut *p, const struct entry *x)
{
    if (x->directory == NOBODY || is_aside(x->name))
        return;
    new_call(p, UNNAMED, "unlink", x->name)->from = *x;
}

static void note_bytes(struct powercut *p, int fd, enum kind kind, uint64_t at,
                       const void *bytes, size_t n)
{
    struct stat st;
    struct call *c;
    int node = fstat(fd, &st) == 0 ? node_of(p, &st) : NOBODY;

    if (node == NOBODY)
        return;
    c = new_call(p, kind, kind == CUT ? "truncate" : "write", "");
    c->node = node;
    c->at = at;
    c->n = n;
    if (n > 0) {
        c->p = malloc(n);
        cr_assert_not_null(c->p);
        memcpy(c->p, bytes, n);
    }
}

static void note_synced(struct powercut *p, int fd)
{
    struct stat st;
    int node = fstat(fd, &st) == 0 ? node_of(p, &st) : NOBODY;

    if (node != NOBODY)
        new_call(p, p->lies ? OTHER : SYNCED, "fsync", "")->node = node;
}

/* One call at a time, so that the order of the record is the order of the disk. */
#define RECORDED(type, call, note)   \
    do {                             \
        pthread_mutex_lock(&lock);   \
        type made_ = (call);         \
        const int cause_ = errno;    \
        if (made_ >= 0) {            \
            note;                    \
        }                            \
        errno = cause_;              \
        pthread_mutex_unlock(&lock); \
        return made_;                \
    } while (0)

static void note_opened(struct powercut *p, int fd, const struct entry *x, int flags,
                        bool was_there)
{
    struct stat st;

    if (x->directory == NOBODY || fstat(fd, &st) != 0)
        return;
    if ((flags & O_TMPFILE) == O_TMPFILE)
        (void)new_node(p, &st);
    else if ((flags & O_CREAT) != 0 && !was_there)
        note_named(p, "create", x, new_node(p, &st));
    else if ((flags & O_TRUNC) != 0)
        note_bytes(p, fd, CUT, 0, NULL, 0);
}

static int cut_openat(int dir, const char *path, int flags, mode_t mode)
{
    struct powercut *p = recording;
    struct entry x;
    struct stat st;
    bool was_there;

    if ((flags & (O_CREAT | O_TRUNC)) == 0 && (flags & O_TMPFILE) != O_TMPFILE)
        return real.openat(dir, path, flags, mode);
    was_there = fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
    x = locate(p, dir, (flags & O_TMPFILE) == O_TMPFILE ? "./x" : path);
    RECORDED(int, real.openat(dir, path, flags, mode),
             note_opened(p, made_, &x, flags, was_there));
}

static ssize_t cut_write(int fd, const void *b, size_t n)
{
    const off_t at = lseek(fd, 0, SEEK_CUR);

    RECORDED(ssize_t, real.write(fd, b, n),
             note_bytes(recording, fd, WRITTEN, (uint64_t)at, b, (size_t)made_));
}

static ssize_t cut_pwrite(int fd, const void *b, size_t n, off_t at)
{
    RECORDED(ssize_t, real.pwrite(fd, b, n, at),
             note_bytes(recording, fd, WRITTEN, (uint64_t)at, b, (size_t)made_));
}

static int cut_ftruncate(int fd, off_t size)
{
    RECORDED(int, real.ftruncate(fd, size),
             note_bytes(recording, fd, CUT, (uint64_t)size, NULL, 0));
}

static int cut_fsync(int fd)
{
    RECORDED(int, real.fsync(fd), note_synced(recording, fd));
}

static int cut_fdatasync(int fd)
{
    RECORDED(int, real.fdatasync(fd), note_synced(recording, fd));
}

static int cut_linkat(int dir, const char *from, int to_dir, const char *to, int flags)
{
    const int node = node_at(recording, dir, from,
                             (flags & AT_SYMLINK_FOLLOW) != 0 ? 0 : AT_SYMLINK_NOFOLLOW);
    const struct entry x = locate(recording, to_dir, to);

    RECORDED(int, real.linkat(dir, from, to_dir, to, flags),
             note_named(recording, "link", &x, node));
}

static void note_moved(const struct entry *from, const struct entry *to, int node)
{
    struct call *c;

    if (to->directory == NOBODY || node == NOBODY)
        return;
    c = new_call(recording, MOVED, "rename", to->name);
    c->from = *from;
    c->to = *to;
    c->to.node = node;
}

static int cut_renameat2(int dir, const char *from, int to_dir, const char *to,
                         unsigned flags)
{
    const int node = node_at(recording, dir, from, AT_SYMLINK_NOFOLLOW);
    const struct entry x = locate(recording, dir, from);
    const struct entry y = locate(recording, to_dir, to);

    RECORDED(int, real.renameat2(dir, from, to_dir, to, flags), note_moved(&x, &y, node));
}

static int cut_unlinkat(int dir, const char *path, int flags)
{
    const struct entry x = locate(recording, dir, path);

    RECORDED(int, real.unlinkat(dir, path, flags), note_unnamed(recording, &x));
}

static void note_made(int dir, const char *path)
{
    const struct entry x = locate(recording, dir, path);
    struct stat st;

    if (x.directory != NOBODY && fstatat(dir, path, &st, 0) == 0)
        note_named(recording, "mkdir", &x, new_node(recording, &st));
}

static int cut_mkdirat(int dir, const char *path, mode_t mode)
{
    RECORDED(int, real.mkdirat(dir, path, mode), note_made(dir, path));
}

/* ---- the beginning -------------------------------------------------------------------
 */

static void take_in(struct powercut *p, int directory, int dir);

static void take_in_one(struct powercut *p, int directory, int dir, const char *name)
{
    struct entry x = { .directory = directory };
    struct stat st;
    const int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    cr_assert(fd >= 0 && fstat(fd, &st) == 0, "%s", name);
    x.node = new_node(p, &st);
    snprintf(x.name, sizeof x.name, "%s", name);
    powercut_add(&p->before, &x);
    if (S_ISDIR(st.st_mode)) {
        take_in(p, x.node, fd);
        return;
    }
    p->nodes[x.node].bytes = bytes_of(fd);
    close(fd);
}

/* Owns the descriptor. */
static void take_in(struct powercut *p, int directory, int dir)
{
    DIR *d = fdopendir(dir);

    cr_assert_not_null(d);
    for (struct dirent *x; (x = readdir(d)) != NULL;)
        if (strcmp(x->d_name, ".") != 0 && strcmp(x->d_name, "..") != 0 &&
            !is_aside(x->d_name))
            take_in_one(p, directory, dir, x->d_name);
    closedir(d);
}

static void take_in_root(struct powercut *p, const char *root)
{
    const int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;

    cr_assert(fd >= 0 && fstat(fd, &st) == 0, "%s", root);
    (void)new_node(p, &st);
}

struct powercut *powercut_begin(const char *const *roots)
{
    struct powercut *p = calloc(1, sizeof *p);

    cr_assert_not_null(p);
    for (; roots[p->root_count] != NULL; p->root_count++) {
        cr_assert_lt(p->root_count, ROOTS_MAX);
        p->roots[p->root_count] = roots[p->root_count];
        take_in_root(p, roots[p->root_count]);
    }
    /* The nodes of the roots are the first ones. */
    for (size_t i = 0; i < p->root_count; i++)
        take_in(p, (int)i, open(p->roots[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    note_asides(p);
    recording = p;
    real = os;
    os.openat = cut_openat;
    os.write = cut_write;
    os.pwrite = cut_pwrite;
    os.ftruncate = cut_ftruncate;
    os.fsync = cut_fsync;
    os.fdatasync = cut_fdatasync;
    os.linkat = cut_linkat;
    os.renameat2 = cut_renameat2;
    os.unlinkat = cut_unlinkat;
    os.mkdirat = cut_mkdirat;
    return p;
}

void powercut_stop(struct powercut *p)
{
    if (recording != p)
        return;
    os = real;
    recording = NULL;
}

void powercut_free(struct powercut *p)
{
    if (p == NULL)
        return;
    powercut_stop(p);
    for (size_t i = 0; i < p->node_count; i++)
        buf_clear(&p->nodes[i].bytes);
    for (size_t i = 0; i < p->call_count; i++)
        free(p->calls[i].p);
    for (size_t i = 0; i < p->aside_count; i++)
        aside_end(&p->asides[i]);
    free(p->nodes);
    free(p->before.items);
    free(p->calls);
    free(p->asides);
    free(p->made);
    free(p);
}

void powercut_lies(struct powercut *p, bool lies)
{
    p->lies = lies;
}

size_t powercut_calls(const struct powercut *p)
{
    return p->call_count;
}

const char *powercut_call(const struct powercut *p, size_t i)
{
    return i < p->call_count ? p->calls[i].note : "the end";
}
