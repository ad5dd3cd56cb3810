/* Objects as files of a directory, local or mounted: every put is a storage/posix.h put,
 * read back from the disk, in directories that storage/tree.h makes and removes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "storage/driver.h"
#include "storage/neighbor.h"
#include "storage/posix.h"
#include "storage/temp.h"
#include "storage/tree.h"
#include "storage/walk.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"
#include "util/str.h"

enum {
    PIECE = 128 << 10,
    DROP_BEHIND = 8 << 20,
    RECORD_MAX = 64 << 10, /* announced: may use what is kept free */
    LOOK_AGAIN_MS = 10000, /* for an etcd that came to live here */
};

struct directory {
    struct store base;
    bool allow_same_filesystem;
    neighbor_fn *neighbor;
    int root; /* -1 before the first call that needs it */
    bool looked, beside_etcd;
    uint64_t looked_ms;
};

static enum rc open_root(struct directory *d, struct err *e)
{
    enum rc rc;

    if (d->root >= 0)
        return RC_OK;
    rc = os_open(AT_FDCWD, d->base.name, O_RDONLY | O_DIRECTORY, 0, &d->root, e);
    if (rc == RC_NOTFOUND)
        err_hint(e, "make the directory first, or mount what belongs there");
    return rc;
}

/* ---- room
 * ------------------------------------------------------------------------------ */

static enum rc refuse(const struct directory *d, const struct neighbor *n, struct err *e)
{
    char whose[NEIGHBOR_WORDS];

    neighbor_words(n, whose);
    return err_set(e, RC_REFUSED,
                   "'%s' lies on the file system of %s, and a full disk stops etcd" HINT
                   "keep backups elsewhere, or say --allow-same-filesystem",
                   d->base.name, whose);
}

static enum rc look_for_etcd(struct directory *d, struct err *e)
{
    AT_END(mem_end) char *inside = NULL;
    struct neighbor n;
    bool found = false;

    if (d->looked && clock_ms() - d->looked_ms < LOOK_AGAIN_MS)
        return RC_OK;
    TRY(str_format(&inside, e, "%s/object", d->base.name));
    TRY(d->neighbor(inside, &n, &found, e));
    if (found && !d->allow_same_filesystem)
        return refuse(d, &n, e);
    d->beside_etcd = found;
    d->looked = true;
    d->looked_ms = clock_ms();
    return RC_OK;
}

/* Beside an etcd a tenth of the file system stays free, and one object takes at most half
 * of what is free besides. Elsewhere what filter/file.h keeps is enough. A record may use
 * all of it: without one nothing can be pruned, and the disk stays full. */
static enum rc room_for(const struct directory *d, uint64_t size, uint64_t *reserve,
                        uint64_t *cap, struct err *e)
{
    bool record = size != 0 && size <= RECORD_MAX;
    struct statvfs fs;
    uint64_t left;

    *reserve = record ? FILE_RESERVE_NONE : FILE_RESERVE_DEFAULT;
    *cap = record ? RECORD_MAX : UINT64_MAX;
    if (!d->beside_etcd || record)
        return RC_OK;
    if (os.fstatvfs(d->root, &fs) < 0)
        return err_sys(e, RC_STORAGE, "cannot ask for the free space of '%s'",
                       d->base.name);
    *reserve = (uint64_t)fs.f_blocks * fs.f_frsize / 10;
    left = (uint64_t)fs.f_bavail * fs.f_frsize;
    *cap = left > *reserve ? (left - *reserve) / 2 : 0;
    return RC_OK;
}

/* ---- put
 * ------------------------------------------------------------------------------- */

struct object_put {
    struct sink base;
    struct directory *place;
    char *key;
    struct sink *file;
    uint64_t cap;
    bool stored;
};

static enum rc check_cap(const struct object_put *p, uint64_t size, struct err *e)
{
    char cap[32];

    if (size <= p->cap)
        return RC_OK;
    str_size(cap, sizeof cap, p->cap);
    if (p->cap == RECORD_MAX)
        return err_set(e, RC_INTERNAL, "'%s' grows beyond what was announced", p->key);
    return err_set(e, RC_STORAGE,
                   "'%s' would take more than %s, half of the room beside a running "
                   "etcd" HINT "keep backups on another file system",
                   p->key, cap);
}

static enum rc object_write(struct sink *s, const uint8_t *b, size_t n, struct err *e)
{
    struct object_put *p = (struct object_put *)s;

    TRY(check_cap(p, s->taken + n, e));
    return sink_write(p->file, b, n, e);
}

static enum rc object_finish(struct sink *s, struct err *e)
{
    struct object_put *p = (struct object_put *)s;

    TRY(sink_finish(p->file, e));
    p->stored = true;
    return RC_OK;
}

