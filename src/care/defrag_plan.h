/* Defragmenting the members of a living cluster: who, in which order, and when not at
 * all. Pure: a view of the cluster and what was done so far in, the next step out.
 *
 * A member answers nothing while it rewrites its database. So it is one member at a time,
 * and only while every other one is well; the leader comes last, and hands its office on
 * first when that is wanted. A learner does not take the call. */
#ifndef CARE_DEFRAG_PLAN_H
#define CARE_DEFRAG_PLAN_H

#include "care/rule.h"
#include "care/view.h"
#include "util/str.h"

enum {
    CARE_DEFRAG_MEMBERS_MAX = 64,
    CARE_DEFRAG_LAG_MAX = 1000, /* entries; who is further behind is not well */
    CARE_DEFRAG_MOVES_MAX = 3,  /* leadership that keeps coming back is let be */
};

struct care_defrag_wish {
    const struct str_list *endpoints; /* only the members behind these; NULL: all */
    const struct care_rule *rule;     /* only those for which it holds; NULL: all */
    bool move_leader;
    uint64_t max_stall_ms; /* 0: whatever it takes */
};

enum care_defrag_mark {
    CARE_DEFRAG_DUE,
    CARE_DEFRAG_DONE,
    CARE_DEFRAG_SKIPPED,  /* by the rule, or a learner */
    CARE_DEFRAG_LEFT_OUT, /* it would stall for longer than is allowed */
    CARE_DEFRAG_FAILED,
};
const char *care_defrag_mark_name(enum care_defrag_mark m); /* "due" "done" ... */

struct care_defrag_item {
    uint64_t id;
    char called[80]; /* as care_called() has it */
    enum care_defrag_mark mark;
    char why[300]; /* skipped, left out or failed */
    uint64_t size_before, in_use_before, size_after, in_use_after;
    uint64_t estimate_ms;
    uint64_t took_ms;        /* the call */
    uint64_t stall_ms;       /* longest wait for a read of this member meanwhile */
    uint64_t other_stall_ms; /* for a read of the others; 0: there are none */
};

struct care_defrag {
    struct care_defrag_wish wish;
    struct care_defrag_item items[CARE_DEFRAG_MEMBERS_MAX];
    size_t count;
    uint64_t bytes_per_s; /* at which a member rewrites; a careful guess until measured */
    unsigned moves;       /* of leadership */
};

/* Who is wanted. RC_REFUSED when the rule needs a quota that is not known, RC_NOTFOUND
 * when no member is behind the endpoints. */
enum rc care_defrag_begin(const struct care_view *v, const struct care_defrag_wish *w,
                          struct care_defrag *out, struct err *e);

/* May a member be taken out of service at this moment? RC_REFUSED says why not: somebody
 * is not well, lags or does not finish a linearizable read, there is no leader, an alarm
 * other than NOSPACE is raised, or a defragmentation is running already. */
enum rc care_defrag_gate(const struct care_view *v, struct err *e);

enum care_defrag_kind { CARE_DEFRAG_END, CARE_DEFRAG_MOVE, CARE_DEFRAG_REWRITE };

struct care_defrag_step {
    enum care_defrag_kind kind;
    uint64_t id; /* the member that is rewritten, or that leads */
    uint64_t to; /* MOVE: who is to lead */
    uint64_t estimate_ms;
};

/* The next step in this state of the cluster; the gate first. Members that would stall
 * for too long are left out on the way. */
enum rc care_defrag_next(const struct care_view *v, struct care_defrag *d,
                         struct care_defrag_step *out, struct err *e);

/* The same as far as can be told now, each step going well. */
struct care_defrag_steps {
    struct care_defrag_step items[CARE_DEFRAG_MEMBERS_MAX + CARE_DEFRAG_MOVES_MAX + 1];
    size_t count;
};
enum rc care_defrag_foresee(const struct care_view *v, const struct care_defrag *d,
                            struct care_defrag_steps *out, struct err *e);

/* Who could lead instead: the voter that is furthest in the log, among those that are
 * well. 0: nobody. */
uint64_t care_defrag_heir(const struct care_view *v, const struct care_defrag *d);

struct care_defrag_item *care_defrag_item_of(struct care_defrag *d, uint64_t id);

/* How long a database with so many bytes in use takes. */
uint64_t care_defrag_estimate(const struct care_defrag *d, uint64_t in_use);

/* Learns from a member that is done. */
void care_defrag_learn(struct care_defrag *d, const struct care_defrag_item *item);

/* RC_OK, or RC_DEGRADED when members failed or were left out. */
enum rc care_defrag_result(const struct care_defrag *d, struct err *e);

#endif
