/* The members of a cluster, from wherever they are known, into the facts of a runbook. */
#ifndef RUNBOOK_ROLL_H
#define RUNBOOK_ROLL_H

#include "runbook/runbook.h"

struct roll {
    struct runbook_facts *facts;
    struct buf initial; /* "m0=http://10.0.0.1:2380,..." */
};
static inline void roll_end(struct roll *r)
{
    buf_clear(&r->initial);
}
#define ROLL(f)                                        \
    {                                                  \
        .facts = (f), .initial = {.cap_max = 1 << 16 } \
    }

/* One that never started has no name, and is left out. */
enum rc roll_add(struct roll *r, const char *name, const struct str_list *peer_urls,
                 struct err *e);
/* All are told: fills the blank `members`. */
enum rc roll_close(struct roll *r, struct err *e);

#endif
