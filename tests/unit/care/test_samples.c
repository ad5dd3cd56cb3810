#include "care/samples.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "care/journal.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/care/sample.h"

#define VIEW [[gnu::cleanup(care_view_clear)]] struct care_view

enum { DAY = 86400, T0 = 1700000000 };

static struct care_store *opened(const char *dir)
{
    struct care_store *s = NULL;
    struct err e = { 0 };

    OK(care_store_open(dir, &s, &e), &e);
    return s;
}

CASE(care_store, the_directory_is_made_with_its_parents_and_private)
{
    const char *dir = path_in(tmpdir_new(), "a/b/holdfast");
    struct stat st;

    umask(0);
    OWNED(care_store) s = opened(dir);
    cr_assert(stat(dir, &st) == 0 && (st.st_mode & 0777) == 0700);
    cr_assert_str_eq(dir_listing(dir), "state.sqlite");
    cr_assert(stat(path_in(dir, "state.sqlite"), &st) == 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
}

CASE(care_store, a_directory_that_others_may_write_to_is_refused)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };
    OWNED(care_store) s = NULL;

    cr_assert(chmod(dir, 0777) == 0);
    cr_assert_eq(care_store_open(dir, &s, &e), RC_REFUSED);
    cr_assert(strstr(e.why, "others may write") != NULL, "%s", e.why);
    cr_assert(chmod(dir, 0700) == 0);
    cr_assert_eq(care_store_open("", &s, &e), RC_USAGE);
    cr_assert_neq(care_store_open("/proc/none/holdfast", &s, &e), RC_OK);
}

CASE(care_store, a_damaged_one_is_put_aside_and_begun_anew)
{
    const char *dir = tmpdir_new();
    char path[512];
    struct stat st;

    snprintf(path, sizeof path, "%s", path_in(dir, "state.sqlite"));
    for (off_t left = 5000; left > 20; left /= 2) {
        care_store_free(opened(dir));
        cr_assert(truncate(path, left) == 0);
        care_store_free(opened(dir));
        cr_assert(stat(path, &st) == 0 && st.st_size > 5000);
        cr_assert(stat(path_in(dir, "state.sqlite.damaged"), &st) == 0);
        cr_assert_eq(st.st_size, left);
        cr_assert(unlink(path_in(dir, "state.sqlite.damaged")) == 0);
    }
}

CASE(care_samples, come_back_in_order_and_only_once_a_minute)
{
    AT_END(care_samples_clear) struct care_samples got = { 0 };
    OWNED(care_store) s = opened(tmpdir_new());
    struct err e = { 0 };
    VIEW v = sample_view(3);

    sample_fail(&v, 2, CARE_DOWN, "gone");
    v.items[0].metrics_known = true;
    v.items[0].metrics.compacted = 50;
    OK(care_samples_add(s, &v, T0 + 120, &e), &e);
    OK(care_samples_add(s, &v, T0, &e), &e);
    OK(care_samples_add(s, &v, T0 + 130, &e), &e);
    OK(care_samples_get(s, v.cluster_id, 1, 0, &got, &e), &e);
    cr_assert_eq(got.count, 2);
    cr_assert(got.items[0].time == T0 && got.items[1].time == T0 + 120);
    cr_assert_eq(got.items[0].revision, 100);
    cr_assert_eq(got.items[0].compacted, 50);
    cr_assert_eq(got.items[0].size, 100 << 20);
    cr_assert_eq(got.items[0].in_use, 90 << 20);
    care_samples_clear(&got);
    OK(care_samples_get(s, v.cluster_id, 2, T0 + 1, &got, &e), &e);
    cr_assert_eq(got.count, 1);
    cr_assert_eq(got.items[0].compacted, -1);
    care_samples_clear(&got);
    OK(care_samples_get(s, v.cluster_id, 3, 0, &got, &e), &e);
    cr_assert_eq(got.count, 0, "it did not answer");
}

CASE(care_samples, old_ones_are_dropped)
{
    AT_END(care_samples_clear) struct care_samples got = { 0 };
    OWNED(care_store) s = opened(tmpdir_new());
    struct err e = { 0 };
    VIEW v = sample_view(1);

    OK(care_samples_add(s, &v, T0, &e), &e);
    OK(care_samples_add(s, &v, T0 + CARE_SAMPLE_KEPT_S, &e), &e);
    OK(care_samples_add(s, &v, T0 + CARE_SAMPLE_KEPT_S + 61, &e), &e);
    OK(care_samples_get(s, v.cluster_id, 1, 0, &got, &e), &e);
    cr_assert_eq(got.count, 2);
}