static void object_release(struct sink *s)
{
    struct object_put *p = (struct object_put *)s;

    sink_free(p->file);
    if (!p->stored && p->key != NULL)
        tree_prune(p->place->root, p->key);
    mem_free(p->key);
}

static const struct sink_ops object_ops = {
    .name = "object",
    .write = object_write,
    .finish = object_finish,
    .release = object_release,
};

static enum rc begin_file(struct object_put *p, const struct store_put *o, struct err *e)
{
    struct posix_put_options file = {
        .file = { .expected_size = o->expected_size, .read_back = true },
        .replace = o->replace,
    };
    AT_END(mem_end) char *path = NULL;
    OWNED_FD int dir = -1;
    const char *base;

    TRY(room_for(p->place, o->expected_size, &file.file.reserve, &p->cap, e));
    TRY(check_cap(p, o->expected_size, e));
    TRY(str_format(&path, e, "%s/%s", p->place->base.name, p->key));
    TRY(tree_make(p->place->root, p->key, &dir, &base, e));
    return posix_put_at(os_fd_give(&dir), path, &file, &p->file, e);
}

static enum rc directory_put(struct store *s, const char *key, const struct store_put *o,
                             struct sink **out, struct err *e)
{
    struct directory *d = (struct directory *)s;
    OWNED(sink) made = NULL;
    struct object_put *p = NULL;

    TRY(open_root(d, e));
    TRY(look_for_etcd(d, e));
    TRY(mem_new(&p, sizeof *p, "an object under way", e));
    made = &p->base;
    p->base = (struct sink){ .ops = &object_ops };
    p->place = d;
    p->key = mem_str(key);
    if (p->key == NULL)
        return err_set(e, RC_NOMEM, "no memory for the key '%s'", key);
    TRY(begin_file(p, o, e));
    *out = GIVE(made);
    return RC_OK;
}

/* ---- get, stat
 * -------------------------------------------------------------------------- */

static enum rc open_object(struct directory *d, const char *key, int flags, int *out,
                           struct stat *st, struct err *e)
{
    OWNED_FD int dir = -1, fd = -1;
    const char *base;
    enum rc rc;

    TRY(open_root(d, e));
    rc = tree_open(d->root, key, &dir, &base, e);
    if (rc == RC_OK)
        rc = os_open(dir, base, flags | O_NOFOLLOW | O_NONBLOCK, 0, &fd, e);
    if (rc == RC_NOTFOUND)
        return store_missing(&d->base, key, e);
    if (rc != RC_OK)
        return rc;
    if (os.fstat(fd, st) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat '%s'", key);
    if (!S_ISREG(st->st_mode))
        return store_missing(&d->base, key, e);
    *out = os_fd_give(&fd);
    return RC_OK;
}

/* What was read leaves the page cache to whoever needs it more. */
static enum rc push_file(int fd, const char *key, uint64_t size, uint8_t *piece,
                         struct sink *to, struct err *e)
{
    uint64_t at = 0, dropped = 0;

    for (;;) {
        size_t got = 0;

        TRY(stop_check(e));
        TRY(os_read_some(fd, piece, PIECE, &got, key, e));
        if (got == 0)
            break;
        TRY(sink_write(to, piece, got, e));
        at += got;
        if (at - dropped >= DROP_BEHIND) {
            os.fadvise(fd, (off_t)dropped, (off_t)(at - dropped), POSIX_FADV_DONTNEED);
            dropped = at;
        }
    }
    if (at != size)
        return err_set(e, RC_CORRUPT, "'%s' changed while it was read", key);
    return RC_OK;
}

static enum rc directory_get(struct store *s, const char *key, struct sink *to,
                             struct err *e)
{
    AT_END(mem_end) uint8_t *piece = NULL;
    OWNED_FD int fd = -1;
    struct stat st = { 0 };

