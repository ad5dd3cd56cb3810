#include "care/room.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

#define DATABASE "/member/snap/db"

enum { COMMAND_LINE_MAX = 1 << 20 };

/* Does one of the words name this endpoint, alone or in a list by commas? */
static bool names(const char *word, const char *endpoint)
{
    size_t n = strlen(endpoint);

    for (const char *at = strstr(word, endpoint); at != NULL;
         at = strstr(at + 1, endpoint)) {
        bool begins = at == word || at[-1] == '=' || at[-1] == ',';

        if (begins && (at[n] == '\0' || at[n] == ','))
            return true;
    }
    return false;
}

static bool serves(uint64_t pid, const char *endpoint)
{
    AT_END(mem_end) uint8_t *line = NULL;
    struct err ignored = { 0 };
    char path[64];
    size_t n = 0;

    snprintf(path, sizeof path, "/proc/%llu/cmdline", (unsigned long long)pid);
    if (os_read_file(path, COMMAND_LINE_MAX, &line, &n, &ignored) != RC_OK || n == 0 ||
        line[n - 1] != '\0')
        return false;
    for (const char *word = (const char *)line; word < (const char *)line + n;
         word += strlen(word) + 1)
        if (names(word, endpoint))
            return true;
    return false;
}

static bool open_database(uint64_t pid, const char *fd, struct care_room *out)
{
    OWNED_FD int db = -1;
    struct err ignored = { 0 };
    char path[320];
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%llu/fd/%s", (unsigned long long)pid, fd);
    n = os.readlinkat(AT_FDCWD, path, out->path, sizeof out->path - 1);
    if (n < 0)
        return false;
    out->path[n] = '\0';
    if (!str_ends(out->path, DATABASE))
        return false;
    db = os.openat(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);
    return db >= 0 && os_free_space(db, &out->free, &ignored) == RC_OK;
}

/* A process that ends meanwhile, or that we may not look into, tells nothing. */
static bool look_into(uint64_t pid, struct care_room *out)
{
    AT_END(str_list_clear) struct str_list fds = { 0 };
    struct err ignored = { 0 };
    char path[64];

    snprintf(path, sizeof path, "/proc/%llu/fd", (unsigned long long)pid);
    if (os_list(AT_FDCWD, path, &fds, &ignored) != RC_OK)
        return false;
    for (size_t i = 0; i < fds.count; i++)
        if (open_database(pid, fds.items[i], out))
            return true;
    return false;
}

enum rc care_room_find(const char *endpoint, struct care_room *out, bool *found,
                       struct err *e)
{
    AT_END(str_list_clear) struct str_list processes = { 0 };
    struct err ignored = { 0 };
    enum rc rc = os_list(AT_FDCWD, "/proc", &processes, &ignored);
    uint64_t pid;

    *found = false;
    if (rc == RC_NOMEM)
        return err_set(e, RC_NOMEM, "%s", ignored.why);
    for (size_t i = 0; i < processes.count && !*found; i++)
        *found = str_to_u64(processes.items[i], &pid) && pid != (uint64_t)getpid() &&
                 serves(pid, endpoint) && look_into(pid, out);
    return RC_OK;
}

enum rc care_room_check(const struct care_room *r, uint64_t in_use, const char *called,
                        struct err *e)
{
    uint64_t needed = in_use + in_use / 5;
    char need[32], have[32];

    if (r->free >= needed)
        return RC_OK;
    str_size(need, sizeof need, needed);
    str_size(have, sizeof have, r->free);
    return err_set(e, RC_REFUSED,
                   "%s needs %s for a copy beside '%s', and the file system has %s" HINT
                   "make room there first: a member whose disk is full dies",
                   called, need, r->path, have);
}