/* Any member's word counts, and nothing that came later than the time asked for. */
CASE(care_samples, a_time_becomes_a_revision)
{
    OWNED(care_store) s = opened(tmpdir_new());
    struct err e = { 0 };
    int64_t revision = 0, seen = 0;
    VIEW v = sample_view(2);

    v.items[1].status.header.revision = 90;
    OK(care_samples_add(s, &v, T0, &e), &e);
    v.items[0].status.header.revision = 500;
    OK(care_samples_add(s, &v, T0 + 600, &e), &e);
    OK(care_samples_revision(s, v.cluster_id, T0 + 599, &revision, &seen, &e), &e);
    cr_assert(revision == 100 && seen == T0);
    OK(care_samples_revision(s, v.cluster_id, T0 + 600, &revision, &seen, &e), &e);
    cr_assert(revision == 500 && seen == T0 + 600);
    cr_assert_eq(care_samples_revision(s, v.cluster_id, T0 - 1, &revision, &seen, &e),
                 RC_NOTFOUND);
    cr_assert_eq(care_samples_revision(s, 77, T0 + 600, &revision, &seen, &e),
                 RC_NOTFOUND, "of another cluster");
}

CASE(care_forecast, a_line_is_followed_to_the_quota)
{
    struct care_sample s[25];

    for (int i = 0; i < 25; i++) /* 24 MiB a day, 1 a step */
        s[i] = (struct care_sample){ .time = T0 + i * 3600,
                                     .in_use = (uint64_t)(100 + i) << 20 };
    struct care_forecast f = care_forecast(s, 25, (uint64_t)148 << 20);

    cr_assert(f.known);
    cr_assert_float_eq(f.bytes_per_day, 24.0 * (1 << 20), 1);
    cr_assert_eq(f.full_at, T0 + 2 * DAY);
    cr_assert_eq(care_forecast(s, 25, 0).full_at, 0, "no quota is known");
    cr_assert_eq(care_forecast(s, 25, 1).full_at, T0 + DAY, "it is full already");
    cr_assert_eq(care_forecast(s, 25, UINT64_MAX).full_at, 0, "not in ten years");
    cr_assert(!care_forecast(s, 2, 1).known, "two points are no line");
    s[1].time = s[2].time = T0 + 10;
    cr_assert(!care_forecast(s, 3, 1).known, "ten seconds are no day");
}

CASE(care_forecast, what_shrinks_or_stands_is_never_full)
{
    struct care_sample s[4];

    for (int i = 0; i < 4; i++)
        s[i] = (struct care_sample){ .time = T0 + i * 3600, .in_use = 1000 };
    cr_assert(care_forecast(s, 4, 2000).known);
    cr_assert_eq(care_forecast(s, 4, 2000).full_at, 0);
    s[3].in_use = 10;
    cr_assert_eq(care_forecast(s, 4, 2000).full_at, 0);
    for (int i = 0; i < 4; i++)
        s[i].time = T0; /* a clock that stands still */
    cr_assert(!care_forecast(s, 4, 2000).known);
}

CASE(care_habit, compaction_is_guessed_from_what_moved)
{
    struct care_sample s[30];
    struct care_habit h;

    for (int i = 0; i < 30; i++)
        s[i] = (struct care_sample){ .time = T0 + i * 300,
                                     .revision = 1000 + i * 100,
                                     .compacted = 900 };
    h = care_compaction_habit(s, 30);
    cr_assert_eq(h.kind, CARE_COMPACTION_NONE);
    cr_assert_eq(h.kept, 3000);
    cr_assert_eq(care_compaction_habit(s, 10).kind, CARE_COMPACTION_UNKNOWN, "too early");
    for (int i = 0; i < 30; i++) /* every 3000 s */
        s[i].compacted = 900 + i / 10 * 1000;
    h = care_compaction_habit(s, 30);
    cr_assert_eq(h.kind, CARE_COMPACTION_PERIODIC);
    cr_assert_eq(h.every_s, 3000);
    for (int i = 0; i < 30; i++)
        s[i].compacted = -1;
    cr_assert_eq(care_compaction_habit(s, 30).kind, CARE_COMPACTION_UNKNOWN);
    for (int i = 0; i < 30; i++) {
        s[i].compacted = 900;
        s[i].revision = 1000;
    }
    cr_assert_eq(care_compaction_habit(s, 30).kind, CARE_COMPACTION_UNKNOWN,
                 "nothing is written, so nothing need be compacted");
}

