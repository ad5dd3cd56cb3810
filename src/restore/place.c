#include "restore/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

/* Marks a WAL directory whose data directory has not appeared yet. */
static const char unfinished[] = ".holdfast-unfinished";

/* A directory with a temporary name; locked, which tells a living job from a leftover. */
struct temp {
    int home; /* the directory it lies in, which also gets the final name */
    int lock; /* itself */
    char *name, *path;
};

struct restore_place {
    char *data_dir, *wal_dir; /* final; wal_dir NULL when inside the data dir */
    struct temp data, wal_temp;
    char *member, *snap, *wal, *scratch;
    bool inside; /* the data dir exists: only `member` is published */
};

static bool is_leftover_name(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(name, prefix, n) == 0 && strlen(name) == n + 8 &&
           strspn(name + n, "0123456789abcdef") == 8;
}

/* Removes `name` below `dir` unless a living job holds its lock. */
static enum rc sweep(int dir, const char *name, struct err *e)
{
    OWNED_FD int fd = -1;

    if (os_open(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd, e) != RC_OK)
        return RC_OK;
    if (os.flock(fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(e, RC_LOCKED, "another restore is building '%s'", name);
    log_info("removing '%s', which an interrupted restore left", name);
    return os_remove_tree(dir, name, e);
}

static void dir_end(DIR **d)
{
    if (*d != NULL)
        closedir(*d);
}

/* Sweeps leftovers of ours and counts what else is there. */
static enum rc sweep_all(int dir, const char *prefix, size_t *others, struct err *e)
{
    AT_END(dir_end) DIR *entries = NULL;
    const struct dirent *d;
    int again = -1;

    *others = 0;
    TRY(os_open(dir, ".", O_RDONLY | O_DIRECTORY, 0, &again, e));
    entries = fdopendir(again);
    if (entries == NULL)
        return err_sys(e, RC_STORAGE, "cannot list the directory");
    while ((d = readdir(entries)) != NULL) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
            strcmp(d->d_name, "lost+found") == 0)
            continue;
        if (is_leftover_name(d->d_name, prefix))
            TRY(sweep(dir, d->d_name, e));
        else
            ++*others;
    }
    return RC_OK;
}

/* Is there something at `path`? A directory is opened into *fd. */
static enum rc look(const char *path, int *fd, bool *exists, struct err *e)
{
    enum rc rc = os_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, fd, e);

    *exists = rc == RC_OK;
    if (rc == RC_NOTFOUND && access(path, F_OK) == 0)
        return err_set(e, RC_REFUSED, "'%s' exists and is no directory", path);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc not_empty(const char *what, const char *path, struct err *e)
{
    return err_set(e, RC_REFUSED,
                   "the %s '%s' is not empty" HINT
                   "nothing is merged or deleted: move it aside, or name another",
                   what, path);
}

/* Trailing slashes would hide the last component. */
static enum rc copy_path(const char *path, char **out, struct err *e)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    if (n == 0)
        return err_set(e, RC_USAGE, "the directory name is empty");
    return str_format(out, e, "%.*s", (int)n, path);
}

/* Makes DIR/PREFIXxxxxxxxx in t->home; `dir` is the text in front of the name. */
static enum rc temp_make(struct temp *t, const char *dir, int dir_size,
                         const char *prefix, struct err *e)
{
    uint8_t random[4];
    char hex[9];
    enum rc rc;

    TRY(os_random(random, sizeof random, e));
    str_hex(hex, random, sizeof random);
    TRY(str_format(&t->name, e, "%s%s", prefix, hex));
    TRY(str_format(&t->path, e, "%.*s%s", dir_size, dir, t->name));
    rc = os_mkdir(t->home, t->name, e);
    if (rc != RC_OK) { /* not ours, so not ours to remove */
        mem_free(t->name);
        t->name = NULL;
        return rc;
    }
    TRY(os_open(t->home, t->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &t->lock, e));
    if (os.flock(t->lock, LOCK_EX | LOCK_NB) < 0)
        return err_sys(e, RC_STORAGE, "cannot lock '%s'", t->path);
    return RC_OK;
}

/* A temporary directory beside `path`, as .NAME.holdfast-XXXXXXXX. */
static enum rc temp_beside(struct temp *t, const char *path, struct err *e)
{
    AT_END(mem_end) char *prefix = NULL;
    const char *base = NULL;
    size_t others = 0;

    TRY(os_open_parent(path, &t->home, &base, e));
    TRY(str_format(&prefix, e, ".%s.holdfast-", base));
    TRY(sweep_all(t->home, prefix, &others, e));
    return temp_make(t, path, (int)(base - path), prefix, e);
}

static void temp_remove(struct temp *t)
{
    struct err ignored = { 0 };

    /* After a publish the temporary name is gone and this finds nothing. */
    if (t->home >= 0 && t->name != NULL &&
        os_remove_tree(t->home, t->name, &ignored) != RC_OK)
        log_warn("'%s' is left behind: %s", t->path, ignored.why);
    os_fd_end(&t->lock);
    os_fd_end(&t->home);
    mem_free(t->name);
    mem_free(t->path);
}

