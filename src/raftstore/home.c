#include "raftstore/home.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "datadir/password.h"
#include "datadir/tail.h"
#include "raftstore/image.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "wal/snapfile.h"
#include "wal/write.h"

#define NEW ".member.new"

enum {
    LOCK_TRIES = 20,
    LOCK_PAUSE_MS = 25,
    SNAPS_KEPT = 5, /* etcd's --max-snapshots */
    NAME_SIZE = 64,
};

void home_close(struct home *h)
{
    datadir_free(h->found);
    wal_log_free(h->log);
    os_fd_end(&h->db);
    mem_free(h->snap_dir);
    *h = (struct home){ .db = -1 };
}

bool home_is_there(const char *data_dir)
{
    OWNED_FD int fd = -1;
    AT_END(mem_end) char *path = NULL;
    struct err e;

    return str_format(&path, &e, "%s/member", data_dir) == RC_OK &&
           os_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, &fd, &e) == RC_OK;
}

/* ---- making one -------------------------------------------------------------------- */

static enum rc write_db(int snap_dir, const char *name, const struct machine *m,
                        struct err *e)
{
    OWNED_FD int fd = -1;
    uint64_t size;

    TRY(os_open(snap_dir, name, O_RDWR | O_CREAT | O_TRUNC, 0600, &fd, e));
    TRY(image_write(m, fd, name, &size, e));
    TRY(os_sync(fd, name, e));
    return os_sync_dir(snap_dir, name, e);
}

/* One entry, to the log and to the state. */
static enum rc add_member(const struct restore_member *it, uint64_t index,
                          struct wal_log *log, struct machine *m, struct err *e)
{
    AT_END(buf_clear) struct buf json = { 0 };
    AT_END(buf_clear) struct buf change = { 0 };
    AT_END(buf_clear) struct buf record = { 0 };
    const struct mvcc_member member = { .id = it->id,
                                        .name = it->name,
                                        .peer_urls = it->peer_urls };
    struct wal_change c = { .node_id = it->id, .type = WAL_CHANGE_ADD };
    struct wal_entry entry = { .type = WAL_ENTRY_CONF_CHANGE, .term = 1, .index = index };

    TRY(mvcc_member_write(&member, &json, e));
    c.context = (struct bytes){ json.p, json.n };
    TRY(wal_change_put(&change, &c, e));
    entry.data = (struct bytes){ change.p, change.n };
    TRY(machine_apply(m, &entry, NULL, e));
    TRY(wal_entry_put(&record, &entry, e));
    return wal_log_add(log, WAL_ENTRY, (struct bytes){ record.p, record.n }, e);
}

static enum rc commit_all(struct wal_log *log, uint64_t count, struct err *e)
{
    const struct wal_state state = { .term = 1, .commit = count };
    AT_END(buf_clear) struct buf record = { 0 };

    TRY(wal_state_put(&record, &state, e));
    TRY(wal_log_add(log, WAL_STATE, (struct bytes){ record.p, record.n }, e));
    return wal_log_flush(log, true, e);
}

static enum rc fill(int snap_dir, struct wal_log *log,
                    const struct restore_members *members, int minor, struct err *e)
{
    const struct machine_options options = { .minor = minor };
    OWNED(machine) m = NULL;

    TRY(machine_new(&options, &m, e));
    for (size_t i = 0; i < members->count; i++)
        TRY(add_member(&members->items[i], i + 1, log, m, e));
    TRY(commit_all(log, members->count, e));
    return write_db(snap_dir, "db", m, e);
}

/* With members (NULL: none) of the first log. */
static enum rc build(const char *place, const struct wal_metadata *ids,
                     const struct restore_members *members, int minor, struct err *e)
{
    AT_END(mem_end) char *wal = NULL;
    AT_END(mem_end) char *snap = NULL;
    OWNED(wal_log) log = NULL;
    OWNED_FD int snap_dir = -1;
    OWNED_FD int dir = -1;

    TRY(str_format(&wal, e, "%s/wal", place));
    TRY(str_format(&snap, e, "%s/snap", place));
    TRY(os_mkdir(AT_FDCWD, place, e));
    TRY(os_mkdir(AT_FDCWD, wal, e));
    TRY(os_mkdir(AT_FDCWD, snap, e));
    TRY(os_open(AT_FDCWD, place, O_RDONLY | O_DIRECTORY, 0, &dir, e));
    TRY(os_open(AT_FDCWD, snap, O_RDONLY | O_DIRECTORY, 0, &snap_dir, e));
    TRY(wal_log_create(wal, ids, &log, e));
    if (members != NULL)
        TRY(fill(snap_dir, log, members, minor, e));
    return os_sync_dir(dir, place, e);
}

