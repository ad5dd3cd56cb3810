#include "agent/config.h"

#include <stdio.h>
#include <string.h>

#include "agent/order.h"
#include "tests/lib/case.h"

#define AGE_A "age1s94e3xulywzn9gdrt7tf0wkuz7ypza48cmcgyw87nha8zxe3me4sy9jpfx"
#define AGE_B "age1ltjyjzgdlewfmyvyfyhg9feusrnr6wzxrcjjd5lcfn24krsyv5gq34uae4"

static const char sample[] =
    "state_dir: /var/lib/holdfast\n"
    "time_zone: UTC\n"
    "listen: 127.0.0.1:9379\n"
    "clusters:\n"
    "  - name: prod\n"
    "    endpoints: [https://10.0.0.1:2379, https://10.0.0.2:2379]\n"
    "    cacert: /etc/ca.crt\n"
    "    user: backup\n"
    "    password_file: /etc/pw\n"
    "    repo: s3://bucket/etcd?endpoint=https://s3.example\n"
    "    store: { credentials_file: /etc/s3 }\n"
    "    recipients: [" AGE_A ", " AGE_B "]\n"
    "    max_age: 8h\n"
    "    backup:\n"
    "      schedule: \"0 */6 * * *\"\n"
    "      jitter: 5m\n"
    "      timeout: 1h\n"
    "      tags: [nightly]\n"
    "      lock: 720h\n"
    "      skip_unchanged: true\n"
    "    prune: { schedule: \"@daily\", keep_last: 8, keep_within: 48h, "
    "protect: 5 }\n"
    "    defrag: { schedule: \"0 3 * * sun\", rule: \"dbSizeFree > 1\" }\n";

static enum rc parse(const char *text, struct agent_config **out, struct err *e)
{
    *e = (struct err){ 0 };
    return agent_config_parse(bytes_str(text), "holdfast.yaml", out, e);
}

CASE(config, is_what_was_written)
{
    OWNED(agent_config) f = NULL;
    struct err e;

    OK(parse(sample, &f, &e), &e);
    cr_assert_eq(f->clusters_count, 1);
    const struct agent_cluster *c = &f->clusters[0];

    cr_assert_eq(c->endpoints_count, 2);
    cr_assert_str_eq(c->store->credentials_file, "/etc/s3");
    cr_assert_eq(c->max_age_ms, 8 * 3600 * 1000);
    cr_assert(c->backup->when.is_cron);
    cr_assert_eq(c->backup->when.jitter_s, 300);
    cr_assert_eq(c->backup->timeout_ms, 3600 * 1000);
    cr_assert_str_eq(c->prune->keep_last, "8");
    cr_assert_null(c->drill);
    cr_assert_null(agent_job_of(c, AGENT_COMPACT));
    cr_assert_eq(agent_job_of(c, AGENT_PRUNE), c->prune);
    cr_assert_neq(c->prune->when.seed, c->backup->when.seed);
}

static const char *joined(const struct str_list *l)
{
    static char text[2000];
    size_t n = 0;

    for (size_t i = 0; i < l->count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i == 0 ? "" : " ",
                              l->items[i]);
    return text;
}

static void order_is(const struct agent_config *f, enum agent_kind k,
                     const char *expected)
{
    [[gnu::cleanup(str_list_clear)]] struct str_list l = { 0 };
    struct err e = { 0 };

    OK(agent_order(f, &f->clusters[0], k, 90, &l, &e), &e);
    cr_assert_str_eq(joined(&l), expected);
}

CASE(config, orders_are_what_a_person_would_type)
{
    OWNED(agent_config) f = NULL;
    struct err e;

    OK(parse(sample, &f, &e), &e);
    order_is(f, AGENT_BACKUP,
             "holdfast backup --write-out=json --state-dir=/var/lib/holdfast "
             "--endpoints=https://10.0.0.1:2379 --endpoints=https://10.0.0.2:2379 "
             "--cacert=/etc/ca.crt --user=backup --password-file=/etc/pw "
             "--repo=s3://bucket/etcd?endpoint=https://s3.example --cluster=prod "
             "--repo-credentials=/etc/s3 --recipient=" AGE_A " --recipient=" AGE_B " "
             "--lock=720h --tag=nightly --skip-unchanged --unless-within=90s");
    order_is(
        f, AGENT_PRUNE,
        "holdfast prune --write-out=json --state-dir=/var/lib/holdfast "
        "--repo=s3://bucket/etcd?endpoint=https://s3.example --cluster=prod "
        "--repo-credentials=/etc/s3 --keep-last=8 --keep-within=48h --protect=5 --yes");
    order_is(f, AGENT_DEFRAG,
             "holdfast defrag --write-out=json --state-dir=/var/lib/holdfast "
             "--endpoints=https://10.0.0.1:2379 --endpoints=https://10.0.0.2:2379 "
             "--cacert=/etc/ca.crt --user=backup --password-file=/etc/pw --cluster "
             "--rule=dbSizeFree > 1 --yes");
}

#define CLUSTER "clusters:\n  - name: a\n    endpoints: [x]\n"

#define KEPT CLUSTER "    repo: /r\n    recipients: [" AGE_A "]\n"

