#include "cli/cli.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sample.h"
#include "tests/lib/case.h"

static void expect(struct sample *s, int status, int want, const char *out,
                   const char *err)
{
    cr_assert_eq(status, want, "status %d, stderr: %s", status, printer_text(&s->err));
    cr_assert_str_eq(printer_text(&s->out), out);
    cr_assert_str_eq(printer_text(&s->err), err);
    sample_end(s);
    sample_begin(s);
}

CASE(cli_cli, runs_a_command_with_its_arguments)
{
    struct sample s;

    sample_begin(&s);
    expect(&s, SAMPLE_RUN(&s, "snapshot", "save", "x.db", "-n", "n", "--dry-run"), 0,
           "File: x.db\n", "holdfast: note: saved 'x.db'\n");
    cr_assert_eq(SAMPLE_RUN(&s, "snapshot", "save", "x.db", "-n", "n", "--dry-run"), 0);
    cr_assert_str_eq(sample_seen, "file=x.db name=n token=- quick=0 count=7 rate=0 "
                                  "wait=60000 colour=1 bump=1/0 pace=0/0 dry=1 to= "
                                  "parts=all+ more= at=127.0.0.1:2379+");
    sample_end(&s);
}

/* etcdctl's users write --endpoints first, before or between the words. */
CASE(cli_cli, shared_options_may_stand_before_the_command)
{
    static const char *const lines[][8] = {
        { "--endpoints", "h:1", "snapshot", "save", "x", "-w", "json", NULL },
        { "--endpoints=h:1", "-w", "json", "snapshot", "save", "x", NULL },
        { "snapshot", "--endpoints", "h:1", "save", "--json", "x", NULL },
        { "--json", "snapshot", "--endpoints=h:1", "save", "x", NULL },
        { "--json", "backup", "now", "x", "--endpoints=h:1", NULL },
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct sample s;

        sample_begin(&s);
        cr_assert_eq(cli_run(&s.cli, lines[i]), 0, "line %zu: %s", i,
                     printer_text(&s.err));
        cr_assert_str_eq(printer_text(&s.out), "{\"file\":\"x\"}\n", "line %zu", i);
        cr_assert_not_null(strstr(sample_seen, " at=h:1+"), "line %zu", i);
        sample_end(&s);
    }
}

CASE(cli_cli, an_error_is_three_lines_and_all_printable)
{
    struct sample s;

    sample_begin(&s);
    expect(&s, SAMPLE_RUN(&s, "snapshot", "status"), 3, "",
           "holdfast: reading 'a\\x0ab'\n"
           "  why:  page 7 is \\x1b[31mred\n"
           "  next: paint it\n");
    sample_end(&s);
}

CASE(cli_cli, a_degraded_result_is_still_shown)
{
    struct sample s;

    sample_begin(&s);
    expect(&s, SAMPLE_RUN(&s, "snapshot", "save", "x", "-q"), 8, "File: x\n",
           "holdfast: note: saved 'x'\n"
           "holdfast: it was quick, not good\n"
           "  next: act on the warning before relying on the result\n");
    sample_end(&s);
}

CASE(cli_cli, no_command_is_an_overview_on_stderr)
{
    static const char *const nothing[] = { NULL };
    struct sample s;

    sample_begin(&s);
    cr_assert_eq(cli_run(&s.cli, nothing), 2);
    cr_assert_str_eq(printer_text(&s.out), "");
    cr_assert_not_null(
        strstr(printer_text(&s.err), "  snapshot save          save it\n"));
    sample_end(&s);
}

