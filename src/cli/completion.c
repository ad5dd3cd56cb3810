#include "cli/completion.h"

#include <stdio.h>
#include <string.h>

typedef void option_fn(struct printer *to, const struct opt *o, const char *command);

static void each_option(struct printer *to, const struct command *cmd, option_fn *fn)
{
    struct cli_group groups[CLI_GROUPS_MAX];

    cli_groups(cmd, groups);
    for (const struct cli_group *g = groups; g->opts != NULL; g++)
        for (const struct opt *o = g->opts; o->kind != OPT_END; o++)
            fn(to, o, cmd->name);
}

/* Text between single quotes; `special` characters get a backslash as well. */
static void quoted(struct printer *to, const char *text, const char *special)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            printer_put(to, "'\\''");
            continue;
        }
        if (strchr(special, *text) != NULL)
            printer_put(to, "\\");
        printer_fill(to, *text, 1);
    }
}

static bool first_of_family(const struct command *const *all,
                            const struct command *const *at)
{
    size_t n = strcspn((*at)->name, " ");

    for (; all < at; all++)
        if (strncmp((*all)->name, (*at)->name, n) == 0 && (*all)->name[n] == ' ')
            return false;
    return true;
}

/* The first words of all commands, each once. */
static void first_words(struct printer *to, const struct command *const *all)
{
    for (const struct command *const *c = all; *c != NULL; c++)
        if (first_of_family(all, c))
            printer_printf(to, "%s%.*s", c == all ? "" : " ",
                           (int)strcspn((*c)->name, " "), (*c)->name);
}

static void second_words(struct printer *to, const struct command *const *all,
                         const char *family, size_t n)
{
    const char *gap = "";

    for (; *all != NULL; all++)
        if (strncmp((*all)->name, family, n) == 0 && (*all)->name[n] == ' ') {
            printer_printf(to, "%s%s", gap, (*all)->name + n + 1);
            gap = " ";
        }
}

/* ---- bash ------------------------------------------------------------------------ */

static void bash_option(struct printer *to, const struct opt *o, const char *command)
{
    (void)command;
    if (o->letter != '\0')
        printer_printf(to, "-%c ", o->letter);
    printer_printf(to, "--%s ", o->name);
}

static void bash_values(struct printer *to, const struct opt *o, const char *command)
{
    char letter[96] = "", values[256];

    if (o->kind == OPT_FLAG)
        return;
    if (o->letter != '\0')
        snprintf(letter, sizeof letter, "|'%s -%c'", command, o->letter);
    opt_placeholder(values, sizeof values, o);
    for (char *p = values; *p != '\0'; p++)
        if (*p == '|')
            *p = ' ';
    printer_printf(to, "    '%s --%s'%s) words='%s' value=1 ;;\n", command, o->name,
                   letter, o->kind == OPT_CHOICE ? values : "");
}

static void bash_families(struct printer *to, const struct command *const *all)
{
    for (const struct command *const *c = all; *c != NULL; c++) {
        size_t n = strcspn((*c)->name, " ");

        if ((*c)->name[n] == '\0' || !first_of_family(all, c))
            continue;
        printer_printf(to, "    '%.*s') words='", (int)n, (*c)->name);
        second_words(to, all, (*c)->name, n);
        printer_put(to, "' ;;\n");
    }
}

static void bash(struct printer *to, const struct command *const *all)
{
    printer_put(
        to, "_holdfast() {\n"
            "    local cur=${COMP_WORDS[COMP_CWORD]} prev='' cmd='' words='' value='' i\n"
            "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
            "        [[ ${COMP_WORDS[i]} == -* ]] && continue\n"
            "        case \"$cmd ${COMP_WORDS[i]}\" in\n");
    for (const struct command *const *c = all; *c != NULL; c++) {
        const char *second = strchr((*c)->name, ' ');

        if (second != NULL && first_of_family(all, c))
            printer_printf(to, "        ' %.*s') cmd='%.*s' ;;\n",
                           (int)(second - (*c)->name), (*c)->name,
                           (int)(second - (*c)->name), (*c)->name);
        printer_printf(to, "        '%s%s') cmd='%s' ;;\n", second == NULL ? " " : "",
                       (*c)->name, (*c)->name);
    }
    printer_put(to, "        esac\n    done\n"
                    "    prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                    "    case \"$cmd $prev\" in\n");
    for (const struct command *const *c = all; *c != NULL; c++)
        each_option(to, *c, bash_values);
    printer_put(to, "    esac\n    [[ -z $value ]] && case \"$cmd\" in\n    '') words='");
    first_words(to, all);
    printer_put(to, "' ;;\n");
    bash_families(to, all);
    for (const struct command *const *c = all; *c != NULL; c++) {
        printer_printf(to, "    '%s') [[ $cur == -* ]] && words='", (*c)->name);
        each_option(to, *c, bash_option);
        printer_put(to, "--help' ;;\n");
    }
    printer_put(to, "    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
                    "complete -o default -F _holdfast holdfast\n");
}

/* ---- zsh ------------------------------------------------------------------------- */

