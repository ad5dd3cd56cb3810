/* What was done to a cluster, written down before and after each step, so that a run that
 * broke off can be told from one that ended. */
#ifndef CARE_JOURNAL_H
#define CARE_JOURNAL_H

#include <stdint.h>

#include "care/store.h"

struct care_journal {
    struct care_store *store; /* borrowed; NULL: nothing is written down */
    int64_t operation;
};

/* `kind` is the command ("compact"), `detail` a sentence about the plan. */
enum rc care_journal_begin(struct care_journal *j, struct care_store *store,
                           uint64_t cluster, const char *kind, const char *detail,
                           struct err *e);

/* Before the step is taken, and after it. `why` is the failure's sentence or NULL. */
enum rc care_journal_step(struct care_journal *j, const char *what, int64_t *step,
                          struct err *e);
enum rc care_journal_step_end(struct care_journal *j, int64_t step, enum rc rc,
                              const char *why, struct err *e);

enum rc care_journal_end(struct care_journal *j, enum rc rc, const char *why,
                         struct err *e);

/* The same for whoever goes on anyway: `e` is why it failed, if it did. What was done is
 * done: a journal that does not take it is a warning. */
void care_journal_settle_step(struct care_journal *j, int64_t step, const char *what,
                              enum rc rc, const struct err *e);
void care_journal_settle(struct care_journal *j, enum rc rc, const struct err *e);

/* An operation that began and has no end, of a process that is gone; and the same, given
 * again, has not ended well since. */
struct care_unfinished {
    int64_t operation, begun;
    char kind[32], detail[200];
    char last_step[200]; /* "" before the first */
    bool step_ended;     /* the last step itself was done */
};
/* The newest one of the last 30 days; `found` tells whether there is one. */
enum rc care_journal_unfinished(struct care_store *s, uint64_t cluster, int64_t now,
                                struct care_unfinished *out, bool *found, struct err *e);

/* An operation of the past as it was written down. */
struct care_past {
    const char *detail;
    int64_t begun;
    bool fulfilled; /* it ended well; else it failed, broke off, or goes on */
};
typedef void care_past_fn(void *arg, const struct care_past *past);

/* All of that kind on that cluster in the last 30 days, the newest first. */
enum rc care_journal_past(struct care_store *s, uint64_t cluster, const char *kind,
                          int64_t now, care_past_fn *fn, void *arg, struct err *e);

#endif