CASE(cli_cli, unknown_commands_get_a_guess)
{
    static const struct {
        const char *words[3], *why, *next;
    } cases[] = {
        { { "restor" }, "unknown command 'restor'", "did you mean 'holdfast restore'?" },
        { { "snapshot", "svae" },
          "unknown command 'snapshot svae'",
          "did you mean 'holdfast snapshot save'?" },
        { { "snpashot", "save" },
          "unknown command 'snpashot'",
          "did you mean 'holdfast snapshot save'?" },
        { { "restroe", "x.db" },
          "unknown command 'restroe'",
          "did you mean 'holdfast restore'?" },
        { { "snap" },
          "unknown command 'snap'",
          "did you mean 'holdfast snapshot save'?" },
        { { "snapshop" },
          "unknown command 'snapshop'",
          "did you mean 'holdfast help snapshot'?" },
        { { "snapshot", "zzzz" },
          "unknown command 'snapshot zzzz'",
          "'holdfast help snapshot' lists its commands" },
        { { "snapshot" },
          "'snapshot' needs a second word",
          "'holdfast help snapshot' lists its commands" },
        { { "xyzzy" }, "unknown command 'xyzzy'", "'holdfast help' lists the commands" },
        { { "" }, "unknown command ''", "'holdfast help' lists the commands" },
        { {
              "help",
              "snapshot",
          },
          NULL,
          NULL },
        { { "--nme=s3cret", "restore" },
          "unknown option '--nme' before the command",
          "put the command first; 'holdfast help' lists the commands" },
        { { "--json" },
          "no command is given",
          "'holdfast help' lists the commands, 'holdfast help COMMAND' one's options" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char want[256];
        struct sample s;

        sample_begin(&s);
        snprintf(want, sizeof want, "holdfast: %s\n  next: %s\n", cases[i].why,
                 cases[i].next);
        cr_assert_eq(cli_run(&s.cli, cases[i].words), cases[i].why == NULL ? 0 : 2,
                     "case %zu", i);
        if (cases[i].why != NULL)
            cr_assert_str_eq(printer_text(&s.err), want, "case %zu", i);
        cr_assert_eq(printer_text(&s.out)[0] == '\0', cases[i].why != NULL, "case %zu",
                     i);
        sample_end(&s);
    }
}

CASE(cli_cli, usage_errors_point_to_the_commands_help)
{
    struct sample s;

    sample_begin(&s);
    expect(&s, SAMPLE_RUN(&s, "snapshot", "save", "x", "--colour=blue"), 2, "",
           "holdfast: option '--colour': 'blue' is not one of red|green\n"
           "  next: see 'holdfast help snapshot save'\n");
    expect(&s, SAMPLE_RUN(&s, "restore", "-w", "json"), 2, "",
           "holdfast: unknown option '-w'\n"
           "  next: 'holdfast help restore' lists the options\n");
    sample_end(&s);
}

CASE(cli_cli, help_is_a_result_on_stdout)
{
    static const char *const lines[][4] = {
        { "--help" },
        { "-h" },
        { "help" },
        { "snapshot", "--help" },
        { "help", "snapshot" },
        { "snapshot", "save", "--help" },
        { "restore", "-h" },
        { "help", "snapshot", "save" },
        { "--json", "--help" },
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct sample s;

        sample_begin(&s);
        cr_assert_eq(cli_run(&s.cli, lines[i]), 0, "line %zu: %s", i,
                     printer_text(&s.err));
        cr_assert_not_null(strstr(printer_text(&s.out), "Usage: holdfast "), "line %zu",
                           i);
        cr_assert_str_eq(printer_text(&s.err), "", "line %zu", i);
        sample_end(&s);
    }
}

CASE(cli_cli, a_secret_on_the_command_line_earns_a_warning_without_it)
{
    struct sample s;

    sample_begin(&s);
    expect(&s, SAMPLE_RUN(&s, "snapshot", "save", "x", "--token", "s3cret"), 0,
           "File: x\n",
           "holdfast: warning: other users of this host can read the value of '--token' "
           "on the command line\nholdfast: note: saved 'x'\n");
    sample_env = (const char *const[]){ "HOLDFAST_TOKEN=s3cret", NULL };
    expect(&s, SAMPLE_RUN(&s, "snapshot", "save", "x"), 0, "File: x\n",
           "holdfast: note: saved 'x'\n");
    sample_end(&s);
}

CASE(cli_cli, a_result_that_cannot_be_printed_is_a_failure)
{
    struct sample s;

    sample_begin(&s);
    s.out.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    s.out.name = "standard output";
    cr_assert_eq(SAMPLE_RUN(&s, "snapshot", "save", "x"), 6);
    cr_assert_str_eq(printer_text(&s.err),
                     "holdfast: note: saved 'x'\nholdfast: printing the result\n"
                     "  why:  cannot write 'standard output': No space left on device\n"
                     "  next: make room, or write to another file system\n");
    close(s.out.fd);
    sample_end(&s);
}

CASE(cli_cli, a_result_on_record_that_cannot_be_printed_is_a_warning)
{
    struct sample s;

    sample_begin(&s);
    s.out.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    s.out.name = "standard output";
    s.out.on_record = true;
    cr_assert_eq(SAMPLE_RUN(&s, "snapshot", "save", "x"), 0);
    cr_assert_str_eq(printer_text(&s.err),
                     "holdfast: note: saved 'x'\nholdfast: warning: it is done and on "
                     "record, but the result was not printed: cannot write 'standard "
                     "output': No space left on device\n");
    close(s.out.fd);
    sample_end(&s);
}

CASE(cli_cli, the_commands_own_failure_goes_before_that_of_stdout)
{
    struct sample s;

    sample_begin(&s);
    s.out.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    s.out.name = "standard output";
    cr_assert_eq(SAMPLE_RUN(&s, "snapshot", "save", "x", "-q"), 8);
    close(s.out.fd);
    sample_end(&s);
}

CASE(cli_cli, hostile_words_neither_crash_nor_reach_the_terminal)
{
    static char huge[100000];
    static const char *const hostile[] = {
        huge,
        "%s%n%s%n",
        "\x1b[2J",
        "a\nb",
        "\xff\xfe",
        "--",
        "--\x1b]0;x\a=1",
        "-\x1b",
        "\xc2\x9b"
        "31m",
    };

    memset(huge, 'a', sizeof huge - 1);
    for (size_t i = 0; i < 3 * sizeof hostile / sizeof hostile[0]; i++) {
        const char *word = hostile[i / 3];
        const char *lines[][4] = { { word },
                                   { "snapshot", word },
                                   { "snapshot", "save", word, word } };
        const char *words[5] = { 0 };
        struct sample s;

        memcpy(words, lines[i % 3], sizeof lines[0]);
        sample_begin(&s);
        cr_assert_leq(cli_run(&s.cli, words), 2, "case %zu", i);
        for (const char *p = printer_text(&s.err); *p != '\0'; p++)
            cr_assert(*p == '\n' || (*p >= ' ' && *p != 0x7f), "case %zu: byte %d", i,
                      *p);
        sample_end(&s);
    }
}
