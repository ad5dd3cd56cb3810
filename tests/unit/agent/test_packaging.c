/* What is shipped beside the program fits the program. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "agent/metrics.h"
#include "tests/lib/case.h"
#include "tests/lib/peer.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/program.h"

enum { FILE_MAX = 1 << 20 };

/* Everything that can be told, told. */
static void all_metrics(struct buf *out)
{
    static struct agent_standing s = {
        .cluster = "a",
        .listed = true,
        .newest.known = true,
        .proved.known = true,
        .drill.known = true,
    };
    struct err e = { 0 };

    for (size_t k = 0; k < AGENT_KINDS; k++)
        s.runs[k] = (struct agent_run){ .past.last = 1, .ended = 2, .succeeded = 2 };
    const struct agent_metrics m = { .clusters = &s, .count = 1, .version = "1" };

    OK(agent_metrics_text(&m, METRICS_TEXT, out, &e), &e);
}

static size_t name_length(const char *at)
{
    size_t n = 0;

    while (islower((unsigned char)at[n]) || at[n] == '_')
        n++;
    return n;
}

static void names_are_told(const char *path)
{
    AT_END(mem_end) uint8_t *text = NULL;
    AT_END(buf_clear) struct buf told = { 0 };
    struct err e = { 0 };
    size_t n, names = 0;

    OK(os_read_file(path, FILE_MAX, &text, &n, &e), &e);
    all_metrics(&told);
    OK(buf_add(&told, "", 1, &e), &e);
    const char *end = (const char *)text + n;

    for (const char *at = (const char *)text;
         (at = memmem(at, (size_t)(end - at), "holdfast_", 9)) != NULL;
         at += name_length(at)) {
        char line[200];

        snprintf(line, sizeof line, "# TYPE %.*s ", (int)name_length(at), at);
        cr_assert_not_null(strstr((const char *)told.p, line), "%s: %s", path, line);
        names++;
    }
    cr_assert_gt(names, 5);
}

CASE(packaging, rules_and_dashboard_name_metrics_that_exist)
{
    names_are_told("packaging/prometheus/holdfast.rules.yml");
    names_are_told("packaging/grafana/holdfast.json");
}

CASE(packaging, the_rules_alert_when_they_should)
{
    AT_END(program_result_clear) struct program_result r = { 0 };
    struct err e = { 0 };

    if (!peer_available("tools/promtool"))
        return;
    const struct program p = { .argv = (const char *const[]){
                                   peer_path("tools/promtool/usr/bin/promtool"), "test",
                                   "rules", "packaging/prometheus/holdfast.test.yml",
                                   NULL } };

    OK(program_run(&p, &r, &e), &e);
    cr_assert_eq(r.status, 0, "%s", r.tail);
}

CASE(packaging, the_example_is_a_configuration)
{
    AT_END(mem_end) uint8_t *text = NULL;
    OWNED(agent_config) f = NULL;
    struct err e = { 0 };
    size_t n;

    OK(os_read_file("packaging/holdfast.yaml", FILE_MAX, &text, &n, &e), &e);
    OK(agent_config_parse((struct bytes){ text, n }, "holdfast.yaml", &f, &e), &e);
    cr_assert_not_null(f->clusters[0].backup);
}

/* Under systemd SQLite, as root, gives its files to root: a filter without @chown ended
 * the agent at once. And what no one thought of is refused, not the end of a backup. */
CASE(packaging, the_unit_lets_a_database_be_opened_as_root)
{
    AT_END(mem_end) uint8_t *text = NULL;
    struct err e = { 0 };
    size_t n;

    OK(os_read_file("packaging/systemd/holdfast-agent.service", FILE_MAX, &text, &n, &e),
       &e);
    cr_assert_not_null(memmem(text, n, "\nSystemCallFilter=@chown ", 25));
    cr_assert_not_null(memmem(text, n, "\nSystemCallErrorNumber=EPERM\n", 29));
}
