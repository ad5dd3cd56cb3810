/* From the shared connection options to looks at a whole cluster, one connection a
 * member. */
#ifndef CLI_CLUSTER_H
#define CLI_CLUSTER_H

#include <pthread.h>

#include "care/look.h"
#include "cli/cli.h"
#include "cli/connect.h"

struct cli_cluster {
    struct cli *cli;
    struct cli_login login;
    pthread_mutex_t lock; /* one thread at a time may ask for a password */
    struct care_access access;
    uint64_t cluster_id; /* once known, connections are to this one only; 0: any */
};

/* The struct must not move afterwards. */
enum rc cli_cluster_init(struct cli_cluster *k, struct cli *c, struct err *e);
void cli_cluster_clear(struct cli_cluster *k);

#endif
