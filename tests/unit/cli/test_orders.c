/* What the agent runs must be what the command line understands. */
#include <stdio.h>
#include <string.h>

#include "agent/order.h"
#include "cli/commands.h"
#include "cli/opt.h"
#include "tests/lib/case.h"
#include "util/mem.h"

static const char everything[] =
    "state_dir: /s\nclusters:\n  - name: prod\n    endpoints: [a, b]\n    cacert: c\n"
    "    cert: c\n    key: k\n    user: u\n    password_file: p\n    repo: /r\n"
    "    store: { cacert: a, credentials_file: b, profile: c, ssh_key: d, known_hosts: "
    "e,\n"
    "             allow_same_filesystem: true }\n"
    "    recipients: [age13qsvm72p6l77p98rrefc888p0hdrgpt8d48f84h0we3j8n22tfwqs3dszf]\n  "
    "  recipients_file: f\n    signing_key: s\n    public_key: p\n"
    "    identity: i\n"
    "    backup: { schedule: 6h, from: leader, rate: 1MB/s, preset: kubeadm,\n"
    "              include: [/a], tags: [b], skip_unchanged: true }\n"
    "    verify: { schedule: 6h, level: full, rotate: 3 }\n"
    "    prune: { schedule: 6h, keep_last: 1, keep_hourly: 1, keep_daily: 1,\n"
    "             keep_weekly: 1, keep_monthly: 1, keep_yearly: 1, keep_within: 14d,\n"
    "             keep_tags: [t], max_percent: 10 }\n"
    "    drill: { schedule: 6h, pick: random, etcd: /e, scratch: /s, report_dir: /r,\n"
    "             canary: [c], rto: 5m, rpo: 1h }\n"
    "    compact: { schedule: 6h, keep: 1h, physical: true }\n"
    "    defrag: { schedule: 6h, rule: dbSizeFree > 1, move_leader: true }\n";

static bool has_option(const struct command *cmd, const char *word)
{
    struct cli_group groups[CLI_GROUPS_MAX];
    const size_t n = strcspn(word, "=");

    cli_groups(cmd, groups);
    for (size_t g = 0; groups[g].opts != NULL; g++)
        for (const struct opt *o = groups[g].opts; o->kind != OPT_END; o++)
            if (strlen(o->name) + 2 == n && strncmp(word + 2, o->name, n - 2) == 0)
                return (o->kind == OPT_FLAG) == (word[n] == '\0');
    return false;
}

static void check(const struct str_list *order)
{
    const struct command *cmd = cli_command(cli_commands, order->items[1]);

    cr_assert_not_null(cmd, "no command '%s'", order->items[1]);
    for (size_t i = 2; i < order->count; i++)
        cr_assert(order->items[i][0] != '-' || has_option(cmd, order->items[i]),
                  "'%s' takes no %s", order->items[1], order->items[i]);
}

CASE(orders, are_understood_by_the_command_line)
{
    OWNED(agent_config) f = NULL;
    struct err e = { 0 };

    OK(agent_config_parse(bytes_str(everything), "test", &f, &e), &e);
    for (unsigned k = 0; k < AGENT_KINDS; k++) {
        AT_END(str_list_clear) struct str_list order = { 0 };

        OK(agent_order(f, &f->clusters[0], k, 60, &order, &e), &e);
        check(&order);
    }
    AT_END(str_list_clear) struct str_list list = { 0 };
    OK(agent_order_list(f, &f->clusters[0], &list, &e), &e);
    check(&list);
}
