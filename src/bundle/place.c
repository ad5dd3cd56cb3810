#include "bundle/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "storage/posix.h"
#include "storage/temp.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"

enum { DIRECTORY = O_RDONLY | O_DIRECTORY };

/* What a crash left holds keys and tokens. */
static enum rc sweep(const struct place *p, struct err *e)
{
    AT_END(str_list_clear) struct str_list names = { 0 };
    size_t n = strlen(p->base);

    TRY(os_list(p->parent, ".", &names, e));
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names.items[i];

        if (temp_is_name(name) && strncmp(name + 1, p->base, n) == 0 &&
            strncmp(name + 1 + n, ".holdfast-", 10) == 0 &&
            temp_sweep_directory(p->parent, name))
            log_info("removed '%s', left behind by an extraction that did not end", name);
    }
    return RC_OK;
}

enum rc place_open(struct place *p, const char *path, struct err *e)
{
    char temp[sizeof p->temp];
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    TRY(str_format(&p->path, e, "%.*s", (int)n, path));
    TRY(os_open_parent(p->path, &p->parent, &p->base, e));
    if (p->base[0] == '\0' || strcmp(p->base, ".") == 0 || strcmp(p->base, "..") == 0)
        return err_set(e, RC_USAGE, "'%s' names no directory to make", path);
    TRY(posix_check_absent(p->parent, p->base, p->path, e));
    TRY(sweep(p, e));
    TRY(temp_name(p->base, temp, e));
    TRY(os_mkdir(p->parent, temp, e));
    memcpy(p->temp, temp, sizeof temp);
    TRY(os_open_beneath(p->parent, p->temp, DIRECTORY, 0, &p->dir, e));
    /* A file system without locks has no sweeps either. */
    (void)os.flock(p->dir, LOCK_EX | LOCK_NB);
    return RC_OK;
}

static enum rc make_parents(struct place *p, const char *name, struct err *e)
{
    for (const char *slash = strchr(name, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        AT_END(mem_end) char *path = mem_str_n(name, (size_t)(slash - name));

        if (path == NULL)
            return err_set(e, RC_NOMEM, "no memory for a path");
        if (str_list_has(&p->made, path))
            continue;
        TRY(os_mkdir(p->dir, path, e));
        TRY(str_list_add(&p->made, path, e));
    }
    return RC_OK;
}

enum rc place_file(struct place *p, const char *name, int *out, struct err *e)
{
    enum rc rc = make_parents(p, name, e);

    if (rc == RC_OK)
        rc = os_open_beneath(p->dir, name, O_RDWR | O_CREAT | O_EXCL, 0600, out, e);
    if (rc == RC_REFUSED || rc == RC_NOTFOUND)
        return err_set(e, RC_CORRUPT, "the name '%s' is in another member's way", name);
    return rc;
}

/* The file systems of some servers know no flag. */
static int rename_in(const struct place *p)
{
    int r = os.renameat2(p->parent, p->temp, p->parent, p->base, RENAME_NOREPLACE);

    if (r < 0 && (errno == EINVAL || errno == ENOSYS))
        r = os.renameat2(p->parent, p->temp, p->parent, p->base, 0);
    return r;
}

enum rc place_publish(struct place *p, struct err *e)
{
    int r;

    for (size_t i = p->made.count; i-- > 0;) {
        OWNED_FD int fd = -1;

        TRY(os_open_beneath(p->dir, p->made.items[i], DIRECTORY, 0, &fd, e));
        TRY(os_sync_dir(fd, p->made.items[i], e));
    }
    TRY(os_sync_dir(p->dir, p->path, e));
    r = rename_in(p);
    if (r < 0 && (errno == EEXIST || errno == ENOTEMPTY))
        return err_set(e, RC_REFUSED,
                       "somebody else made '%s' meanwhile" HINT
                       "nothing is overwritten; choose another directory",
                       p->path);
    if (r < 0)
        return err_sys(e, RC_STORAGE, "cannot give '%s' its name", p->path);
    /* Until the name is durable it may still be taken back. */
    snprintf(p->temp, sizeof p->temp, "%s", p->base);
    TRY(os_sync_dir(p->parent, p->path, e));
    p->temp[0] = '\0';
    return RC_OK;
}

void place_close(struct place *p)
{
    struct err ignored = { 0 };

    os_fd_end(&p->dir);
    if (p->temp[0] != '\0')
        (void)os_remove_tree(p->parent, p->temp, &ignored);
    os_fd_end(&p->parent);
    str_list_clear(&p->made);
    mem_free(p->path);
}
