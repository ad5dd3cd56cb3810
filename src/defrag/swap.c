/* The new database: begun without a name, and put in the place of the old one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "defrag/place_state.h"
#include "storage/holder.h"
#include "util/log.h"
#include "util/os.h"
#include "util/str.h"

enum { RANDOM = 4, NAME_KEPT = 231 }; /* of 255, as in storage/temp.c */

/* ---- begin ------------------------------------------------------------------------- */

static enum rc keep_owner(const struct defrag_place *p, struct err *e)
{
    struct stat st;

    if (os.fstat(p->temp.fd, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat the new file for '%s'", p->path);
    if ((st.st_uid != p->stat.st_uid || st.st_gid != p->stat.st_gid) &&
        fchown(p->temp.fd, p->stat.st_uid, p->stat.st_gid) < 0)
        return err_sys(e, RC_AUTH,
                       "cannot give the new file the owner of '%s' (user %u, group %u)",
                       p->path, p->stat.st_uid, p->stat.st_gid);
    if (os.fchmod(p->temp.fd, p->stat.st_mode & 07777) < 0)
        return err_sys(e, RC_STORAGE, "cannot give the new file the mode of '%s'",
                       p->path);
    return RC_OK;
}

enum rc defrag_place_begin(struct defrag_place *p, int *fd, struct err *e)
{
    bool in_place = p->request.output == NULL;

    TRY(temp_open(&p->temp, in_place ? p->dir : p->output_dir,
                  in_place ? p->base : p->output_base, false, e));
    if (in_place)
        TRY(keep_owner(p, e));
    /* An etcd that is started right after the swap waits until all is done. */
    if (os.flock(p->temp.fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return err_sys(e, RC_LOCKED, "cannot lock the new file for '%s'", p->path);
    *fd = p->temp.fd;
    return RC_OK;
}

/* ---- publish ----------------------------------------------------------------------- */

enum rc place_refuse_waiting(const struct defrag_place *p, struct err *e)
{
    struct holder h;
    bool found = false;

    TRY(holder_find_open(p->fd, &h, &found, e));
    if (!found)
        return RC_OK;
    return err_set(e, RC_LOCKED,
                   "process %llu (%s) has '%s' open" HINT
                   "stop it, and whatever starts it again; nothing was changed",
                   (unsigned long long)h.pid, h.name, p->path);
}

/* Only a name can be renamed over another. It is one that the next run sweeps. */
static enum rc name_new(struct defrag_place *p, struct err *e)
{
    struct temp *t = &p->temp;
    uint8_t random[RANDOM];
    char hex[2 * RANDOM + 1], self[64];
    char part[sizeof t->part];

    if (t->part[0] != '\0')
        return RC_OK;
    TRY(os_random(random, sizeof random, e));
    str_hex(hex, random, sizeof random);
    snprintf(part, sizeof part, ".%.*s.holdfast-%s.part", NAME_KEPT, p->base, hex);
    snprintf(self, sizeof self, "/proc/self/fd/%d", t->fd);
    if (os.linkat(AT_FDCWD, self, p->dir, part, AT_SYMLINK_FOLLOW) < 0)
        return err_sys(e, RC_STORAGE, "cannot name the new file beside '%s'", p->path);
    memcpy(t->part, part, sizeof part);
    return RC_OK;
}

static bool has_no_links(int cause)
{
    return cause == EPERM || cause == EOPNOTSUPP || cause == ENOSYS || cause == EMLINK ||
           cause == EINVAL;
}

static enum rc set_aside(const struct defrag_place *p, struct err *e)
{
    if (os.linkat(p->dir, p->base, p->dir, p->backup, 0) == 0)
        return RC_OK;
    if (has_no_links(errno) &&
        os.renameat2(p->dir, p->base, p->dir, p->backup, RENAME_NOREPLACE) == 0)
        return RC_OK;
    return err_sys(e, RC_STORAGE, "cannot set '%s' aside as '%s'", p->path, p->backup);
}

/* The old one is itself again, by its own name alone. A rename onto a second name of the
 * same file does nothing, so the backup may need to be removed. */
static void put_back(const struct defrag_place *p)
{
    struct err ignored;

    if (os.renameat2(p->dir, p->backup, p->dir, p->base, 0) < 0)
        log_warn("'%s' could not get its name back from '%s'", p->path, p->backup);
    else
        os.unlinkat(p->dir, p->backup, 0);
    if (os_sync_dir(p->dir, p->path, &ignored) != RC_OK)
        log_warn("%s", ignored.why);
}

static enum rc rename_over(struct defrag_place *p, struct err *e)
{
    enum rc rc = RC_OK;

    if (os.renameat2(p->dir, p->temp.part, p->dir, p->base, 0) < 0)
        rc = err_sys(e, RC_STORAGE, "cannot put the new database in place of '%s'",
                     p->path);
    else
        p->temp.part[0] = '\0';
    if (rc == RC_OK && p->request.data_dir != NULL)
        rc = place_refuse_waiting(p, e);
    if (rc != RC_OK)
        put_back(p);
    return rc;
}

/* All is done by now: what remains undone here is only said. */
static void drop_backup(const struct defrag_place *p)
{
    struct err why;

    if (p->request.keep_backup)
        log_info("the database as it was is kept as '%s'", p->backup_path);
    else if (os.unlinkat(p->dir, p->backup, 0) < 0)
        log_warn("'%s' could not be removed and is needed no more", p->backup_path);
    else if (os_sync_dir(p->dir, p->path, &why) != RC_OK)
        log_warn("%s: '%s' may come back after a power failure", why.why, p->backup_path);
}

static enum rc publish_in_place(struct defrag_place *p, struct err *e)
{
    if (p->request.data_dir != NULL)
        TRY(place_refuse_waiting(p, e));
    TRY(name_new(p, e));
    TRY(set_aside(p, e));
    TRY(rename_over(p, e));
    if (os_sync_dir(p->dir, p->path, e) != RC_OK) {
        err_hint(e,
                 "the new database is in place and proved, the old one beside it as "
                 "'%s'; which one a power failure leaves is open: both are whole",
                 p->backup);
        return e->code;
    }
    drop_backup(p);
    return RC_OK;
}

static enum rc publish_new(struct defrag_place *p, struct err *e)
{
    enum rc rc;

    TRY(temp_publish(&p->temp, e));
    rc = os_sync_dir(p->output_dir, p->request.output, e);
    if (rc != RC_OK)
        temp_unpublish(&p->temp);
    return rc;
}

enum rc defrag_place_publish(struct defrag_place *p, struct err *e)
{
    enum rc rc = p->request.output == NULL ? publish_in_place(p, e) : publish_new(p, e);

    return rc == RC_OK ? rc : err_wrap(e, "publishing '%s'", defrag_place_target_name(p));
}