/* Decides between "inside" and "beside". */
static enum rc make_data_temp(struct restore_place *p, struct err *e)
{
    AT_END(mem_end) char *dir = NULL;
    size_t others = 0;

    TRY(look(p->data_dir, &p->data.home, &p->inside, e));
    if (!p->inside)
        return temp_beside(&p->data, p->data_dir, e);
    TRY(sweep_all(p->data.home, ".holdfast-", &others, e));
    if (others > 0)
        return not_empty("data directory", p->data_dir, e);
    TRY(str_format(&dir, e, "%s/", p->data_dir));
    return temp_make(&p->data, dir, (int)strlen(dir), ".holdfast-", e);
}

static enum rc remove_unfinished_wal(const char *wal_dir, struct err *e)
{
    log_info("removing '%s', which an interrupted restore left", wal_dir);
    return os_remove_tree(AT_FDCWD, wal_dir, e);
}

/* Also where the same file system is mounted twice. A kernel before 5.8 does not tell;
 * the rename then fails at the end. */
static bool is_mount_point(int fd)
{
    struct statx st;

    return statx(fd, "", AT_EMPTY_PATH, 0, &st) == 0 &&
           (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/* An explicit WAL directory must be absent, empty, or what an interrupted restore left:
 * like etcd itself we create it by rename, so it cannot be a mount point. */
static enum rc check_wal_dir(const struct restore_place *p, struct err *e)
{
    OWNED_FD int fd = -1;
    bool exists = false;
    size_t others = 0;

    if (p->wal_dir == NULL)
        return RC_OK;
    TRY(look(p->wal_dir, &fd, &exists, e));
    if (!exists)
        return RC_OK;
    if (is_mount_point(fd))
        return err_set(
            e, RC_REFUSED,
            "the WAL directory '%s' is a mount point, and it must get its name "
            "by a rename" HINT "name a directory below it",
            p->wal_dir);
    if (faccessat(fd, unfinished, F_OK, 0) == 0)
        return remove_unfinished_wal(p->wal_dir, e);
    TRY(sweep_all(fd, ".holdfast-", &others, e));
    if (others > 0)
        return not_empty("WAL directory", p->wal_dir, e);
    return RC_OK;
}

static enum rc make_tree(struct restore_place *p, struct err *e)
{
    TRY(str_format(&p->member, e, "%s/member", p->data.path));
    TRY(str_format(&p->snap, e, "%s/member/snap", p->data.path));
    TRY(str_format(&p->scratch, e, "%s/scratch", p->data.path));
    TRY(os_mkdir(AT_FDCWD, p->member, e));
    TRY(os_mkdir(AT_FDCWD, p->snap, e));
    if (p->wal_dir != NULL) {
        TRY(temp_beside(&p->wal_temp, p->wal_dir, e));
        return str_format(&p->wal, e, "%s", p->wal_temp.path);
    }
    TRY(str_format(&p->wal, e, "%s/member/wal", p->data.path));
    return os_mkdir(AT_FDCWD, p->wal, e);
}

enum rc restore_place_open(const char *data_dir, const char *wal_dir,
                           struct restore_place **out, struct err *e)
{
    OWNED(restore_place) p = NULL;

    TRY(mem_new(&p, sizeof *p, "the restore", e));
    p->data.home = p->data.lock = p->wal_temp.home = p->wal_temp.lock = -1;
    TRY(copy_path(data_dir, &p->data_dir, e));
    if (wal_dir != NULL)
        TRY(copy_path(wal_dir, &p->wal_dir, e));
    /* In this order: once there is data, its log is never taken for a leftover. */
    TRY(make_data_temp(p, e));
    TRY(check_wal_dir(p, e));
    TRY(make_tree(p, e));
    *out = GIVE(p);
    return RC_OK;
}

const char *restore_place_snap_dir(const struct restore_place *p)
{
    return p->snap;
}

const char *restore_place_wal_dir(const struct restore_place *p)
{
    return p->wal;
}

enum rc restore_place_seed(const struct restore_place *p, const struct wal_seed *seed,
                           struct err *e)
{
    OWNED_FD int wal = -1, snap = -1;

    TRY(os_open(AT_FDCWD, restore_place_wal_dir(p), O_RDONLY | O_DIRECTORY, 0, &wal, e));
    TRY(os_open(AT_FDCWD, restore_place_snap_dir(p), O_RDONLY | O_DIRECTORY, 0, &snap,
                e));
    TRY(wal_seed_write(wal, seed, e));
    return wal_seed_write_snap(snap, seed, e);
}

const char *restore_place_scratch(const struct restore_place *p)
{
    return p->scratch;
}

static const char *last_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static enum rc sync_path(const char *path, struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(os_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, &fd, e));
    return os_sync_dir(fd, path, e);
}

/* From a temporary name to a final one. */
struct move {
    int from_dir, to_dir;
    const char *from, *to;
    const char *path; /* the final one, for messages */
};

/* Where NOREPLACE is not known (NFS), a plain rename does: of a directory it replaces
 * nothing but an empty one. */
static int move_once(const struct move *m)
{
    int r = os.renameat2(m->from_dir, m->from, m->to_dir, m->to, RENAME_NOREPLACE);

    if (r < 0 && (errno == EINVAL || errno == ENOSYS))
        r = os.renameat2(m->from_dir, m->from, m->to_dir, m->to, 0);
    return r;
}

/* A name that is not durable is taken back, to go with the rest. *stands: it could not be
 * taken back. */
static enum rc appear(const struct move *m, bool *stands, struct err *e)
{
    const struct move back = { m->to_dir, m->from_dir, m->to, m->from, m->path };

    if (move_once(m) == 0) {
        if (os_sync_dir(m->to_dir, m->path, e) == RC_OK)
            return RC_OK;
        *stands = move_once(&back) < 0;
        if (*stands)
            log_warn("'%s' is whole, but may be gone after a power failure", m->path);
        return e->code;
    }
    if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR)
        return err_set(e, RC_REFUSED,
                       "'%s' appeared while the restore was at work" HINT
                       "look what made it, then restore to another directory",
                       m->path);
    return err_sys(e, RC_STORAGE, "cannot give '%s' its name", m->path);
}

