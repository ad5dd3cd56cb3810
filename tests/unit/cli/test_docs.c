/* What is generated from the tables, for the sample commands and for the real ones. */
#include <stdio.h>
#include <string.h>

#include "cli/completion.h"
#include "cli/help.h"
#include "cli/manual.h"
#include "sample.h"
#include "tests/lib/case.h"

typedef void visit_fn(const struct command *cmd, const struct opt *o, const char *text);

static void each_option(const struct command *cmd, const char *text, visit_fn *visit)
{
    struct cli_group groups[CLI_GROUPS_MAX];

    cli_groups(cmd, groups);
    for (const struct cli_group *g = groups; g->opts != NULL; g++)
        for (const struct opt *o = g->opts; o->kind != OPT_END; o++)
            visit(cmd, o, text);
}

typedef void command_visit_fn(const struct command *cmd,
                              const struct command *const *all);

static void each_command(command_visit_fn *visit)
{
    static const struct command *const *const sets[] = { sample_commands, cli_commands };

    for (size_t i = 0; i < 2; i++)
        for (const struct command *const *c = sets[i]; *c != NULL; c++)
            visit(*c, sets[i]);
}

/* `name` with neither a letter nor a dash after it. */
static bool mentions(const char *text, const char *name)
{
    size_t n = strlen(name);

    for (; (text = strstr(text, name)) != NULL; text += n)
        if (strspn(text + n, "abcdefghijklmnopqrstuvwxyz-\\") == 0)
            return true;
    return false;
}

static void in_help(const struct command *cmd, const struct opt *o, const char *text)
{
    char name[96];

    snprintf(name, sizeof name, "--%s", o->name);
    cr_assert(mentions(text, name), "%s %s", cmd->name, name);
    opt_env_name(name, sizeof name, "HOLDFAST", o);
    cr_assert(o->env == OPT_ENV_NONE || mentions(text, name), "%s %s", cmd->name, name);
}

static void help_holds(const struct command *cmd, const struct command *const *all)
{
    struct printer s = { .fd = -1 };

    (void)all;
    help_command(&s, cmd);
    each_option(cmd, printer_text(&s), in_help);
    for (const struct operand *o = cmd->operands; o != NULL && o->name != NULL; o++)
        cr_assert(mentions(printer_text(&s), o->name), "%s %s", cmd->name, o->name);
    printer_clear(&s);
}

CASE(cli_help, mentions_every_option_argument_and_variable)
{
    each_command(help_holds);
}

