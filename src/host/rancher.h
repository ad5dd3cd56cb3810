/* The two distributions of Rancher that run etcd themselves. */
#ifndef HOST_RANCHER_H
#define HOST_RANCHER_H

#include "host/host.h"

#define RANCHER_ETCD "/server/db/etcd" /* etcd's data directory below theirs */

struct rancher {
    enum host_layout layout;
    const char *program, *unit;
    const char *settings; /* of the distribution, not of etcd */
    const char *data;     /* where all lies when the settings say nothing else */
    const char *killall;  /* ends what stopping the unit leaves behind; NULL: nothing */
};

extern const struct rancher ranchers[2];

#endif
