/* Asks the members of a cluster how they are, all at once, each on its own connection, so
 * that one that hangs does not hide the others. */
#ifndef CARE_LOOK_H
#define CARE_LOOK_H

#include "care/view.h"
#include "util/str.h"

/* How to reach one endpoint. Called from several threads at a time. */
typedef enum rc care_connect_fn(void *arg, const char *endpoint, struct wire_client **out,
                                struct err *e);

struct care_access {
    const struct str_list *endpoints; /* where to begin: at least one */
    care_connect_fn *connect;
    void *arg;
};

enum care_ask {
    CARE_ASK_METRICS = 1, /* /metrics, and what the clock says there */
    CARE_ASK_READ = 2,    /* a linearizable read of one key */
};

/* Asks the given endpoints, and then every other member of the list that the best
 * informed of them tells, at the addresses it advertises. A member that does not answer
 * is in the view with its failure; the look fails only for want of memory, or when a stop
 * is wanted. */
enum rc care_look(const struct care_access *a, unsigned ask, struct care_view *out,
                  struct err *e);

/* The same, and again for some seconds while an election seems to be on; `ask` has
 * CARE_ASK_READ. A leader that just died is no quorum that is lost. */
enum rc care_look_settled(const struct care_access *a, unsigned ask,
                          struct care_view *out, struct err *e);

/* The same about one endpoint, once more: what a step needs to know before it is taken.
 * Fills state, status and failure. */
enum rc care_look_at(const struct care_access *a, unsigned ask, struct care_member *m,
                     struct err *e);

#endif
