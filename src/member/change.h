/* Who belongs to a cluster: which changes are safe, and the steps of the larger ones.
 *
 * A change of membership is itself a log entry: a majority of the voters there are must
 * be alive to make it, and a majority of those there will be to go on. etcd checks the
 * second only by who is connected (and not at all with --strict-reconfig-check=false), so
 * it is judged here first, by what was observed. One voter at a time: any majority before
 * and any after share a member, so that no acknowledged write is lost by the change.
 *
 * Pure: a table of seats in, a verdict or steps out. The steps are taken, each after a
 * new look at the cluster, by who can do so; the table that follows from a step is
 * member_step_apply's, and the planner itself uses it. */
#ifndef MEMBER_CHANGE_H
#define MEMBER_CHANGE_H

#include <stdint.h>

#include "member/quorum.h"
#include "util/err.h"

enum { MEMBER_SEATS_MAX = 64, MEMBER_STEPS_MAX = 64 };

/* One member as the planner sees it. */
struct member_seat {
    uint64_t id;
    const char *name; /* for sentences; borrowed */
    bool learner;
    bool started; /* was ever seen: it has a name in the list */
    bool alive;   /* a voter: takes part, so finishes a linearizable read or leads;
                     a learner: answers */
    bool in_sync; /* has applied what the leader has, or nearly */
    bool leader;
    unsigned minor; /* it runs etcd 3.minor; 0: not known */
};

struct member_table {
    struct member_seat seats[MEMBER_SEATS_MAX];
    size_t count;
};

struct quorum member_quorum(const struct member_table *t);
const struct member_seat *member_seat_of(const struct member_table *t, uint64_t id);

enum member_step_kind {
    MEMBER_BACKUP,      /* a snapshot before anything is taken away */
    MEMBER_MOVE_LEADER, /* from `id` to `to` */
    MEMBER_REMOVE,
    MEMBER_ADD_VOTER,   /* `id` is 0 until the server has chosen one */
    MEMBER_ADD_LEARNER, /* likewise */
    MEMBER_AWAIT,       /* until the learner runs and is in sync */
    MEMBER_PROMOTE,
    MEMBER_UPDATE,  /* its peer URLs */
    MEMBER_COMPARE, /* HashKV of all */
};

/* Its word in a plan and in JSON: "add-learner". */
const char *member_step_name(enum member_step_kind kind);

struct member_step {
    enum member_step_kind kind;
    uint64_t id, to;             /* 0: the one that this plan adds */
    struct quorum before, after; /* equal unless the voters change */
};

struct member_plan {
    struct member_step items[MEMBER_STEPS_MAX];
    size_t count;
};

/* May this one step be taken now? While voters of two versions run, the cluster's version
 * is about to change, and its members are not to. RC_REFUSED says why not and what to do
 * instead,
 * RC_NOTFOUND that no such member is there. Fills before and after of `step`. */
enum rc member_step_judge(const struct member_table *t, struct member_step *step,
                          struct err *e);

/* The table after a step that was allowed. A member that is added is not alive; one that
 * was awaited is, and in sync. */
void member_step_apply(struct member_table *t, const struct member_step *step);

/* ---- plans ----------------------------------------------------------------------------
 */

/* Each of these writes the steps, all judged, or refuses as above. */

/* As a learner first, and promoted when it has caught up unless it is to stay one. */
enum rc member_plan_add(const struct member_table *t, bool stays_learner,
                        struct member_plan *out, struct err *e);

/* What is left of it when it broke off: the learner `fresh` was added. */
enum rc member_plan_add_rest(const struct member_table *t, uint64_t fresh,
                             struct member_plan *out, struct err *e);

/* Leadership moves away first. */
enum rc member_plan_remove(const struct member_table *t, uint64_t id,
                           struct member_plan *out, struct err *e);
enum rc member_plan_promote(const struct member_table *t, uint64_t id,
                            struct member_plan *out, struct err *e);
enum rc member_plan_update(const struct member_table *t, uint64_t id,
                           struct member_plan *out, struct err *e);

/* Another machine in the place of `id`: backup, remove, add, compare. Where the cluster
 * cannot do without `id` meanwhile, the new one comes first. */
enum rc member_plan_replace(const struct member_table *t, uint64_t id,
                            struct member_plan *out, struct err *e);

/* What is left of a replacement that broke off: `old` is still there, or 0 when it was
 * removed; `fresh` was added, or is 0. One that has to be added stays a learner if
 * `learner`. */
enum rc member_plan_replace_rest(const struct member_table *t, uint64_t old,
                                 uint64_t fresh, bool learner, struct member_plan *out,
                                 struct err *e);

/* Up to `voters` voters (odd), one at a time. Only a cluster that is whole grows. */
enum rc member_plan_grow(const struct member_table *t, size_t voters,
                         struct member_plan *out, struct err *e);

/* What is left of a growth that broke off: the learner `fresh` was added, or 0. A cluster
 * that has grown is compared. */
enum rc member_plan_grow_rest(const struct member_table *t, size_t voters, uint64_t fresh,
                              struct member_plan *out, struct err *e);

#endif
