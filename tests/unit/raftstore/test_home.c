/* A data directory as a kill, a crash or a person left it, and what a start makes of it.
 */
#include "raftstore/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "raftstore/image.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "util/mem.h"
#include "util/os.h"
#include "wal/snapfile.h"

static const struct wal_metadata ids = { .node_id = 0xa, .cluster_id = 9 };

struct opened {
    struct home home;
    struct bolt_file *file;
    struct machine *m;
};

static void opened_end(struct opened *o)
{
    machine_free(o->m);
    bolt_file_free(o->file);
    home_close(&o->home);
}
#define OPENED AT_END(opened_end) struct opened

static enum rc look(const char *dir, struct opened *o, struct err *e)
{
    o->home.db = -1;
    return home_open(dir, 6, &o->home, &o->file, &o->m, e);
}

static void list_end(struct restore_members *l)
{
    restore_members_clear(l);
}

/* Of two members, of which this is the first. */
static enum rc found(const char *dir, struct err *e)
{
    AT_END(list_end) struct restore_members all = { 0 };

    TRY(restore_members_parse("a=http://127.0.0.1:1,b=http://127.0.0.1:2", &all, e));
    all.items[0].id = ids.node_id;
    all.items[1].id = 0xb;
    return home_found(dir, &ids, &all, 6, e);
}

/* Empty entries, of term 2, all committed. */
static enum rc grow(struct opened *o, uint64_t first, uint64_t last, struct err *e)
{
    const struct wal_state state = { .term = 2, .commit = last };
    AT_END(buf_clear) struct buf s = { 0 };

    for (uint64_t i = first; i <= last; i++) {
        const struct wal_entry entry = { .term = 2, .index = i };
        AT_END(buf_clear) struct buf b = { 0 };

        TRY(wal_entry_put(&b, &entry, e));
        TRY(wal_log_add(o->home.log, WAL_ENTRY, (struct bytes){ b.p, b.n }, e));
    }
    TRY(wal_state_put(&s, &state, e));
    TRY(wal_log_add(o->home.log, WAL_STATE, (struct bytes){ s.p, s.n }, e));
    return wal_log_flush(o->home.log, true, e);
}

static enum rc image(struct opened *o, uint64_t index, struct buf *out, struct err *e)
{
    OWNED_FD int fd = -1;
    uint64_t size;

    machine_set_index(o->m, index, 2);
    TRY(image_scratch(o->home.snap_dir, &fd, e));
    TRY(image_write(o->m, fd, "an image", &size, e));
    TRY(buf_reserve(out, size, e));
    out->n = (size_t)size;
    return os_pread_full(fd, out->p, out->n, 0, "an image", e);
}

static enum rc mark(struct opened *o, uint64_t index, struct wal_conf *conf,
                    struct err *e)
{
    const struct wal_mark m = {
        .index = index, .term = 2, .conf = *conf, .has_conf = true
    };
    AT_END(buf_clear) struct buf b = { 0 };

    TRY(wal_mark_put(&b, &m, e));
    TRY(wal_log_add(o->home.log, WAL_SNAPSHOT, (struct bytes){ b.p, b.n }, e));
    return wal_log_flush(o->home.log, true, e);
}

/* A snapshot at `index`; without `done` the member died before the rename. */
static enum rc put(struct opened *o, uint64_t index, bool done, struct err *e)
{
    AT_END(buf_clear) struct buf db = { 0 };
    AT_END(buf_clear) struct buf snap = { 0 };
    AT_END(wal_conf_clear) struct wal_conf conf = { 0 };
    OWNED_FD int fd = -1;

    TRY(image(o, index, &db, e));
    TRY(home_put_image(&o->home, index, &(struct bytes){ db.p, db.n }, 1, e));
    TRY(home_describe(&o->home, o->m, index, 2, &snap, &conf, e));
    TRY(home_put_snap(&o->home, index, 2, (struct bytes){ snap.p, snap.n }, e));
    TRY(mark(o, index, &conf, e));
    return done ? home_put_db(&o->home, index, &fd, e) : RC_OK;
}

static const char *made(void)
{
    const char *dir = tmpdir_new();
    struct err e = { 0 };

    OK(found(dir, &e), &e);
    return dir;
}

static void expect(const char *dir, uint64_t index, uint64_t last)
{
    OPENED o = { 0 };
    struct err e = { 0 };
    size_t count;

    OK(look(dir, &o, &e), &e);
    cr_assert_eq(o.home.index, index);
    cr_assert_eq(o.home.found->log->last_index, last);
    machine_members(o.m, &count);
    cr_assert_eq(count, 2);
}

static void refused(const char *dir, const char *says)
{
    OPENED o = { 0 };
    struct err e = { 0 };

    cr_assert_eq(look(dir, &o, &e), RC_CORRUPT);
    cr_assert_not_null(strstr(e.why, says), "%s", e.why);
}

