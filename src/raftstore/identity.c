#include "raftstore/identity.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "codec/message.h"
#include "raftstore/calls.h"
#include "raftstore/image.h"
#include "raftstore/peers.h"
#include "restore/members.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "wal/read.h"

enum {
    FILE_MAX = 64 << 10,
    ASK_NEW_MS = 500,
    ASK_JOIN_MS = 3000,
    PATH_SIZE = 640,
    LOCK_TRIES = 20,
    LOCK_PAUSE_MS = 25,
};

static void members_end(struct restore_members *m)
{
    restore_members_clear(m);
}

static void path_of(char out[static PATH_SIZE], const char *dir, const char *name)
{
    snprintf(out, PATH_SIZE, "%s/%s", dir, name);
}

static bool exists(const char *dir, const char *name)
{
    char path[PATH_SIZE];

    path_of(path, dir, name);
    return access(path, F_OK) == 0;
}

/* ---- the file --------------------------------------------------------------------- */

static enum rc read_identity(struct identity *me, struct err *e)
{
    char path[PATH_SIZE];
    AT_END(mem_end) uint8_t *text = NULL;
    OWNED(json) j = NULL;
    size_t n;

    path_of(path, me->lab_dir, "member.json");
    TRY(os_read_file(path, FILE_MAX, &text, &n, e));
    TRY(json_parse((struct bytes){ text, n }, path, &j, e));
    if (!json_get_u64(j, "member_id", &me->member) ||
        !json_get_u64(j, "cluster_id", &me->cluster) ||
        !json_get_bool(j, "joined", &me->joined) ||
        !json_get_bool(j, "started", &me->started))
        return err_set(e, RC_CORRUPT, "'%s' lacks a field", path);
    if (me->started && !exists(me->raft_dir, "metadata1") &&
        !exists(me->raft_dir, "metadata2"))
        return err_set(e, RC_CORRUPT,
                       "the log in '%s' is gone" HINT
                       "a member that lost its log is removed from the cluster and added "
                       "again, under a new id",
                       me->raft_dir);
    return RC_OK;
}

static enum rc write_file(int dir, const char *name, struct bytes text, struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(os_open(dir, ".new", O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd, e));
    TRY(os_write_full(fd, text.p, text.n, name, e));
    TRY(os_sync(fd, name, e));
    if (os.renameat2(dir, ".new", dir, name, 0) != 0)
        return err_sys(e, RC_STORAGE, "cannot rename to '%s'", name);
    return os_sync_dir(dir, name, e);
}

static enum rc write_identity(const struct identity *me, struct err *e)
{
    OWNED(json) j = json_new_object();
    AT_END(mem_end) char *text = NULL;
    OWNED_FD int dir = -1;

    json_set_u64(j, "member_id", me->member);
    json_set_u64(j, "cluster_id", me->cluster);
    json_set_bool(j, "joined", me->joined);
    json_set_bool(j, "started", me->started);
    TRY(json_render(j, true, &text, e));
    TRY(os_open(AT_FDCWD, me->lab_dir, O_RDONLY | O_DIRECTORY, 0, &dir, e));
    return write_file(dir, "member.json", bytes_str(text), e);
}

enum rc identity_started(struct identity *me, struct err *e)
{
    if (me->started)
        return RC_OK;
    me->started = true;
    return write_identity(me, e);
}

/* ---- what others say -------------------------------------------------------------- */

static bool same_urls(const struct restore_member *m, const Etcdrpc__Member *it)
{
    if (it->n_peer_urls != m->peer_urls.count)
        return false;
    for (size_t i = 0; i < it->n_peer_urls; i++)
        if (!str_list_has(&m->peer_urls, it->peer_urls[i]))
            return false;
    return true;
}

static enum rc ask_one(const char *url, unsigned ms, Etcdrpc__MemberListResponse **out,
                       struct err *e)
{
    AT_END(mem_end) uint8_t *body = NULL;
    size_t n;

    TRY(peer_ask(url, CALL_MEMBERS, ms, &body, &n, e));
    return codec_unpack(&etcdrpc__member_list_response__descriptor,
                        (struct bytes){ body, n }, out, e);
}

