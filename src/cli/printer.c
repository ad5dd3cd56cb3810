#include "cli/printer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/mem.h"
#include "util/patient.h"
#include "util/stop.h"
#include "util/str.h"

enum { FLUSH_AT = 64 << 10, WRAP_COLUMNS = 79, RECORD_MS = 5000, SAY_MS = 1000 };

static void take_off(struct buf *b, size_t n)
{
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

static void write_result(struct printer *s)
{
    const uint64_t wait_ms = s->on_record ? RECORD_MS : PATIENT_FOR_EVER;
    size_t done = 0;
    int cause = 0;

    if (patient_write(s->fd, s->text.p, s->text.n, wait_ms, &done, s->name, &cause,
                      &s->failure) != RC_OK) {
        s->reader_left = cause == EPIPE;
        return;
    }
    take_off(&s->text, done);
    if (s->text.n > 0 && stop_wanted())
        (void)!err_set(&s->failure, RC_INTERRUPTED, "stopped while nobody read '%s'",
                       s->name);
    else if (s->text.n > 0)
        (void)!err_set(&s->failure, RC_STORAGE,
                       "nobody reads '%s'" HINT
                       "look at what it leads to: a pager, a logger, a terminal",
                       s->name);
}

/* How much of the text is taken; nothing also when it failed, which may pass. */
static size_t say(const struct printer *s, const void *p, size_t n)
{
    struct err ignored;
    size_t done = 0;
    int cause = 0;

    if (patient_write(s->fd, p, n, s->stuck ? 0 : SAY_MS, &done, s->name, &cause,
                      &ignored) != RC_OK)
        return 0;
    return done;
}

/* A line that was cut short is ended before the next one. */
static bool tell_dropped(struct printer *s)
{
    char text[128];
    int n;

    if (s->dropped == 0)
        return true;
    n = snprintf(text, sizeof text,
                 "\nholdfast: warning: %zu message(s) were dropped here: nobody read\n",
                 s->dropped);
    if (say(s, text, (size_t)n) < (size_t)n)
        return false;
    s->dropped = 0;
    return true;
}

static void write_or_drop(struct printer *s)
{
    s->stuck = !tell_dropped(s) || say(s, s->text.p, s->text.n) < s->text.n;
    s->dropped += s->stuck;
    s->text.n = 0;
}

static void write_out(struct printer *s)
{
    if (s->fd < 0 || s->failure.code != RC_OK || s->text.n == 0)
        return;
    if (s->may_drop)
        write_or_drop(s);
    else
        write_result(s);
}

static void put_n(struct printer *s, const void *p, size_t n)
{
    if (s->failure.code != RC_OK ||
        buf_add(&s->text, p, n, &s->failure) != RC_OK) /* the failure is kept */
        return;
    if (s->text.n >= FLUSH_AT)
        write_out(s);
}

void printer_put(struct printer *s, const char *text)
{
    put_n(s, text, strlen(text));
}

/* In pieces, as much as may wait: a value can be larger than the buffer's cap. */
void printer_put_bytes(struct printer *s, struct bytes bytes)
{
    for (size_t n; bytes.n > 0; bytes.p += n, bytes.n -= n) {
        n = bytes.n < FLUSH_AT ? bytes.n : FLUSH_AT;
        put_n(s, bytes.p, n);
    }
}

void printer_printf(struct printer *s, const char *fmt, ...)
{
    AT_END(mem_end) char *text = NULL;
    va_list ap, again;

    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);

    if (s->failure.code == RC_OK && n >= 0 &&
        mem_new(&text, (size_t)n + 1, "a line of output", &s->failure) == RC_OK) {
        vsnprintf(text, (size_t)n + 1, fmt, again);
        put_n(s, text, (size_t)n);
    }
    va_end(again);
}

void printer_fill(struct printer *s, char c, size_t n)
{
    while (n-- > 0)
        put_n(s, &c, 1);
}

void printer_put_printable(struct printer *s, const char *text)
{
    AT_END(mem_end) char *safe = NULL;
    size_t size = 4 * strlen(text) + 16;

    if (s->failure.code != RC_OK ||
        mem_new(&safe, size, "a line of output", &s->failure) != RC_OK)
        return;
    str_printable(safe, size, bytes_str(text));
    printer_put(s, safe);
}

/* One word, on this line or the next; returns the column after it. */
static size_t wrap_word(struct printer *s, size_t at, size_t indent, const char *word,
                        size_t n)
{
    if (at > indent && at + 1 + n > WRAP_COLUMNS) {
        printer_put(s, "\n");
        at = 0;
    }
    if (at < indent)
        printer_fill(s, ' ', indent - at);
    else if (at > indent)
        printer_put(s, " ");
    at = at < indent ? indent : at > indent ? at + 1 : at;
    put_n(s, word, n);
    return at + n;
}

void printer_wrap(struct printer *s, size_t at, size_t indent, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, " \n");

        if (n > 0)
            at = wrap_word(s, at, indent, text, n);
        text += n;
        if (strncmp(text, "\n\n", 2) == 0) {
            printer_put(s, "\n\n");
            at = 0;
            text++;
        }
        text += *text != '\0';
    }
    printer_put(s, "\n");
}

enum rc printer_flush(struct printer *s, struct err *e)
{
    write_out(s);
    if (s->failure.code != RC_OK)
        *e = s->failure;
    return s->failure.code;
}

const char *printer_text(struct printer *s)
{
    struct err ignored;

    if (buf_reserve(&s->text, 1, &ignored) != RC_OK)
        return "";
    s->text.p[s->text.n] = '\0';
    return (const char *)s->text.p;
}

void printer_clear(struct printer *s)
{
    buf_wipe(&s->text); /* a new identity may have gone through it */
    s->failure = (struct err){ 0 };
    s->reader_left = s->is_list = s->on_record = false;
}
