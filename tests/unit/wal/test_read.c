#include "wal/read.h"

#include <stdio.h>
#include <sys/stat.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/wal/lab.h"

static bool holds(struct bytes data, const char *text)
{
    return memmem(data.p, data.n, text, strlen(text)) != NULL;
}

static void reads_as(const struct golden_log *g)
{
    struct buf file = { 0 };
    struct wal_entry entry;
    struct reading r;

    golden_file(g->path, &file);
    reading_of_bytes(&r, file.p, file.n);
    OK(r.rc, &r.e);
    cr_assert_eq(r.s->verdict, WAL_CLEAN, "%s: %s", g->path, r.s->damage.reason);
    cr_assert(r.f.errors == 0 && r.f.warnings == 0 && r.f.notes == 0, "%s", g->path);
    cr_assert(r.s->ids.node_id == g->node_id && r.s->ids.cluster_id == g->cluster_id,
              "%s", g->path);
    cr_assert_eq(memcmp(&r.s->state, &g->state, sizeof g->state), 0, "%s", g->path);
    cr_assert(r.s->first_index == 1 && r.s->last_index == g->last_index, "%s", g->path);
    cr_assert(r.s->last_term == g->last_term && r.s->mark_count == g->marks, "%s",
              g->path);
    cr_assert(r.s->records == g->records && r.s->segments[0].end == g->end, "%s",
              g->path);
    for (uint64_t i = 1; i <= g->last_index; i++) {
        OK(wal_entry_at(r.w, i, &entry, &r.e), &r.e);
        cr_assert_eq(entry.index, i, "%s", g->path);
    }
    cr_assert(holds(entry.data, strstr(g->path, "data")     ? "walonly/25"
                                : strstr(g->path, "rolled") ? "value 45"
                                                            : "\"name\":\"m1\""),
              "%s", g->path);
    cr_assert_eq(wal_entry_at(r.w, 0, &entry, &r.e), RC_NOTFOUND);
    cr_assert_eq(wal_entry_at(r.w, g->last_index + 1, &entry, &r.e), RC_NOTFOUND);
    reading_clear(&r);
    buf_clear(&file);
}

CASE(wal_read, tells_the_facts_of_real_logs)
{
    for (size_t i = 0; i < golden_log_count; i++)
        reads_as(&golden_logs[i]);
}

CASE(wal_read, gives_the_members_of_a_mark)
{
    struct buf file = { 0 };
    struct reading r;

    golden_file("etcd-3.6/restored/" FIRST_SEGMENT ".zst", &file);
    reading_of_bytes(&r, file.p, file.n);
    const struct wal_mark *m = &r.s->marks[1];

    cr_assert(m->has_conf && m->conf.voter_count == 3 && m->conf.learner_count == 0);
    cr_assert_eq(m->conf.voters[0], 4929592047848112471u);
    cr_assert(wal_mark_valid(r.s, m));
    reading_clear(&r);
    buf_clear(&file);
}

/* Three segments; the second overwrites an entry that the first left uncommitted. */
static const char *three_segments(void)
{
    const char *dir = tmpdir_new();
    struct draft d = { 0 };

    draft_small(&d, 4);
    draft_entry(&d, 5, 2, "lost");
    draft_entry(&d, 6, 2, "lost");
    put_file(dir, FIRST_SEGMENT, d.b.p, d.b.n);
    draft_clear(&d);
    draft_head(&d);
    draft_state(&d, 3, 4);
    draft_entry(&d, 5, 3, "kept");
    put_file(dir, "0000000000000001-0000000000000007.wal", d.b.p, d.b.n);
    draft_clear(&d);
    draft_head(&d);
    draft_state(&d, 3, 5);
    draft_mark(&d, 5, 3);
    draft_entry(&d, 6, 3, "last");
    put_file(dir, "0000000000000002-0000000000000006.wal", d.b.p, d.b.n);
    draft_clear(&d);
    put_file(dir, "1.tmp", "", 0);
    return dir;
}