static enum rc mark(const char *dir, struct err *e)
{
    AT_END(mem_end) char *path = NULL;
    OWNED_FD int fd = -1;

    TRY(str_format(&path, e, "%s/%s", dir, unfinished));
    TRY(os_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, &fd, e));
    return os_sync(fd, path, e);
}

/* The WAL directory gets its name while it still carries the mark of an unfinished
 * restore; an empty directory in its place is removed first. */
static enum rc publish_wal(struct restore_place *p, struct err *e)
{
    const char *base = last_of(p->wal_dir);
    const struct move m = { p->wal_temp.home, p->wal_temp.home, p->wal_temp.name, base,
                            p->wal_dir };
    bool stands = false; /* no harm: it is marked, so the next restore sweeps it */

    TRY(mark(p->wal, e));
    TRY(sync_path(p->wal, e));
    if (os.unlinkat(p->wal_temp.home, base, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return err_sys(e, RC_REFUSED, "cannot replace the WAL directory '%s'",
                       p->wal_dir);
    return appear(&m, &stands, e);
}

/* All is in place by now, and etcd does not mind the mark. */
static void unmark_wal(const struct restore_place *p)
{
    OWNED_FD int fd = -1;
    struct err e = { 0 };
    enum rc rc = os_open(AT_FDCWD, p->wal_dir, O_RDONLY | O_DIRECTORY, 0, &fd, &e);

    if (rc == RC_OK && os.unlinkat(fd, unfinished, 0) < 0)
        rc = err_sys(&e, RC_STORAGE, "cannot remove '%s'", unfinished);
    if (rc == RC_OK)
        rc = os_sync_dir(fd, p->wal_dir, &e);
    if (rc != RC_OK)
        log_warn("'%s' stays in the WAL directory: %s", unfinished, e.why);
}

static enum rc publish_data(struct restore_place *p, bool *stands, struct err *e)
{
    const struct move inside = { p->data.lock, p->data.home, "member", "member",
                                 p->data_dir };
    const struct move beside = { p->data.home, p->data.home, p->data.name,
                                 last_of(p->data_dir), p->data_dir };

    TRY(sync_path(p->snap, e));
    if (p->wal_dir == NULL)
        TRY(sync_path(p->wal, e));
    TRY(sync_path(p->member, e));
    TRY(sync_path(p->data.path, e));
    return appear(p->inside ? &inside : &beside, stands, e);
}

static enum rc publish_both(struct restore_place *p, struct err *e)
{
    struct err ignored;
    bool stands = false;

    TRY(publish_wal(p, e));
    if (publish_data(p, &stands, e) == RC_OK) {
        unmark_wal(p);
        return RC_OK;
    }
    /* A database without its log would start, and lose every write. */
    if (!stands && os_remove_tree(AT_FDCWD, p->wal_dir, &ignored) != RC_OK)
        log_warn("'%s' is left behind: %s", p->wal_dir, ignored.why);
    return e->code;
}

enum rc restore_place_publish(struct restore_place *p, struct err *e)
{
    bool stands = false;

    TRY(os_remove_tree(AT_FDCWD, p->scratch, e));
    return p->wal_dir != NULL ? publish_both(p, e) : publish_data(p, &stands, e);
}

void restore_place_free(struct restore_place *p)
{
    if (p == NULL)
        return;
    temp_remove(&p->data);
    temp_remove(&p->wal_temp);
    mem_free(p->data_dir);
    mem_free(p->wal_dir);
    mem_free(p->snap);
    mem_free(p->wal);
    mem_free(p->scratch);
    mem_free(p->member);
    mem_free(p);
}
