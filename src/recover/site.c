#include "recover/site.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "host/quote.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

/* ---- names --------------------------------------------------------------------------
 */

static void slot_clear(struct recover_slot *s)
{
    mem_free(s->at);
    mem_free(s->made);
    mem_free(s->old);
    mem_free(s->kept);
}

/* While it is held, so that nobody else's name is taken away. */
static void unlock(struct recover_site *s)
{
    if (s->lock >= 0)
        (void)os.unlinkat(AT_FDCWD, s->lock_file, 0);
    os_fd_end(&s->lock);
}

void recover_site_clear(struct recover_site *s)
{
    mem_free(s->data_dir);
    mem_free(s->wal_dir);
    mem_free(s->work);
    mem_free(s->journal);
    mem_free(s->export);
    mem_free(s->build);
    mem_free(s->build_wal);
    slot_clear(&s->data);
    slot_clear(&s->wal);
    unlock(s);
    mem_free(s->lock_file);
    *s = (struct recover_site){ .lock = -1 };
}

/* Trailing slashes would hide the last component. */
static enum rc copy_path(const char *path, char **out, struct err *e)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    if (n == 0 || strcmp(path, "/") == 0)
        return err_set(e, RC_USAGE, "'%s' is no data directory", path);
    return str_format(out, e, "%.*s", (int)n, path);
}

