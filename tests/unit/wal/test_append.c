/* A log that is written on is what etcd's reader expects: every test reads it back. */
#include "wal/append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/wal/lab.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

static const struct wal_metadata ids = { .node_id = 7, .cluster_id = 9 };

static enum rc add_entry(struct wal_log *l, uint64_t index, struct bytes data,
                         struct err *e)
{
    const struct wal_entry entry = { .term = 2, .index = index, .data = data };
    AT_END(buf_clear) struct buf b = { 0 };

    TRY(wal_entry_put(&b, &entry, e));
    return wal_log_add(l, WAL_ENTRY, (struct bytes){ b.p, b.n }, e);
}

static enum rc add_state(struct wal_log *l, uint64_t commit, struct err *e)
{
    const struct wal_state state = { .term = 2, .vote = 7, .commit = commit };
    AT_END(buf_clear) struct buf b = { 0 };

    TRY(wal_state_put(&b, &state, e));
    return wal_log_add(l, WAL_STATE, (struct bytes){ b.p, b.n }, e);
}

/* Entries first..last, committed and durable. */
static enum rc grow(struct wal_log *l, uint64_t first, uint64_t last, struct err *e)
{
    for (uint64_t i = first; i <= last; i++)
        TRY(add_entry(l, i, bytes_str("some data"), e));
    TRY(add_state(l, last, e));
    return wal_log_flush(l, true, e);
}

static enum rc reopen(const char *dir, struct wal_log **out, struct err *e)
{
    struct reading r = { 0 };
    enum rc rc;

    reading_of(&r, dir);
    rc = r.rc == RC_OK ? wal_log_open(dir, r.s, out, e) : r.rc;
    reading_clear(&r);
    return rc;
}

static void expect(const char *dir, uint64_t last, size_t segments)
{
    struct reading r = { 0 };

    reading_of(&r, dir);
    cr_assert_eq(r.rc, RC_OK, "%s", r.e.why);
    cr_assert_eq(r.s->verdict, WAL_CLEAN, "%s", r.s->damage.reason);
    cr_assert_eq(r.s->ids.node_id, ids.node_id);
    cr_assert_eq(r.s->last_index, last);
    cr_assert_eq(r.s->state.commit, last);
    cr_assert_eq(r.s->segment_count, segments);
    reading_clear(&r);
}

CASE(append, what_is_written_is_read_and_gone_on_from)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };

    for (uint64_t start = 0; start < 3; start++) {
        OWNED(wal_log) l = NULL;

        OK(start == 0 ? wal_log_create(dir, &ids, &l, &e) : reopen(dir, &l, &e), &e);
        OK(grow(l, 10 * start + 1, 10 * start + 10, &e), &e);
        expect(dir, 10 * start + 10, 1);
    }
}

CASE(append, an_entry_takes_the_place_of_those_from_its_index_on)
{
    const char *dir = tmpdir_new();
    OWNED(wal_log) l = NULL;
    struct err e = { 0 };

    OK(wal_log_create(dir, &ids, &l, &e), &e);
    OK(grow(l, 1, 5, &e), &e);
    for (uint64_t i = 6; i < 10; i++)
        OK(add_entry(l, i, bytes_str("cut off"), &e), &e);
    OK(grow(l, 6, 7, &e), &e);
    expect(dir, 7, 1);
}

CASE(append, only_one_writes)
{
    const char *dir = tmpdir_new();
    OWNED(wal_log) l = NULL;
    OWNED(wal_log) other = NULL;
    struct err e = { 0 };

    OK(wal_log_create(dir, &ids, &l, &e), &e);
    cr_assert_eq(reopen(dir, &other, &e), RC_LOCKED);
}

/* As etcd does, and its reader wants it: the chain goes on, old ones go when nothing in
 * them is needed. */
CASE(append, a_full_segment_is_followed_by_the_next)
{
    enum { ENTRIES = 40, SIZE = 6 << 20 };
    static uint8_t large[SIZE];
    const char *dir = tmpdir_new();
    OWNED(wal_log) l = NULL;
    struct err e = { 0 };

    OK(wal_log_create(dir, &ids, &l, &e), &e);
    for (uint64_t i = 1; i <= ENTRIES; i++) {
        OK(add_entry(l, i, BYTES_OF(large), &e), &e);
        OK(add_state(l, i, &e), &e);
        OK(wal_log_flush(l, false, &e), &e);
    }
    expect(dir, ENTRIES, 4);
    OK(wal_log_purge(l, 11, 2, &e), &e);
    expect(dir, ENTRIES, 4);
    OK(wal_log_purge(l, ENTRIES, 2, &e), &e);
    expect(dir, ENTRIES, 2);
}

/* The file as it is after a write of which only the first `kept` bytes arrived. */
static void tear(const char *dir, uint64_t kept)
{
    AT_END(mem_end) char *path = NULL;
    struct err e = { 0 };

    OK(str_format(&path, &e, "%s/" FIRST_SEGMENT, dir), &e);
    cr_assert_eq(truncate(path, (off_t)kept), 0);
    cr_assert_eq(truncate(path, WAL_SEGMENT_BYTES), 0);
}

static uint64_t end_of(const char *dir)
{
    struct reading r = { 0 };
    uint64_t end;

    reading_of(&r, dir);
    end = r.s->segments[0].end;
    reading_clear(&r);
    return end;
}

