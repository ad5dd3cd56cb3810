#include "drill/scratch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>

#include "storage/neighbor.h"
#include "storage/temp.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

static enum rc sweep(const char *parent, struct err *e)
{
    AT_END(str_list_clear) struct str_list names = { 0 };
    OWNED_FD int dir = -1;

    TRY(os_open(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY, 0, &dir, e));
    TRY(os_list(dir, ".", &names, e));
    for (size_t i = 0; i < names.count; i++)
        if (strncmp(names.items[i], NEIGHBOR_DRILL, sizeof NEIGHBOR_DRILL - 1) == 0 &&
            temp_sweep_directory(dir, names.items[i]))
            log_info("removed '%s', left behind by a drill that did not end",
                     names.items[i]);
    return RC_OK;
}

enum rc drill_scratch_make(const char *parent, struct drill_scratch *out, struct err *e)
{
    AT_END(mem_end) char *path = NULL;
    uint64_t number;

    TRY(sweep(parent, e));
    TRY(os_random(&number, sizeof number, e));
    TRY(str_format(&path, e, "%s/" NEIGHBOR_DRILL "%016" PRIx64, parent, number));
    TRY(os_mkdir(AT_FDCWD, path, e));
    out->path = GIVE(path);
    TRY(os_open(AT_FDCWD, out->path, O_RDONLY | O_DIRECTORY, 0, &out->held, e));
    /* A file system without locks has no sweeps either. */
    (void)os.flock(out->held, LOCK_EX | LOCK_NB);
    return RC_OK;
}

void drill_scratch_end(struct drill_scratch *s)
{
    struct err e = { 0 };

    if (s->path != NULL && os_remove_tree(AT_FDCWD, s->path, &e) != RC_OK)
        log_warn("'%s' is left: %s", s->path, e.why);
    mem_free(s->path);
    os_fd_end(&s->held);
    s->path = NULL;
}
