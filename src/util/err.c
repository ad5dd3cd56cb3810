#include "util/err.h"
#undef err_set
#undef err_sys
#undef err_wrap

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Splits "sentence HINT advice" that was formatted as one text. */
PRINTF_LIKE(2, 0) static void store(struct err *e, const char *fmt, va_list ap)
{
    char text[sizeof e->why + sizeof e->hint];
    char *advice = NULL;

    vsnprintf(text, sizeof text, fmt, ap);
    advice = strstr(text, HINT);
    if (advice != NULL) {
        *advice = '\0';
        advice += strlen(HINT);
    }
    e->what[0] = '\0';
    snprintf(e->why, sizeof e->why, "%.*s", (int)sizeof e->why - 1, text);
    snprintf(e->hint, sizeof e->hint, "%.*s", (int)sizeof e->hint - 1,
             advice == NULL ? "" : advice);
}

static void append(char *to, size_t size, const char *text)
{
    size_t used = strlen(to);

    snprintf(to + used, size - used, "%s", text);
}

enum rc err_set(struct err *e, enum rc code, const char *fmt, ...)
{
    va_list ap;

    e->code = code;
    va_start(ap, fmt);
    store(e, fmt, ap);
    va_end(ap);
    return code;
}

enum rc err_sys(struct err *e, enum rc code, const char *fmt, ...)
{
    int cause = errno;
    char text[128];
    va_list ap;

    e->code = code;
    va_start(ap, fmt);
    store(e, fmt, ap);
    va_end(ap);
    append(e->why, sizeof e->why, ": ");
    append(e->why, sizeof e->why, strerror_r(cause, text, sizeof text));
    if (e->hint[0] == '\0' && (cause == ENOSPC || cause == EDQUOT || cause == EFBIG))
        err_hint(e, "make room, or write to another file system");
    return code;
}

enum rc err_wrap(struct err *e, const char *fmt, ...)
{
    char inner[sizeof e->what + sizeof e->why + 2];
    va_list ap;

    if (e->what[0] != '\0')
        snprintf(inner, sizeof inner, "%s: %s", e->what, e->why);
    else
        snprintf(inner, sizeof inner, "%s", e->why);
    snprintf(e->why, sizeof e->why, "%.*s", (int)sizeof e->why - 1, inner);
    va_start(ap, fmt);
    vsnprintf(e->what, sizeof e->what, fmt, ap);
    va_end(ap);
    return e->code;
}

void err_hint(struct err *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(e->hint, sizeof e->hint, fmt, ap);
    va_end(ap);
}

struct row {
    enum rc code;
    int exit_status;
    const char *name, *meaning;
};

static const struct row rows[] = {
#define X(name, exit_code, meaning) { name, exit_code, #name, meaning },
    RC_TABLE(X)
#undef X
};

static const struct row *find(enum rc code)
{
    static const struct row ok = { RC_OK, 0, "RC_OK", "done, and proved" };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].code == code)
            return &rows[i];
    return &ok;
}

int rc_exit_status(enum rc code)
{
    return find(code)->exit_status;
}

const char *rc_meaning(enum rc code)
{
    return find(code)->meaning;
}

const char *rc_name(enum rc code)
{
    return find(code)->name;
}
