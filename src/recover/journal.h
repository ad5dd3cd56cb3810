/* What a recovery has done on this host, written down before and after each step and made
 * durable each time: a file of lines, each a JSON object, in the work directory. Not in
 * the state directory, which may be lost. A last line that was not finished counts as not
 * written. */
#ifndef RECOVER_JOURNAL_H
#define RECOVER_JOURNAL_H

#include "recover/plan.h"

enum { RECOVER_STEP_KINDS = RECOVER_STEP_AFTER + 1 };

struct recover_journal {
    int fd;
    char *path;
    bool begun[RECOVER_STEP_KINDS], done[RECOVER_STEP_KINDS];
    bool back_begun, back_done; /* rolled back */

    /* Facts that later steps need. */
    bool was_running;    /* when the stop step began for the first time */
    int64_t revision;    /* of the new data directory, as built; 0: not yet */
    int64_t compared_at; /* a revision of the source, and its HashKV there, with what */
    uint32_t hashkv;     /* was compacted; 0: it is not known */
    int64_t compacted;
};

/* Opens it, new or with what is in it. RC_REFUSED when it is of another plan, or another
 * member's part of this one. */
enum rc recover_journal_open(const char *path, const char *plan_id, const char *member,
                             struct recover_journal *out, struct err *e);
void recover_journal_close(struct recover_journal *j);

/* The facts in *j go along. */
enum rc recover_journal_begin(struct recover_journal *j, enum recover_step_kind step,
                              struct err *e);
enum rc recover_journal_done(struct recover_journal *j, enum recover_step_kind step,
                             struct err *e);
enum rc recover_journal_back(struct recover_journal *j, bool done, struct err *e);

#endif
