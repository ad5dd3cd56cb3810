#include "cli/opt.h"

#include <string.h>

#include "sample.h"
#include "tests/lib/case.h"
#include "util/mem.h"

struct parsed {
    struct sample_args args;
    struct err e;
    bool help;
    enum rc rc;
};

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static struct opt_job job_of(struct sample_args *a, const char *(*env)(const char *))
{
    return (struct opt_job){ .sets = { { sample_opts, a } },
                             .operands = sample_operands,
                             .operand_base = a,
                             .env = env,
                             .command = "snapshot save" };
}

static struct parsed parse_with(const char *(*env)(const char *),
                                const char *const *words)
{
    struct parsed p = { 0 };
    struct opt_job job = job_of(&p.args, env);

    p.rc = opt_parse(&job, words, &p.help, &p.e);
    return p;
}

static void done(struct parsed *p)
{
    struct opt_job job = job_of(&p->args, no_env);

    opt_clear(&job);
}

#define PARSE(...) parse_with(no_env, (const char *[]){ __VA_ARGS__, NULL })

static void refused(struct parsed p, const char *why, const char *hint)
{
    cr_assert_eq(p.rc, RC_USAGE, "%s: rc %d", why, p.rc);
    cr_assert_str_eq(p.e.why, why);
    cr_assert_str_eq(p.e.hint, hint);
    done(&p);
}

CASE(cli_opt, reads_every_kind)
{
    struct parsed p = PARSE("--quick", "--name=a b", "-r", "k1", "--recipient", "k2,k3",
                            "--parts", "x, y", "--parts=z", "--count", "12",
                            "--rate=64KiB", "--wait", "1h30m", "--colour", "red",
                            "--bump-revision=99", "--pace", "auto", "FILE", "m1", "m2");

    OK(p.rc, &p.e);
    cr_assert(p.args.quick);
    cr_assert_str_eq(p.args.name, "a b");
    cr_assert_eq(p.args.recipients.count, 2);
    cr_assert_str_eq(p.args.recipients.items[1], "k2,k3");
    cr_assert_eq(p.args.parts.count, 3);
    cr_assert_str_eq(p.args.parts.items[1], "y");
    cr_assert_eq(p.args.count, 12);
    cr_assert_eq(p.args.rate, 65536);
    cr_assert_eq(p.args.wait_ms, 5400000);
    cr_assert_eq(p.args.colour, SAMPLE_RED);
    cr_assert(!p.args.bump.automatic && p.args.bump.value == 99);
    cr_assert(p.args.pace.automatic);
    cr_assert_str_eq(p.args.file, "FILE");
    cr_assert_eq(p.args.more.count, 2);
    done(&p);
}

CASE(cli_opt, falls_back)
{
    struct parsed p = PARSE("f");

    OK(p.rc, &p.e);
    cr_assert(!p.args.quick && p.args.name == NULL && p.args.rate == 0);
    cr_assert_eq(p.args.parts.count, 1);
    cr_assert_str_eq(p.args.parts.items[0], "all");
    cr_assert_eq(p.args.count, 7);
    cr_assert_eq(p.args.wait_ms, 60000);
    cr_assert_eq(p.args.colour, SAMPLE_GREEN);
    cr_assert(p.args.bump.automatic);
    cr_assert(!p.args.pace.automatic && p.args.pace.value == 0);
    done(&p);
}

CASE(cli_opt, short_names_and_order)
{
    static const char *const lines[][5] = {
        { "-n", "x", "f", "-q", NULL },
        { "f", "-nx", "-q=true", NULL },
        { "-q", "-n=x", "--", "f", NULL },
        { "--quick=1", "f", "--name", "x", NULL },
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct parsed p = parse_with(no_env, lines[i]);

        cr_assert_eq(p.rc, RC_OK, "line %zu: %s", i, p.e.why);
        cr_assert(p.args.quick, "line %zu", i);
        cr_assert_str_eq(p.args.name, "x", "line %zu", i);
        cr_assert_str_eq(p.args.file, "f", "line %zu", i);
        done(&p);
    }
}

