/* The same commands of etcdctl against two clusters, and what they print made comparable:
 * ids, ports, times and sizes are replaced by names, in order of appearance. */
#ifndef TESTS_FLOW_PARITY_H
#define TESTS_FLOW_PARITY_H

#include "tests/flow/flow.h"

enum parity_how {
    PARITY_PLAIN,
    PARITY_SORTED = 1,  /* the order of lines is nobody's */
    PARITY_NUMBERS = 2, /* numbers are each cluster's own */
    PARITY_LEADER = 4,  /* sent to the leader, not to the first member */
    PARITY_STATUS = 32, /* but not what it prints: other ids, another order */
    PARITY_PAST = 16,   /* of a watch: what is in one answer is seen, so there is one */
    PARITY_RETRY = 8,   /* repeated while it fails, for some seconds: it takes a while */
};

/* In arguments and input: "{id0}" the first member's id, "{client0}" its URL, "{peer0}",
 * "{dir}" a scratch directory, "{x0}" the first other id that this cluster printed. */
struct parity_step {
    const char *args[14];
    unsigned how;
    const char *input; /* of standard input */
    const char *tool;  /* NULL: etcdctl */
};

enum { PARITY_NAMES = 64 };

struct parity_side {
    struct cluster k;
    uint64_t ids[CLUSTER_MAX], cluster_id;
    char seen[PARITY_NAMES][24]; /* other ids */
    unsigned seen_n;
    const char *user; /* "name:password" */
};

struct parity {
    struct parity_side sides[2];  /* etcd, and the store */
    struct cluster_backend store; /* that answers as that etcd */
    const char *version;
    unsigned steps;
};

/* Both clusters: etcd of that version, and the store that answers as it. */
void parity_boot(struct parity *p, const char *version, unsigned members);
void parity_end(struct parity *p); /* for AT_END */

/* Exit status, standard output and standard error of each step are the same; ended by one
 * without arguments. */
void parity_play(struct parity *p, const struct parity_step *steps);

/* Runs `steps` while the watch goes on (before it, with PARITY_PAST), until it has
 * printed `last`. It should be from a revision: etcdctl does not say when it has begun.
 */
void parity_watch(struct parity *p, const struct parity_step *watch,
                  const struct parity_step *steps, const char *last);

/* The member 0 leads both. */
void parity_lead(struct parity *p);

#endif