/* Text, and what the refusal has to say. */
static const char *const wrong[][2] = {
    { "", "empty" },
    { "clusters: []\n", "entries" },
    { "clusters:\n  - name: a\n", "endpoints" },
    { CLUSTER, "no job" },
    { CLUSTER "    backup: { schedule: 6h }\n", "no repo" },
    { CLUSTER "    repo: /r\n    backup: { jitter: 6h }\n", "schedule" },
    { CLUSTER "    repo: /r\n    backup: { schedule: 6 o'clock }\n", "schedule" },
    { CLUSTER "    repo: /r\n    backup: { schedule: 10s }\n", "least" },
    { CLUSTER "    repo: /r\n    backup: { schedule: 6h, jitter: long }\n", "jitter" },
    { CLUSTER "    repo: /r\n    backup: { schedule: 6h, retenton: 1 }\n", "retenton" },
    { CLUSTER "    repo: /r\n    prune: { schedule: 6h }\n", "keep" },
    { CLUSTER "    repo: /r\n    prune: { schedule: 6h, keep_last: 0 }\n", "keep" },
    { CLUSTER "    repo: /r\n    prune: { schedule: 6h, keep_last: -1 }\n", "-1" },
    { CLUSTER "    repo: /r\n    prune: { schedule: 6h, keep_last: seven }\n", "seven" },
    { CLUSTER "    repo: /r\n    prune: { schedule: 6h, keep_last: 1e99 }\n", "1e99" },
    { CLUSTER "    compact: { schedule: 6h }\n", "keep" },
    { CLUSTER "    repo: /r\n    backup: { schedule: 6h }\n", "for whom" },
    { KEPT "    backup: { schedule: 6h, from: folower }\n", "folower" },
    { KEPT "    backup: { schedule: 6h, rate: fast }\n", "fast" },
    { KEPT "    backup: { schedule: 6h, preset: kubadm }\n", "kubadm" },
    { KEPT "    backup: { schedule: 6h, tags: [a, b c] }\n", "b c" },
    { KEPT "    backup: { schedule: 6h, include: [etc/x] }\n", "etc/x" },
    { KEPT "    backup: { schedule: 6h, ping: hc.example/x }\n", "https://" },
    { KEPT "    backup: { schedule: 6h, timeout: 0s }\n", "timeout" },
    { KEPT "    backup: { schedule: 6h, jitter: 9999h }\n", "day" },
    { KEPT "    backup: { schedule: 6h, lock: soon }\n", "soon" },
    { KEPT "    verify: { schedule: 6h, level: full }\n", "identity" },
    { KEPT "    drill: { schedule: 6h }\n", "identity" },
    { KEPT "    identity: /k\n    drill: { schedule: 6h, pick: newest }\n", "newest" },
    { KEPT "    identity: /k\n    drill: { schedule: 6h, etcd: etcd }\n", "etcd" },
    { KEPT "    prune: { schedule: 6h, keep_within: 0d }\n", "0d" },
    { KEPT "    prune: { schedule: 6h, keep_tags: [\"a b\"] }\n", "a b" },
    { KEPT "    prune: { schedule: 6h, keep_last: 5, protect: 0 }\n", "protect" },
    { KEPT "    max_age: 0s\n    verify: { schedule: 6h }\n", "max_age" },
    { CLUSTER "    defrag: { schedule: 6h, rule: dbSizeFre > 5 }\n", "dbSizeFre" },
    { CLUSTER "    repo: /r\n    recipients: [age1x]\n    backup: { schedule: 6h }\n",
      "recipients" },
    { CLUSTER "    cert: /c\n    compact: { schedule: 6h, keep: 1h }\n", "cert" },
    { CLUSTER "    user: u\n    compact: { schedule: 6h, keep: 1h }\n", "password_file" },
    { "listen: 0.0.0.0:99999\n" CLUSTER "    compact: { schedule: 6h, keep: 1h }\n",
      "99999" },
    { "time_zone: Mars/Base\n" CLUSTER "    compact: { schedule: 6h, keep: 1h }\n",
      "Mars" },
    { "clusters:\n  - name: ../a\n    endpoints: [x]\n    compact: { schedule: 6h, keep: "
      "1h }\n",
      "name" },
    { CLUSTER "    compact: { schedule: 6h, keep: 1h }\n  - name: a\n    endpoints: [x]\n"
              "    compact: { schedule: 6h, keep: 1h }\n",
      "taken" },
    { CLUSTER "    backup: &a { schedule: 6h }\n    prune: *a\n", "alias" },
    { CLUSTER "    repo: ftp://host/x\n    prune: { schedule: 6h, keep_last: 1 }\n",
      ":4: cluster 'a': repo" },
    { CLUSTER
      "    repo: s3://bucket?color=red\n    prune: { schedule: 6h, keep_last: 1 }\n",
      "color" },
    { CLUSTER "    repo: backups\n    prune: { schedule: 6h, keep_last: 1 }\n",
      "relative" },
    { "%YAML 9.9\n---\n[", "" },
    { "\xff\xfe", "" },
};

CASE(config, refusals_say_where)
{
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        OWNED(agent_config) f = NULL;
        struct err e;

        cr_assert_neq(parse(wrong[i][0], &f, &e), RC_OK, "%s", wrong[i][0]);
        cr_assert(strstr(e.why, wrong[i][1]) != NULL ||
                      strstr(e.what, wrong[i][1]) != NULL ||
                      strstr(e.hint, wrong[i][1]) != NULL,
                  "%s\nwhat: %s\nwhy: %s", wrong[i][0], e.what, e.why);
    }
}

/* Cut at every byte: never a crash, a leak, or a file half believed. */
CASE(config, cut_anywhere)
{
    char text[sizeof sample];

    for (size_t n = 0; n < sizeof sample; n++) {
        OWNED(agent_config) f = NULL;
        struct err e;

        memcpy(text, sample, n);
        text[n] = '\0';
        if (parse(text, &f, &e) == RC_OK)
            cr_assert_eq(f->clusters_count, 1);
    }
}