CASE(cli_opt, dashes)
{
    struct parsed p = PARSE("-", "--", "--name", "-x", "--help");

    OK(p.rc, &p.e);
    cr_assert_str_eq(p.args.file, "-");
    cr_assert_eq(p.args.more.count, 3);
    cr_assert(!p.help);
    done(&p);
    p = PARSE("-n", "-", "f");
    OK(p.rc, &p.e);
    cr_assert_str_eq(p.args.name, "-");
    done(&p);
    p = PARSE("--name=--odd", "f");
    OK(p.rc, &p.e);
    cr_assert_str_eq(p.args.name, "--odd");
    done(&p);
}

CASE(cli_opt, a_flag_can_be_denied_and_the_last_word_counts)
{
    struct parsed p = PARSE("-q", "--quick=false", "-n", "a", "-n", "b", "f");

    OK(p.rc, &p.e);
    cr_assert(!p.args.quick);
    cr_assert_str_eq(p.args.name, "b");
    done(&p);
}

CASE(cli_opt, help_ends_the_parse)
{
    struct parsed p = PARSE("-n", "a", "--help", "--nonsense");

    OK(p.rc, &p.e);
    cr_assert(p.help);
    done(&p);
    p = PARSE("-h");
    OK(p.rc, &p.e);
    cr_assert(p.help);
    done(&p);
}

#define LISTS "'holdfast help snapshot save' lists the options"

CASE(cli_opt, unknown_options_get_a_guess)
{
    refused(PARSE("f", "--nmae", "x"), "unknown option '--nmae'",
            "did you mean '--name'? " LISTS);
    refused(PARSE("f", "--bump=1"), "unknown option '--bump'",
            "did you mean '--bump-revision'? " LISTS);
    refused(PARSE("f", "--xyzzy"), "unknown option '--xyzzy'", LISTS);
    refused(PARSE("f", "-x"), "unknown option '-x'", LISTS);
    refused(PARSE("f", "-qn"), "unknown option '-q'", LISTS);
    refused(PARSE("f", "--tokn=s3cret"), "unknown option '--tokn'",
            "did you mean '--token'? " LISTS);
}

CASE(cli_opt, values_that_are_missing_or_empty)
{
    refused(PARSE("f", "--name"), "option '--name' needs a value",
            "see 'holdfast help snapshot save'");
    refused(PARSE("f", "--name", "--quick"),
            "option '--name' needs a value, and '--quick' looks like an option",
            "write --name=VALUE for a value that begins with a dash");
    refused(PARSE("f", "--token", "-s3cret"),
            "option '--token' needs a value, and 'what follows' looks like an option",
            "write --token=VALUE for a value that begins with a dash");
    refused(PARSE("f", "--name="), "option '--name': the value is empty",
            "leave the option out, or check the variable that should fill it");
    refused(PARSE("f", "--parts", ", ,"), "option '--parts': ', ,' names nothing", "");
    refused(PARSE("f", "--quick="), "option '--quick': the value is empty",
            "leave the option out, or check the variable that should fill it");
}

CASE(cli_opt, values_of_the_wrong_kind)
{
    refused(PARSE("f", "--count", "12x"), "option '--count': '12x' is not a whole number",
            "write digits only, like 1200");
    refused(PARSE("f", "--count=-1"), "option '--count': '-1' is not a whole number",
            "write digits only, like 1200");
    refused(PARSE("f", "--count", "99999999999999999999"),
            "option '--count': '99999999999999999999' is not a whole number",
            "write digits only, like 1200");
    refused(PARSE("f", "--rate", "fast"), "option '--rate': 'fast' is not a size",
            "write bytes, or a number with a unit, like 512MiB or 200MB");
    refused(PARSE("f", "--wait", "5"), "option '--wait': '5' is not a duration",
            "write it like 90s or 1h30m");
    refused(PARSE("f", "--colour", "blue"),
            "option '--colour': 'blue' is not one of red|green", "");
    refused(PARSE("f", "--quick=yes"),
            "option '--quick': 'yes' is neither true nor false", "");
    refused(PARSE("f", "--bump-revision", "some"),
            "option '--bump-revision': 'some' is not a whole number",
            "write 'auto', or a number");
    refused(PARSE("f", "--pace", "AUTO"), "option '--pace': 'AUTO' is not a size",
            "write 'auto', or a number with a unit, like 512MiB");
}