static enum rc make(const char *data_dir, const struct wal_metadata *ids,
                    const struct restore_members *members, int minor, struct err *e)
{
    AT_END(mem_end) char *place = NULL;
    OWNED_FD int dir = -1;

    TRY(os_open(AT_FDCWD, data_dir, O_RDONLY | O_DIRECTORY, 0, &dir, e));
    TRY(os_remove_tree(dir, NEW, e));
    TRY(str_format(&place, e, "%s/" NEW, data_dir));
    TRY(build(place, ids, members, minor, e));
    if (os.renameat2(dir, NEW, dir, "member", RENAME_NOREPLACE) != 0)
        return err_sys(e, RC_STORAGE, "cannot rename '%s'", place);
    return os_sync_dir(dir, data_dir, e);
}

enum rc home_found(const char *data_dir, const struct wal_metadata *ids,
                   const struct restore_members *members, int minor, struct err *e)
{
    return make(data_dir, ids, members, minor, e);
}

enum rc home_join(const char *data_dir, const struct wal_metadata *ids, struct err *e)
{
    return make(data_dir, ids, NULL, 0, e);
}

/* ---- opening one ------------------------------------------------------------------- */

static const char *first_error(const struct datadir *d)
{
    for (size_t i = 0; i < d->findings.kept; i++)
        if (datadir_blocks(&d->findings.items[i]))
            return d->findings.items[i].message;
    return datadir_verdict_name(d->verdict);
}

/* etcd, too, needs a database that is as new as the newest snapshot. */
static enum rc check(const struct datadir *d, struct err *e)
{
    bool sound = d->verdict == DATADIR_WHOLE || d->verdict == DATADIR_TORN;

    if (d->log == NULL)
        return err_set(e, RC_CORRUPT,
                       "the log in '%s' is gone" HINT
                       "a member that lost its log is removed from the cluster and added "
                       "again, under a new id",
                       d->wal_path);
    if (!sound || datadir_blocked(d))
        return err_set(e, RC_CORRUPT, "'%s' cannot be gone on from: %s", d->wal_path,
                       first_error(d));
    if (d->db != NULL && d->snapshot > d->applied && !d->received)
        return err_set(e, RC_CORRUPT,
                       "the database '%s' ends at entry %" PRIu64
                       ", before the snapshot at %" PRIu64,
                       d->db_path, d->applied, d->snapshot);
    return RC_OK;
}

static bool is_blank(const struct datadir *d)
{
    return d->log != NULL && d->db == NULL && d->log->last_index == 0;
}

static uint64_t term_of(struct datadir *d, const struct machine *m)
{
    uint64_t index = machine_index(m);
    struct wal_entry entry;
    struct err ignored;

    if (wal_entry_at(d->wal, index, &entry, &ignored) == RC_OK)
        return entry.term;
    for (size_t i = 0; i < d->log->mark_count; i++)
        if (d->log->marks[i].index == index)
            return d->log->marks[i].term;
    return machine_term(m);
}

static enum rc load(struct datadir *d, int minor, struct machine **out, struct err *e)
{
    const struct machine_options options = { .minor = minor,
                                             .hash_password = datadir_hash_password };
    OWNED(machine) m = NULL;

    TRY(machine_new(&options, &m, e));
    if (d->db != NULL)
        TRY(machine_load(m, d->db, e));
    *out = GIVE(m);
    return RC_OK;
}

/* The log makes all of it; what is committed, at least. */
static enum rc replay(const struct home *h, struct machine **out, struct err *e)
{
    const struct datadir_tail_options o = { .committed_only = true, .minor = h->minor };
    AT_END(datadir_tail_clear) struct datadir_tail t = { 0 };
    OWNED_FD int snap_dir = -1;

    TRY(datadir_apply(h->found, &o, &t, e));
    TRY(os_open(AT_FDCWD, h->snap_dir, O_RDONLY | O_DIRECTORY, 0, &snap_dir, e));
    TRY(write_db(snap_dir, "db", t.machine, e));
    *out = GIVE(t.machine);
    return RC_OK;
}

/* One that was just killed may take a moment to go. */
static enum rc read_it(const char *data_dir, struct datadir **out, struct err *e)
{
    const struct datadir_request q = { .dir = data_dir };
    enum rc rc = datadir_open(&q, out, e);

    for (int tries = 0; rc == RC_LOCKED && tries < LOCK_TRIES; tries++) {
        clock_sleep_ms(LOCK_PAUSE_MS);
        rc = datadir_open(&q, out, e);
    }
    return rc;
}