/* The first member list that another member gives; RC_NET when none does. */
static enum rc ask_all(const struct restore_members *all, const struct restore_member *us,
                       unsigned ms, Etcdrpc__MemberListResponse **out, struct err *e)
{
    for (size_t i = 0; i < all->count; i++)
        for (size_t k = 0; k < all->items[i].peer_urls.count; k++)
            if (&all->items[i] != us &&
                ask_one(all->items[i].peer_urls.items[k], ms, out, e) == RC_OK)
                return RC_OK;
    return err_set(e, RC_NET, "no member of the cluster answers on its peer URL");
}

/* ---- founding --------------------------------------------------------------------- */

static enum rc already_there(uint64_t id, struct err *e)
{
    return err_set(e, RC_REFUSED,
                   "member %llx has already been bootstrapped" HINT
                   "a member whose data is lost is removed from the cluster and added "
                   "again, under a new id",
                   (unsigned long long)id);
}

/* A member that once served, and lost its data, must not vote again under its id. */
static enum rc check_not_wiped(const struct identity *me,
                               const Etcdrpc__MemberListResponse *list, struct err *e)
{
    if (list->header == NULL || list->header->cluster_id != me->cluster)
        return RC_OK;
    for (size_t i = 0; i < list->n_members; i++)
        if (list->members[i]->id == me->member)
            return list->members[i]->n_client_urls > 0 ? already_there(me->member, e)
                                                       : RC_OK;
    return err_set(e, RC_REFUSED,
                   "the member has been permanently removed from the cluster");
}

static enum rc add_member(struct machine *m, const struct restore_member *it,
                          uint64_t index, struct err *e)
{
    AT_END(buf_clear) struct buf json = { 0 };
    const struct mvcc_member member = {
        .id = it->id,
        .name = it->name,
        .peer_urls = it->peer_urls,
    };
    struct wal_change change = { .node_id = it->id, .type = WAL_CHANGE_ADD };

    TRY(mvcc_member_write(&member, &json, e));
    change.context = (struct bytes){ json.p, json.n };
    TRY(machine_change(m, &change, NULL, e));
    machine_set_index(m, index, 1);
    return RC_OK;
}

static enum rc write_base(const struct node_options *o, const struct identity *me,
                          const struct restore_members *all, struct err *e)
{
    const struct machine_options options = { .minor = o->minor };
    OWNED(machine) m = NULL;
    OWNED_FD int dir = -1;
    OWNED_FD int fd = -1;
    uint64_t size;

    TRY(machine_new(&options, &m, e));
    for (size_t i = 0; i < all->count; i++)
        TRY(add_member(m, &all->items[i], i + 1, e));
    TRY(os_open(AT_FDCWD, me->lab_dir, O_RDONLY | O_DIRECTORY, 0, &dir, e));
    TRY(os_open(dir, "base.db", O_RDWR | O_CREAT | O_TRUNC, 0600, &fd, e));
    TRY(image_write(m, fd, "base.db", &size, e));
    return os_sync(fd, "base.db", e);
}

static enum rc found(const struct node_options *o, const struct restore_members *all,
                     const struct restore_member *us, struct identity *me, struct err *e)
{
    AT_END(codec_end) Etcdrpc__MemberListResponse *list = NULL;
    struct err quiet;

    me->member = us->id;
    if (ask_all(all, us, ASK_NEW_MS, &list, &quiet) == RC_OK)
        TRY(check_not_wiped(me, list, e));
    return write_base(o, me, all, e);
}

/* ---- joining ---------------------------------------------------------------------- */

static enum rc join(const struct restore_members *all, const struct restore_member *us,
                    struct identity *me, struct err *e)
{
    AT_END(codec_end) Etcdrpc__MemberListResponse *list = NULL;

    TRY(ask_all(all, us, ASK_JOIN_MS, &list, e));
    me->joined = true;
    me->cluster = list->header == NULL ? 0 : list->header->cluster_id;
    for (size_t i = 0; i < list->n_members; i++)
        if (same_urls(us, list->members[i])) {
            me->member = list->members[i]->id;
            return list->members[i]->n_client_urls > 0 ? already_there(me->member, e)
                                                       : RC_OK;
        }
    return err_set(e, RC_REFUSED,
                   "error validating peerURLs: member count is unequal or '%s' was never "
                   "added" HINT "add it first: etcdctl member add",
                   us->name);
}

