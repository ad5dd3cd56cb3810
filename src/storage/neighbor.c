#include "storage/neighbor.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

#define DATABASE "/member/snap/db"

enum { COMMAND_LINE_MAX = 1 << 20 };

/* Is what `path` leads to on device `dev`? stat asks for no permission on it, and opens
 * nothing that somebody else's look would find (holder.c). */
static bool is_on(const char *path, dev_t dev)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_dev == dev;
}

static bool set(struct neighbor *out, uint64_t pid, const char *dir, size_t n)
{
    out->pid = pid;
    snprintf(out->data_dir, sizeof out->data_dir, "%.*s", (int)n, dir);
    return strstr(out->data_dir, "/" NEIGHBOR_DRILL) == NULL;
}

static bool is_database(uint64_t pid, const char *fd, dev_t dev, struct neighbor *out)
{
    char path[320], target[sizeof out->data_dir];
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%llu/fd/%s", (unsigned long long)pid, fd);
    n = os.readlinkat(AT_FDCWD, path, target, sizeof target - 1);
    if (n < 0)
        return false;
    target[n] = '\0';
    return str_ends(target, DATABASE) && is_on(path, dev) &&
           set(out, pid, target, (size_t)n - strlen(DATABASE));
}

/* The value of --data-dir as Go's flag package takes it, or NULL. */
static const char *data_dir_of(const char *args, const char *end)
{
    for (const char *a = args; a < end; a += strlen(a) + 1) {
        const char *name = a + strspn(a, "-");

        if (a == name || strncmp(name, "data-dir", 8) != 0)
            continue;
        if (name[8] == '=')
            return name + 9;
        if (name[8] == '\0' && name + 9 < end)
            return name + 9;
    }
    return NULL;
}

static bool is_etcd(const char *program)
{
    const char *slash = strrchr(program, '/');

    return strcmp(slash == NULL ? program : slash + 1, "etcd") == 0;
}

static bool says_so(uint64_t pid, dev_t dev, struct neighbor *out, struct err *e)
{
    AT_END(mem_end) uint8_t *line = NULL;
    const char *dir, *args;
    char path[64];
    size_t n = 0;

    snprintf(path, sizeof path, "/proc/%llu/cmdline", (unsigned long long)pid);
    if (os_read_file(path, COMMAND_LINE_MAX, &line, &n, e) != RC_OK || n == 0 ||
        line[n - 1] != '\0')
        return false;
    args = (const char *)line;
    dir = is_etcd(args) ? data_dir_of(args, args + n) : NULL;
    return dir != NULL && dir[0] == '/' && is_on(dir, dev) &&
           set(out, pid, dir, strlen(dir));
}

/* A process that ends while we look at it is no neighbour. */
static bool lives_on(uint64_t pid, dev_t dev, struct neighbor *out, struct err *e)
{
    AT_END(str_list_clear) struct str_list fds = { 0 };
    char path[64];

    snprintf(path, sizeof path, "/proc/%llu/fd", (unsigned long long)pid);
    if (os_list(AT_FDCWD, path, &fds, e) != RC_OK)
        return says_so(pid, dev, out, e);
    for (size_t i = 0; i < fds.count; i++)
        if (is_database(pid, fds.items[i], dev, out))
            return true;
    return false;
}

enum rc neighbor_find(const char *path, struct neighbor *out, bool *found, struct err *e)
{
    AT_END(str_list_clear) struct str_list processes = { 0 };
    struct err skipped;
    uint64_t pid;
    dev_t dev = 0;
    bool any = false;

    TRY(os_device(path, &dev, e));
    TRY(os_list(AT_FDCWD, "/proc", &processes, e));
    for (size_t i = 0; i < processes.count && !any; i++)
        any = str_to_u64(processes.items[i], &pid) && pid != (uint64_t)getpid() &&
              lives_on(pid, dev, out, &skipped);
    *found = any;
    return RC_OK;
}

void neighbor_words(const struct neighbor *n, char out[static NEIGHBOR_WORDS])
{
    if (n->pid != 0)
        snprintf(out, NEIGHBOR_WORDS, "a running etcd ('%s', pid %llu)", n->data_dir,
                 (unsigned long long)n->pid);
    else
        snprintf(out, NEIGHBOR_WORDS, "an etcd of this host ('%s')", n->data_dir);
}
