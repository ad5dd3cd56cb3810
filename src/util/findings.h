/* What an inspection found: a list of findings, each with a stable code, a severity,
 * the place and a sentence. A check that finds something goes on where it can, so that
 * one run tells everything; the list keeps the first FINDINGS_KEPT and counts all. */
#ifndef UTIL_FINDINGS_H
#define UTIL_FINDINGS_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

enum finding_severity {
    FINDING_NOTE,  /* worth knowing, changes no verdict */
    FINDING_WARN,  /* act on it; the data is whole */
    FINDING_ERROR, /* the data is damaged (exit 3) */
};

enum { FINDINGS_KEPT = 100 };
#define FINDING_NO_PAGE UINT64_MAX

struct finding {
    const char *code; /* static text, e.g. "page-id"; scripts match on it */
    enum finding_severity severity;
    uint64_t page; /* page id in the database file, or FINDING_NO_PAGE */
    char message[232];
};

struct findings {
    struct finding *items; /* zero-initialise; end with findings_clear */
    size_t kept, errors, warnings, notes;
};

/* RC_NOMEM only. `code` must be a string literal. */
enum rc findings_add(struct findings *f, enum finding_severity severity, const char *code,
                     uint64_t page, struct err *e, const char *fmt, ...)
    PRINTF_LIKE(6, 7);
void findings_clear(struct findings *f);

/* RC_CORRUPT with the first error (and how many more), RC_OK when there is none. */
enum rc findings_verdict(const struct findings *f, struct err *e);

const char *finding_severity_name(enum finding_severity s); /* "note" "warning" "error" */

#endif
