/* What libraft is given at its start, and when it sends a snapshot: see keeper.h. */
#include <unistd.h>

#include "raftstore/entry.h"
#include "raftstore/keeper_priv.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"

/* ---- configurations ---------------------------------------------------------------- */

int keeper_copy_conf(const struct raft_configuration *from, struct raft_configuration *to)
{
    int status = 0;

    raft_configuration_init(to);
    for (unsigned i = 0; i < from->n && status == 0; i++)
        status = raft_configuration_add(to, from->servers[i].id, from->servers[i].address,
                                        from->servers[i].role);
    if (status != 0)
        raft_configuration_close(to);
    return status;
}

static bool has(const uint64_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* Who counted for the quorum when the snapshot was taken; NULL when an etcd took it, for
 * which the members themselves do. */
static const struct wal_conf *counted_at(const struct home *h)
{
    const struct wal_summary *log = h->found->log;

    for (size_t i = 0; i < log->mark_count; i++)
        if (log->marks[i].index == h->index && log->marks[i].has_counted)
            return &log->marks[i].counted;
    return NULL;
}

/* RAFT_SPARE: raft does not know it yet. */
static int role_of(const struct mvcc_member *m, const struct wal_conf *counted)
{
    if (counted == NULL)
        return m->learner ? RAFT_STANDBY : RAFT_VOTER;
    if (has(counted->voters, counted->voter_count, m->id))
        return RAFT_VOTER;
    return has(counted->learners, counted->learner_count, m->id) ? RAFT_STANDBY
                                                                 : RAFT_SPARE;
}

enum rc keeper_first_conf(struct keeper *k, const struct machine *m, struct err *e)
{
    const struct wal_conf *counted = counted_at(k->home);
    size_t count;
    const struct mvcc_member *all = machine_members(m, &count);
    int status = 0;

    for (size_t i = 0; i < count && status == 0; i++) {
        int role = role_of(&all[i], counted);

        if (role != RAFT_SPARE && all[i].peer_urls.count > 0)
            status = raft_configuration_add(&k->conf, all[i].id,
                                            all[i].peer_urls.items[0], role);
    }
    k->conf_index = k->home->index;
    if (status != 0)
        return err_set(e, RC_USAGE, "raft does not take these members: %s",
                       raft_strerror(status));
    return RC_OK;
}

/* ---- the start --------------------------------------------------------------------- */

static struct raft_snapshot *new_snapshot(const struct keeper *k)
{
    struct raft_snapshot *s = raft_calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->index = k->home->index;
    s->term = k->home->term;
    s->configuration_index = k->conf_index;
    s->n_bufs = 1;
    s->bufs = raft_calloc(1, sizeof *s->bufs);
    if (s->bufs == NULL || keeper_copy_conf(&k->conf, &s->configuration) != 0) {
        raft_free(s->bufs);
        raft_free(s);
        return NULL;
    }
    return s;
}

static void free_snapshot(struct raft_snapshot *s)
{
    raft_configuration_close(&s->configuration);
    raft_free(s->bufs[0].base);
    raft_free(s->bufs);
    raft_free(s);
}

struct loading {
    struct keeper *k;
    struct raft_entry *entries;
    size_t count;
    uint64_t term; /* of the last one */
};

static void loading_end(struct loading *l)
{
    for (size_t i = 0; i < l->count; i++)
        raft_free(l->entries[i].buf.base);
    raft_free(l->entries);
}

/* Behind a snapshot that a leader sent there may still be what it replaced; its terms
 * tell. */
static enum rc read_entries(struct loading *l, struct err *e)
{
    struct home *h = l->k->home;
    uint64_t last = h->found->log->last_index;

    for (uint64_t i = h->index + 1; i <= last; i++) {
        struct wal_entry entry;

        TRY(wal_entry_at(h->found->wal, i, &entry, e));
        if (entry.term < l->term)
            break;
        TRY(entry_read(&entry, &l->entries[l->count], e));
        l->count++;
        l->term = entry.term;
        TRY(keeper_note_term(l->k, i, entry.term, e));
    }
    l->k->next = h->index + 1 + l->count;
    return RC_OK;
}

/* --force-new-cluster: one more entry, from which on only this member counts. */
static enum rc force(struct loading *l, struct err *e)
{
    struct keeper *k = l->k;
    struct raft_entry *entry = &l->entries[l->count];
    struct keeper_job *job;
    size_t begun;

    if (k->forced.base == NULL)
        return RC_OK;
    *entry =
        (struct raft_entry){ .type = RAFT_CHANGE,
                             .term = l->term > k->state.term ? l->term : k->state.term,
                             .buf = k->forced };
    k->forced = (struct raft_buffer){ 0 };
    l->count++;
    TRY(mem_new(&job, sizeof *job, "an entry", e));
    job->sync = true;
    if (keeper_record(job, WAL_ENTRY, &begun, e) != RC_OK ||
        entry_write(entry, k->next, &job->records, e) != RC_OK) {
        keeper_job_free(job);
        return e->code;
    }
    keeper_record_end(job, begun);
    TRY(keeper_note_term(k, k->next++, entry->term, e));
    keeper_submit(k, job);
    return keeper_settle(k) == 0
               ? RC_OK
               : err_set(e, RC_STORAGE, "the log cannot be written: %s", k->failure.why);
}

static enum rc load_all(struct loading *l, struct err *e)
{
    struct home *h = l->k->home;
    uint64_t last = h->found->log->last_index;
    size_t room = last > h->index ? (size_t)(last - h->index) : 0;

    l->entries = raft_calloc(room + 1, sizeof *l->entries);
    if (l->entries == NULL)
        return err_set(e, RC_NOMEM, "no memory for %zu entries", room);
    TRY(read_entries(l, e));
    return force(l, e);
}

/* libraft keeps nothing before the snapshot: a member that needs an entry from there gets
 * the snapshot, which has what no entry says after a restore. */
enum rc keeper_load(struct keeper *k, struct raft_snapshot **snapshot,
                    struct raft_entry *entries[], size_t *count, struct err *e)
{
    AT_END(loading_end) struct loading l = { .k = k, .term = k->home->term };

    TRY(load_all(&l, e));
    *snapshot = k->home->index > 0 ? new_snapshot(k) : NULL;
    if (k->home->index > 0 && *snapshot == NULL)
        return err_set(e, RC_NOMEM, "no memory for a snapshot");
    *entries = l.entries;
    *count = l.count;
    l = (struct loading){ 0 };
    datadir_free(k->home->found);
    k->home->found = NULL;
    return RC_OK;
}

/* ---- sending a snapshot ------------------------------------------------------------ */

struct get {
    uv_work_t work;
    struct keeper *k;
    struct raft_io_snapshot_get *req;
    raft_io_snapshot_get_cb cb;
    struct raft_snapshot *snapshot;
    int fd;
    struct err failure;
};

static void get_free(struct get *g)
{
    os_fd_end(&g->fd);
    mem_free(g);
}

static enum rc read_image(struct get *g, struct err *e)
{
    struct raft_buffer *b = &g->snapshot->bufs[0];
    struct stat st;

    if (os.fstat(g->fd, &st) != 0)
        return err_sys(e, RC_STORAGE, "cannot stat the database");
    b->len = (size_t)st.st_size;
    b->base = raft_malloc(b->len);
    if (b->base == NULL)
        return err_set(e, RC_NOMEM, "no memory for a snapshot of %zu bytes", b->len);
    return os_pread_full(g->fd, b->base, b->len, 0, "the database", e);
}

static void get_work(uv_work_t *work)
{
    struct get *g = work->data;

    (void)!read_image(g, &g->failure);
}

static void get_done(uv_work_t *work, int status)
{
    struct get *g = work->data;
    struct keeper *k = g->k;

    (void)status;
    if (g->failure.code != RC_OK) {
        log_warn("a snapshot cannot be sent: %s", g->failure.why);
        free_snapshot(g->snapshot);
        g->snapshot = NULL;
    }
    g->cb(g->req, g->snapshot, g->failure.code == RC_OK ? 0 : RAFT_IOERR);
    get_free(g);
    keeper_work_ended(k);
}

int keeper_get(struct keeper *k, struct raft_io_snapshot_get *req,
               raft_io_snapshot_get_cb cb)
{
    struct get *g = mem_zero(sizeof *g);

    if (g == NULL)
        return RAFT_NOMEM;
    *g = (struct get){ .work = { .data = g }, .k = k, .req = req, .cb = cb, .fd = -1 };
    g->fd = k->home->db < 0 ? -1 : dup(k->home->db);
    g->snapshot = new_snapshot(k);
    if (g->fd < 0 || g->snapshot == NULL ||
        uv_queue_work(k->loop, &g->work, get_work, get_done) != 0) {
        if (g->snapshot != NULL)
            free_snapshot(g->snapshot);
        get_free(g);
        return RAFT_NOMEM;
    }
    k->works++;
    return 0;
}
