/* Runbooks: what to do when something has happened to a cluster, step by step. A runbook
 * is data with blanks in it; what is known of this cluster is filled in, and the rest
 * stays a word in capitals, which the reader replaces. Without any facts it is the page
 * of docs/runbooks. */
#ifndef RUNBOOK_RUNBOOK_H
#define RUNBOOK_RUNBOOK_H

#include "util/str.h"

/* What stands in braces in the texts of a runbook. */
struct runbook_blank {
    const char *name;  /* "new-peer" */
    const char *shown; /* "NEW_PEER_URL", while it is not known */
    const char *means;
};
extern const struct runbook_blank runbook_blanks[]; /* ended by a NULL name */

struct runbook_step {
    const char *title;
    const char *why;
    const char *where;     /* NULL: where the tool is, with access to the cluster */
    const char *commands;  /* lines for a shell; NULL: nothing to type */
    const char *expect;    /* what is seen then; NULL: nothing */
    const char *otherwise; /* what to do if not; NULL */
    bool each;             /* once for each member, which is {here} */
    int status;            /* of the last command, when all is as expected */
};

struct runbook {
    const char *name; /* "lost-member" */
    const char *title;
    const char *when;
    const struct runbook_step *steps; /* ended by a NULL title */
};
extern const struct runbook runbooks[]; /* ended by a NULL name */

/* NULL when there is none of that name. */
const struct runbook *runbook_find(const char *name);

/* ---- facts --------------------------------------------------------------------------
 */

enum { RUNBOOK_BLANKS_MAX = 16 };

struct runbook_facts {
    char *values[RUNBOOK_BLANKS_MAX]; /* in the order of runbook_blanks; NULL: unknown */
    struct str_list members;          /* for the steps that each of them takes */
    struct str_list situation;        /* sentences about what was found */
};
void runbook_facts_clear(struct runbook_facts *f);

/* The first value of a blank stays. RC_USAGE for a blank that there is not. */
enum rc runbook_know(struct runbook_facts *f, const char *blank, const char *value,
                     struct err *e);

/* ---- reading it -------------------------------------------------------------------- */

/* Appends a text with its blanks filled. In commands every value is one word to a shell,
 * whatever characters are in it. `here` is the member of a step for each; NULL. */
enum rc runbook_fill(const struct runbook_facts *f, const char *text, bool commands,
                     const char *here, struct buf *out, struct err *e);

/* Does the runbook have this blank, and is it not known? */
bool runbook_lacks(const struct runbook *b, const struct runbook_facts *f, size_t blank);

/* The whole as Markdown, for mem_free. */
enum rc runbook_markdown(const struct runbook *b, const struct runbook_facts *f,
                         char **out, struct err *e);

#endif