CASE(wal_read, follows_the_log_over_segments)
{
    struct wal_entry entry;
    struct reading r;

    reading_of(&r, three_segments());
    OK(r.rc, &r.e);
    cr_assert_eq(r.s->verdict, WAL_CLEAN, "%s", r.s->damage.reason);
    cr_assert(r.s->segment_count == 3 && r.s->entry_count == 6);
    cr_assert(r.s->last_index == 6 && r.s->last_term == 3 && r.s->state.commit == 5);
    cr_assert(reading_has(&r, "wal-tmp") && r.f.notes == 1 && r.f.warnings == 0);
    for (uint64_t i = 6; i >= 1; i--) {
        OK(wal_entry_at(r.w, i, &entry, &r.e), &r.e);
        cr_assert(entry.index == i && entry.term == (i < 5 ? 2 : 3), "entry %d", (int)i);
    }
    OK(wal_entry_at(r.w, 5, &entry, &r.e), &r.e);
    cr_assert(bytes_is(entry.data, "kept"));
    reading_clear(&r);
}

CASE(wal_read, a_missing_segment_is_damage)
{
    const char *dir = three_segments();
    struct reading r;

    remove(path_in(dir, "0000000000000001-0000000000000007.wal"));
    reading_of(&r, dir);
    cr_assert_eq(r.s->verdict, WAL_DAMAGED);
    cr_assert_str_eq(r.s->damage.code, "wal-gap");
    cr_assert_eq(r.s->first_read, 1);
    cr_assert_eq(r.s->last_index, 6, "the newest segments are read nevertheless");
    reading_clear(&r);
}

CASE(wal_read, purged_old_segments_are_normal)
{
    const char *dir = three_segments();
    struct reading r;

    remove(path_in(dir, FIRST_SEGMENT));
    remove(path_in(dir, "0000000000000001-0000000000000007.wal"));
    reading_of(&r, dir);
    cr_assert_eq(r.s->verdict, WAL_CLEAN, "%s", r.s->damage.reason);
    cr_assert(r.s->first_index == 6 && r.s->entry_count == 1 && r.s->last_index == 6);
    reading_clear(&r);
}

CASE(wal_read, a_shortened_middle_segment_breaks_the_chain)
{
    const char *dir = three_segments();
    struct draft d = { 0 };
    struct reading r;

    draft_small(&d, 4);
    put_file(dir, FIRST_SEGMENT, d.b.p, d.b.n);
    reading_of(&r, dir);
    cr_assert(r.s->verdict == WAL_DAMAGED && r.s->damage.etcd == WAL_ETCD_REFUSES);
    cr_assert_str_eq(r.s->damage.code, "wal-crc-chain");
    cr_assert_str_eq(r.s->damage.segment, "0000000000000001-0000000000000007.wal");
    cr_assert(r.s->damage.record == 1 && r.s->damage.offset == 0 && r.s->last_index == 4);
    draft_clear(&d);
    reading_clear(&r);
}

CASE(wal_read, a_cut_in_any_but_the_last_segment_is_damage)
{
    const char *dir = three_segments();
    struct draft d = { 0 };
    struct reading r;

    draft_small(&d, 4);
    put_file(dir, FIRST_SEGMENT, d.b.p, d.b.n - 5);
    reading_of(&r, dir);
    cr_assert_eq(r.s->verdict, WAL_DAMAGED);
    cr_assert_str_eq(r.s->damage.code, "wal-beyond-end");
    draft_clear(&d);
    reading_clear(&r);
}

CASE(wal_read, evidence_of_a_repair_and_odd_names_are_told)
{
    const char *dir = three_segments();
    struct reading r;

    put_file(dir, FIRST_SEGMENT ".broken", "", 0);
    put_file(dir, "0-0.wal", "", 0);
    put_file(dir, "000000000000000A-0000000000000000.wal", "", 0);
    reading_of(&r, dir);
    cr_assert(r.s->verdict == WAL_CLEAN && r.f.warnings == 3);
    cr_assert(reading_has(&r, "wal-broken") && reading_has(&r, "wal-name"));
    reading_clear(&r);
}

CASE(wal_read, a_log_may_start_anew_behind_a_received_snapshot)
{
    struct draft d = { 0 };
    struct reading r;

    draft_small(&d, 3);
    draft_mark(&d, 500, 4);
    draft_state(&d, 4, 500);
    reading_of_bytes(&r, d.b.p, d.b.n);
    cr_assert_eq(r.s->verdict, WAL_CLEAN, "%s", r.s->damage.reason);
    cr_assert(r.s->last_index == 500 && r.s->last_term == 4);
    reading_clear(&r);
    draft_entry(&d, 501, 4, "next");
    reading_of_bytes(&r, d.b.p, d.b.n);
    cr_assert_eq(r.s->verdict, WAL_CLEAN, "%s", r.s->damage.reason);
    cr_assert(r.s->first_index == 501 && r.s->entry_count == 1 && r.s->last_index == 501);
    draft_clear(&d);
    reading_clear(&r);
}