static void zsh_spec(struct printer *to, const struct opt *o, const char *name)
{
    char value[256];

    printer_printf(to, "                '%s%s%s[", o->kind == OPT_LIST ? "*" : "", name,
                   o->kind != OPT_FLAG && name[1] == '-' ? "=" : "");
    quoted(to, o->help, "[]:\\");
    printer_put(to, "]");
    opt_placeholder(value, sizeof value, o);
    if (o->kind == OPT_CHOICE) {
        for (char *p = value; *p != '\0'; p++)
            if (*p == '|')
                *p = ' ';
        printer_printf(to, ":value:(%s)", value);
    } else if (o->kind != OPT_FLAG) {
        printer_put(to, ":");
        quoted(to, value, "[]:\\");
        printer_put(to, ":_files");
    }
    printer_put(to, "' \\\n");
}

static void zsh_option(struct printer *to, const struct opt *o, const char *command)
{
    char name[64];

    (void)command;
    if (o->letter != '\0') {
        snprintf(name, sizeof name, "-%c", o->letter);
        zsh_spec(to, o, name);
    }
    snprintf(name, sizeof name, "--%s", o->name);
    zsh_spec(to, o, name);
}

static void zsh(struct printer *to, const struct command *const *all)
{
    printer_put(to, "#compdef holdfast\n_holdfast() {\n"
                    "    local -a commands\n    commands=(\n");
    for (const struct command *const *c = all; *c != NULL; c++) {
        printer_printf(to, "        '%s:", (*c)->name);
        quoted(to, (*c)->summary, ":\\");
        printer_put(to, "'\n");
    }
    printer_put(to, "    )\n    local cmd=\"${words[2]}\" n=2\n"
                    "    case $cmd in\n");
    for (const struct command *const *c = all; *c != NULL; c++)
        if (strchr((*c)->name, ' ') != NULL && first_of_family(all, c))
            printer_printf(to, "    %.*s) cmd=\"$cmd ${words[3]}\" n=3 ;;\n",
                           (int)strcspn((*c)->name, " "), (*c)->name);
    printer_put(to, "    esac\n    if (( CURRENT <= n )); then\n"
                    "        local -a next\n"
                    "        if (( CURRENT == 2 )); then\n"
                    "            next=(${(u)commands%%[ :]*})\n"
                    "        else\n"
                    "            next=(${${(M)commands:#${words[2]} *}#${words[2]} })\n"
                    "        fi\n"
                    "        _describe command next\n        return\n    fi\n"
                    "    shift $(( n - 1 )) words\n    (( CURRENT -= n - 1 ))\n"
                    "    case $cmd in\n");
    for (const struct command *const *c = all; *c != NULL; c++) {
        printer_printf(to, "        '%s')\n            _arguments \\\n", (*c)->name);
        each_option(to, *c, zsh_option);
        printer_put(to, "                '--help[show help]' '*:file:_files' ;;\n");
    }
    printer_put(to, "    esac\n}\n"
                    "# The completion system calls this file; a user may source it.\n"
                    "if [[ ${funcstack[1]} == _holdfast ]]; then\n    _holdfast \"$@\"\n"
                    "else\n    compdef _holdfast holdfast\nfi\n");
}

/* ---- fish ------------------------------------------------------------------------ */

/* True while the command line begins with the words of a command. */
static const char fish_test[] = "function __holdfast_in\n"
                                "    set -l words (commandline -opc)\n"
                                "    set -l n (math (count $argv) + 1)\n"
                                "    test (count $words) -ge $n\n"
                                "    and test \"$words[2..$n]\" = \"$argv\"\n"
                                "end\n";

static void fish_option(struct printer *to, const struct opt *o, const char *command)
{
    char values[256];

    printer_printf(to, "complete -c holdfast -n '__holdfast_in %s' -l %s", command,
                   o->name);
    if (o->letter != '\0')
        printer_printf(to, " -s %c", o->letter);
    if (o->kind != OPT_FLAG)
        printer_put(to, " -r");
    if (o->kind == OPT_CHOICE) {
        opt_placeholder(values, sizeof values, o);
        for (char *p = values; *p != '\0'; p++)
            if (*p == '|')
                *p = ' ';
        printer_printf(to, " -f -a '%s'", values);
    }
    printer_put(to, " -d '");
    quoted(to, o->help, "\\");
    printer_put(to, "'\n");
}

static void fish_word(struct printer *to, const char *test, const char *word, size_t n,
                      const char *summary)
{
    printer_printf(to, "complete -c holdfast -f -n '%s' -a %.*s -d '", test, (int)n,
                   word);
    quoted(to, summary, "\\");
    printer_put(to, "'\n");
}

static void fish(struct printer *to, const struct command *const *all)
{
    char test[96];

    printer_put(to, fish_test);
    for (const struct command *const *c = all; *c != NULL; c++) {
        size_t n = strcspn((*c)->name, " ");
        bool single = (*c)->name[n] == '\0';

        if (first_of_family(all, c))
            fish_word(to, "test (count (commandline -opc)) -eq 1", (*c)->name, n,
                      single ? (*c)->summary : "several commands");
        snprintf(test, sizeof test, "test (commandline -opc)[-1] = %.*s", (int)n,
                 (*c)->name);
        if (!single)
            fish_word(to, test, (*c)->name + n + 1, strlen((*c)->name + n + 1),
                      (*c)->summary);
        each_option(to, *c, fish_option);
    }
}

void completion_script(struct printer *to, enum completion_shell shell,
                       const struct command *const *all)
{
    switch (shell) {
    case COMPLETION_BASH:
        bash(to, all);
        break;
    case COMPLETION_ZSH:
        zsh(to, all);
        break;
    case COMPLETION_FISH:
        fish(to, all);
        break;
    }
}
