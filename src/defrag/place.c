#include "defrag/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "defrag/place_state.h"
#include "storage/holder.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/process.h"
#include "util/str.h"
#include "wal/segment.h"

#define BACKUP ".bak"
#define DATABASE "/member/snap/db"
#define ADVICE "the database of a running member is defragmented by `etcdctl defrag`"

/* ---- finding and locking the old one ----------------------------------------------- */

/* Trailing slashes would hide the last component. */
static int trimmed(const char *dir)
{
    size_t n = strlen(dir);

    while (n > 1 && dir[n - 1] == '/')
        n--;
    return (int)n;
}

static enum rc name_all(struct defrag_place *p, struct err *e)
{
    const struct defrag_place_request *q = &p->request;

    if (q->data_dir != NULL)
        TRY(str_format(&p->path, e, "%.*s" DATABASE, trimmed(q->data_dir), q->data_dir));
    else
        TRY(str_format(&p->path, e, "%s", q->snapshot));
    if (q->snapshot != NULL && q->output == NULL && str_ends(q->snapshot, DATABASE))
        return err_set(e, RC_USAGE,
                       "'%s' is the database of a member, not a snapshot" HINT
                       "give its data directory as --data-dir, so that its log is locked "
                       "too",
                       q->snapshot);
    TRY(os_open_parent(p->path, &p->dir, &p->base, e));
    TRY(str_format(&p->backup, e, "%s" BACKUP, p->base));
    return str_format(&p->backup_path, e, "%s" BACKUP, p->path);
}

