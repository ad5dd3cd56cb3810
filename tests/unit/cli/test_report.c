#include "cli/report.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/case.h"

static const char *nothing(const char *name)
{
    (void)name;
    return NULL;
}

CASE(cli_report, without_a_what_the_cause_comes_first)
{
    struct printer s = { .fd = -1 };
    struct console c;
    struct err e = { 0 };
    enum rc rc = err_set(&e, RC_NET, "no answer");

    console_init(&c, &s, nothing);
    report_error(&c, rc, &e);
    cr_assert_str_eq(
        printer_text(&s),
        "holdfast: no answer\n"
        "  next: check the address, the network, and that the server runs\n");
    printer_clear(&s);
}

CASE(cli_report, every_code_has_a_meaning_and_advice)
{
    static const enum rc codes[] = {
#define X(name, exit_code, meaning) name,
        RC_TABLE(X)
#undef X
    };

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct printer s = { .fd = -1 };
        struct err e = { 0 };
        struct console c;
        char want[128];

        console_init(&c, &s, nothing);
        report_error(&c, codes[i], &e);
        snprintf(want, sizeof want, "holdfast: %s\n  next: ", rc_meaning(codes[i]));
        cr_assert_eq(strncmp(printer_text(&s), want, strlen(want)), 0, "%s",
                     rc_name(codes[i]));
        cr_assert_gt(strlen(printer_text(&s)), strlen(want) + 5, "%s", rc_name(codes[i]));
        printer_clear(&s);
    }
}

CASE(cli_report, colour_and_a_standing_progress_line)
{
    struct printer s = { .fd = -1 };
    struct console c;
    struct err e = { .what = "a", .why = "b", .hint = "c" };

    console_init(&c, &s, nothing);
    c.colour = true;
    c.standing = true;
    report_error(&c, RC_NET, &e);
    cr_assert_str_eq(printer_text(&s), "\r\x1b[K\x1b[1;31mholdfast:\x1b[0m a\n"
                                       "  why:  b\n\x1b[1m  next:\x1b[0m c\n");
    cr_assert(!c.standing);
    printer_clear(&s);
}

CASE(cli_report, notes_and_warnings)
{
    struct printer s = { .fd = -1 };
    struct console c;

    console_init(&c, &s, nothing);
    log_to(report_log, &c);
    log_info("member %s", "a\x1b[0m");
    log_warn("slow\n");
    log_to(NULL, NULL);
    cr_assert_str_eq(printer_text(&s), "holdfast: note: member a\\x1b[0m\n"
                                       "holdfast: warning: slow\\x0a\n");
    printer_clear(&s);
}