static bool is_mount_point(const char *path)
{
    struct statx st;

    return statx(AT_FDCWD, path, 0, 0, &st) == 0 &&
           (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/* Beside `path`, or below it as `inside`. */
static enum rc name_slot(struct recover_slot *s, const char *path, const char *inside,
                         const char *id, struct err *e)
{
    TRY(str_format(&s->at, e, "%s%s", path, inside));
    TRY(str_format(&s->old, e, "%s%s.before-%s", path, inside, id));
    return str_format(&s->kept, e, "%s%s.recovered-%s", path, inside, id);
}

static enum rc name_work(struct recover_site *s, const char *id, struct err *e)
{
    TRY(str_format(&s->work, e, "%s%s.recovery-%s", s->data_dir, s->inside ? "/" : "",
                   id));
    TRY(str_format(&s->journal, e, "%s/journal", s->work));
    TRY(str_format(&s->export, e, "%s/source.db", s->work));
    TRY(str_format(&s->build, e, "%s/new", s->work));
    return str_format(&s->data.made, e, "%s%s", s->build, s->inside ? "/member" : "");
}

/* What makes the directory above `path`, for a shell. */
static enum rc quote_parent(const char *path, struct buf *out, struct err *e)
{
    AT_END(mem_end) char *parent = NULL;

    TRY(str_format(&parent, e, "%.*s", (int)(strrchr(path, '/') - path), path));
    TRY(quote_shell(out, parent, e));
    return buf_add(out, "", 1, e);
}

/* A new host may lack the directory above. Whether to make it or to mount a disk there is
 * for a person to say. */
static enum rc check_home(const char *path, struct err *e)
{
    AT_END(buf_clear) struct buf parent = { .cap_max = 1 << 16 };
    OWNED_FD int home = -1;
    const char *base;
    enum rc rc = os_open_parent(path, &home, &base, e);

    if (rc != RC_NOTFOUND || strchr(path, '/') == NULL)
        return rc;
    TRY(quote_parent(path, &parent, e));
    return err_set(e, RC_NOTFOUND,
                   "there is no directory to hold '%s'" HINT
                   "mount the disk that belongs there, or `mkdir -p %s`, and run the "
                   "same command again",
                   path, (const char *)parent.p);
}

static enum rc name_wal(struct recover_site *s, const char *wal_dir, const char *id,
                        struct err *e)
{
    TRY(copy_path(wal_dir, &s->wal_dir, e));
    TRY(check_home(s->wal_dir, e));
    if (is_mount_point(s->wal_dir))
        return err_set(e, RC_REFUSED,
                       "the WAL directory '%s' is a mount point, and it must get its "
                       "name by a rename" HINT "name a directory below it",
                       s->wal_dir);
    TRY(name_slot(&s->wal, s->wal_dir, "", id, e));
    TRY(str_format(&s->build_wal, e, "%s.recovery-%s", s->wal_dir, id));
    return str_format(&s->wal.made, e, "%s", s->build_wal);
}

enum rc recover_site_name(const char *data_dir, const char *wal_dir, const char *id,
                          struct recover_site *out, struct err *e)
{
    AT_END(recover_site_clear) struct recover_site s = { .lock = -1 };

    TRY(copy_path(data_dir, &s.data_dir, e));
    TRY(check_home(s.data_dir, e));
    s.inside = is_mount_point(s.data_dir);
    TRY(name_slot(&s.data, s.data_dir, s.inside ? "/member" : "", id, e));
    TRY(name_work(&s, id, e));
    if (wal_dir != NULL)
        TRY(name_wal(&s, wal_dir, id, e));
    *out = s;
    s = (struct recover_site){ .lock = -1 };
    return RC_OK;
}

/* ---- the lock and the work directory ------------------------------------------------
 */

/* Who held it before took the name away at its end: then another may hold a newer one. */
static bool is_named(int fd, const char *path)
{
    struct stat mine, named;

    return os.fstat(fd, &mine) == 0 && lstat(path, &named) == 0 &&
           mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

static enum rc lock_once(const struct recover_site *s, int *out, struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(os_open(AT_FDCWD, s->lock_file, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, &fd, e));
    if (os.flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *out = os_fd_give(&fd);
        return RC_OK;
    }
    if (errno != EWOULDBLOCK)
        return err_sys(e, RC_STORAGE, "locking '%s'", s->lock_file);
    return err_set(e, RC_LOCKED,
                   "another recovery is at work on '%s'" HINT "wait for its end",
                   s->data_dir);
}

enum rc recover_site_lock(struct recover_site *s, struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(str_format(&s->lock_file, e, "%s%s.recovery-lock", s->data_dir,
                   s->inside ? "/" : ""));
    do {
        os_fd_end(&fd);
        TRY(lock_once(s, &fd, e));
    } while (!is_named(fd, s->lock_file));
    s->lock = os_fd_give(&fd);
    return RC_OK;
}

static enum rc sync_parent(const char *path, struct err *e)
{
    OWNED_FD int dir = -1;
    const char *base;

    TRY(os_open_parent(path, &dir, &base, e));
    return os_sync_dir(dir, path, e);
}

enum rc recover_site_begin(struct recover_site *s, bool *is_new, struct err *e)
{
    OWNED_FD int fd = -1;

    *is_new = !recover_exists(s->work);
    if (*is_new && s->inside && !recover_exists(s->data_dir))
        return err_set(e, RC_NOTFOUND, "'%s' is gone", s->data_dir);
    if (*is_new)
        TRY(os_mkdir(AT_FDCWD, s->work, e));
    TRY(os_open(AT_FDCWD, s->work, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd, e));
    return sync_parent(s->work, e);
}

/* ---- moves --------------------------------------------------------------------------
 */

bool recover_exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

/* Where NOREPLACE is not known (NFS), a plain rename does: of a directory it replaces
 * nothing but an empty one. */
static int rename_once(int from_dir, const char *from, int to_dir, const char *to)
{
    int r = os.renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE);

    if (r < 0 && (errno == EINVAL || errno == ENOSYS))
        r = os.renameat2(from_dir, from, to_dir, to, 0);
    return r;
}

static enum rc move_now(const char *from, const char *to, struct err *e)
{
    OWNED_FD int from_dir = -1, to_dir = -1;
    const char *from_base, *to_base;

    TRY(os_open_parent(from, &from_dir, &from_base, e));
    TRY(os_open_parent(to, &to_dir, &to_base, e));
    if (rename_once(from_dir, from_base, to_dir, to_base) < 0)
        return err_sys(e, RC_STORAGE, "cannot rename '%s' to '%s'", from, to);
    TRY(os_sync_dir(to_dir, to, e));
    return os_sync_dir(from_dir, from, e);
}

enum rc recover_move(const char *from, const char *to, struct err *e)
{
    bool here = recover_exists(from), there = recover_exists(to);

    if (here && there)
        return err_set(e, RC_REFUSED,
                       "'%s' and '%s' are both there: somebody else made one of them" HINT
                       "look what made it, and move it away",
                       from, to);
    if (here)
        return move_now(from, to, e);
    return there ? sync_parent(to, e) : RC_OK;
}

enum rc recover_site_put_aside(const struct recover_site *s, struct err *e)
{
    TRY(recover_move(s->data.at, s->data.old, e));
    return s->wal_dir == NULL ? RC_OK : recover_move(s->wal.at, s->wal.old, e);
}

enum rc recover_site_publish(const struct recover_site *s, struct err *e)
{
    if (s->wal_dir != NULL)
        TRY(recover_move(s->wal.made, s->wal.at, e));
    return recover_move(s->data.made, s->data.at, e);
}

bool recover_slot_is_new(const struct recover_slot *s)
{
    return recover_exists(s->at) && !recover_exists(s->made) && !recover_exists(s->kept);
}

static enum rc put_back(const struct recover_slot *s, bool published, struct err *e)
{
    if (published && recover_slot_is_new(s))
        TRY(recover_move(s->at, s->kept, e));
    return recover_move(s->old, s->at, e);
}

/* The new data first, so that no data is without its log. */
enum rc recover_site_put_back(const struct recover_site *s, bool published, struct err *e)
{
    if (published && recover_slot_is_new(&s->data))
        TRY(recover_move(s->data.at, s->data.kept, e));
    if (s->wal_dir != NULL)
        TRY(put_back(&s->wal, published, e));
    return put_back(&s->data, published, e);
}

/* ---- the owner ----------------------------------------------------------------------
 */

static enum rc give_tree(int dir, const char *name, const struct stat *to, struct err *e)
{
    AT_END(str_list_clear) struct str_list names = { 0 };
    OWNED_FD int fd = -1;
    struct stat st;

    if (fchownat(dir, name, to->st_uid, to->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(e, RC_STORAGE, "cannot give '%s' to user %u", name, to->st_uid);
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
        return RC_OK;
    TRY(os_open(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd, e));
    TRY(os_list(dir, name, &names, e));
    for (size_t i = 0; i < names.count; i++)
        TRY(give_tree(fd, names.items[i], to, e));
    return RC_OK;
}

enum rc recover_site_own(const struct recover_site *s, struct err *e)
{
    const char *like = recover_exists(s->data.old) ? s->data.old : s->data.at;
    struct stat st;

    if (lstat(like, &st) < 0) {
        if (geteuid() == 0)
            log_info("there was no data directory whose owner could be kept: what is "
                     "built belongs to root; see that etcd may read it");
        return RC_OK;
    }
    if (st.st_uid == geteuid() && st.st_gid == getegid())
        return RC_OK;
    if (geteuid() != 0) {
        log_warn("'%s' belongs to user %u, and what is built belongs to us: see that "
                 "etcd may read it",
                 like, st.st_uid);
        return RC_OK;
    }
    TRY(give_tree(AT_FDCWD, s->build, &st, e));
    return s->wal_dir == NULL ? RC_OK : give_tree(AT_FDCWD, s->build_wal, &st, e);
}
