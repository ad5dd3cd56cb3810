#include <string.h>

#include "raftstore/options.h"
#include "tests/lib/case.h"

enum { WORDS_MAX = 16 };

static enum rc parse(const char *const words[], struct node_options *o, struct err *e)
{
    char *argv[WORDS_MAX] = { (char *)(uintptr_t) "holdfast-lab" };
    int argc = 1;

    for (size_t i = 0; words[i] != NULL; i++)
        argv[argc++] = (char *)(uintptr_t)words[i];
    return options_parse(argc, argv, o, e);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

CASE(options, as_etcd_takes_them)
{
    struct node_options o;
    struct err e = { 0 };

    OK(parse(WORDS("--name=m1", "--data-dir", "d", "-initial-cluster-state=existing",
                   "--quota-backend-bytes", "1048576", "--force-new-cluster",
                   "--listen-client-urls=http://127.0.0.1:1", "--etcd-version", "3.5",
                   "--watch-progress-notify-interval=250ms"),
             &o, &e),
       &e);
    cr_assert_str_eq(o.name, "m1");
    cr_assert_str_eq(o.data_dir, "d");
    cr_assert(o.existing && o.force_new_cluster);
    cr_assert_eq(o.quota, 1048576);
    cr_assert_str_eq(o.advertise_client, "http://127.0.0.1:1");
    cr_assert_eq(o.minor, 5);
    cr_assert_eq(o.progress_ms, 250);
    cr_assert_eq(o.election_ms, 1000);
}

CASE(options, refuses_the_rest)
{
    static const struct {
        const char *words[4];
    } bad[] = {
        { { "--data-dir" } },
        { { "--name=x" } },
        { { "--data-dir=d", "stray" } },
        { { "--data-dir=d", "---name=x" } },
        { { "--data-dir=d", "--nonsense=1" } },
        { { "--data-dir=d", "--initial-cluster-state=old" } },
        { { "--data-dir=d", "--etcd-version=3.8" } },
        { { "--data-dir=d", "--heartbeat-interval=0" } },
        { { "--data-dir=d", "--heartbeat-interval=500" } },
        { { "--data-dir=d", "--cert-file=c" } },
        { { "--data-dir=d", "--client-cert-auth" } },
        { { "--data-dir=d", "--force-new-cluster=maybe" } },
    };
    struct node_options o;
    struct err e = { 0 };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(parse(bad[i].words, &o, &e), RC_USAGE, "%s", bad[i].words[1]);
}

static int lines;

static void count(const char *name, const char *value, const char *help)
{
    (void)value;
    cr_assert(strlen(name) > 0 && strlen(help) > 0);
    lines++;
}

CASE(options, each_has_a_line_of_help)
{
    options_help(count);
    cr_assert_gt(lines, 20);
}
