/* Waiting for members, and what one that ended has said. */
#include <stdio.h>
#include <string.h>

#include "lab/lab.h"
#include "lab/reach.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"

enum { PATIENCE_MS = 30000, CALL_MS = 3000, PAUSE_MS = 20, LOG_MAX = 16 << 20 };

/* Takes the last line off `log`, safe to print. */
static void take_line(struct bytes *log, char *out, size_t room)
{
    size_t from;

    while (log->n > 0 && log->p[log->n - 1] == '\n')
        log->n--;
    for (from = log->n; from > 0 && log->p[from - 1] != '\n'; from--)
        ;
    str_printable(out, room, (struct bytes){ log->p + from, log->n - from });
    log->n = from;
}

/* In its own words: the last line of its log, and what it advised below that. */
static enum rc ended(const struct lab *l, size_t i, struct err *e)
{
    static const char advice[] = "hint: ";
    AT_END(mem_end) char *path = NULL;
    AT_END(mem_end) uint8_t *text = NULL;
    char name[16], line[400] = "", hint[400] = "see its log";
    struct bytes log = { (const uint8_t *)"", 0 };
    struct err ignored = { 0 };
    size_t n;

    snprintf(name, sizeof name, "%s.log", l->members[i].name);
    TRY(lab_path(l, name, &path, e));
    if (os_read_file(path, LOG_MAX, &text, &n, &ignored) == RC_OK)
        log = (struct bytes){ text, n };
    take_line(&log, line, sizeof line);
    if (strncmp(line, advice, sizeof advice - 1) == 0) {
        snprintf(hint, sizeof hint, "%s", line + sizeof advice - 1);
        take_line(&log, line, sizeof line);
    }
    return err_set(e, RC_NET, "%s has ended: %s" HINT "%s", l->members[i].name,
                   line[0] == '\0' ? "it said nothing" : line, hint);
}

static bool answers(struct wire_client *c, bool until_it_serves)
{
    AT_END(buf_clear) struct buf page = { .cap_max = 65536 };
    struct err ignored = { 0 };
    int status = 0;

    return wire_http_get(c, 0, until_it_serves ? "/health" : "/version", &page, &status,
                         &ignored) == RC_OK &&
           status == 200;
}

static enum rc wait_one(const struct lab *l, size_t i, bool until_it_serves, uint64_t end,
                        struct err *e)
{
    OWNED(wire_client) c = NULL;
    bool which[LAB_MEMBERS_MAX] = { 0 };

    which[i] = true;
    TRY(lab_client(l, which, CALL_MS, &c, e));
    while (!answers(c, until_it_serves)) {
        TRY(stop_check(e));
        if (lab_child_state(&l->members[i].child) == LAB_CHILD_GONE)
            return ended(l, i, e);
        if (clock_ms() > end)
            return err_set(e, RC_NET, "%s does not %s", l->members[i].name,
                           until_it_serves ? "serve" : "answer");
        clock_sleep_ms(PAUSE_MS);
    }
    return RC_OK;
}

enum rc lab_wait(const struct lab *l, const bool *which, bool until_it_serves,
                 struct err *e)
{
    uint64_t end = clock_ms() + PATIENCE_MS;

    for (size_t i = 0; i < l->count; i++)
        if (which == NULL || which[i])
            TRY(wait_one(l, i, until_it_serves, end, e));
    return RC_OK;
}