    TRY(open_object((struct directory *)s, key, O_RDONLY, &fd, &st, e));
    TRY(mem_new(&piece, PIECE, "a read buffer", e));
    return push_file(fd, key, (uint64_t)st.st_size, piece, to, e);
}

static int64_t modified_ms(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

static enum rc directory_stat(struct store *s, const char *key, struct store_info *out,
                              struct err *e)
{
    OWNED_FD int fd = -1;
    struct stat st = { 0 };

    TRY(open_object((struct directory *)s, key, O_PATH, &fd, &st, e));
    out->size = (uint64_t)st.st_size;
    out->modified_ms = modified_ms(&st);
    return RC_OK;
}

/* ---- list, remove, sweep
 * ---------------------------------------------------------------- */

static enum rc add_entry(int dir, char *name, struct walk_entries *out, struct err *e)
{
    OWNED_FD int fd = os.openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    struct stat st;

    if (fd < 0 && errno == ENOENT)
        return RC_OK;
    if (fd < 0 || os.fstat(fd, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat '%s'", name);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return RC_OK;
    return walk_add(out,
                    &(struct walk_entry){ name, S_ISDIR(st.st_mode), (uint64_t)st.st_size,
                                          modified_ms(&st) },
                    e);
}

/* A key that ends in '/' is opened as the directory it names: its last part is empty. */
static enum rc list_directory(void *place, const char *prefix, struct walk_entries *out,
                              struct err *e)
{
    AT_END(str_list_clear) struct str_list names = { 0 };
    struct directory *d = place;
    OWNED_FD int dir = -1;
    const char *base;

    TRY(tree_open(d->root, prefix, &dir, &base, e));
    TRY(os_list(dir, ".", &names, e));
    for (size_t i = 0; i < names.count; i++)
        TRY(add_entry(dir, names.items[i], out, e));
    return RC_OK;
}

static enum rc directory_list(struct store *s, const char *prefix, store_list_fn *fn,
                              void *arg, struct err *e)
{
    struct directory *d = (struct directory *)s;
    const struct walk w = { .list = list_directory, .file = fn, .place = d, .arg = arg };

    TRY(open_root(d, e));
    return walk_below(&w, prefix, e);
}

static enum rc unlink_object(struct directory *d, const char *key, struct err *e)
{
    OWNED_FD int dir = -1;
    struct err missing = { 0 };
    const char *base;
    enum rc rc = tree_open(d->root, key, &dir, &base, &missing);

    if (rc == RC_NOTFOUND)
        return RC_OK;
    if (rc != RC_OK) {
        *e = missing;
        return rc;
    }
    if (os.unlinkat(dir, base, 0) < 0 && errno != ENOENT && errno != EISDIR)
        return err_sys(e, RC_STORAGE, "cannot remove '%s'", key);
    return os_sync_dir(dir, key, e);
}

static enum rc directory_remove(struct store *s, const char *key, struct err *e)
{
    struct directory *d = (struct directory *)s;

    TRY(open_root(d, e));
    TRY(unlink_object(d, key, e));
    tree_prune(d->root, key);
    return RC_OK;
}

struct sweep {
    struct directory *place;
    uint64_t swept;
};

static enum rc sweep_directory(void *arg, const char *prefix, struct err *e)
{
    struct sweep *w = arg;
    struct err gone = { 0 };
    OWNED_FD int dir = -1;
    const char *base;
    enum rc rc = tree_open(w->place->root, prefix, &dir, &base, &gone);

    /* It was empty, and went with the last one in it. */
    if (rc == RC_NOTFOUND)
        return RC_OK;
    if (rc != RC_OK) {
        *e = gone;
        return rc;
    }
    TRY(temp_sweep_all(dir, &w->swept, e));
    tree_prune(w->place->root, prefix);
    return RC_OK;
}

static enum rc directory_sweep(struct store *s, const char *prefix, uint64_t *swept,
                               struct err *e)
{
    struct sweep sweep = { .place = (struct directory *)s };
    const struct walk w = {
        .list = list_directory, .leave = sweep_directory, .place = s, .arg = &sweep
    };
    enum rc rc;

    TRY(open_root(sweep.place, e));
    rc = walk_below(&w, prefix, e);
    *swept = sweep.swept;
    return rc;
}

static enum rc directory_probe(struct store *s, const char *scratch,
                               struct store_traits *out, struct err *e)
{
    TRY(store_try_exclusive(s, scratch, &out->exclusive, e));
    if (!out->exclusive)
        log_warn("'%s' is on a file system where two can take one name", s->name);
    return RC_OK;
}

static void directory_release(struct store *s)
{
    os_fd_end(&((struct directory *)s)->root);
}

static const struct store_ops directory_ops = {
    .put_new = directory_put,
    .get = directory_get,
    .stat = directory_stat,
    .list = directory_list,
    .remove = directory_remove,
    .sweep = directory_sweep,
    .probe = directory_probe,
    .release = directory_release,
};

static const char scheme[] = "file://";

static const char *path_of(const char *url)
{
    bool named = strncmp(url, scheme, sizeof scheme - 1) == 0;

    return named ? url + sizeof scheme - 1 : url;
}

enum rc store_check_directory(const char *url, struct err *e)
{
    if (path_of(url) == url || path_of(url)[0] == '/')
        return RC_OK;
    return err_set(e, RC_USAGE, "'%s' names no local directory" HINT "write file:///DIR",
                   url);
}

enum rc store_open_directory(const struct store_options *o, struct store **out,
                             struct err *e)
{
    struct directory *d = NULL;

    TRY(store_check_directory(o->url, e));
    TRY(store_new(&directory_ops, sizeof *d, path_of(o->url), &d, e));
    d->root = -1;
    d->allow_same_filesystem = o->allow_same_filesystem;
    d->neighbor = o->neighbor != NULL ? o->neighbor : neighbor_find;
    *out = &d->base;
    return RC_OK;
}
