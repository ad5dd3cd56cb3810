#include "cli/progress.h"

#include <string.h>

#include "tests/lib/case.h"

static uint64_t now;

static uint64_t clock_now(void)
{
    return now;
}

static const char *nothing(const char *name)
{
    (void)name;
    return NULL;
}

struct shown {
    struct printer s;
    struct console c;
    struct progress p;
};

static void begin(struct shown *x, enum progress_mode mode, unsigned width)
{
    x->s = (struct printer){ .fd = -1 };
    now = 5;
    console_init(&x->c, &x->s, nothing);
    x->c.width = width;
    progress_init(&x->p, &x->c, mode, clock_now);
}

static void at(struct shown *x, uint64_t ms, uint64_t done, uint64_t total)
{
    now = 5 + ms;
    progress_show("saving", done, total, &x->p);
}

static void said(struct shown *x, const char *want)
{
    cr_assert_str_eq(printer_text(&x->s), want);
    printer_clear(&x->s);
}

CASE(cli_progress, plain_lines_come_every_ten_seconds)
{
    struct shown x;

    begin(&x, PROGRESS_AUTO, 0);
    at(&x, 0, 0, 100000000);
    at(&x, 9999, 10000000, 100000000);
    said(&x, "");
    at(&x, 10000, 20000000, 100000000);
    at(&x, 10001, 20000001, 100000000);
    said(&x, "holdfast: saving: 20%  20.0 MB of 100.0 MB  2.0 MB/s  40.00s left\n");
    at(&x, 20000, 30000000, 0);
    said(&x, "holdfast: saving: 30.0 MB  1.5 MB/s\n");
    progress_end(&x.p);
    said(&x, "");
}

CASE(cli_progress, a_terminal_line_is_redrawn_and_removed)
{
    struct shown x;

    begin(&x, PROGRESS_AUTO, 30);
    at(&x, 0, 0, 1000);
    said(&x, "\rsaving  0%  0 B of 1.0 kB\x1b[K");
    at(&x, 99, 500, 1000);
    said(&x, "");
    at(&x, 1000, 500, 1000);
    said(&x, "\rsaving  50%  500 B of 1.0 kB \x1b[K");
    progress_end(&x.p);
    said(&x, "\r\x1b[K");
    progress_end(&x.p);
    said(&x, "");
}

CASE(cli_progress, json_lines_tell_of_the_end)
{
    struct shown x;

    begin(&x, PROGRESS_JSON, 80);
    at(&x, 0, 0, 1000);
    at(&x, 500, 400, 1000);
    said(&x,
         "{\"stage\":\"saving\",\"done\":0,\"total\":1000,\"rate\":0,\"percent\":0}\n");
    at(&x, 600, 1000, 1000);
    said(&x, "{\"stage\":\"saving\",\"done\":1000,\"total\":1000,\"rate\":1666,"
             "\"percent\":100,\"left_seconds\":0.000}\n");
}

CASE(cli_progress, none_is_none_and_a_stage_is_printable)
{
    struct shown x;

    begin(&x, PROGRESS_NONE, 80);
    at(&x, 0, 0, 1000);
    at(&x, 60000, 10, 1000);
    said(&x, "");
    begin(&x, PROGRESS_JSON, 0);
    progress_show("a\x1b[0m", 1, 0, &x.p);
    said(&x, "{\"stage\":\"a\\\\x1b[0m\",\"done\":1,\"total\":0,\"rate\":0}\n");
}

CASE(cli_progress, a_new_stage_starts_anew_and_odd_numbers_are_survived)
{
    struct shown x;

    begin(&x, PROGRESS_JSON, 0);
    at(&x, 0, 900, 1000);
    printer_clear(&x.s);
    now += 2000;
    progress_show("proving", 5, 10, &x.p);
    said(&x,
         "{\"stage\":\"proving\",\"done\":5,\"total\":10,\"rate\":0,\"percent\":50}\n");
    now += 2000;
    progress_show("proving", 2, 1, &x.p);
    said(&x,
         "{\"stage\":\"proving\",\"done\":2,\"total\":1,\"rate\":0,\"percent\":100}\n");
    now += 1;
    progress_show("proving", UINT64_MAX, UINT64_MAX, &x.p);
    cr_assert_not_null(strstr(printer_text(&x.s), "\"percent\":100"));
    printer_clear(&x.s);
}
