/* What is left of a cluster, and what can be made of it. Pure: copies and a look at the
 * living in, a verdict out, so that every rule is a row of tests/unit/recover.
 *
 * How many voters there were is told by raft's configuration in the newest sound copy, or
 * by the living cluster when it has a quorum. A majority of them must run for anything to
 * be written; so when a majority runs or could be started, that is the way back, and it
 * loses nothing. Only without one a new cluster must be built, on the newest copy. */
#ifndef RECOVER_JUDGE_H
#define RECOVER_JUDGE_H

#include "care/view.h"
#include "recover/copy.h"

enum recover_state {
    RECOVER_HAS,       /* a member finished a linearizable read */
    RECOVER_RUNS,      /* a majority runs, but no such read was seen */
    RECOVER_STARTABLE, /* a majority runs or has a sound directory */
    RECOVER_UNKNOWN,   /* what was given does not tell */
    RECOVER_LOST,      /* no majority is left among what was given */
};
const char *recover_state_name(enum recover_state s); /* "has" "runs" "startable" ... */

enum recover_presence {
    RECOVER_MISSING,  /* does not answer, and no copy of it was given */
    RECOVER_SERVES,   /* finished a linearizable read */
    RECOVER_ANSWERS,  /* runs, and finishes no such read */
    RECOVER_IN_USE,   /* a process has its directory open */
    RECOVER_DOUBTFUL, /* does not answer, but may be alive: silent, or TLS keeps us out */
    RECOVER_STOPPED,  /* its directory is sound: it could be started */
    RECOVER_UNSOUND,  /* its directory is not */
};
const char *recover_presence_name(enum recover_presence p); /* "missing" "serves" ... */

/* One member of the cluster. */
struct recover_seat {
    uint64_t id;
    const char *name; /* borrowed; "" when it is not known */
    bool voter;       /* else a learner */
    enum recover_presence presence;
    const struct recover_copy *copy;  /* its newest directory; NULL */
    const struct care_member *answer; /* what it said; NULL */
};

enum recover_standing {
    RECOVER_CANDIDATE,
    RECOVER_DAMAGED, /* cannot be built on without loss */
    RECOVER_TWIN,    /* an older copy of a member that has a newer one */
    RECOVER_REMOVED, /* its member does not belong to the cluster any more, or not yet */
    RECOVER_FOREIGN, /* of another cluster */
    RECOVER_UNREADABLE,
};
const char *
recover_standing_name(enum recover_standing s); /* "candidate" "damaged" ... */

/* One copy, as it stands to the newest. */
struct recover_ranked {
    const struct recover_copy *copy;
    enum recover_standing standing;
    bool loss_known;
    int64_t loses;   /* revisions that the best has beyond it */
    uint64_t behind; /* entries, when it is a directory of the same cluster */
};

struct recover_scene {
    const struct recover_copies *copies;
    const struct care_view *view; /* NULL: nobody was asked */
    /* What listens at a member's address and keeps us out may be that member. Not wanted
     * by who asks recover/probe.h afterwards, which tells more. */
    bool strangers_count;
    /* Names of members that are taken for off, unless they answer; NULL. */
    const struct str_list *assumed;
};

struct recover_verdict {
    enum recover_state state;
    uint64_t cluster_id; /* 0: not known */
    struct recover_seat *seats;
    size_t seat_count;
    struct recover_ranked *ranked; /* candidates first, the best in front */
    size_t ranked_count;
    const struct recover_copy *reference; /* whose configuration counts; NULL */
    const struct recover_copy *best;      /* to build on; NULL: none */
    struct quorum now;                    /* of those that run */
    size_t startable;                     /* voters that could be started besides */
    size_t clusters;                      /* that the directories are of */
    bool tied; /* they are of several, and nothing tells which one is meant */
    char *why;
    char *next;            /* one command */
    struct str_list notes; /* what else is worth knowing, a sentence each */
};

/* Borrows from the scene. RC_NOMEM only. */
enum rc recover_judge(const struct recover_scene *s, struct recover_verdict *out,
                      struct err *e);
void recover_verdict_clear(struct recover_verdict *v);

/* The exit: RC_OK when quorum is there or comes back by starting members; RC_CORRUPT when
 * it is lost and no copy is sound; RC_DEGRADED otherwise. */
enum rc recover_verdict_result(const struct recover_verdict *v, struct err *e);

/* What the reference, or else another copy of the cluster, tells about a member; NULL. A
 * directory whose database is damaged knows the voters by its log, and no names. */
const struct mvcc_member *recover_verdict_member(const struct recover_verdict *v,
                                                 uint64_t id);

/* What a sentence calls a member: its name, else its id. */
const char *recover_called(uint64_t id, const char *name, char out[static 80]);

#endif
