/* Which files of a host a recovery needs besides etcd's data, as data. A lost PKI, token
 * or encryption key makes a perfect snapshot useless. */
#ifndef HOST_PRESET_H
#define HOST_PRESET_H

#include <stdbool.h>
#include <stddef.h>

#include "host/host.h"

struct host_preset_path {
    const char *path; /* absolute; a file, or a directory with all below it */
    const char *what; /* a few words */
    bool required;    /* a recovery is not possible, or by hand only, without it */
    bool secret;      /* holds private keys, tokens or passwords */
};

struct host_preset {
    const char *name; /* "kubeadm", "k3s", "rke2" */
    enum host_layout layout;
    const char *base; /* the data directory that paths begin with, as shipped: replace it
                         by the host's own; NULL: none */
    const struct host_preset_path *paths;
    size_t count;
};

extern const struct host_preset host_presets[];
extern const size_t host_preset_count;

const struct host_preset *host_preset_named(const char *name); /* NULL: unknown */
/* For a member as found; NULL for those without one (plain, systemd). */
const struct host_preset *host_preset_of(const struct host_member *m);

#endif
