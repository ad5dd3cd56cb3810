/* A cluster for a flow test: 1 to 7 members on loopback, from any backend.
 *
 * A backend is a server program: real etcd 3.4, 3.5, 3.6 or 3.7 from the peers' cache, or
 * holdfast-lab of the same build, which answers as 3.6 and is asked through the etcdctl
 * of 3.6. Every flow test takes one, so that the same test runs on all of them. */
#ifndef TESTS_LIB_CLUSTER_H
#define TESTS_LIB_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { CLUSTER_MAX = 7 };

struct cluster_backend {
    const char *name;    /* "etcd 3.5", "lab" */
    const char *version; /* "3.5": whose tools go with it */
    int minor;
    bool store; /* our own */
};

/* All backends, ended by name == NULL. */
extern const struct cluster_backend cluster_backends[];
/* By version, which means a real etcd, or by name. */
const struct cluster_backend *cluster_backend(const char *which);

/* Is its program in the cache? Missing ones make the calling test skip, loudly, unless
 * HOLDFAST_REQUIRE_PEERS is set (CI): then it fails. */
bool cluster_available(const struct cluster_backend *b);

/* Path of "etcd", "etcdctl" or "etcdutl" of that version, in a rotating buffer; "etcd" of
 * the lab is holdfast-lab. */
const char *cluster_tool(const struct cluster_backend *b, const char *tool);

struct cluster_member {
    char name[16];
    int client_port, peer_port;
    int metrics_port; /* plain HTTP whatever the client port speaks; not of the lab */
    char data_dir[512], log[512];
    pid_t pid; /* 0: not running */
};

struct cluster_options {
    unsigned members;         /* 0: 1 */
    const char *const *flags; /* extra server flags, NULL-ended */
    const char *tls_dir; /* holds ca.crt server.crt server.key client.crt client.key */
    bool client_cert_auth;
};

struct cluster {
    const struct cluster_backend *backend;
    struct cluster_options options;
    unsigned count;
    struct cluster_member members[CLUSTER_MAX];
    const char *dir;  /* scratch */
    const char *user; /* "name:password" for etcdctl, when authentication is on */
};

/* Names, ports and directories, nothing started: for restored data dirs. */
void cluster_plan(struct cluster *c, const struct cluster_backend *b,
                  const struct cluster_options *o);

/* cluster_plan, start all members as a new cluster, wait until they have a leader. */
void cluster_start(struct cluster *c, const struct cluster_backend *b,
                   const struct cluster_options *o);

/* Start (again) one member on its data dir; flags as at first boot, which etcd ignores
 * when the directory has a WAL. */
void cluster_boot(struct cluster *c, unsigned i);
/* The first n members, all at once, and waits until each serves: for restored data dirs.
 */
void cluster_boot_first(struct cluster *c, unsigned n);
/* As a member that joins: `initial_cluster` names all, state "existing". */
void cluster_boot_joining(struct cluster *c, unsigned i, const char *initial_cluster);
void cluster_kill(struct cluster *c, unsigned i, int signal);
void cluster_stop(struct cluster *c); /* all of them */
static inline void cluster_end(struct cluster *c)
{
    cluster_stop(c);
}
#define CLUSTER [[gnu::cleanup(cluster_end)]] struct cluster

/* Waits until member i answers a linearizable read. Fails the test after 60 s, and at
 * once when the server has ended. */
void cluster_wait(struct cluster *c, unsigned i);

/* "m0=http://127.0.0.1:2380,m1=..." of the first n members. */
const char *cluster_initial(const struct cluster *c, unsigned n);
const char *cluster_peer_url(const struct cluster *c, unsigned i);
const char *cluster_endpoint(const struct cluster *c, unsigned i); /* http(s)://... */
const char *cluster_endpoints(const struct cluster *c);            /* all, by comma */

/* Runs that version's etcdctl against member i; standard output in a rotating buffer.
 * Fails the test when it fails. The _try form returns false instead. */
const char *cluster_ctl(const struct cluster *c, unsigned i, const char *const args[]);
bool cluster_ctl_try(const struct cluster *c, unsigned i, const char *const args[],
                     const char **out);
#define CTL(c, i, ...) cluster_ctl(c, i, (const char *const[]){ __VA_ARGS__, NULL })

/* A number out of JSON text: the first `"key":` followed by digits. */
int64_t json_number(const char *text, const char *key);

/* HashKV of member i at revision rev (0: newest), with the compact revision it is for. */
struct cluster_hash {
    int64_t hash, revision, compact;
};
struct cluster_hash cluster_hashkv(const struct cluster *c, unsigned i, int64_t rev);
int64_t cluster_revision(const struct cluster *c, unsigned i);

#endif
