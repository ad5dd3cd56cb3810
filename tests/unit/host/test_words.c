#include "host/words.h"

#include <stdio.h>
#include <string.h>

#include "host/unit.h"
#include "tests/lib/case.h"

#define WORDS AT_END(str_list_clear) struct str_list

/* The words joined by bars. */
static const char *joined(const struct str_list *l)
{
    static char text[2048];
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < l->count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i == 0 ? "" : "|",
                              l->items[i]);
    return text;
}

static void make_env(struct str_list *env)
{
    struct err e = { 0 };

    OK(str_list_add(env, "A=one two", &e), &e);
    OK(str_list_add(env, "B=first", &e), &e);
    OK(str_list_add(env, "B=b", &e), &e);
    OK(str_list_add(env, "EMPTY=", &e), &e);
}

CASE(words_split, as_systemd_and_shells_do)
{
    static const struct {
        enum words_rule rule;
        const char *text, *want;
    } cases[] = {
        { WORDS_UNIT, "", "" },
        { WORDS_UNIT, "  a  b\tc ", "a|b|c" },
        { WORDS_UNIT, "a 'b c' \"d e\" f'g h'i", "a|b c|d e|fg hi" },
        { WORDS_UNIT, "'' a", "|a" },
        { WORDS_UNIT, "\\x41\\tb \\\"", "A\tb|\"" },
        { WORDS_UNIT, "$A ${A} x${B}y x$B", "one|two|one two|xby|xb" },
        { WORDS_UNIT, "$EMPTY ${EMPTY} $NONE z", "|z" },
        { WORDS_UNIT, "$$B 100$ ${ ${B", "$B|100$|${|${B" },
        { WORDS_UNIT, "\"${A}\" '$B'", "one two|b" },
        { WORDS_UNIT, "a; b", "a;|b" },
        { WORDS_PLAIN, "\"N=a b\" M=$A", "N=a b|M=$A" },
        { WORDS_SHELL, "a '$B' \"$B\" $B", "a|$B|b|b" },
        { WORDS_SHELL, "a\\ b \"c\\d\\$\" 'e\\'", "a b|c\\d$|e\\" },
        { WORDS_SHELL, "\n a b; c", "a|b" },
        { WORDS_SHELL, "a 2>x", "a|2" },
        { WORDS_SHELL, "a=$(nproc) 'unclosed", "a=$(nproc)|unclosed" },
    };
    WORDS env = { 0 };

    make_env(&env);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        WORDS got = { 0 };
        struct err e = { 0 };

        OK(words_split(cases[i].text, cases[i].rule, &env, &got, &e), &e);
        cr_expect_str_eq(joined(&got), cases[i].want, "case %zu: %s", i, joined(&got));
    }
}

CASE(words_split, a_line_that_grows_without_end_is_refused)
{
    static char many[3 * WORDS_MAX], value[1 << 19], names[4 * 64];
    WORDS got = { 0 }, env = { 0 };
    struct err e = { 0 };

    for (size_t i = 0; i + 1 < sizeof many; i++)
        many[i] = i % 2 == 0 ? 'a' : ' ';
    cr_expect_eq(words_split(many, WORDS_UNIT, NULL, &got, &e), RC_REFUSED);
    str_list_clear(&got);
    memset(value, 'x', sizeof value - 1);
    memcpy(value, "V=", 2);
    OK(str_list_add(&env, value, &e), &e);
    for (size_t i = 0; i + 3 < sizeof names; i += 3)
        memcpy(names + i, "$V ", 3);
    cr_expect_eq(words_split(names, WORDS_UNIT, &env, &got, &e), RC_REFUSED);
}

CASE(words_environment, as_systemd_reads_it)
{
    static const char text[] = "# c\n; c\nA=1\n B = two words  \nC=\"q \\\"x\\\" \\n\" \n"
                               "D='a\nb'\nE=a\\\nb\nbad line\n1X=no\nF=\nexport G=1\n"
                               "H=a\"b\"c\nI=x#y\r\nJ=last";
    WORDS got = { 0 };
    struct err e = { 0 };

    OK(words_environment(bytes_str(text), &got, &e), &e);
    cr_expect_str_eq(joined(&got),
                     "A=1|B=two words|C=q \"x\" \\n|D=a\nb|E=ab|F=|H=abc|"
                     "I=x#y|J=last",
                     "%s", joined(&got));
}

CASE(words_etcd, who_starts_one)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "/usr/bin/etcd --name a", "/usr/bin/etcd|--name|a" },
        { "nice -n 5 etcd -x", "etcd|-x" },
        { "env A=1 etcd", "etcd" },
        { "etcdctl etcd", NULL },
        { "echo etcd", NULL },
        { "etcd grpc-proxy start", NULL },
        { "sh -c 'A=1 etcd --name=a >log 2>&1 &'", "etcd|--name=a" },
        { "bash -ec \"cd /; exec etcd --name 'x y' && true\"", "etcd|--name|x y" },
        { "sh -c 'echo etcd; true'", NULL },
        { "sh script etcd", NULL },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        WORDS words = { 0 }, got = { 0 };
        struct err e = { 0 };
        bool found = false;

        OK(words_split(cases[i].text, WORDS_UNIT, NULL, &words, &e), &e);
        OK(words_etcd(&words, NULL, &got, &found, &e), &e);
        cr_expect_eq(found, cases[i].want != NULL, "case %zu", i);
        if (cases[i].want != NULL)
            cr_expect_str_eq(joined(&got), cases[i].want, "case %zu: %s", i,
                             joined(&got));
    }
}

CASE(unit_add, lists_are_taken_back_and_sections_respected)
{
    AT_END(unit_clear) struct unit u = { .name = "etcd@a.service" };
    struct err e = { 0 };

    OK(unit_add(&u,
                bytes_str("[Unit]\nExecStart=/no\n[Service]\nExecStart = /bin/etcd \\\n"
                          "; comment\n   --name=%i \nEnvironment=A=1 \"B=2 3\"\n"
                          "EnvironmentFile=-/a/%p\nWorkingDirectory=/w\n"),
                &e),
       &e);
    OK(unit_add(&u, bytes_str("Environment=C=4\n[Service]\nEnvironment=D=%%5"), &e), &e);
    cr_expect_str_eq(u.exec_start, "/bin/etcd  --name=a");
    cr_expect_str_eq(joined(&u.environment), "A=1|B=2 3|D=%5");
    cr_expect_str_eq(joined(&u.env_files), "-/a/etcd");
    OK(unit_add(&u, bytes_str("[Service]\nEnvironment=\nEnvironmentFile=\nExecStart=\n"),
                &e),
       &e);
    cr_expect(u.exec_start == NULL && u.environment.count == 0 && u.env_files.count == 0);
    cr_expect_str_eq(u.directory, "/w");
}
