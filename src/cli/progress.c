#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/json.h"
#include "util/mem.h"
#include "util/str.h"

enum { REDRAW_MS = 100, JSON_MS = 1000, PLAIN_MS = 10000 };

/* One look at the work. */
struct look {
    uint64_t done, total; /* total 0 is unknown */
    uint64_t rate;        /* bytes a second since the stage began; 0 is unknown */
    uint64_t left_ms;     /* meaningful when rate and total are known */
};

void progress_init(struct progress *p, struct console *c, enum progress_mode mode,
                   uint64_t (*now_ms)(void))
{
    *p = (struct progress){ .console = c, .mode = mode, .now_ms = now_ms };
    if (mode == PROGRESS_AUTO && c->width == 0)
        p->mode = PROGRESS_PLAIN;
}

static struct look look(const struct progress *p, uint64_t now, uint64_t done,
                        uint64_t total)
{
    struct look l = { .done = done, .total = total };
    double seconds = (double)(now - p->begun_ms) / 1000;
    double rate =
        seconds > 0 && done > p->begun_at ? (double)(done - p->begun_at) / seconds : 0;

    l.rate = (uint64_t)rate;
    if (l.rate > 0 && total > done)
        l.left_ms = (uint64_t)((double)(total - done) / rate * 1000);
    return l;
}

static unsigned percent(const struct look *l)
{
    double part = (double)l->done / (double)l->total * 100;

    return part > 100 ? 100 : (unsigned)part;
}

/* "45%  230.1 MB of 512.0 MB  180.2 MB/s  12.00s left" */
static void describe(char *out, size_t n, const struct look *l)
{
    char done[24], total[24], rate[24], left[24];
    size_t used = 0;

    str_size(done, sizeof done, l->done);
    str_size(total, sizeof total, l->total);
    str_size(rate, sizeof rate, l->rate);
    str_seconds(left, sizeof left, l->left_ms);
    if (l->total > 0)
        used = (size_t)snprintf(out, n, "%u%%  %s of %s", percent(l), done, total);
    else
        used = (size_t)snprintf(out, n, "%s", done);
    if (l->rate > 0 && used < n)
        used += (size_t)snprintf(out + used, n - used, "  %s/s", rate);
    if (l->rate > 0 && l->total > l->done && used < n)
        snprintf(out + used, n - used, "  %s left", left);
}

static void redraw(struct progress *p, const struct look *l)
{
    struct console *c = p->console;
    char text[192], line[320];

    describe(text, sizeof text, l);
    snprintf(line, sizeof line, "%s  %s", p->stage, text);
    /* The last column stays free: a full row would scroll the line away. */
    printer_printf(c->to, "\r%.*s\x1b[K", (int)c->width - 1, line);
    c->standing = true;
}

static void plain(struct progress *p, const struct look *l)
{
    char text[192];

    describe(text, sizeof text, l);
    printer_printf(p->console->to, "holdfast: %s: %s\n", p->stage, text);
}

static void json_line(struct progress *p, const struct look *l)
{
    OWNED(json) o = json_new_object();
    AT_END(mem_end) char *text = NULL;
    struct err e;

    json_set_str(o, "stage", p->stage);
    json_set_u64(o, "done", l->done);
    json_set_u64(o, "total", l->total);
    json_set_u64(o, "rate", l->rate);
    if (l->total > 0)
        json_set_u64(o, "percent", percent(l));
    if (l->rate > 0 && l->total > 0)
        json_set_double(o, "left_seconds", (double)l->left_ms / 1000);
    if (json_render(o, false, &text, &e) == RC_OK)
        printer_printf(p->console->to, "%s\n", text);
}

static uint64_t interval(const struct progress *p)
{
    return p->mode == PROGRESS_AUTO   ? REDRAW_MS
           : p->mode == PROGRESS_JSON ? JSON_MS
                                      : PLAIN_MS;
}

static void begin_stage(struct progress *p, const char *stage, uint64_t now,
                        uint64_t done)
{
    snprintf(p->stage, sizeof p->stage, "%s", stage);
    p->begun_ms = now;
    p->begun_at = done;
    p->said_ms = now;
    /* A plain line is for work that lasts; the others tell of a stage at once. */
    p->due = p->mode != PROGRESS_PLAIN;
}

static void say(struct progress *p, const struct look *l)
{
    if (p->mode == PROGRESS_AUTO)
        redraw(p, l);
    else if (p->mode == PROGRESS_JSON)
        json_line(p, l);
    else
        plain(p, l);
    console_flush(p->console);
}

void progress_show(const char *stage, uint64_t done, uint64_t total, void *arg)
{
    struct progress *p = arg;
    char name[sizeof p->stage];

    if (p->mode == PROGRESS_NONE)
        return;
    str_printable(name, sizeof name, bytes_str(stage));
    pthread_mutex_lock(&p->console->lock);
    uint64_t now = p->now_ms();

    if (strcmp(name, p->stage) != 0)
        begin_stage(p, name, now, done);
    /* The end is always told to machines, who wait for it. */
    if (p->due || now - p->said_ms >= interval(p) ||
        (p->mode == PROGRESS_JSON && total > 0 && done == total)) {
        struct look l = look(p, now, done, total);

        p->said_ms = now;
        p->due = false;
        say(p, &l);
    }
    pthread_mutex_unlock(&p->console->lock);
}

void progress_end(struct progress *p)
{
    pthread_mutex_lock(&p->console->lock);
    console_erase(p->console);
    console_flush(p->console);
    pthread_mutex_unlock(&p->console->lock);
}
