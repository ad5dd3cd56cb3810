/* The failure table: clusters of every size with every number of members failed, each
 * way of failing, played for real and held against what theory says. */
#ifndef LAB_TABLE_H
#define LAB_TABLE_H

#include "lab/lab.h"
#include "lab/probe.h"
#include "member/quorum.h"

enum lab_failure {
    LAB_KILLED,    /* SIGKILL */
    LAB_CUT_OFF,   /* each of the failed is alone; the store only */
    LAB_PAUSED,    /* SIGSTOP: the nearest to it that a real etcd can be given */
    LAB_RECOVERED, /* killed, and one survivor goes on as a cluster of its own */
};
const char *lab_failure_name(enum lab_failure how); /* "kill" "partition" ... */

struct lab_case {
    size_t members, failed;
    enum lab_failure how;
};

/* What must be seen. Pure. */
struct lab_expected {
    struct quorum quorum;
    size_t up;
    bool can_write, can_read_linearizable, can_read_serializable, has_leader;
};
struct lab_expected lab_theory(struct lab_case c);

struct lab_row {
    struct lab_case played;
    struct lab_expected expected;
    struct lab_probe seen; /* from those that have not failed */
    const char *leader;    /* its name, or "" */
    bool split;            /* a member that was cut off wrote, or read linearizably */
    bool as_expected;
    uint64_t took_ms;
};

struct lab_table_options {
    enum lab_kind kind;
    const char *server;    /* NULL: holdfast-lab */
    size_t first, last;    /* members */
    const char *scratch;   /* a directory below which labs are made, one at a time */
    uint64_t patience_ms;  /* how long something must fail to be impossible */
    uint64_t heartbeat_ms; /* the election timeout is ten of them */
};

typedef enum rc lab_row_fn(void *arg, const struct lab_row *row, struct err *e);

/* Plays all cases and hands out each row when it was played. */
enum rc lab_table_play(const struct lab_table_options *o, lab_row_fn *fn, void *arg,
                       struct err *e);

#endif
