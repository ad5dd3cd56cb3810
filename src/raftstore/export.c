#include "raftstore/export.h"

#include <fcntl.h>

#include "raftstore/fsm.h"
#include "raftstore/identity.h"
#include "raftstore/image.h"
#include "raftstore/peers.h"
#include "restore/place.h"
#include "util/mem.h"
#include "util/os.h"

/* ---- libraft's files -------------------------------------------------------------- */

struct store {
    bool looping; /* `loop` was made */
    uv_loop_t loop;
    struct raft_io io;
    struct peers *peers; /* never listens: libraft wants a transport */
    struct faults faults;
    raft_term term;
    struct raft_snapshot *snapshot;
    raft_index start;
    struct raft_entry *entries;
    size_t count;
};

static const char *no_url(void *arg, uint64_t id)
{
    (void)arg;
    (void)id;
    return NULL;
}

static void on_closed(struct raft_io *io)
{
    (void)io;
}

static void free_entries(struct store *s)
{
    void *batch = NULL;

    for (size_t i = 0; i < s->count; i++)
        if (s->entries[i].batch != batch) {
            batch = s->entries[i].batch;
            raft_free(batch);
        }
    raft_free(s->entries);
}

static void free_snapshot(struct raft_snapshot *s)
{
    if (s == NULL)
        return;
    raft_configuration_close(&s->configuration);
    for (unsigned i = 0; i < s->n_bufs; i++)
        raft_free(s->bufs[i].base);
    raft_free(s->bufs);
    raft_free(s);
}

static enum rc store_open(struct store *s, const struct identity *me, struct err *e)
{
    const struct peers_options o = { .loop = &s->loop,
                                     .me = me->member,
                                     .cluster = me->cluster,
                                     .faults = &s->faults,
                                     .hooks = { .url = no_url } };
    raft_id vote;
    int status;

    if (uv_loop_init(&s->loop) != 0)
        return err_set(e, RC_NOMEM, "no memory for the loop");
    s->looping = true;
    TRY(peers_new(&o, &s->peers, e));
    status = raft_uv_init(&s->io, &s->loop, me->raft_dir, peers_transport(s->peers));
    if (status == 0)
        status = s->io.init(&s->io, me->member, "127.0.0.1:0");
    if (status == 0)
        status = s->io.load(&s->io, &s->term, &vote, &s->snapshot, &s->start, &s->entries,
                            &s->count);
    if (status != 0)
        return err_set(e, RC_CORRUPT, "cannot read the log in '%s': %s", me->raft_dir,
                       s->io.errmsg);
    return RC_OK;
}

static void store_end(struct store *s)
{
    free_entries(s);
    free_snapshot(s->snapshot);
    if (s->io.close != NULL) {
        s->io.close(&s->io, on_closed);
        uv_run(&s->loop, UV_RUN_DEFAULT);
        raft_uv_close(&s->io);
    }
    if (s->looping)
        uv_loop_close(&s->loop);
    peers_free(s->peers);
}

static enum rc replay(struct fsm *f, const struct store *s, struct err *e)
{
    raft_index applied = 0;

    if (s->snapshot != NULL) {
        const struct raft_buffer *b = &s->snapshot->bufs[0];

        TRY(fsm_take_snapshot(f, (struct bytes){ b->base, b->len }, e));
        applied = s->snapshot->index;
    }
    for (size_t i = 0; i < s->count; i++) {
        const struct raft_entry *it = &s->entries[i];

        if (it->type == RAFT_COMMAND && s->start + i > applied)
            TRY(fsm_apply_entry(f, s->start + i,
                                (struct bytes){ it->buf.base, it->buf.len }, e));
    }
    return RC_OK;
}

/* ---- etcd's files ----------------------------------------------------------------- */

static void list_members(const struct machine *m, struct wal_member *out)
{
    size_t count;
    const struct mvcc_member *all = machine_members(m, &count);

    for (size_t i = 0; i < count; i++)
        out[i] = (struct wal_member){
            .id = all[i].id,
            .name = all[i].name == NULL ? "" : all[i].name,
            .peer_urls = (const char *const *)all[i].peer_urls.items,
            .peer_url_count = all[i].peer_urls.count,
            .client_urls = (const char *const *)all[i].client_urls.items,
            .client_url_count = all[i].client_urls.count,
            .is_learner = all[i].learner,
        };
}

static enum rc write_log(const struct machine *m, const struct identity *me,
                         const struct restore_place *place, struct err *e)
{
    AT_END(mem_end) struct wal_member *members = NULL;
    struct wal_seed seed = {
        .node_id = me->member,
        .cluster_id = me->cluster,
        .term = machine_term(m),
        .index = machine_index(m),
    };

    (void)machine_members(m, &seed.member_count);
    TRY(mem_new(&members, (seed.member_count + 1) * sizeof *members, "members", e));
    list_members(m, members);
    seed.members = members;
    return restore_place_seed(place, &seed, e);
}

static enum rc write_database(const struct machine *m, const struct restore_place *place,
                              struct err *e)
{
    OWNED_FD int snap = -1;
    OWNED_FD int db = -1;
    uint64_t size;

    TRY(os_open(AT_FDCWD, restore_place_snap_dir(place), O_RDONLY | O_DIRECTORY, 0, &snap,
                e));
    TRY(os_open(snap, "db", O_RDWR | O_CREAT | O_EXCL, 0600, &db, e));
    TRY(image_write(m, db, "db", &size, e));
    return os_sync(db, "db", e);
}

static enum rc publish(const struct node_options *o, const struct identity *me,
                       const struct machine *m, struct err *e)
{
    OWNED(restore_place) place = NULL;

    TRY(restore_place_open(o->output, NULL, &place, e));
    TRY(write_database(m, place, e));
    TRY(write_log(m, me, place, e));
    return restore_place_publish(place, e);
}

static void fsm_end(struct fsm *f)
{
    fsm_clear(f);
}

static void identity_end(struct identity *me)
{
    identity_close(me);
}

enum rc export_data_dir(const struct node_options *o, struct err *e)
{
    AT_END(identity_end) struct identity me = { .lock = -1 };
    AT_END(store_end) struct store s = { 0 };
    AT_END(fsm_end) struct fsm f = { 0 };
    struct bolt_file *file = NULL;
    OWNED(machine) base = NULL;

    if (o->output == NULL)
        return err_set(e, RC_USAGE, "--output is missing");
    TRY(identity_open(o->data_dir, &me, e));
    TRY(identity_base(o, &me, &file, &base, e));
    fsm_init(&f, NULL, o->minor, me.lab_dir, GIVE(base), file);
    TRY(store_open(&s, &me, e));
    TRY(replay(&f, &s, e));
    return publish(o, &me, f.machine, e);
}