/* Records whose checksums hold, in an order that etcd never writes. */
static void refuses(const struct draft *d, const char *code, const char *reason)
{
    struct reading r;

    reading_of_bytes(&r, d->b.p, d->b.n);
    OK(r.rc, &r.e);
    cr_assert_eq(r.s->verdict, WAL_DAMAGED, "%s", reason);
    cr_assert_str_eq(r.s->damage.code, code);
    cr_assert_str_eq(r.s->damage.reason, reason);
    cr_assert(reading_has(&r, code) && reading_has(&r, "wal-etcd"), "%s", reason);
    reading_clear(&r);
}

CASE(wal_read, refuses_an_index_gap)
{
    struct draft d = { 0 };

    draft_small(&d, 3);
    draft_entry(&d, 5, 2, "x");
    refuses(&d, "wal-index", "entry 5 follows entry 3");
    draft_clear(&d);
}

CASE(wal_read, refuses_to_overwrite_what_is_committed)
{
    struct draft d = { 0 };

    draft_small(&d, 3);
    draft_entry(&d, 3, 3, "x");
    refuses(&d, "wal-index", "entry 3 overwrites a committed one (commit is 3)");
    draft_clear(&d);
}

CASE(wal_read, refuses_index_zero)
{
    struct draft d = { 0 };

    draft_head(&d);
    draft_entry(&d, 0, 2, "x");
    refuses(&d, "wal-index", "the entry has index 0");
    draft_clear(&d);
}

CASE(wal_read, refuses_terms_that_go_back)
{
    struct draft d = { 0 };

    draft_small(&d, 3);
    draft_entry(&d, 4, 1, "x");
    refuses(&d, "wal-term", "the term of entry 4 goes back to 1");
    draft_clear(&d);
    draft_small(&d, 3);
    draft_state(&d, 1, 3);
    refuses(&d, "wal-term", "the term of STATE goes back to 1");
    draft_clear(&d);
}

CASE(wal_read, refuses_another_members_segment)
{
    static const uint8_t other[] = { 0x08, 8, 0x10, 9 };
    struct draft d = { 0 };

    draft_small(&d, 1);
    draft_add(&d, WAL_METADATA, BYTES_OF(other));
    refuses(&d, "wal-metadata", "METADATA differs from that of the segments before");
    draft_clear(&d);
}

CASE(wal_read, refuses_a_segment_without_its_head)
{
    struct draft d = { 0 };

    draft_state(&d, 1, 0);
    refuses(&d, "wal-head", "the segment does not begin with CRC and METADATA");
    draft_clear(&d);
    draft_add(&d, WAL_CRC, (struct bytes){ 0 });
    refuses(&d, "wal-head", "the log has no METADATA");
    draft_clear(&d);
    refuses(&d, "wal-head", "the log has no METADATA");
}

CASE(wal_read, refuses_messages_of_another_kind)
{
    struct draft d = { 0 };

    draft_small(&d, 1);
    draft_add(&d, WAL_STATE, bytes_str("\x08\x02\x22\x01x"));
    refuses(&d, "wal-message", "no valid STATE: byte 2 of 5");
    draft_clear(&d);
    draft_small(&d, 1);
    draft_add(&d, WAL_ENTRY, bytes_str("\x08\x01\x10\x02\x18\x02"));
    refuses(&d, "wal-message", "entry 2 is an empty member change");
    draft_clear(&d);
    draft_small(&d, 1);
    draft_add(&d, WAL_ENTRY, bytes_str("\x08\x01\x10\x02\x18\x02\x22\x02\x08\x01"));
    refuses(&d, "wal-message", "entry 2 is no valid member change");
    draft_clear(&d);
}

CASE(wal_read, a_commit_beyond_the_log_means_its_end_is_lost)
{
    struct draft d = { 0 };

    draft_small(&d, 3);
    draft_state(&d, 2, 9);
    refuses(&d, "wal-commit", "commit is 9 but the log ends at 3: its end is lost");
    draft_clear(&d);
}

