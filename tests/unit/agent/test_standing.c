#include "agent/standing.h"

#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"

CASE(standing, is_remembered)
{
    const char *dir = tmpdir_new();
    OWNED(sql) db = NULL;
    struct agent_standing s = { .cluster = "prod" }, again = { .cluster = "prod" },
                          other = { .cluster = "o'ther\"; DROP" };
    struct err e = { 0 };

    s.runs[AGENT_PRUNE] = (struct agent_run){ .past.last = 5,
                                              .ended = 7,
                                              .succeeded = 7,
                                              .took_ms = 9,
                                              .why = "it's; DROP TABLE run" };
    s.runs[AGENT_PRUNE].count[AGENT_DEGRADED] = 3;
    OK(agent_memory_open(dir, &db, &e), &e);
    OK(agent_memory_keep(db, &s, AGENT_PRUNE, &e), &e);
    OK(agent_memory_keep(db, &s, AGENT_PRUNE, &e), &e);
    OK(agent_memory_load(db, &again, &e), &e);
    cr_assert_eq(again.runs[AGENT_PRUNE].past.last, 5);
    cr_assert_eq(again.runs[AGENT_PRUNE].count[AGENT_DEGRADED], 3);
    cr_assert_eq(again.runs[AGENT_PRUNE].past.failures, 0);
    cr_assert_str_eq(again.runs[AGENT_PRUNE].why, s.runs[AGENT_PRUNE].why);
    OK(agent_memory_load(db, &other, &e), &e);
    cr_assert_eq(other.runs[AGENT_PRUNE].past.last, 0);
}

CASE(standing, a_drill_that_failed_stays_failed)
{
    const char *dir = tmpdir_new();
    OWNED(sql) db = NULL;
    struct agent_standing s = { .cluster = "prod" }, again = { .cluster = "prod" },
                          other = { .cluster = "test" };
    struct err e = { 0 };

    OK(agent_memory_open(dir, &db, &e), &e);
    OK(agent_memory_keep(db, &s, AGENT_DRILL, &e), &e);
    OK(agent_memory_load(db, &again, &e), &e);
    cr_assert(!again.drill.known);
    s.drill = (struct agent_drill_fact){ true, false, 1.5, 3600 };
    OK(agent_memory_keep(db, &s, AGENT_DRILL, &e), &e);
    sql_free(GIVE(db));
    OK(agent_memory_open(dir, &db, &e), &e);
    OK(agent_memory_load(db, &again, &e), &e);
    cr_assert(again.drill.known && !again.drill.passed);
    cr_assert_float_eq(again.drill.recovery_s, 1.5, 1e-9);
    cr_assert_float_eq(again.drill.data_age_s, 3600, 1e-9);
    OK(agent_memory_load(db, &other, &e), &e);
    cr_assert(!other.drill.known);
}

CASE(standing, what_was_cut_off_or_failed_is_tried_again)
{
    const char *dir = tmpdir_new();
    OWNED(sql) db = NULL;
    struct agent_standing s = { .cluster = "prod" }, again = { .cluster = "prod" };
    struct err e = { 0 };

    s.runs[AGENT_BACKUP] = (struct agent_run){ .past.last = 50, .ended = 7 };
    s.runs[AGENT_DRILL] = (struct agent_run){ .past.last = 50, .ended = 60, .status = 4 };
    OK(agent_memory_open(dir, &db, &e), &e);
    OK(agent_memory_keep(db, &s, AGENT_BACKUP, &e), &e);
    OK(agent_memory_keep(db, &s, AGENT_DRILL, &e), &e);
    OK(agent_memory_load(db, &again, &e), &e);
    cr_assert_eq(again.runs[AGENT_BACKUP].past.failures, 1);
    cr_assert_eq(again.runs[AGENT_DRILL].past.failures, 1);
}

CASE(standing, reads_what_commands_say)
{
    static const char list[] =
        "[{\"sequence\":3,\"revision\":8,\"time\":\"2026-11-21T09:00:00Z\",\"size\":90,"
        "\"stored_size\":9,\"proved\":true},{\"sequence\":4,\"revision\":9,\"time\":"
        "\"2026-11-21T15:00:00Z\",\"size\":100,\"stored_size\":10,\"proved\":false}]";
    struct agent_standing s = { 0 };
    struct err e = { 0 };

    OK(agent_standing_list(&s, bytes_str(list), &e), &e);
    cr_assert_eq(s.backups, 2);
    cr_assert_eq(s.newest.sequence, 4);
    cr_assert_eq(s.proved.sequence, 3);
    cr_assert_eq(s.newest.time - s.proved.time, 6 * 3600);
    cr_assert_eq(agent_standing_list(&s, bytes_str("{}"), &e), RC_CORRUPT);
    cr_assert_eq(agent_standing_list(&s, bytes_str("nonsense"), &e), RC_CORRUPT);
    cr_assert_eq(s.backups, 2);

    OK(agent_standing_drill(&s,
                            bytes_str("{\"passed\":true,\"recovery_seconds\":1.5,"
                                      "\"data_age_seconds\":3600}"),
                            &e),
       &e);
    cr_assert(s.drill.known && s.drill.passed);
    cr_assert_float_eq(s.drill.recovery_s, 1.5, 1e-9);
    cr_assert_eq(agent_standing_drill(&s, bytes_str("{\"passed\":1}"), &e), RC_CORRUPT);

    cr_assert(agent_skipped(bytes_str("{\"skipped\":true}")));
    cr_assert(!agent_skipped(bytes_str("{\"key\":\"x\"}")));
    cr_assert(!agent_skipped(bytes_str("")));
}
