#include "storage/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "storage/posix.h"
#include "util/mem.h"
#include "util/os.h"

enum { TRIES = 16, FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW };

/* One step down: from *dir, which is replaced, into the part name[n]. */
struct step {
    int root;
    const char *key; /* all of it, for messages */
    bool make;
    bool vanished; /* somebody removed a directory while we were on our way */
};

static enum rc make_one(struct step *s, int dir, const char *name, struct err *e)
{
    struct err taken = { 0 };
    enum rc rc = os_mkdir(dir, name, &taken);

    if (rc != RC_OK && rc != RC_REFUSED) {
        s->vanished = rc == RC_NOTFOUND;
        *e = taken;
        return rc;
    }
    /* Also when it was there: who made it may not have come this far. */
    return os_sync_dir(dir, s->key, e);
}

static enum rc step_down(struct step *s, int *dir, const char *name, struct err *e)
{
    OWNED_FD int next = -1;

    if (s->make)
        TRY(posix_check_directory(*dir, s->key, e));
    if (s->make)
        TRY(make_one(s, *dir, name, e));
    enum rc rc = os_open(*dir, name, FLAGS, 0, &next, e);

    s->vanished = rc == RC_NOTFOUND;
    if (rc != RC_OK)
        return rc;
    os_fd_end(dir);
    *dir = os_fd_give(&next);
    return RC_OK;
}

static enum rc descend(struct step *s, int *out, const char **base, struct err *e)
{
    AT_END(mem_end) char *parts = mem_str(s->key);
    OWNED_FD int dir = -1;
    char *p = parts, *slash;

    if (parts == NULL)
        return err_set(e, RC_NOMEM, "no memory for the key '%s'", s->key);
    TRY(os_open(s->root, ".", O_RDONLY | O_DIRECTORY, 0, &dir, e));
    for (; (slash = strchr(p, '/')) != NULL; p = slash + 1) {
        *slash = '\0';
        TRY(step_down(s, &dir, p, e));
    }
    *base = s->key + (p - parts);
    *out = os_fd_give(&dir);
    return RC_OK;
}

enum rc tree_open(int root, const char *key, int *dir, const char **base, struct err *e)
{
    struct step s = { .root = root, .key = key };

    return descend(&s, dir, base, e);
}

/* A file system that cannot lock a directory does not let anybody prune it either. */
static enum rc hold(struct step *s, int dir, struct err *e)
{
    struct stat st;

    while (os.flock(dir, LOCK_SH) < 0 && errno == EINTR)
        ;
    if (os.fstat(dir, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat the directory of '%s'", s->key);
    s->vanished = st.st_nlink == 0;
    return s->vanished
               ? err_set(e, RC_STORAGE, "the directory of '%s' keeps vanishing", s->key)
               : RC_OK;
}

static enum rc make_and_hold(struct step *s, int *out, const char **base, struct err *e)
{
    OWNED_FD int dir = -1;

    TRY(descend(s, &dir, base, e));
    TRY(hold(s, dir, e));
    *out = os_fd_give(&dir);
    return RC_OK;
}

enum rc tree_make(int root, const char *key, int *dir, const char **base, struct err *e)
{
    struct step s = { .root = root, .key = key, .make = true };
    enum rc rc = RC_OK;

    for (int i = 0; i < TRIES; i++) {
        s.vanished = false;
        rc = make_and_hold(&s, dir, base, e);
        if (rc == RC_OK || !s.vanished)
            return rc;
    }
    return rc;
}

/* The directory that `key` is in, as a key; false at the root. */
static bool parent_of(char *key)
{
    char *slash = strrchr(key, '/');

    if (slash == NULL)
        return false;
    *slash = '\0';
    return true;
}

/* Is it gone, by us or by somebody else? */
static bool prune_one(int root, const char *key)
{
    OWNED_FD int above = -1, dir = -1;
    struct err ignored = { 0 };
    const char *base;
    enum rc rc = tree_open(root, key, &above, &base, &ignored);

    if (rc == RC_OK)
        rc = os_open(above, base, FLAGS, 0, &dir, &ignored);
    if (rc != RC_OK)
        return rc == RC_NOTFOUND;
    return os.flock(dir, LOCK_EX | LOCK_NB) == 0 &&
           os.unlinkat(above, base, AT_REMOVEDIR) == 0;
}

void tree_prune(int root, const char *key)
{
    AT_END(mem_end) char *path = mem_str(key);

    while (path != NULL && parent_of(path))
        if (!prune_one(root, path))
            return;
}