CASE(append, a_torn_end_is_cut_off_and_kept_beside_it)
{
    static uint8_t large[4096] = { [0 ... 4095] = 'x' };
    const char *dir = tmpdir_new();
    OWNED(wal_log) l = NULL;
    struct err e = { 0 };
    uint64_t sound;

    OK(wal_log_create(dir, &ids, &l, &e), &e);
    OK(grow(l, 1, 5, &e), &e);
    sound = end_of(dir);
    OK(add_entry(l, 6, BYTES_OF(large), &e), &e);
    OK(wal_log_flush(l, true, &e), &e);
    wal_log_free(GIVE(l));
    tear(dir, sound + 1000);
    OK(reopen(dir, &l, &e), &e);
    expect(dir, 5, 1);
    cr_assert_eq(access(path_in(dir, FIRST_SEGMENT ".broken"), F_OK), 0);
    OK(grow(l, 6, 8, &e), &e);
    expect(dir, 8, 1);
}

CASE(append, damage_before_the_end_is_refused)
{
    const char *dir = tmpdir_new();
    AT_END(mem_end) char *path = NULL;
    OWNED(wal_log) l = NULL;
    OWNED_FD int fd = -1;
    struct err e = { 0 };

    OK(wal_log_create(dir, &ids, &l, &e), &e);
    OK(grow(l, 1, 5, &e), &e);
    wal_log_free(GIVE(l));
    OK(str_format(&path, &e, "%s/" FIRST_SEGMENT, dir), &e);
    OK(os_open(AT_FDCWD, path, O_RDWR, 0, &fd, &e), &e);
    OK(os_pwrite_full(fd, "X", 1, end_of(dir) / 2, path, &e), &e);
    cr_assert_eq(reopen(dir, &l, &e), RC_CORRUPT);
    cr_assert_neq(access(path_in(dir, FIRST_SEGMENT ".broken"), F_OK), 0);
}

/* Logs that real etcds wrote. */
CASE(append, an_etcds_log_is_gone_on_from)
{
    for (size_t i = 0; i < golden_log_count; i++) {
        const struct golden_log *g = &golden_logs[i];
        const char *dir = tmpdir_new();
        AT_END(buf_clear) struct buf file = { 0 };
        OWNED(wal_log) l = NULL;
        struct reading r = { 0 };
        struct err e = { 0 };
        const struct wal_entry entry = { .term = g->last_term + 1,
                                         .index = g->last_index + 1 };
        AT_END(buf_clear) struct buf b = { 0 };

        golden_file(g->path, &file);
        put_file(dir, FIRST_SEGMENT, file.p, file.n);
        OK(reopen(dir, &l, &e), &e);
        OK(wal_entry_put(&b, &entry, &e), &e);
        OK(wal_log_add(l, WAL_ENTRY, (struct bytes){ b.p, b.n }, &e), &e);
        OK(wal_log_flush(l, true, &e), &e);
        reading_of(&r, dir);
        cr_assert_eq(r.s->verdict, WAL_CLEAN, "%s: %s", g->path, r.s->damage.reason);
        cr_assert_eq(r.s->last_index, g->last_index + 1, "%s", g->path);
        cr_assert_eq(r.s->ids.node_id, g->node_id, "%s", g->path);
        reading_clear(&r);
    }
}

static enum rc create_and_grow(const char *dir, struct err *e)
{
    OWNED(wal_log) l = NULL;

    TRY(wal_log_create(dir, &ids, &l, e));
    TRY(grow(l, 1, 3, e));
    return grow(l, 4, 6, e);
}

/* Whatever fails: what was durable before is there, and can be gone on from. */
static void is_sound(const char *dir, const char *note)
{
    struct reading r = { 0 };
    OWNED(wal_log) l = NULL;
    struct err e = { 0 };

    reading_of(&r, dir);
    if (r.rc == RC_OK) {
        uint64_t next = r.s->last_index + 1;

        cr_assert_neq(r.s->verdict, WAL_DAMAGED, "%s: %s", note, r.s->damage.reason);
        OK(wal_log_open(dir, r.s, &l, &e), &e);
        OK(grow(l, next, next, &e), &e);
        expect(dir, next, 1);
    } else {
        cr_assert_eq(r.rc, RC_NOTFOUND, "%s: %s", note, r.e.why);
    }
    reading_clear(&r);
}

CASE(append, each_failing_call_leaves_a_sound_log)
{
    static const struct {
        enum fault_point point;
        int error;
    } faults[] = { { FAULT_WRITE, ENOSPC },
                   { FAULT_FSYNC, EIO },
                   { FAULT_RENAME, EIO },
                   { FAULT_ALLOC, ENOMEM } };

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        bool went_off = true;

        for (unsigned nth = 1; went_off; nth++) {
            const char *dir = tmpdir_new();
            struct err e = { 0 };
            char note[40];
            enum rc rc;

            fault_arm(faults[i].point, nth, faults[i].error);
            rc = create_and_grow(dir, &e);
            went_off = fault_disarm();
            cr_assert_eq(rc == RC_OK, !went_off);
            snprintf(note, sizeof note, "fault %zu, call %u", i, nth);
            is_sound(dir, note);
        }
    }
}