CASE(care_journal, what_broke_off_is_told_and_what_ended_is_not)
{
    OWNED(care_store) s = opened(tmpdir_new());
    struct care_journal done = { 0 }, broken = { 0 };
    struct care_unfinished u;
    struct err e = { 0 };
    int64_t step;
    bool found;

    OK(care_journal_begin(&done, s, 0xc1, "compact", "to 5", &e), &e);
    OK(care_journal_step(&done, "compact", &step, &e), &e);
    OK(care_journal_step_end(&done, step, RC_OK, NULL, &e), &e);
    OK(care_journal_end(&done, RC_OK, NULL, &e), &e);
    OK(care_journal_unfinished(s, 0xc1, T0, &u, &found, &e), &e);
    cr_assert(!found);
    OK(care_journal_begin(&broken, s, 0xc1, "defrag", "m0, m1", &e), &e);
    OK(care_journal_step(&broken, "defragment m0", &step, &e), &e);
    OK(care_journal_unfinished(s, 0xc1, T0, &u, &found, &e), &e);
    cr_assert(!found, "its process, this one, still runs");
    OK(sql_do(s->db, "UPDATE operation SET pid = 0", SQL_NOTHING, &e), &e);
    OK(care_journal_unfinished(s, 0xc1, T0, &u, &found, &e), &e);
    cr_assert(found);
    cr_assert_str_eq(u.kind, "defrag");
    cr_assert_str_eq(u.detail, "m0, m1");
    cr_assert_str_eq(u.last_step, "defragment m0");
    cr_assert(!u.step_ended);
    OK(care_journal_step_end(&broken, step, RC_NET, "gone", &e), &e);
    OK(care_journal_unfinished(s, 0xc1, T0, &u, &found, &e), &e);
    cr_assert(found && u.step_ended);
    OK(care_journal_unfinished(s, 0xc2, T0, &u, &found, &e), &e);
    cr_assert(!found, "of another cluster");
}

/* Given again, an operation goes on: what an earlier run left is done when it ends well.
 */
CASE(care_journal, what_was_done_by_a_later_run_did_not_break_off)
{
    OWNED(care_store) s = opened(tmpdir_new());
    struct care_journal killed = { 0 }, failed = { 0 }, other = { 0 }, again = { 0 };
    struct care_unfinished u;
    struct err e = { 0 };
    bool found;

    OK(care_journal_begin(&killed, s, 0xc1, "member grow", "to 3", &e), &e);
    OK(sql_do(s->db, "UPDATE operation SET pid = 0", SQL_NOTHING, &e), &e);
    OK(care_journal_begin(&failed, s, 0xc1, "member grow", "to 3", &e), &e);
    OK(care_journal_end(&failed, RC_NET, "gone", &e), &e);
    OK(care_journal_begin(&other, s, 0xc1, "member grow", "to 5", &e), &e);
    OK(care_journal_end(&other, RC_OK, NULL, &e), &e);
    OK(care_journal_unfinished(s, 0xc1, T0, &u, &found, &e), &e);
    cr_assert(found);
    cr_assert_str_eq(u.detail, "to 3");
    OK(care_journal_begin(&again, s, 0xc1, "member grow", "to 3", &e), &e);
    OK(care_journal_end(&again, RC_OK, NULL, &e), &e);
    OK(care_journal_unfinished(s, 0xc1, T0, &u, &found, &e), &e);
    cr_assert(!found);
}

CASE(care_journal, without_a_store_nothing_is_written)
{
    struct care_journal j;
    struct err e = { 0 };
    int64_t step;

    OK(care_journal_begin(&j, NULL, 1, "compact", "", &e), &e);
    OK(care_journal_step(&j, "x", &step, &e), &e);
    OK(care_journal_step_end(&j, step, RC_OK, NULL, &e), &e);
    OK(care_journal_end(&j, RC_OK, NULL, &e), &e);
}

CASE(care_store, no_memory_leaks_nothing)
{
    const char *dir = tmpdir_new();
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct err e = { 0 };
        OWNED(care_store) s = NULL;
        enum rc rc = care_store_open(dir, &s, &e);

        runs = nth;
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "%d", rc);
    }
    cr_assert_gt(runs, 4);
}
