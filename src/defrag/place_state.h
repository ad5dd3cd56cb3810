/* Inside of a place, shared by place.c, which finds and locks, and swap.c, which writes.
 */
#ifndef DEFRAG_PLACE_STATE_H
#define DEFRAG_PLACE_STATE_H

#include <stddef.h>
#include <sys/stat.h>

#include "defrag/place.h"
#include "storage/temp.h"

struct defrag_place {
    struct defrag_place_request request; /* its texts are borrowed */
    char *path;                          /* of the old database */
    char *backup, *backup_path;          /* its second name, alone and with directory */
    const char *base;                    /* the last component, inside `path` */
    int dir, fd;
    struct stat stat; /* of fd */
    int output_dir;   /* with an output, else -1 */
    const char *output_base;
    int *held; /* locked segments of the log */
    size_t held_count;
    struct temp temp; /* the new database; fd is -1 before it is begun */
};

/* Keeps a locked descriptor until the end; owns it, also on failure. */
enum rc place_hold(struct defrag_place *p, int fd, struct err *e);

/* RC_LOCKED when another process has the old database open. bbolt opens first and then
 * waits for the lock: an etcd that waits would get the lock of a file that has lost its
 * name, and serve from it until it ends. */
enum rc place_refuse_waiting(const struct defrag_place *p, struct err *e);

#endif
