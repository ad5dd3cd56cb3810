#include "agent/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/peer.h"
#include "tests/lib/tmpdir.h"
#include "util/program.h"

#define BUF [[gnu::cleanup(buf_clear)]] struct buf

static struct agent_standing one(void)
{
    struct agent_standing s = { .cluster = "prod", .listed = true, .backups = 3 };

    s.newest = (struct agent_backup_fact){ true, 9, 1000, 100, 77, 1700000000 };
    s.proved = (struct agent_backup_fact){ true, 8, 900, 90, 70, 1699990000 };
    s.runs[AGENT_BACKUP] = (struct agent_run){ .past.last = 1700000000,
                                               .ended = 1700000005,
                                               .succeeded = 1700000005,
                                               .took_ms = 4500 };
    s.runs[AGENT_BACKUP].count[AGENT_OK] = 12;
    return s;
}

static struct agent_metrics about(const struct agent_standing *s)
{
    return (struct agent_metrics){ .clusters = s,
                                   .count = 1,
                                   .now = 1700000100,
                                   .started = 1699000000,
                                   .reloaded = 1699000000,
                                   .reload_ok = true,
                                   .version = "1.2.3" };
}

static bool has(const struct buf *text, const char *line)
{
    return memmem(text->p, text->n, line, strlen(line)) != NULL;
}

CASE(metrics, the_age_of_the_newest_proved_backup)
{
    struct agent_standing s = one();
    const struct agent_metrics m = about(&s);
    BUF text = { 0 };
    struct err e = { 0 };

    OK(agent_metrics_text(&m, METRICS_TEXT, &text, &e), &e);
    cr_assert(has(&text, "\nholdfast_newest_proved_backup_age_seconds{cluster=\"prod\"} "
                         "10100\n"));
    cr_assert(has(&text, "\nholdfast_job_runs_total{cluster=\"prod\",job=\"backup\","
                         "outcome=\"ok\"} 12\n"));
    cr_assert(has(&text, "holdfast_build_info{version=\"1.2.3\"} 1\n"));
    cr_assert(!has(&text, "# EOF"));
    cr_assert(!has(&text, "drill_passed{"), "nothing is said of a drill that never was");
}

CASE(metrics, without_a_proved_backup_the_age_is_infinite)
{
    struct agent_standing s = one();
    const struct agent_metrics m = about(&s);
    BUF text = { 0 };
    struct err e = { 0 };

    s.proved.known = false;
    OK(agent_metrics_text(&m, METRICS_OPENMETRICS, &text, &e), &e);
    cr_assert(has(&text, "_age_seconds{cluster=\"prod\"} +Inf\n"));
    cr_assert(has(&text, "# TYPE holdfast_job_runs counter\n"));
    cr_assert_arr_eq(text.p + text.n - 6, "# EOF\n", 6);
}

/* The judge is Prometheus' own. */
CASE(metrics, promtool_has_no_complaint)
{
    struct agent_standing s = one();
    const struct agent_metrics m = about(&s);
    [[gnu::cleanup(program_result_clear)]] struct program_result r = { 0 };
    const char *dir = tmpdir_new();
    char path[300], command[900];
    BUF text = { 0 };
    struct err e = { 0 };

    if (!peer_available("tools/promtool"))
        return;
    s.drill = (struct agent_drill_fact){ true, true, 12.5, 3600 };
    OK(agent_metrics_text(&m, METRICS_TEXT, &text, &e), &e);
    snprintf(path, sizeof path, "%s/metrics", dir);
    FILE *f = fopen(path, "w");
    cr_assert_eq(fwrite(text.p, 1, text.n, f), text.n);
    fclose(f);
    snprintf(command, sizeof command, "%s check metrics < %s >&2",
             peer_path("tools/promtool/usr/bin/promtool"), path);
    OK(program_run(&(struct program){ .argv = (const char *const[]){ "sh", "-c", command,
                                                                     NULL } },
                   &r, &e),
       &e);
    cr_assert_eq(r.status, 0, "%s", r.tail);
    cr_assert_str_empty(r.tail, "%s", r.tail);
}

CASE(metrics, health_is_a_young_proved_backup)
{
    static const char text[] =
        "clusters:\n  - name: prod\n    endpoints: [x]\n"
        "    max_age: 3h\n    compact: { schedule: 6h, keep: 1h }\n";
    struct agent_standing s = one();
    struct agent_metrics m = about(&s);
    OWNED(agent_config) f = NULL;
    struct err e = { 0 };
    bool well;

    OK(agent_config_parse(bytes_str(text), "f", &f, &e), &e);
    BUF good = { 0 }, old = { 0 }, ahead = { 0 }, none = { 0 };
    OK(agent_health_text(&m, f, &well, &good, &e), &e);
    cr_assert(well);
    m.now += 3 * 3600;
    OK(agent_health_text(&m, f, &well, &old, &e), &e);
    cr_assert(!well);
    cr_assert(has(&old, "too old"));
    s.proved.time = m.now + 3600;
    OK(agent_health_text(&m, f, &well, &ahead, &e), &e);
    cr_assert(!well);
    cr_assert(has(&ahead, "of a time to come"));
    s.proved.known = false;
    OK(agent_health_text(&m, f, &well, &none, &e), &e);
    cr_assert(!well);
    cr_assert(has(&none, "no proved backup"));
}
