/* Which values are nobody's business: what is not shown unasked, and what Kubernetes
 * ought to have encrypted before it came to etcd. */
#ifndef SNAPSHOT_SECRETS_H
#define SNAPSHOT_SECRETS_H

#include "snapshot/index.h"

/* A Secret of Kubernetes or OpenShift, encrypted or not, or a value that holds a private
 * key in PEM. */
bool snap_is_secret(struct bytes key, struct bytes value);

/* The start of a value that an API server has encrypted: "k8s:enc:aescbc:v1:key1:" and
 * then what nobody can read. Borrowed; the last two are empty where there are none. */
struct snap_encryption {
    struct bytes provider, version, key;
};
bool snap_encryption_read(struct bytes value, struct snap_encryption *out);

enum { SNAP_SCHEME_MAX = 64 };

/* Records whose values are stored the same way. */
struct snap_scheme {
    bool plain; /* no encryption; the names are empty */
    char provider[SNAP_SCHEME_MAX], version[SNAP_SCHEME_MAX], key[SNAP_SCHEME_MAX];
    uint64_t live, history; /* history: superseded, but still in the file */
};

/* Zero-initialise, end with snap_secrets_clear. */
struct snap_secrets {
    struct snap_scheme *schemes; /* in the order of their first record */
    size_t count;
    uint64_t plain_live, plain_history;
    /* Shown each live key with a plain value; may be NULL. */
    enum rc (*plain)(void *arg, const struct snap_record *record, struct err *e);
    void *plain_arg;
};
void snap_secrets_clear(struct snap_secrets *s);

/* Looks at every put in the index, whatever its key. */
enum rc snap_secrets_check(struct snap_secrets *s, const struct snap_index *ix,
                           struct err *e);

#endif
