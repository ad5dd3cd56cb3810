#include "storage/holder.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

enum { COMM_MAX = 256, LOCKS_MAX = 1 << 20 };

/* Nothing is opened on the way, not even O_PATH: two that look at the same time would
 * take each other for holders. */
static bool is_same(const char *path, const struct stat *want)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_dev == want->st_dev && st.st_ino == want->st_ino;
}

/* A process that ends while we look at it holds nothing. *seen: its files could be
 * listed. */
static bool has_open(uint64_t pid, const struct stat *want, bool *seen)
{
    AT_END(str_list_clear) struct str_list fds = { 0 };
    struct err ignored;
    char path[320];

    snprintf(path, sizeof path, "/proc/%llu/fd", (unsigned long long)pid);
    *seen = os_list(AT_FDCWD, path, &fds, &ignored) == RC_OK;
    for (size_t i = 0; i < fds.count; i++) {
        snprintf(path, sizeof path, "/proc/%llu/fd/%s", (unsigned long long)pid,
                 fds.items[i]);
        if (is_same(path, want))
            return true;
    }
    return false;
}

/* "1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF". The device is not compared: btrfs
 * and overlayfs show another one here than stat does. The process is asked instead, since
 * a file of another disk may have the same number. */
static uint64_t locked_by(const struct stat *want)
{
    AT_END(mem_end) uint8_t *text = NULL;
    AT_END(str_list_clear) struct str_list lines = { 0 };
    struct err ignored;
    size_t n = 0;

    if (os_read_file("/proc/locks", LOCKS_MAX, &text, &n, &ignored) != RC_OK ||
        str_list_add_n(&lines, (const char *)text, n, &ignored) != RC_OK)
        return 0;
    for (const char *line = lines.items[0]; line != NULL; line = strchr(line, '\n')) {
        unsigned long long inode = 0;
        long long pid = 0;
        bool seen = false;

        line += *line == '\n';
        if (sscanf(line, "%*s FLOCK %*s %*s %lld %*x:%*x:%llu", &pid, &inode) == 2 &&
            inode == want->st_ino && pid > 0 && pid != getpid() &&
            (has_open((uint64_t)pid, want, &seen) || !seen))
            return (uint64_t)pid;
    }
    return 0;
}

static void name_it(struct holder *h)
{
    AT_END(mem_end) uint8_t *name = NULL;
    struct err ignored;
    char path[64];
    size_t n = 0;

    snprintf(path, sizeof path, "/proc/%llu/comm", (unsigned long long)h->pid);
    if (os_read_file(path, COMM_MAX, &name, &n, &ignored) == RC_OK && n > 0)
        str_printable(h->name, sizeof h->name, (struct bytes){ name, n - 1 });
}

static enum rc opened_by(const struct stat *want, uint64_t *pid, struct err *e)
{
    AT_END(str_list_clear) struct str_list processes = { 0 };
    uint64_t each;
    bool seen;

    *pid = 0;
    TRY(os_list(AT_FDCWD, "/proc", &processes, e));
    for (size_t i = 0; i < processes.count && *pid == 0; i++)
        if (str_to_u64(processes.items[i], &each) && each != (uint64_t)getpid() &&
            has_open(each, want, &seen))
            *pid = each;
    return RC_OK;
}

static enum rc find(int fd, bool locks_too, struct holder *out, bool *found,
                    struct err *e)
{
    struct holder h = { 0 };
    struct stat want;

    if (os.fstat(fd, &want) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat the file");
    TRY(opened_by(&want, &h.pid, e));
    if (h.pid == 0 && locks_too)
        h.pid = locked_by(&want);
    if (h.pid != 0)
        name_it(&h);
    *found = h.pid != 0;
    *out = h;
    return RC_OK;
}

enum rc holder_find(int fd, struct holder *out, bool *found, struct err *e)
{
    return find(fd, true, out, found, e);
}

enum rc holder_find_open(int fd, struct holder *out, bool *found, struct err *e)
{
    return find(fd, false, out, found, e);
}

/* The seam's fcntl cannot carry the structure. A query asks for no permission and takes
 * nothing. */
bool holder_has_file_lock(int fd)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    return fcntl(fd, F_OFD_GETLK, &all) == 0 && all.l_type != F_UNLCK;
}

enum rc holder_find_lock(int fd, struct holder *out, bool *found, struct err *e)
{
    struct holder h = { 0 };
    struct stat want;

    if (os.fstat(fd, &want) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat the file");
    h.pid = locked_by(&want);
    if (h.pid != 0)
        name_it(&h);
    *found = h.pid != 0 || holder_has_file_lock(fd);
    if (*found && h.pid == 0) {
        bool seen = false;

        TRY(holder_find(fd, &h, &seen, e));
    }
    *out = h;
    return RC_OK;
}

enum rc holder_refuse(int fd, const char *name, const char *advice, struct err *e)
{
    struct holder h = { 0 };
    bool found = false;

    TRY(holder_find(fd, &h, &found, e));
    if (!found)
        return err_set(e, RC_LOCKED,
                       "'%s' is in use by a process that cannot be seen from here" HINT
                       "as root, `fuser -v` on the file names it; stop it first",
                       name);
    return err_set(e, RC_LOCKED,
                   "'%s' is in use by process %llu (%s)" HINT "stop it first; %s", name,
                   (unsigned long long)h.pid, h.name, advice);
}
