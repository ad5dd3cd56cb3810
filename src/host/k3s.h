/* k3s and RKE2 run etcd inside of themselves and reset or restore it by flags of their
 * own. We print their commands and never move their files. */
#ifndef HOST_K3S_H
#define HOST_K3S_H

#include "host/host.h"

enum host_need {
    HOST_TO_STOP,
    HOST_TO_START,
    HOST_TO_RESET,   /* one member again, on the data that is there */
    HOST_TO_RESTORE, /* one member again, on a snapshot */
    HOST_TO_REJOIN,  /* another server, empty, joins the one that was reset */
};

/* Appends command lines for a shell, in their order; lines that begin with "# " explain.
 * `snapshot` is the file for HOST_TO_RESTORE. RC_USAGE for another layout. */
enum rc host_k3s_commands(const struct host_member *m, enum host_need need,
                          const char *snapshot, struct str_list *out, struct err *e);

/* The file that says that a reset was done and that the server starts normally next:
 * DATA/server/db/reset-flag. Heap string; RC_USAGE for another layout. */
enum rc host_k3s_reset_flag(const struct host_member *m, char **out, struct err *e);

#endif