static enum rc first_start(const struct node_options *o, struct identity *me,
                           struct err *e)
{
    AT_END(members_end) struct restore_members all = { 0 };
    AT_END(mem_end) char *own = NULL;
    const char *cluster = o->initial_cluster;
    const struct restore_member *us;

    if (cluster == NULL) {
        TRY(str_format(&own, e, "%s=%s", o->name, o->advertise_peer));
        cluster = own;
    }
    TRY(restore_members_parse(cluster, &all, e));
    TRY(restore_members_identify(&all, o->token, &me->cluster, e));
    us = restore_members_find(&all, o->name);
    if (us == NULL)
        return err_set(e, RC_USAGE,
                       "couldn't find local name \"%s\" in the initial "
                       "cluster configuration",
                       o->name);
    return o->existing ? join(&all, us, me, e) : found(o, &all, us, me, e);
}

/* ---- adopting --------------------------------------------------------------------- */

static enum rc adopt(const struct node_options *o, struct identity *me, struct err *e)
{
    char path[PATH_SIZE];
    AT_END(findings_clear) struct findings f = { 0 };
    OWNED(wal) log = NULL;

    path_of(path, o->data_dir, "member/wal");
    TRY(wal_open(path, &f, &log, e));
    me->member = wal_summary(log)->ids.node_id;
    me->cluster = wal_summary(log)->ids.cluster_id;
    if (wal_summary(log)->verdict == WAL_DAMAGED)
        return err_set(e, RC_CORRUPT, "the log in '%s' is damaged: %s", path,
                       wal_summary(log)->damage.reason);
    log_info("adopting the data directory of member %llx of cluster %llx",
             (unsigned long long)me->member, (unsigned long long)me->cluster);
    return RC_OK;
}

static enum rc name_dirs(const char *data_dir, struct identity *me, struct err *e)
{
    int n = snprintf(me->lab_dir, sizeof me->lab_dir, "%s/lab", data_dir);

    me->lock = -1;
    if (n < 0 || (size_t)n + sizeof "/raft" > sizeof me->lab_dir)
        return err_set(e, RC_USAGE, "--data-dir is too long");
    snprintf(me->raft_dir, sizeof me->raft_dir, "%.500s/raft", me->lab_dir);
    return RC_OK;
}

static enum rc make_dirs(const char *data_dir, const struct identity *me, struct err *e)
{
    const char *const dirs[] = { data_dir, me->lab_dir, me->raft_dir };

    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
        if (access(dirs[i], F_OK) != 0)
            TRY(os_mkdir(AT_FDCWD, dirs[i], e));
    return RC_OK;
}

static enum rc take_lock(struct identity *me, struct err *e)
{
    char path[PATH_SIZE];

    path_of(path, me->lab_dir, "lock");
    TRY(os_open(AT_FDCWD, path, O_RDWR | O_CREAT, 0600, &me->lock, e));
    /* One that was just killed may take a moment to go. */
    for (int tries = 0; os.flock(me->lock, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (tries == LOCK_TRIES)
            return err_set(e, RC_LOCKED, "'%s' is in use by another process",
                           me->lab_dir);
        clock_sleep_ms(LOCK_PAUSE_MS);
    }
    return RC_OK;
}

void identity_close(struct identity *me)
{
    os_fd_end(&me->lock);
}

static enum rc establish(const struct node_options *o, struct identity *me, struct err *e)
{
    TRY(make_dirs(o->data_dir, me, e));
    TRY(take_lock(me, e));
    if (exists(me->lab_dir, "member.json"))
        return read_identity(me, e);
    TRY(exists(o->data_dir, "member/snap/db") ? adopt(o, me, e) : first_start(o, me, e));
    return write_identity(me, e);
}

enum rc identity_establish(const struct node_options *o, struct identity *out,
                           struct err *e)
{
    struct identity me = { 0 };

