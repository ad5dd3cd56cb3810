#include "util/findings.h"

#include <stdarg.h>
#include <stdio.h>

#include "util/mem.h"

static void count(struct findings *f, enum finding_severity severity)
{
    if (severity == FINDING_ERROR)
        f->errors++;
    else if (severity == FINDING_WARN)
        f->warnings++;
    else
        f->notes++;
}

/* Room for one more; when the list is full an error displaces the last non-error, so
 * that a flood of notes cannot hide the verdict's reason. */
static struct finding *slot(struct findings *f, enum finding_severity severity)
{
    if (f->kept < FINDINGS_KEPT)
        return &f->items[f->kept++];
    for (size_t i = f->kept; i > 0; i--)
        if (f->items[i - 1].severity < severity)
            return &f->items[i - 1];
    return NULL;
}

enum rc findings_add(struct findings *f, enum finding_severity severity, const char *code,
                     uint64_t page, struct err *e, const char *fmt, ...)
{
    struct finding *to;
    va_list ap;

    if (f->items == NULL)
        TRY(mem_new(&f->items, FINDINGS_KEPT * sizeof *f->items, "findings", e));
    count(f, severity);
    to = slot(f, severity);
    if (to == NULL)
        return RC_OK;
    *to = (struct finding){ .code = code, .severity = severity, .page = page };
    va_start(ap, fmt);
    vsnprintf(to->message, sizeof to->message, fmt, ap);
    va_end(ap);
    return RC_OK;
}

void findings_clear(struct findings *f)
{
    mem_free(f->items);
    *f = (struct findings){ 0 };
}

enum rc findings_verdict(const struct findings *f, struct err *e)
{
    for (size_t i = 0; i < f->kept; i++)
        if (f->items[i].severity == FINDING_ERROR) {
            enum rc rc = err_set(e, RC_CORRUPT, "%s", f->items[i].message);

            if (f->errors > 1)
                rc = err_wrap(e, "%zu errors, the first is", f->errors);
            return rc;
        }
    return RC_OK;
}

const char *finding_severity_name(enum finding_severity s)
{
    static const char *const names[] = { "note", "warning", "error" };

    return names[s];
}