CASE(wal_read, a_mark_beyond_commit_is_told_and_not_believed)
{
    struct draft d = { 0 };
    struct reading r;

    draft_small(&d, 3);
    draft_mark(&d, 9, 2);
    reading_of_bytes(&r, d.b.p, d.b.n);
    cr_assert(r.s->verdict == WAL_CLEAN && reading_has(&r, "wal-mark"));
    cr_assert(r.s->last_index == 3 && !wal_mark_valid(r.s, &r.s->marks[1]));
    draft_clear(&d);
    reading_clear(&r);
}

CASE(wal_read, keeps_the_newest_marks_only)
{
    struct draft d = { 0 };
    struct reading r;

    draft_small(&d, 1);
    for (uint64_t i = 0; i < WAL_MARKS_KEPT + 5; i++)
        draft_mark(&d, i, 2);
    reading_of_bytes(&r, d.b.p, d.b.n);
    cr_assert_eq(r.s->mark_count, WAL_MARKS_KEPT);
    cr_assert_eq(r.s->marks[WAL_MARKS_KEPT - 1].index, WAL_MARKS_KEPT + 4);
    draft_clear(&d);
    reading_clear(&r);
}

CASE(wal_read, no_directory_and_no_segment_are_not_found)
{
    struct reading r;

    reading_of(&r, "/nonexistent/wal");
    cr_assert_eq(r.rc, RC_NOTFOUND);
    reading_clear(&r);
    reading_of(&r, tmpdir_new());
    cr_assert(r.rc == RC_NOTFOUND &&
              strstr(r.e.why, "there is no WAL segment in") != NULL);
    reading_clear(&r);
}

CASE(wal_read, what_is_no_regular_file_is_refused)
{
    const char *dir = tmpdir_new();
    struct reading r;

    cr_assert_eq(mkfifo(path_in(dir, FIRST_SEGMENT), 0600), 0);
    reading_of(&r, dir);
    cr_assert_eq(r.rc, RC_USAGE);
    reading_clear(&r);
}

CASE(wal_read, leaves_the_directory_as_it_was)
{
    const char *dir = three_segments();
    char before[512];
    struct stat a, b;
    struct reading r;

    snprintf(before, sizeof before, "%s", dir_listing(dir));
    cr_assert_eq(stat(path_in(dir, FIRST_SEGMENT), &a), 0);
    reading_of(&r, dir);
    reading_clear(&r);
    cr_assert_eq(stat(path_in(dir, FIRST_SEGMENT), &b), 0);
    cr_assert(a.st_mtim.tv_nsec == b.st_mtim.tv_nsec && a.st_size == b.st_size);
    cr_assert_str_eq(dir_listing(dir), before);
}

CASE(wal_read, a_file_that_changed_is_noticed)
{
    const char *dir = three_segments();
    struct wal_entry entry;
    struct draft d = { 0 };
    struct reading r;

    reading_of(&r, dir);
    put_file(dir, FIRST_SEGMENT, "", 0);
    OK(wal_entry_at(r.w, 6, &entry, &r.e), &r.e);
    cr_assert_eq(wal_entry_at(r.w, 1, &entry, &r.e), RC_CORRUPT);
    cr_assert(strstr(r.e.hint, "stop the member") != NULL, "%s", r.e.hint);
    draft_clear(&d);
    reading_clear(&r);
}

static unsigned sweep(enum fault_point point, int error, const char *dir)
{
    unsigned runs = 0;

    FAULT_SWEEP(point, nth, error) {
        struct reading r;

        runs = nth;
        reading_of(&r, dir);
        if (r.rc == RC_OK)
            cr_assert(r.s->verdict == WAL_CLEAN && r.s->last_index == 6, "fault %u", nth);
        else
            cr_assert(r.rc == RC_NOMEM || r.rc == RC_STORAGE, "fault %u: %s", nth,
                      r.e.why);
        reading_clear(&r);
    }
    return runs;
}

CASE(wal_read, failing_calls_are_errors_never_verdicts)
{
    const char *dir = three_segments();

    cr_assert_gt(sweep(FAULT_ALLOC, 0, dir), 10);
    cr_assert_eq(sweep(FAULT_READ, 5, dir), 4, "one read a segment, a clean run");
    cr_assert_gt(sweep(FAULT_READ, 0, dir), 3);
    cr_assert_eq(sweep(FAULT_OPEN, 24, dir), 5, "the directory, three segments, clean");
}