static void grown_with(const char *dir, uint64_t snapshot, bool done)
{
    OPENED o = { 0 };
    struct err e = { 0 };

    OK(look(dir, &o, &e), &e);
    OK(grow(&o, 3, 20, &e), &e);
    if (snapshot > 0)
        OK(put(&o, snapshot, done, &e), &e);
}

CASE(home, the_log_goes_on_behind_the_database)
{
    const char *dir = made();

    expect(dir, 2, 2);
    grown_with(dir, 0, false);
    expect(dir, 2, 20);
}

CASE(home, a_snapshot_is_where_it_starts_from)
{
    const char *dir = made();

    grown_with(dir, 15, true);
    expect(dir, 15, 20);
}

CASE(home, a_database_on_its_way_gets_to_its_place)
{
    const char *dir = made();

    grown_with(dir, 15, false);
    expect(dir, 15, 20);
    cr_assert_neq(access(path_in(dir, "member/snap/000000000000000f.snap.db"), F_OK), 0);
    expect(dir, 15, 20);
}

CASE(home, a_log_that_begins_with_the_cluster_makes_the_database_again)
{
    const char *dir = made();

    grown_with(dir, 0, false);
    cr_assert_eq(unlink(path_in(dir, "member/snap/db")), 0);
    expect(dir, 20, 20);
    expect(dir, 20, 20);
}

/* Somebody put an older one back. */
CASE(home, a_database_older_than_the_snapshot_is_refused)
{
    const char *dir = made();
    const char *old = path_in(dir, "old"), *db = path_in(dir, "member/snap/db");

    cr_assert_eq(link(db, old), 0);
    grown_with(dir, 15, true);
    cr_assert_eq(rename(old, db), 0);
    refused(dir, "before the snapshot");
}

CASE(home, a_log_that_is_gone_is_not_begun_again)
{
    const char *dir = made();
    struct err e = { 0 };

    OK(os_remove_tree(AT_FDCWD, path_in(dir, "member/wal"), &e), &e);
    refused(dir, "is gone");
}

CASE(home, one_that_joins_is_blank)
{
    const char *dir = tmpdir_new();
    OPENED o = { 0 };
    struct err e = { 0 };

    OK(home_join(dir, &ids, &e), &e);
    OK(look(dir, &o, &e), &e);
    cr_assert_eq(o.home.member, ids.node_id);
    cr_assert_eq(o.home.index, 0);
    cr_assert_eq(o.home.db, -1);
}

CASE(home, old_snapshots_go)
{
    const char *dir = made();
    AT_END(snapdir_clear) struct snapdir left = { 0 };
    AT_END(findings_clear) struct findings f = { 0 };
    OPENED o = { 0 };
    struct err e = { 0 };

    OK(look(dir, &o, &e), &e);
    OK(grow(&o, 3, 30, &e), &e);
    for (uint64_t index = 10; index < 18; index++)
        OK(put(&o, index, index % 2 == 0, &e), &e);
    home_sweep(&o.home, 17);
    OK(snapdir_list(o.home.snap_dir, &f, &left, &e), &e);
    cr_assert_eq(left.snap_count, 5, "as many as etcd keeps");
    cr_assert_eq(left.snaps[0].index, 17);
    cr_assert_eq(left.db_count, 0);
}

/* Wherever it ends, the next start finds the old state or the new one. */
static void put_fails(const char *place, enum fault_point point, int error)
{
    bool went_off = true;

    for (unsigned nth = 1; went_off; nth++) {
        char name[32];
        const char *dir;
        struct err e = { 0 };

        snprintf(name, sizeof name, "%d.%u", (int)point, nth);
        dir = path_in(place, name);
        OK(os_mkdir(AT_FDCWD, dir, &e), &e);
        OK(found(dir, &e), &e);

        {
            OPENED o = { 0 };

            OK(look(dir, &o, &e), &e);
            OK(grow(&o, 3, 20, &e), &e);
            fault_arm(point, nth, error);
            (void)!put(&o, 15, true, &e);
            went_off = fault_disarm();
        }
        OPENED after = { 0 };

        OK(look(dir, &after, &e), &e);
        cr_assert(after.home.index == 2 || after.home.index == 15);
        cr_assert_eq(after.home.found->log->last_index, 20);
        cr_assert(went_off || after.home.index == 15);
    }
}

CASE(home, each_failing_call_of_a_snapshot_leaves_a_directory_that_opens)
{
    const char *place = tmpdir_new();

    put_fails(place, FAULT_WRITE, ENOSPC);
    put_fails(place, FAULT_FSYNC, EIO);
    put_fails(place, FAULT_RENAME, EIO);
}
