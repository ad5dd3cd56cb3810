/* A lab: one to seven members on loopback for rehearsals, and what is done to them.
 *
 * All of it lies in one directory of mode 0700: `lab.json` says what there is, `mN` is a
 * member's data, `mN.log` what it said, `mN.sock` where it takes faults; `pki` and
 * `root.password` are there when TLS and authentication are on. Members outlive the
 * command that started them. The directory is locked while a command works on it. */
#ifndef LAB_LAB_H
#define LAB_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lab/child.h"
#include "util/err.h"
#include "util/own.h"
#include "util/str.h"

enum { LAB_MEMBERS_MAX = 7 };

enum lab_kind {
    LAB_STORE, /* holdfast-lab: takes faults */
    LAB_ETCD,  /* a real etcd: can be killed and stopped, no more */
};

struct lab_member {
    char name[8]; /* "m1" */
    uint16_t client_port, peer_port;
    struct lab_child child;
};

struct lab {
    char *dir;
    int fd;    /* of the directory, locked */
    bool made; /* the directory is ours to remove */
    enum lab_kind kind;
    char *server; /* the program */
    int minor;    /* whose etcd the store is: 4 to 7 */
    uint64_t heartbeat_ms, election_ms;
    bool tls, auth;
    bool tied; /* members die with this process */
    size_t count;
    struct lab_member members[LAB_MEMBERS_MAX];
    bool cut[LAB_MEMBERS_MAX][LAB_MEMBERS_MAX]; /* what [a] sends to [b] is dropped */
};

struct lab_options {
    const char *dir;
    size_t members;
    enum lab_kind kind;
    const char *server; /* NULL: holdfast-lab as lab_program_find finds it */
    int minor;
    uint64_t heartbeat_ms, election_ms; /* 0: 100 and 1000 */
    bool tls, auth, tied;
    uint64_t load; /* keys to write */
};

/* A new lab, serving. RC_REFUSED when the directory holds anything. After a failure
 * nothing of it is left. */
enum rc lab_up(const struct lab_options *o, struct lab **out, struct err *e);

/* The lab in `dir`. RC_NOTFOUND when there is none, RC_LOCKED while another command
 * changes it; `to_change` shuts out those that look as well. */
enum rc lab_open(const char *dir, bool to_change, struct lab **out, struct err *e);

/* Lets go of the directory; the members run on. NULL is fine. */
void lab_free(struct lab *l);
OWN_DEFINE(lab)

/* Ends all members and removes what lab_up and they have made. Anything else stays, and
 * the directory with it, which *left tells. */
enum rc lab_down(struct lab *l, bool *left, struct err *e);

/* The member called `name`, or the one that leads for "leader". RC_NOTFOUND. */
enum rc lab_find(const struct lab *l, const char *name, size_t *i, struct err *e);

/* One that is down already stays down. */
enum rc lab_kill(struct lab *l, size_t i, int signal, struct err *e);

/* Starts those in `which` (NULL: all) that are down; *started tells which ones. Returns
 * when they answer, and when they serve if a quorum runs and nothing is cut. */
enum rc lab_start(struct lab *l, const bool *which, bool started[static LAB_MEMBERS_MAX],
                  struct err *e);

/* One that is down, without the other members: --force-new-cluster. */
enum rc lab_start_alone(struct lab *l, size_t i, struct err *e);

/* Waits until members answer at all, or until each answers a linearizable read. RC_NET
 * when they do not within 30 s; a member that ended says why. NULL: all of them. */
enum rc lab_wait(const struct lab *l, const bool *which, bool until_it_serves,
                 struct err *e);

enum lab_way { LAB_IN = 1, LAB_OUT = 2, LAB_BOTH = 3 };

/* Cuts the links between members in `group` and all others: what the group would hear,
 * what it would say, or both. A cut holds until lab_heal, across restarts. The store
 * only. */
enum rc lab_partition(struct lab *l, const bool *group, enum lab_way way, struct err *e);

/* Mends the links of the members in `which` (NULL: all), ends their faults, and wakes
 * those that are stopped. */
enum rc lab_heal(struct lab *l, const bool *which, struct err *e);

/* Breaks something else: `line` is a command of the control socket, see
 * docs/lab.md. RC_USAGE in the member's own words. The store only. */
enum rc lab_fault(const struct lab *l, size_t i, const char *line, struct err *e);

/* "m1.sock" in the lab's directory; the caller frees. */
enum rc lab_path(const struct lab *l, const char *name, char **out, struct err *e);

/* Lines of shell: "export ETCDCTL_ENDPOINTS='...'". */
enum rc lab_exports(const struct lab *l, struct str_list *out, struct err *e);

#endif