CASE(cli_opt, operands_that_are_missing_or_too_many)
{
    struct sample_args a = { 0 };
    static const struct operand one[] = {
        OPERAND("FILE", sample_args, file, .help = "a file"),
        OPERAND_DONE,
    };
    struct opt_job job = { .sets = { { sample_opts, &a } },
                           .operands = one,
                           .operand_base = &a,
                           .command = "x" };
    struct err e;
    bool help;

    refused(PARSE("-q"), "FILE is missing", "it is where it goes");
    refused(PARSE(""), "FILE is empty", "check the variable that should fill it");
    cr_assert_eq(opt_parse(&job, (const char *[]){ "a", "b", NULL }, &help, &e),
                 RC_USAGE);
    cr_assert_str_eq(e.why, "'b' is one argument too many");
    opt_clear(&job);
    job.operands = NULL;
    cr_assert_eq(opt_parse(&job, (const char *[]){ "a", NULL }, &help, &e), RC_USAGE);
    opt_clear(&job);
}

CASE(cli_opt, a_list_that_is_required_and_an_option_too)
{
    struct sample_args a = { 0 };
    static const struct operand many[] = {
        OPERANDS("DIR", sample_args, more, .required = true, .help = "a directory"),
        OPERAND_DONE,
    };
    static const struct opt opts[] = {
        OPT(STR, "name", sample_args, name, .required = true, .help = "the name"),
        OPT_DONE,
    };
    struct opt_job job = {
        .sets = { { opts, &a } }, .operands = many, .operand_base = &a, .command = "x"
    };
    struct err e;
    bool help;

    cr_assert_eq(opt_parse(&job, (const char *[]){ "d", NULL }, &help, &e), RC_USAGE);
    cr_assert_str_eq(e.why, "option '--name' is missing");
    cr_assert_str_eq(e.hint, "it is the name");
    opt_clear(&job);
    cr_assert_eq(opt_parse(&job, (const char *[]){ "--name=n", NULL }, &help, &e),
                 RC_USAGE);
    cr_assert_str_eq(e.why, "DIR is missing");
    OK(opt_parse(&job, (const char *[]){ "--name=n", "d", "d2", NULL }, &help, &e), &e);
    cr_assert_eq(a.more.count, 2);
    opt_clear(&job);
}

static const char *full_env(const char *name)
{
    return strcmp(name, "HOLDFAST_NAME") == 0    ? "own"
           : strcmp(name, "ETCDCTL_NAME") == 0   ? "not read"
           : strcmp(name, "HOLDFAST_PARTS") == 0 ? "p1,p2"
           : strcmp(name, "ETCDCTL_PARTS") == 0  ? "q"
           : strcmp(name, "HOLDFAST_WAIT") == 0  ? ""
           : strcmp(name, "ETCDCTL_WAIT") == 0   ? "3s"
           : strcmp(name, "HOLDFAST_COUNT") == 0 ? "99"
                                                 : NULL;
}

CASE(cli_opt, the_environment_and_its_order)
{
    struct parsed p = parse_with(full_env, (const char *[]){ "f", NULL });

    OK(p.rc, &p.e);
    cr_assert_str_eq(p.args.name, "own");
    cr_assert_eq(p.args.parts.count, 2);
    cr_assert_eq(p.args.wait_ms, 3000, "an empty variable is no variable");
    cr_assert_eq(p.args.count, 7, "an option without a variable reads none");
    done(&p);
    p = parse_with(full_env, (const char *[]){ "f", "--parts", "flag", "-nflag", NULL });
    OK(p.rc, &p.e);
    cr_assert_str_eq(p.args.name, "flag");
    cr_assert_eq(p.args.parts.count, 1);
    done(&p);
}

static const char *bad_env(const char *name)
{
    return strcmp(name, "ETCDCTL_WAIT") == 0 ? "soon" : NULL;
}

CASE(cli_opt, a_bad_variable_is_named)
{
    refused(parse_with(bad_env, (const char *[]){ "f", NULL }),
            "ETCDCTL_WAIT: 'soon' is not a duration", "write it like 90s or 1h30m");
    struct parsed p = parse_with(bad_env, (const char *[]){ "f", "--wait=1s", NULL });

    OK(p.rc, &p.e);
    done(&p);
}