static void narrow(const char *text, const char *whose)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");

        cr_assert_leq(n, 80, "%s: %.*s", whose, (int)n, text);
        cr_assert(n == 0 || text[n - 1] != ' ', "%s: blank at the end: %.*s", whose,
                  (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void help_fits(const struct command *cmd, const struct command *const *all)
{
    struct printer s = { .fd = -1 };

    help_command(&s, cmd);
    narrow(printer_text(&s), cmd->name);
    printer_clear(&s);
    help_overview(&s, all, NULL);
    narrow(printer_text(&s), "overview");
    printer_clear(&s);
}

CASE(cli_help, fits_80_columns)
{
    each_command(help_fits);
}

CASE(cli_help, of_a_command_reads_well)
{
    struct printer s = { .fd = -1 };

    help_command(&s, sample_commands[0]);
    cr_assert_not_null(
        strstr(printer_text(&s),
               "holdfast snapshot save: save it\n\n"
               "Usage: holdfast snapshot save [options] FILE [MORE...]\n"
               "Also:  holdfast backup now\n\n"
               "Saves it. The option --name is *not* _special_ to anyone.\n\n"
               "A second paragraph, long enough to need more than one line when it is "
               "shown in\na terminal of eighty columns.\n\n"
               "Arguments:\n"
               "  FILE                      where it goes\n"
               "  MORE...                   and where else\n\n"
               "Options:\n"
               "  -q, --quick               do it quickly\n"),
        "%s", printer_text(&s));
    cr_assert_not_null(
        strstr(
            printer_text(&s),
            "      --wait DURATION       how long to wait (default: 1m)\n"
            "      --colour red|green    which colour (default: green)\n"
            "      --bump-revision N|auto\n"
            "                            by how much; a long help text that must go on "
            "to a\n"),
        "%s", printer_text(&s));
    printer_clear(&s);
}

static void in_page(const struct command *cmd, const struct opt *o, const char *text)
{
    char plain[64] = "\\-\\-", name[96];
    size_t n = 4;

    for (const char *p = o->name; *p != '\0'; p++) {
        if (*p == '-')
            plain[n++] = '\\';
        plain[n++] = *p;
    }
    snprintf(name, sizeof name, "*%s*", plain);
    cr_assert_not_null(strstr(text, name), "%s %s", cmd->name, name);
}

static void page_holds(const struct command *cmd, const struct command *const *all)
{
    struct printer s = { .fd = -1 };
    struct err e;
    char page[96];

    snprintf(page, sizeof page, "holdfast-%s", cmd->name);
    for (char *p = page; *p != '\0'; p++)
        *p = *p == ' ' ? '-' : *p;
    OK(manual_page(&s, all, page, &e), &e);
    each_option(cmd, printer_text(&s), in_page);
    cr_assert_not_null(strstr(printer_text(&s), "# EXIT STATUS\n"), "%s", cmd->name);
    cr_assert_not_null(strstr(printer_text(&s), "*12*\n\tno key opens it\n"), "%s",
                       cmd->name);
    printer_clear(&s);
    manual_list(&s, all);
    cr_assert_not_null(strstr(printer_text(&s), page), "%s", cmd->name);
    printer_clear(&s);
    OK(manual_page(&s, all, "holdfast", &e), &e);
    cr_assert_not_null(strstr(printer_text(&s), page), "%s", cmd->name);
    printer_clear(&s);
}

CASE(cli_manual, has_every_option_and_the_exit_codes)
{
    each_command(page_holds);
}

CASE(cli_manual, guards_text_against_markup)
{
    struct printer s = { .fd = -1 };
    struct err e;

    OK(manual_page(&s, sample_commands, "holdfast-snapshot-save", &e), &e);
    cr_assert_not_null(strstr(printer_text(&s), "is \\*not\\* \\_special\\_ to"));
    cr_assert_not_null(strstr(printer_text(&s), "a: colon and a \\\\ backslash"));
    cr_assert_not_null(strstr(printer_text(&s), "\\[MORE\\.\\.\\.\\]"));
    printer_clear(&s);
    cr_assert_eq(manual_page(&s, sample_commands, "holdfast-nothing", &e), RC_NOTFOUND);
    cr_assert_str_eq(e.why, "there is no page 'holdfast-nothing'");
}

static void in_bash(const struct command *cmd, const struct opt *o, const char *text)
{
    char want[160];
    const char *line, *end;

    snprintf(want, sizeof want, "'%s') [[ $cur == -* ]] && words='", cmd->name);
    line = strstr(text, want);
    cr_assert_not_null(line, "%s", cmd->name);
    snprintf(want, sizeof want, "--%s ", o->name);
    end = strchr(line, '\n');
    cr_assert(strstr(line, want) != NULL && strstr(line, want) < end, "%s %s", cmd->name,
              want);
}

static void in_zsh(const struct command *cmd, const struct opt *o, const char *text)
{
    char want[160];
    const char *from, *to;

    snprintf(want, sizeof want, "        '%s')\n", cmd->name);
    from = strstr(text, want);
    cr_assert_not_null(from, "%s", cmd->name);
    to = strstr(from, ";;");
    snprintf(want, sizeof want, "--%s%s[", o->name, o->kind == OPT_FLAG ? "" : "=");
    cr_assert(strstr(from, want) != NULL && strstr(from, want) < to, "%s %s", cmd->name,
              want);
}

static void in_fish(const struct command *cmd, const struct opt *o, const char *text)
{
    char want[160];

    snprintf(want, sizeof want, "complete -c holdfast -n '__holdfast_in %s' -l %s ",
             cmd->name, o->name);
    cr_assert_not_null(strstr(text, want), "%s", want);
}

static void scripts_hold(const struct command *cmd, const struct command *const *all)
{
    static visit_fn *const visits[] = { [COMPLETION_BASH] = in_bash,
                                        [COMPLETION_ZSH] = in_zsh,
                                        [COMPLETION_FISH] = in_fish };

    for (unsigned i = 0; i < 3; i++) {
        struct printer s = { .fd = -1 };

        completion_script(&s, (enum completion_shell)i, all);
        each_option(cmd, printer_text(&s), visits[i]);
        printer_clear(&s);
    }
}

CASE(cli_completion, has_every_option_in_every_shell)
{
    each_command(scripts_hold);
}

/* ---- the tables themselves ------------------------------------------------------- */

static size_t count_named(const struct command *cmd, const char *name, char letter)
{
    struct cli_group groups[CLI_GROUPS_MAX];
    size_t n = 0;

    cli_groups(cmd, groups);
    for (const struct cli_group *g = groups; g->opts != NULL; g++)
        for (const struct opt *o = g->opts; o->kind != OPT_END; o++)
            n += strcmp(o->name, name) == 0 || (letter != '\0' && o->letter == letter);
    return n;
}

static void is_sound(const struct command *cmd, const struct opt *o, const char *text)
{
    /* Room for the largest thing an option stores. */
    union {
        struct str_list list;
        struct opt_auto number;
        uint64_t word;
    } field = { 0 };
    struct err e = { 0 };

    (void)text;
    cr_assert_eq(count_named(cmd, o->name, o->letter), 1, "%s --%s is not unique",
                 cmd->name, o->name);
    cr_assert(strcmp(o->name, "help") != 0 && o->letter != 'h', "%s --help", cmd->name);
    cr_assert(o->help != NULL && !str_ends(o->help, "."), "%s --%s help", cmd->name,
              o->name);
    cr_assert_eq(o->kind == OPT_CHOICE, o->choices != NULL, "%s --%s choices", cmd->name,
                 o->name);
    cr_assert(o->kind != OPT_CHOICE || o->fallback != NULL || o->required,
              "%s --%s: a choice needs a default", cmd->name, o->name);
    cr_assert(o->rival == NULL || count_named(cmd, o->rival, '\0') == 1,
              "%s --%s has no rival '%s'", cmd->name, o->name, o->rival);
    if (o->fallback != NULL)
        OK(opt_store(o, &field, o->fallback, o->name, &e), &e);
    if (o->kind == OPT_LIST || o->kind == OPT_CSV)
        str_list_clear(&field.list);
}

static void command_is_sound(const struct command *cmd, const struct command *const *all)
{
    cr_assert_eq(cli_command(all, cmd->name), cmd, "%s is not unique", cmd->name);
    cr_assert_leq(strlen(cmd->summary), 55, "%s", cmd->name);
    cr_assert(!str_ends(cmd->summary, "."), "%s", cmd->name);
    cr_assert_not_null(cmd->run, "%s", cmd->name);
    cr_assert(!cli_has_family(all, cmd->name), "%s is a command and a family", cmd->name);
    each_option(cmd, NULL, is_sound);
}

CASE(cli_commands, tables_are_sound)
{
    each_command(command_is_sound);
}
