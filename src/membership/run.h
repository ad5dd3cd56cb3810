/* Carries out a plan of membership, one step at a time.
 *
 * Before each step the cluster is looked at again: its id and its members must be what
 * they were, but for our own steps, and the planner must still allow the step. A step
 * whose answer was lost is judged by what the cluster then says. A learner that does not
 * catch up in time is taken out again. Each step is journalled before and after. */
#ifndef MEMBERSHIP_RUN_H
#define MEMBERSHIP_RUN_H

#include "care/journal.h"
#include "http/http.h"
#include "membership/look.h"
#include "snapshot/save.h"

/* A member that a plan adds. */
struct membership_new {
    const char *name;
    struct str_list peer_urls;
    const char *client_url; /* to listen on and to advertise; NULL: the peer address's
                               host at port 2379, with the scheme of the others */
};

/* Called when the cluster knows the new member and waits for it: whoever runs this tells
 * how to start it. */
typedef enum rc membership_announce_fn(void *arg, const struct membership_look *l,
                                       const struct membership_new *who, uint64_t id,
                                       struct err *e);

struct membership_run {
    const struct care_access *access;
    struct care_journal *journal;
    /* Takes the snapshot of a plan with that step, through a client that has chosen
     * nobody yet. */
    enum rc (*back_up)(void *arg, struct wire_client *c, struct snap_saved *out,
                       struct err *e);
    const struct membership_new *fresh; /* in the order in which they are added */
    size_t fresh_count;
    uint64_t adopted; /* a learner that is fresh[0], added by an earlier run; or 0 */
    const struct str_list *peer_urls; /* for an update */
    uint64_t wait_ms;                 /* for a new member to start and catch up */
    const struct http_options *trust; /* at peer addresses; NULL: nobody asks there */
    membership_announce_fn *announce;
    void *arg;

    /* The outcome; end with membership_run_clear. */
    size_t done;    /* steps that were taken */
    uint64_t added; /* the last member that was added; 0: none */
    size_t added_count;
    bool undone; /* and taken out again */
    struct snap_saved saved;
    int64_t compared; /* the revision at which all voters hold the same; 0: not known */

    struct str_list known; /* inner: where the members answer */
    uint64_t members[MEMBER_SEATS_MAX];
    size_t member_count;
    uint64_t cluster_id;
};

/* `look` is what the plan was made from, and is refreshed. RC_REFUSED when the cluster
 * changed meanwhile or a step is no longer allowed; RC_NET when a new member did not
 * catch up; RC_DEGRADED when the voters differ in the end. */
enum rc membership_run(struct membership_run *r, struct membership_look *look,
                       const struct member_plan *plan, struct err *e);
void membership_run_clear(struct membership_run *r);

/* A sentence about a step: "remove m2 (91bc3c398fb3c146)". */
void membership_describe(const struct membership_look *l, const struct member_step *s,
                         const struct membership_new *who, char *out, size_t n);

#endif