    TRY(name_dirs(o->data_dir, &me, e));
    if (establish(o, &me, e) != RC_OK) {
        identity_close(&me);
        return e->code;
    }
    *out = me;
    return RC_OK;
}

enum rc identity_open(const char *data_dir, struct identity *out, struct err *e)
{
    struct identity me = { 0 };

    TRY(name_dirs(data_dir, &me, e));
    if (!exists(me.lab_dir, "member.json"))
        return err_set(e, RC_NOTFOUND, "no member has started in '%s'", data_dir);
    if (take_lock(&me, e) != RC_OK || read_identity(&me, e) != RC_OK) {
        identity_close(&me);
        return e->code;
    }
    *out = me;
    return RC_OK;
}

/* ---- the base --------------------------------------------------------------------- */

/* A restored directory's log says nothing the database does not have. A running member's
 * may, and the other members' may say more: they cannot all go on from there. */
static enum rc finish_log(const struct node_options *o, struct machine *m, struct err *e)
{
    char path[PATH_SIZE];
    AT_END(findings_clear) struct findings f = { 0 };
    OWNED(wal) log = NULL;
    uint64_t last;

    path_of(path, o->data_dir, "member/wal");
    TRY(wal_open(path, &f, &log, e));
    last = wal_summary(log)->last_index;
    if (last > machine_index(m) && !o->force_new_cluster)
        return err_set(e, RC_REFUSED,
                       "the log of '%s' has %llu entries that the database lacks" HINT
                       "this directory was in use: restore a snapshot of it, or give "
                       "--force-new-cluster",
                       o->data_dir, (unsigned long long)(last - machine_index(m)));
    for (uint64_t i = machine_index(m) + 1; i <= last; i++) {
        struct wal_entry entry;

        TRY(wal_entry_at(log, i, &entry, e));
        TRY(machine_apply(m, &entry, NULL, e));
    }
    return RC_OK;
}

enum rc identity_base(const struct node_options *o, const struct identity *me,
                      struct bolt_file **file, struct machine **out, struct err *e)
{
    const struct machine_options options = { .minor = o->minor };
    bool restored = !me->joined && !exists(me->lab_dir, "base.db");
    char path[PATH_SIZE];
    OWNED_FD int fd = -1;
    OWNED(bolt_file) borrowed = NULL;
    OWNED(machine) m = NULL;

    if (me->joined) {
        *file = NULL;
        return machine_new(&options, out, e);
    }
    if (restored)
        path_of(path, o->data_dir, "member/snap/db");
    else
        path_of(path, me->lab_dir, "base.db");
    TRY(os_open(AT_FDCWD, path, O_RDONLY, 0, &fd, e));
    TRY(image_load(fd, path, o->minor, &borrowed, &m, e));
    if (restored)
        TRY(finish_log(o, m, e));
    *file = GIVE(borrowed);
    *out = GIVE(m);
    return RC_OK;
}

enum rc identity_members_write(const struct machine *m, uint64_t cluster, struct buf *out,
                               struct err *e)
{
    Etcdrpc__ResponseHeader header;
    Etcdrpc__MemberListResponse list;
    size_t count;
    const struct mvcc_member *all = machine_members(m, &count);
    AT_END(mem_end) Etcdrpc__Member *members = NULL;
    AT_END(mem_end) Etcdrpc__Member **each = NULL;

    etcdrpc__response_header__init(&header);
    etcdrpc__member_list_response__init(&list);
    TRY(mem_new(&members, (count + 1) * sizeof *members, "a member list", e));
    TRY(mem_new(&each, (count + 1) * sizeof *each, "a member list", e));
    for (size_t i = 0; i < count; i++) {
        etcdrpc__member__init(&members[i]);
        members[i].id = all[i].id;
        if (all[i].name != NULL)
            members[i].name = all[i].name;
        members[i].peer_urls = all[i].peer_urls.items;
        members[i].n_peer_urls = all[i].peer_urls.count;
        members[i].client_urls = all[i].client_urls.items;
        members[i].n_client_urls = all[i].client_urls.count;
        members[i].is_learner = all[i].learner;
        each[i] = &members[i];
    }
    header.cluster_id = cluster;
    list.header = &header;
    list.members = each;
    list.n_members = count;
    return codec_pack(&list, out, e);
}