/* O_PATH looks at the name itself: a link is a link, a FIFO does not hang. */
static enum rc look(const struct defrag_place *p, const char *name, struct stat *st,
                    bool *found, struct err *e)
{
    OWNED_FD int fd = os.openat(p->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);

    *found = fd >= 0;
    if (fd < 0 && errno == ENOENT)
        return RC_OK;
    if (fd < 0 || os.fstat(fd, st) < 0)
        return err_sys(e, RC_STORAGE, "cannot look for '%s'", name);
    return RC_OK;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* On a file system without hard links the swap is two renames, and whoever is killed
 * between them leaves the old database under its second name only. */
static enum rc recover(const struct defrag_place *p, struct err *e)
{
    OWNED_FD int fd = -1;
    struct stat st;
    bool there, second;

    TRY(look(p, p->base, &st, &there, e));
    TRY(look(p, p->backup, &st, &second, e));
    if (there || !second)
        return RC_OK;
    if (p->request.look_only)
        return err_set(e, RC_NOTFOUND,
                       "'%s' is missing, but '%s' is there: an earlier run was killed "
                       "between two renames" HINT
                       "without --dry-run the old database gets its name back",
                       p->path, p->backup);
    TRY(os_open(p->dir, p->backup, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &fd, e));
    if (os.flock(fd, LOCK_EX | LOCK_NB) < 0)
        return holder_refuse(fd, p->backup, ADVICE, e);
    if (os.renameat2(p->dir, p->backup, p->dir, p->base, RENAME_NOREPLACE) < 0)
        return err_sys(e, RC_STORAGE, "cannot give '%s' its name back", p->path);
    log_warn("'%s' was missing and has been recovered from '%s', which an earlier run "
             "left when it was killed",
             p->path, p->backup);
    return os_sync_dir(p->dir, p->path, e);
}

static enum rc open_source(struct defrag_place *p, struct err *e)
{
    int access = p->request.data_dir != NULL ? O_RDWR : O_RDONLY;
    int follow = p->request.output != NULL ? 0 : O_NOFOLLOW;
    enum rc rc =
        os_open(p->dir, p->base, access | follow | O_NONBLOCK | O_NOCTTY, 0, &p->fd, e);

    if (rc == RC_NOTFOUND && p->request.data_dir != NULL)
        err_hint(e, "name the directory that etcd was given as --data-dir");
    if (rc == RC_REFUSED)
        err_hint(e, "a symbolic link would be replaced by a file: name the file itself");
    TRY(rc);
    if (os.fstat(p->fd, &p->stat) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat '%s'", p->path);
    if (!S_ISREG(p->stat.st_mode))
        return err_set(e, RC_USAGE, "'%s' is not a regular file", p->path);
    return RC_OK;
}

static enum rc lock_source(const struct defrag_place *p, struct err *e)
{
    int kind = p->request.output == NULL ? LOCK_EX : LOCK_SH;
    struct stat now;
    bool there;

    if (os.flock(p->fd, kind | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return holder_refuse(p->fd, p->path, ADVICE, e);
        return err_sys(e, RC_STORAGE, "cannot lock '%s'", p->path);
    }
    if (p->request.output != NULL)
        return RC_OK;
    TRY(look(p, p->base, &now, &there, e));
    if (!there || !is_same(&now, &p->stat))
        return err_set(e, RC_LOCKED, "'%s' was replaced by somebody else just now",
                       p->path);
    return RC_OK;
}

/* etcd locks its segments with open file description locks (client/pkg/fileutil), and
 * with flock where there are none. The seam's fcntl cannot carry the structure. */
static enum rc lock_segment(int fd, const char *name, struct err *e)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (fcntl(fd, F_OFD_SETLK, &all) == 0)
        return RC_OK;
    if (errno == EAGAIN || errno == EACCES)
        return holder_refuse(fd, name, ADVICE, e);
    if (os.flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return holder_refuse(fd, name, ADVICE, e);
    return RC_OK;
}

static enum rc lock_log(struct defrag_place *p, struct err *e)
{
    AT_END(str_list_clear) struct str_list names = { 0 };
    AT_END(mem_end) char *path = NULL;
    OWNED_FD int dir = -1;
    enum rc rc;

    TRY(str_format(&path, e, "%.*s/member/wal", trimmed(p->request.data_dir),
                   p->request.data_dir));
    rc = os_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, &dir, e);
    if (rc == RC_NOTFOUND) /* etcd ran with --wal-dir; the database's lock has to do */
        return RC_OK;
    TRY(rc);
    TRY(os_list(dir, ".", &names, e));
    for (size_t i = 0; i < names.count; i++) {
        uint64_t sequence, index;
        int fd;

        if (!wal_segment_name_parse(names.items[i], &sequence, &index))
            continue;
        TRY(os_open(dir, names.items[i], O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0, &fd, e));
        TRY(place_hold(p, fd, e));
        TRY(lock_segment(fd, names.items[i], e));
    }
    return RC_OK;
}

/* ---- what earlier runs left -------------------------------------------------------- */

/* The same file under both names is what a run leaves that was killed before its rename.
 * Another file is somebody's last copy until he says otherwise. */
static enum rc check_backup(const struct defrag_place *p, struct err *e)
{
    struct stat st;
    bool there;

    TRY(look(p, p->backup, &st, &there, e));
    if (!there)
        return RC_OK;
    if (!is_same(&st, &p->stat))
        return err_set(e, RC_REFUSED,
                       "'%s' exists: the database as it was before an earlier run, kept "
                       "by --keep-backup, or because that run was killed after the "
                       "swap" HINT
                       "the one in place is whole and proved; remove the .bak, "
                       "or move it away, and try again",
                       p->backup_path);
    if (p->request.look_only)
        return RC_OK;
    if (os.unlinkat(p->dir, p->backup, 0) < 0)
        return err_sys(e, RC_STORAGE, "cannot remove '%s'", p->backup_path);
    log_info(
        "removed '%s', a second name of the database that an earlier run left when it "
        "was killed",
        p->backup_path);
    return RC_OK;
}

/* etcd up to 3.6 removes these itself when it starts; 3.7 does not. */
static enum rc tell_leftovers(const struct defrag_place *p, struct err *e)
{
    AT_END(str_list_clear) struct str_list names = { 0 };

    TRY(os_list(p->dir, ".", &names, e));
    for (size_t i = 0; i < names.count; i++)
        if (strncmp(names.items[i], "db.tmp", 6) == 0)
            log_warn(
                "'%s' lies beside the database: an interrupted defrag of etcd left it "
                "and nothing needs it",
                names.items[i]);
    return RC_OK;
}

static enum rc check_leftovers(const struct defrag_place *p, struct err *e)
{
    TRY(check_backup(p, e));
    if (p->request.data_dir != NULL)
        TRY(tell_leftovers(p, e));
    return p->request.look_only ? RC_OK : temp_sweep(p->dir, p->base, e);
}

/* ---- a new file beside ------------------------------------------------------------- */

/* Whoever may write to the directory may swap what is in it. */
static enum rc check_output_directory(const struct defrag_place *p, struct err *e)
{
    struct stat st;

    if (os.fstat(p->output_dir, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat the directory of '%s'",
                       p->request.output);
    if ((st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0)
        return err_set(e, RC_REFUSED,
                       "anybody may write to the directory of '%s'" HINT
                       "chmod o-w the directory, or choose another one",
                       p->request.output);
    return RC_OK;
}

static enum rc open_output(struct defrag_place *p, struct err *e)
{
    OWNED_FD int taken = -1;

    if (strcmp(p->request.output, "-") == 0)
        return err_set(e, RC_USAGE,
                       "the result cannot go to standard output: it is read again to "
                       "prove it" HINT "name a file");
    TRY(os_open_parent(p->request.output, &p->output_dir, &p->output_base, e));
    if (p->output_base[0] == '\0' || strcmp(p->output_base, ".") == 0 ||
        strcmp(p->output_base, "..") == 0)
        return err_set(e, RC_USAGE, "'%s' names no file", p->request.output);
    TRY(check_output_directory(p, e));
    taken = os.openat(p->output_dir, p->output_base, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    if (taken >= 0)
        return err_set(e, RC_REFUSED,
                       "'%s' exists already" HINT
                       "nothing is overwritten; choose another name or remove it",
                       p->request.output);
    if (errno != ENOENT)
        return err_sys(e, RC_STORAGE, "cannot look for '%s'", p->request.output);
    return p->request.look_only ? RC_OK : temp_sweep(p->output_dir, p->output_base, e);
}

static enum rc open_all(struct defrag_place *p, struct err *e)
{
    bool in_place = p->request.output == NULL;

    TRY(name_all(p, e));
    if (in_place)
        TRY(recover(p, e));
    TRY(open_source(p, e));
    TRY(lock_source(p, e));
    if (p->request.data_dir != NULL) {
        TRY(lock_log(p, e));
        TRY(place_refuse_waiting(p, e));
    }
    return in_place ? check_leftovers(p, e) : open_output(p, e);
}

enum rc defrag_place_open(const struct defrag_place_request *q, struct defrag_place **out,
                          struct err *e)
{
    OWNED(defrag_place) p = NULL;

    TRY(mem_new(&p, sizeof *p, "a place for the database", e));
    p->request = *q;
    p->dir = p->fd = p->output_dir = p->temp.fd = -1;
    TRY(open_all(p, e));
    *out = GIVE(p);
    return RC_OK;
}

/* A database that was replaced is deleted when nobody has it open any more. All locks are
 * gone by then but its own, which nobody can find. */
static void close_source(struct defrag_place *p)
{
    struct stat st;

    if (p->fd >= 0 && os.fstat(p->fd, &st) == 0 && st.st_nlink == 0)
        process_close_later(&p->fd);
    os_fd_end(&p->fd);
}

void defrag_place_free(struct defrag_place *p)
{
    if (p == NULL)
        return;
    temp_close(&p->temp);
    for (size_t i = 0; i < p->held_count; i++)
        os_fd_end(&p->held[i]);
    close_source(p);
    os_fd_end(&p->output_dir);
    os_fd_end(&p->dir);
    mem_free(p->held);
    mem_free(p->path);
    mem_free(p->backup);
    mem_free(p->backup_path);
    mem_free(p);
}

enum rc place_hold(struct defrag_place *p, int fd, struct err *e)
{
    int *more = mem_resize(p->held, p->held_count + 1, sizeof *more);

    if (more == NULL) {
        os_fd_end(&fd);
        return err_set(e, RC_NOMEM, "no memory for the locks of the log");
    }
    p->held = more;
    p->held[p->held_count++] = fd;
    return RC_OK;
}

const char *defrag_place_source_name(const struct defrag_place *p)
{
    return p->path;
}

int defrag_place_source(const struct defrag_place *p)
{
    return p->fd;
}

const char *defrag_place_target_name(const struct defrag_place *p)
{
    return p->request.output != NULL ? p->request.output : p->path;
}
