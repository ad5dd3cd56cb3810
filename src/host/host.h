/* How an etcd is run on this machine: the front door of the folder.
 *
 *     find.h     which members this machine runs, or would run
 *     control.h  stop one, start it, is it running
 *     change.h   the same manifest, unit, environment or configuration for a new cluster
 *     k3s.h      the commands of distributions that run etcd themselves
 *     preset.h   which files a recovery of such a host needs besides the data
 *
 * A member is what etcd itself would make of the flags, the environment or the file that
 * starts it: defaults included, in etcd's order of precedence (a --config-file shuts out
 * all else; an empty variable is none; with a flag and its ETCD_ variable together etcd
 * does not start, which is a remark, and the flag is told).
 *
 * All paths in a member can be opened as they are: what a pod calls /var/lib/etcd is
 * the host's path by then, and below the `root` that was searched. */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"
#include "util/str.h"

enum host_layout {
    HOST_ANY, /* in options only */
    HOST_PLAIN,
    HOST_SYSTEMD,
    HOST_STATIC_POD,
    HOST_K3S,
    HOST_RKE2,
};

const char *host_layout_name(enum host_layout l); /* "plain", "static-pod", ... */
/* RC_USAGE with the known names. */
enum rc host_layout_parse(const char *text, enum host_layout *out, struct err *e);

/* Files of one side's TLS; NULL where none is named. */
struct host_tls {
    char *cert, *key, *ca;
    char *client_cert, *client_key;   /* for calls this member makes, if others */
    bool client_cert_auth, self_made; /* self_made: --auto-tls */
};

/* Who owns the data directory. */
struct host_owner {
    bool known; /* false: there is no such directory, or it cannot be seen */
    uid_t uid;
    gid_t gid;
    mode_t mode; /* the permission bits */
};

/* Strings are heap, NULL where not set; end with host_member_clear. */
struct host_member {
    enum host_layout layout;
    char *name;
    char *data_dir;
    char *wal_dir; /* NULL: DATA_DIR/member/wal */
    struct str_list peer_urls, listen_peer_urls, client_urls, listen_client_urls;
    char *initial_cluster, *initial_state, *initial_token;
    struct host_tls client, peer;
    uint64_t pid; /* of the process that has its database open; 0: not running */
    char *file;   /* manifest, unit, or k3s's etcd configuration, where it belongs when
                     it is in use; NULL for a process that nothing declares */
    bool parked;  /* `file` lies in the folder of host_parked_path for now */
    char *unit;   /* "etcd.service", "k3s.service" */
    char *image;
    char *config_file;         /* --config-file */
    struct str_list env_files; /* of the unit, in the order in which they are read */
    struct str_list command;   /* all arguments. What follows a flag that takes a secret
                                  (k3s --token) is replaced by "***" */
    struct host_owner owner;
    struct str_list remarks; /* sentences for the operator: what is odd about it */
};

struct host_list {
    struct host_member *items;
    size_t count;
    struct str_list remarks; /* what could not be read, and why */
};

void host_member_clear(struct host_member *m);
void host_list_clear(struct host_list *l);

/* The log of its own directory, or what --wal-dir says; heap string. */
enum rc host_wal_dir(const struct host_member *m, char **out, struct err *e);

#endif