static enum rc lock_db(const struct home *h, const char *name, int *out, struct err *e)
{
    AT_END(mem_end) char *path = NULL;
    OWNED_FD int fd = -1;

    TRY(str_format(&path, e, "%s/%s", h->snap_dir, name));
    TRY(os_open(AT_FDCWD, path, O_RDWR | O_NOFOLLOW, 0, &fd, e));
    if (os.flock(fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(e, RC_LOCKED, "'%s' is in use by another process", path);
    *out = os_fd_give(&fd);
    return RC_OK;
}

static enum rc take_state(struct home *h, struct machine **m, struct err *e)
{
    struct datadir *d = h->found;

    TRY(check(d, e));
    if (d->received)
        TRY(home_put_db(h, d->snapshot, &h->db, e));
    TRY(d->db == NULL ? replay(h, m, e) : load(d, h->minor, m, e));
    h->index = machine_index(*m);
    h->term = term_of(d, *m);
    return h->db >= 0 ? RC_OK : lock_db(h, "db", &h->db, e);
}

static enum rc open_all(const char *data_dir, struct home *h, struct machine **m,
                        struct err *e)
{
    TRY(read_it(data_dir, &h->found, e));
    if (!home_is_there(data_dir)) /* it named member/ itself */
        return err_set(e, RC_USAGE, "'%s' is no data directory", data_dir);
    TRY(str_format(&h->snap_dir, e, "%s/member/snap", data_dir));
    if (is_blank(h->found))
        TRY(load(h->found, h->minor, m, e));
    else
        TRY(take_state(h, m, e));
    h->member = h->found->member_id;
    h->cluster = h->found->cluster_id;
    return wal_log_open(h->found->wal_path, h->found->log, &h->log, e);
}

static void home_end(struct home *h)
{
    home_close(h);
}

enum rc home_open(const char *data_dir, int minor, struct home *out,
                  struct bolt_file **file, struct machine **m, struct err *e)
{
    AT_END(home_end) struct home h = { .db = -1, .minor = minor };
    OWNED(machine) state = NULL;

    TRY(open_all(data_dir, &h, &state, e));
    log_info("member %" PRIx64 " of cluster %" PRIx64 ": state at entry %" PRIu64
             ", log to %" PRIu64,
             h.member, h.cluster, h.index, h.found->log->last_index);
    *file = GIVE(h.found->db);
    *m = GIVE(state);
    *out = h;
    h = (struct home){ .db = -1 };
    return RC_OK;
}

/* ---- snapshots --------------------------------------------------------------------- */

static enum rc list_members(const struct machine *m, struct wal_member **out,
                            size_t *count, struct err *e)
{
    const struct mvcc_member *all = machine_members(m, count);

    TRY(mem_new(out, (*count + 1) * sizeof **out, "members", e));
    for (size_t i = 0; i < *count; i++)
        (*out)[i] = (struct wal_member){
            .id = all[i].id,
            .name = all[i].name == NULL ? "" : all[i].name,
            .peer_urls = (const char *const *)all[i].peer_urls.items,
            .peer_url_count = all[i].peer_urls.count,
            .client_urls = (const char *const *)all[i].client_urls.items,
            .client_url_count = all[i].client_urls.count,
            .is_learner = all[i].learner,
        };
    return RC_OK;
}

static enum rc conf_of(const struct wal_member *members, size_t count,
                       struct wal_conf *out, struct err *e)
{
    TRY(mem_new(&out->voters, (count + 1) * sizeof *out->voters, "member ids", e));
    TRY(mem_new(&out->learners, (count + 1) * sizeof *out->learners, "member ids", e));
    for (size_t i = 0; i < count; i++)
        if (members[i].is_learner)
            out->learners[out->learner_count++] = members[i].id;
        else
            out->voters[out->voter_count++] = members[i].id;
    return RC_OK;
}

enum rc home_describe(const struct home *h, const struct machine *m, uint64_t index,
                      uint64_t term, struct buf *snap, struct wal_conf *conf,
                      struct err *e)
{
    AT_END(mem_end) struct wal_member *members = NULL;
    struct wal_seed seed = { .cluster_id = h->cluster, .term = term, .index = index };

    TRY(list_members(m, &members, &seed.member_count, e));
    seed.members = members;
    seed.node_id = seed.member_count == 0 ? 0 : members[0].id;
    TRY(conf_of(members, seed.member_count, conf, e));
    return wal_seed_snap(&seed, snap, e);
}

static void image_name(char out[static NAME_SIZE], uint64_t index)
{
    snprintf(out, NAME_SIZE, "%016" PRIx64 ".snap.db", index);
}

static enum rc open_snap_dir(const struct home *h, int *out, struct err *e)
{
    return os_open(AT_FDCWD, h->snap_dir, O_RDONLY | O_DIRECTORY, 0, out, e);
}

/* A file that appears whole. */
static enum rc put_file(const struct home *h, const char *name, const struct bytes *parts,
                        size_t count, struct err *e)
{
    OWNED_FD int dir = -1;
    OWNED_FD int fd = -1;
    char tmp[NAME_SIZE + 8];

    snprintf(tmp, sizeof tmp, "%s.tmp", name);
    TRY(open_snap_dir(h, &dir, e));
    TRY(os_open(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600, &fd, e));
    for (size_t i = 0; i < count; i++)
        TRY(os_write_full(fd, parts[i].p, parts[i].n, tmp, e));
    TRY(os_sync(fd, tmp, e));
    if (os.renameat2(dir, tmp, dir, name, 0) != 0)
        return err_sys(e, RC_STORAGE, "cannot rename to '%s/%s'", h->snap_dir, name);
    return os_sync_dir(dir, h->snap_dir, e);
}

enum rc home_put_image(const struct home *h, uint64_t index, const struct bytes *parts,
                       size_t count, struct err *e)
{
    char name[NAME_SIZE];

    image_name(name, index);
    return put_file(h, name, parts, count, e);
}

enum rc home_open_image(const struct home *h, uint64_t index, int *fd, struct err *e)
{
    OWNED_FD int dir = -1;
    char name[NAME_SIZE];

    image_name(name, index);
    TRY(open_snap_dir(h, &dir, e));
    return os_open(dir, name, O_RDONLY | O_NOFOLLOW, 0, fd, e);
}

enum rc home_put_snap(const struct home *h, uint64_t index, uint64_t term,
                      struct bytes snap, struct err *e)
{
    char name[SNAPFILE_NAME_SIZE];

    snapfile_name(name, term, index);
    return put_file(h, name, &snap, 1, e);
}

enum rc home_put_db(const struct home *h, uint64_t index, int *db, struct err *e)
{
    OWNED_FD int dir = -1;
    OWNED_FD int fd = -1;
    char name[NAME_SIZE];

    image_name(name, index);
    TRY(lock_db(h, name, &fd, e));
    TRY(open_snap_dir(h, &dir, e));
    if (os.renameat2(dir, name, dir, "db", 0) != 0)
        return err_sys(e, RC_STORAGE, "cannot rename to '%s/db'", h->snap_dir);
    TRY(os_sync_dir(dir, h->snap_dir, e));
    *db = os_fd_give(&fd);
    return RC_OK;
}

static enum rc put_state(const struct home *h, const struct machine *m, struct err *e)
{
    OWNED_FD int fd = -1;
    struct bytes image;
    uint64_t size;
    enum rc rc;
    void *p;

    TRY(image_scratch(h->snap_dir, &fd, e));
    TRY(image_write(m, fd, "the database", &size, e));
    p = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return err_sys(e, RC_NOMEM, "no memory for the database");
    image = (struct bytes){ p, (size_t)size };
    rc = home_put_image(h, machine_index(m), &image, 1, e);
    munmap(p, (size_t)size);
    return rc;
}

enum rc home_keep(struct home *h, const struct machine *m, struct err *e)
{
    int db = -1;

    TRY(put_state(h, m, e));
    TRY(home_put_db(h, machine_index(m), &db, e));
    os_fd_end(&h->db);
    h->db = db;
    h->index = machine_index(m);
    h->term = machine_term(m);
    return RC_OK;
}

void home_sweep(const struct home *h, uint64_t index)
{
    AT_END(findings_clear) struct findings ignored = { 0 };
    AT_END(snapdir_clear) struct snapdir all = { 0 };
    OWNED_FD int dir = -1;
    char name[NAME_SIZE];
    struct err e;

    if (snapdir_list(h->snap_dir, &ignored, &all, &e) != RC_OK ||
        open_snap_dir(h, &dir, &e) != RC_OK)
        return;
    for (size_t i = SNAPS_KEPT; i < all.snap_count; i++) {
        snapfile_name(name, all.snaps[i].term, all.snaps[i].index);
        (void)os.unlinkat(dir, name, 0);
    }
    for (size_t i = 0; i < all.db_count; i++)
        if (all.dbs[i] <= index) {
            image_name(name, all.dbs[i]);
            (void)os.unlinkat(dir, name, 0);
        }
}
