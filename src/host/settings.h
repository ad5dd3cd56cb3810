/* What etcd makes of its flags, environment and configuration file, for the settings that
 * matter here.
 *
 * As etcd's own main does it: --config-file, or ETCD_CONFIG_FILE, shuts out all else; an
 * empty variable is none; a flag and its variable together keep it from starting. */
#ifndef HOST_SETTINGS_H
#define HOST_SETTINGS_H

#include "host/host.h"
#include "util/bytes.h"

enum setting {
    SETTING_NAME,
    SETTING_DATA_DIR,
    SETTING_WAL_DIR,
    SETTING_PEER_URLS,
    SETTING_LISTEN_PEER_URLS,
    SETTING_CLIENT_URLS,
    SETTING_LISTEN_CLIENT_URLS,
    SETTING_INITIAL_CLUSTER,
    SETTING_INITIAL_STATE,
    SETTING_INITIAL_TOKEN,
    SETTING_FORCE_NEW,
    SETTING_CONFIG_FILE,
    /* the same seven for clients and for peers, in the same order */
    SETTING_CERT,
    SETTING_KEY,
    SETTING_CA,
    SETTING_CLIENT_CERT,
    SETTING_CLIENT_KEY,
    SETTING_CERT_AUTH,
    SETTING_AUTO_TLS,
    SETTING_PEER_CERT,
    SETTING_PEER_KEY,
    SETTING_PEER_CA,
    SETTING_PEER_CLIENT_CERT,
    SETTING_PEER_CLIENT_KEY,
    SETTING_PEER_CERT_AUTH,
    SETTING_PEER_AUTO_TLS,
    SETTINGS,
};
enum { SECURITY_SETTINGS = SETTING_PEER_CERT - SETTING_CERT };

/* Heap strings, NULL where not set. */
struct settings {
    char *value[SETTINGS];
};
void settings_clear(struct settings *s);

const char *setting_flag(enum setting s); /* "initial-cluster" */
/* The setting of the flag name[n]; SETTINGS: none that matters. */
enum setting setting_named(const char *name, size_t n);

/* One argument of etcd as Go's flag package takes it. */
struct setting_flag {
    enum setting setting; /* SETTINGS: another flag, or no flag at all */
    const char *value;    /* in the argument itself, or the argument that follows */
    size_t arguments;     /* taken: 1 or 2 */
};
struct setting_flag setting_of_argument(const struct str_list *args, size_t i);

/* From args[1] on; the last of several wins. *stray is the first argument that is no
 * flag, which etcd refuses; NULL: none. */
enum rc settings_from_args(struct settings *s, const struct str_list *args,
                           const char **stray, struct err *e);

/* "NAME=value" strings, the last of several wins; what is set already stays. */
enum rc settings_from_env(struct settings *s, const struct str_list *env, struct err *e);

/* etcd's configuration file; `name` for messages. RC_USAGE, RC_REFUSED: see yaml.h. */
enum rc settings_from_config(struct settings *s, struct bytes text, const char *name,
                             struct err *e);

/* Where the paths of whoever starts etcd are on this host: a path is made absolute by
 * `cwd`, then the longest mount takes it from the pod to the host, then `root`. */
struct mount {
    char *inside, *outside;
};
struct mapper {
    const char *root, *cwd; /* NULL: none, and "/" */
    const struct mount *mounts;
    size_t mount_count;
};
enum rc mapper_path(const struct mapper *m, const char *path, char **out, struct err *e);

/* Remarks that mean: do not start it this way. */
#define REMARK_FORCE "it is started with force-new-cluster"
#define REMARK_STRAY "etcd refuses the argument"
#define REMARK_BOTH "etcd refuses a flag together with its variable"

/* Puts the settings, with etcd's defaults for what is not set, into the member. All its
 * paths go through the mapper; an existing config_file is read instead of the rest. */
enum rc settings_resolve(const struct str_list *args, const struct str_list *env,
                         const struct mapper *map, struct host_member *out,
                         struct err *e);

#endif