struct rivals {
    const char *password, *file;
};

static const struct opt rival_opts[] = {
    OPT(STR, "password", rivals, password, .env = OPT_ENV_ETCDCTL, .help = "p"),
    OPT(STR, "password-file", rivals, file, .env = OPT_ENV_ETCDCTL, .rival = "password",
        .help = "f"),
    OPT_DONE,
};

static enum rc rival_parse(struct rivals *r, const char *const *words, struct err *e)
{
    struct opt_job job = { .sets = { { rival_opts, r } },
                           .env = *sample_env == NULL ? NULL : full_env,
                           .command = "x" };
    struct sample s;
    const char *const *env = sample_env;
    bool help;

    sample_begin(&s);
    sample_env = env;
    job.env = s.cli.env;
    enum rc rc = opt_parse(&job, words, &help, e);

    sample_end(&s);
    return rc;
}

CASE(cli_opt, of_two_rivals_the_stronger_source_wins)
{
    static const struct {
        const char *env[3];
        const char *words[3];
        const char *password, *file;
    } cases[] = {
        { { "HOLDFAST_PASSWORD=a" }, { "--password-file=f" }, NULL, "f" },
        { { "HOLDFAST_PASSWORD_FILE=f" }, { "--password=a" }, "a", NULL },
        { { "HOLDFAST_PASSWORD_FILE=f", "ETCDCTL_PASSWORD=a" }, { NULL }, NULL, "f" },
        { { "ETCDCTL_PASSWORD_FILE=f", "HOLDFAST_PASSWORD=a" }, { NULL }, "a", NULL },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rivals r = { 0 };
        struct err e;

        sample_env = cases[i].env;
        cr_assert_eq(rival_parse(&r, cases[i].words, &e), RC_OK, "case %zu: %s", i,
                     e.why);
        cr_assert((r.password == NULL) == (cases[i].password == NULL), "case %zu", i);
        cr_assert((r.file == NULL) == (cases[i].file == NULL), "case %zu", i);
    }
}

CASE(cli_opt, rivals_from_one_source_are_an_error)
{
    static const char *const none[] = { NULL };
    static const char *const both[] = { "ETCDCTL_PASSWORD=a", "ETCDCTL_PASSWORD_FILE=f",
                                        NULL };
    struct rivals r = { 0 };
    struct err e;

    sample_env = none;
    cr_assert_eq(
        rival_parse(&r, (const char *[]){ "--password=a", "--password-file=f", NULL },
                    &e),
        RC_USAGE);
    cr_assert_str_eq(
        e.why, "option '--password' and option '--password-file' exclude each other");
    sample_env = both;
    cr_assert_eq(rival_parse(&r, (const char *[]){ NULL }, &e), RC_USAGE);
    cr_assert_str_eq(e.why,
                     "ETCDCTL_PASSWORD and ETCDCTL_PASSWORD_FILE exclude each other");
}

CASE(cli_opt, survives_hostile_words)
{
    static char huge[200000];
    static const char *const hostile[] = {
        huge,        "%s%n%s%n", "\x1b[2J\x1b[31m",
        "a\nb",      "\xff\xfe", "-",
        "--",        "---",      "--=",
        "--=x",      "-=",       "-\xff",
        "--%s%n=%s", "-%n",      "\x01",
    };

    memset(huge, 'x', sizeof huge - 1);
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++)
        for (unsigned kind = 0; kind < 3; kind++) {
            const char *words[] = { kind == 1   ? "--count"
                                    : kind == 2 ? "--name"
                                                : hostile[i],
                                    hostile[i], NULL };
            struct parsed p = parse_with(no_env, words);

            cr_assert(p.rc == RC_OK || p.rc == RC_USAGE, "word %zu kind %u", i, kind);
            cr_assert(p.rc == RC_OK || p.e.why[0] != '\0', "word %zu kind %u", i, kind);
            done(&p);
        }
    memcpy(huge, "--", 2);
    refused(PARSE("f", huge),
            "unknown option '--xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            "xxxxx'",
            LISTS);
}
