/* A change of members that broke off, and is asked for again in the same words: what this
 * host's journal knows of it. What was done is seen in the cluster itself; the journal
 * tells only what cannot be seen there: whom a member that is gone was, and whether a
 * backup is that of the change. */
#ifndef CLI_RESUME_H
#define CLI_RESUME_H

#include "care/store.h"

struct resume {
    bool found;
    int64_t begun; /* the first of the runs that broke off */
    uint64_t id;   /* of the member that goes, for a replacement */
    bool learner;  /* which is a learner */
};

/* Looks for runs of `kind` whose detail begins with `words`, since the last one that
 * ended well. `s` may be NULL. */
enum rc resume_recall(struct care_store *s, uint64_t cluster, const char *kind,
                      const char *words, struct resume *out, struct err *e);

/* The detail of a replacement, for mem_free: `words`, and what resume_recall reads. */
enum rc resume_detail(const char *words, uint64_t id, bool learner, char **out,
                      struct err *e);

/* Was `file` made since that run began? */
bool resume_has_backup(const struct resume *r, const char *file);

#endif
