/* Waiting for members, and what one that ended has said. */
#include <stdio.h>

#include "lab/lab.h"
#include "lab/reach.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"

enum { PATIENCE_MS = 30000, CALL_MS = 3000, PAUSE_MS = 20, LOG_MAX = 16 << 20 };

/* The last line of its log. */
static enum rc ended(const struct lab *l, size_t i, struct err *e)
{
    AT_END(mem_end) char *path = NULL;
    AT_END(mem_end) uint8_t *text = NULL;
    char name[16], line[400] = "it said nothing";
    struct err ignored = { 0 };
    size_t n = 0, from;

    snprintf(name, sizeof name, "%s.log", l->members[i].name);
    TRY(lab_path(l, name, &path, e));
    if (os_read_file(path, LOG_MAX, &text, &n, &ignored) == RC_OK && n > 1) {
        for (from = --n; from > 0 && text[from - 1] != '\n'; from--)
            ;
        str_printable(line, sizeof line, (struct bytes){ text + from, n - from });
    }
    return err_set(e, RC_NET, "%s has ended: %s", l->members[i].name, line);
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
