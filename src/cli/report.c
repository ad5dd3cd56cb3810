#include "cli/report.h"

#include <string.h>

#include "util/process.h"

enum colour { RED, YELLOW, BOLD };

void console_init(struct console *c, struct printer *to, const char *(*env)(const char *))
{
    const char *no_color = env("NO_COLOR"), *term = env("TERM");
    bool dumb = term == NULL || strcmp(term, "dumb") == 0;

    *c = (struct console){ .to = to, .lock = PTHREAD_MUTEX_INITIALIZER };
    if (to->fd >= 0 && !dumb)
        c->width = process_terminal_width(to->fd);
    c->colour = c->width > 0 && (no_color == NULL || *no_color == '\0');
}

void console_erase(struct console *c)
{
    if (c->standing)
        printer_put(c->to, "\r\x1b[K");
    c->standing = false;
}

void console_flush(struct console *c)
{
    struct err e;
    enum rc ignored = printer_flush(c->to, &e);

    (void)ignored; /* nobody is left to tell when stderr itself fails */
}

static void paint(struct console *c, enum colour colour, const char *text)
{
    static const char *const codes[] = {
        [RED] = "\x1b[1;31m",
        [YELLOW] = "\x1b[1;33m",
        [BOLD] = "\x1b[1m",
    };

    if (c->colour)
        printer_put(c->to, codes[colour]);
    printer_put(c->to, text);
    if (c->colour)
        printer_put(c->to, "\x1b[0m");
}

static void line(struct console *c, const char *text)
{
    printer_put_printable(c->to, text);
    printer_put(c->to, "\n");
}

/* The advice for an error that brings none of its own. */
static const char *usual_advice(enum rc rc)
{
    switch (rc) {
    case RC_INTERNAL:
        return "report this, with the command line that led to it";
    case RC_USAGE:
        return "'holdfast help' lists the commands, 'holdfast help COMMAND' one's "
               "options";
    case RC_CORRUPT:
        return "keep the damaged file for study, and use another copy";
    case RC_NET:
        return "check the address, the network, and that the server runs";
    case RC_REFUSED:
        return "meet the rule that is named above, then run the command again";
    case RC_STORAGE:
        return "check the file system: free space, quota, mount options, kernel log";
    case RC_AUTH:
        return "check the user, the certificates and the permissions";
    case RC_DEGRADED:
        return "act on the warning before relying on the result";
    case RC_NOTFOUND:
        return "check the name";
    case RC_LOCKED:
        return "wait for the other job, or find out why it hangs";
    case RC_NOKEY:
        return "name the file that holds the identity with --identity";
    case RC_INTERRUPTED:
        return "run the command again";
    case RC_NOMEM:
        return "free memory, then run the command again";
    case RC_OK:
        break;
    }
    return "";
}

void report_error(struct console *c, enum rc rc, const struct err *e)
{
    const char *why = e->why[0] == '\0' ? rc_meaning(rc) : e->why;

    pthread_mutex_lock(&c->lock);
    console_erase(c);
    paint(c, RED, "holdfast:");
    printer_put(c->to, " ");
    if (e->what[0] != '\0') {
        line(c, e->what);
        printer_put(c->to, "  why:  ");
    }
    line(c, why);
    paint(c, BOLD, "  next:");
    printer_put(c->to, " ");
    line(c, e->hint[0] == '\0' ? usual_advice(rc) : e->hint);
    console_flush(c);
    pthread_mutex_unlock(&c->lock);
}

void report_log(enum log_level level, const char *text, void *arg)
{
    struct console *c = arg;

    pthread_mutex_lock(&c->lock);
    console_erase(c);
    printer_put(c->to, "holdfast: ");
    if (level == LOG_WARN_LEVEL)
        paint(c, YELLOW, "warning:");
    else
        printer_put(c->to, "note:");
    printer_put(c->to, " ");
    line(c, text);
    console_flush(c);
    pthread_mutex_unlock(&c->lock);
}
