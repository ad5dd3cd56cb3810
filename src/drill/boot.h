/* One server on a restored data directory, on loopback and for this process only. */
#ifndef DRILL_BOOT_H
#define DRILL_BOOT_H

#include "drill/drill.h"
#include "lab/child.h"

struct boot {
    struct lab_child child;
    char *program;
    bool etcd;    /* else the embedded store */
    char url[64]; /* of its client port */
    int fds[2];   /* hold its ports until it has them */
};

/* Which program: `etcd` when given, else the etcd in PATH, else holdfast-lab. */
enum rc boot_choose(const char *etcd, struct boot *b, struct err *e);

/* Starts it on `data_dir`, whose only member is "drill"; what it says goes to `log`. It
 * dies with this process. */
enum rc boot_start(struct boot *b, const char *data_dir, const char *peer_url,
                   const char *log, struct err *e);

/* Until it answers a linearizable read; the client is for whatever is asked next. RC_NET
 * with the end of the log when it ends or does not come in time. */
enum rc boot_wait(struct boot *b, const struct drill_request *q, uint64_t cluster,
                  const char *log, struct wire_client **out, struct err *e);

/* Stops it; fine for one that never started. */
void boot_end(struct boot *b);

#endif
