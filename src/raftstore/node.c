#include "raftstore/node.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "codec/message.h"
#include "crypto/tls_engine.h"
#include "raftstore/identity.h"
#include "raftstore/node_priv.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"

/* Followers learn by the next message what was committed, and libraft sends none for
 * that alone: without frequent heartbeats a write through a follower would take long. */
enum {
    TICK_MS = 20,
    TRAILING = 1024,
    RETRY_CONNECT_MS = 100,
    GRACE_MS = 200,
    HEARTBEAT_MAX_MS = 10,
    LOG_BYTES = 64 << 20,
    LARGE_STORE = 5000, /* half of its records */
};

/* ---- facts ------------------------------------------------------------------------ */

uint64_t node_leader(struct node *n)
{
    raft_id id = 0;
    const char *address;

    raft_leader(&n->raft, &id, &address);
    return id;
}

bool node_is_leader(struct node *n)
{
    return raft_state(&n->raft) == RAFT_LEADER;
}

uint64_t node_term(const struct node *n)
{
    return n->raft.current_term;
}

uint64_t node_patience_ms(const struct node *n)
{
    return 5000 + 2 * n->o.election_ms;
}

uint64_t node_index(struct node *n)
{
    return raft_last_applied(&n->raft);
}

const struct mvcc_member *node_member(const struct node *n, uint64_t id)
{
    size_t count;
    const struct mvcc_member *all = machine_members(n->fsm.machine, &count);

    for (size_t i = 0; i < count; i++)
        if (all[i].id == id)
            return &all[i];
    return NULL;
}

bool node_is_learner(const struct node *n)
{
    const struct mvcc_member *m = node_member(n, n->home.member);

    return m != NULL && m->learner;
}

static const char *url_of(void *arg, uint64_t id)
{
    const struct mvcc_member *m = node_member(arg, id);

    return m == NULL || m->peer_urls.count == 0 ? NULL : m->peer_urls.items[0];
}

static bool is_removed(void *arg, uint64_t id)
{
    return machine_removed(((struct node *)arg)->fsm.machine, id);
}

/* ---- ending ----------------------------------------------------------------------- */

static void on_raft_closed(struct raft *raft)
{
    struct node *n = raft->data;

    disk_close(&n->disk);
    keeper_close(&n->keeper);
}

static void on_server_closed(void *arg)
{
    struct node *n = arg;

    n->server = NULL;
    reads_end(n);
    proposals_end(n);
    n->applied = raft_last_applied(&n->raft);
    raft_close(&n->raft, on_raft_closed);
}

void node_stop(struct node *n, const struct err *end)
{
    if (n->stopping)
        return;
    n->stopping = true;
    n->end = *end;
    if (end->code != RC_OK)
        log_warn("this member ends: %s", end->why);
    uv_close((uv_handle_t *)&n->tick, NULL);
    uv_close((uv_handle_t *)&n->prepare, NULL);
    uv_close((uv_handle_t *)&n->term, NULL);
    uv_close((uv_handle_t *)&n->interrupt, NULL);
    control_close(n->control);
    reads_end(n);
    proposals_end(n);
    watch_end(n);
    if (n->server != NULL)
        grpcd_close(n->server, GRACE_MS, on_server_closed, n);
    else
        on_server_closed(n);
}

void node_gone(struct node *n)
{
    if (n->broken.code == RC_OK)
        (void)!err_set(&n->broken, RC_REFUSED,
                       "the member has been permanently removed from the cluster");
}

static void we_are_removed(void *arg)
{
    node_gone(arg);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct err none = { 0 };

    (void)number;
    node_stop(handle->data, &none);
}

/* Comes from inside libraft, where nothing may be torn down: the next tick ends it. */
static void on_write_failed(void *arg, const char *why)
{
    struct node *n = arg;

    (void)!err_set(&n->broken, RC_STORAGE, "%s", why);
}

/* ---- what the log brings ---------------------------------------------------------- */

static bool on_wanted(void *arg, uint64_t id)
{
    return proposals_wanted(&((struct node *)arg)->proposals, id);
}

static void on_applied(void *arg, const struct payload *p, struct machine_outcome *o)
{
    struct node *n = arg;

    if (p->kind == PAYLOAD_REQUEST)
        lessor_applied(&n->lessor, p->body);
    n->watches.behind = true;
    proposals_applied(&n->proposals, p->id, o);
}

static void on_restored(void *arg)
{
    struct node *n = arg;

    n->lessor.dirty = true;
    n->watches.behind = true;
}

static enum rc on_draws(void *arg, uint64_t index, struct err *e)
{
    struct node *n = arg;

    return keeper_draw(&n->keeper, n->fsm.machine, index, e);
}

/* ---- what goes on by itself ------------------------------------------------------- */

static void on_lead_done(struct raft_barrier *req, int status)
{
    (void)status;
    mem_free(req);
}

/* libraft begins a term without an entry of its own, and entries of earlier terms commit
 * only together with one of the new. */
static void begin_term(struct node *n)
{
    struct raft_barrier *req = mem_zero(sizeof *req);

    lessor_lead(n);
    if (req != NULL && raft_barrier(&n->raft, req, on_lead_done) != 0)
        mem_free(req);
}

static void note_leader(struct node *n)
{
    uint64_t leader = node_leader(n);

    if (leader != n->seen_leader) {
        n->seen_leader = leader;
        n->leader_since = uv_now(&n->loop);
        log_info("the leader is %llx in term %llu", (unsigned long long)leader,
                 (unsigned long long)node_term(n));
    }
    if (node_is_leader(n) && !n->was_leader)
        begin_term(n);
    n->was_leader = node_is_leader(n);
}

/* A log may become large with few entries, and libraft keeps it in memory until the next
 * snapshot. A snapshot is all of the state, so that the more there is of it the more
 * entries must come between two: else loading a store costs the square of its size. */
static void pace_snapshots(struct node *n)
{
    const struct kvstore *kv = machine_kv(n->fsm.machine);
    bool soon = n->fsm.applied_bytes > kvstore_bytes(kv) + LOG_BYTES;
    uint64_t half = kvstore_records(kv) / 2, often = n->o.snapshot_count;
    uint64_t threshold = soon ? 1 : half > often && half > LARGE_STORE ? half : often;

    if (threshold != n->snapshot_threshold)
        raft_set_snapshot_threshold(
            &n->raft, threshold > UINT32_MAX ? UINT32_MAX : (unsigned)threshold);
    n->snapshot_threshold = threshold;
}

static void on_tick(uv_timer_t *timer)
{
    struct node *n = timer->data;

    if (machine_removed(n->fsm.machine, n->home.member))
        node_gone(n);
    if (n->broken.code == RC_OK && raft_state(&n->raft) == RAFT_UNAVAILABLE)
        (void)!err_set(&n->broken, RC_STORAGE, "raft cannot go on: %s",
                       raft_errmsg(&n->raft));
    if (n->broken.code != RC_OK) {
        node_stop(n, &n->broken);
        return;
    }
    note_leader(n);
    keeper_tick(&n->keeper);
    pace_snapshots(n);
    announce_tick(n);
    members_tick(n);
    lessor_tick(n);
    tokens_tick(n);
    proposals_tick(n);
    watch_tick(n);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct node *n = prepare->data;

    reads_progress(n);
    watch_flush(n);
}

/* ---- starting --------------------------------------------------------------------- */

static enum rc of_raft(struct node *n, int status, const char *what, struct err *e)
{
    if (status == 0)
        return RC_OK;
    if (n->fsm.failure.code != RC_OK)
        return err_set(e, n->fsm.failure.code, "%s: %s", what, n->fsm.failure.why);
    return err_set(e, RC_STORAGE, "%s: %s", what, raft_errmsg(&n->raft));
}

/* --force-new-cluster: from here on only this member counts. */
static enum rc configure(struct node *n, struct err *e)
{
    AT_END(raft_configuration_close) struct raft_configuration c;
    int status;

    raft_configuration_init(&c);
    n->forcing = n->o.force_new_cluster;
    if (!n->forcing)
        return RC_OK;
    status = raft_configuration_add(&c, n->home.member, n->o.advertise_peer, RAFT_VOTER);
    if (status == 0)
        status = raft_recover(&n->raft, &c);
    return of_raft(n, status, "cannot prepare the log", e);
}

static enum rc raft_begin(struct node *n, struct err *e)
{
    int status;

    raft_uv_set_snapshot_compression(&n->io, false);
    raft_uv_set_connect_retry_delay(&n->io, RETRY_CONNECT_MS);
    raft_set_election_timeout(&n->raft, (unsigned)n->o.election_ms);
    raft_set_heartbeat_timeout(&n->raft, n->o.heartbeat_ms < HEARTBEAT_MAX_MS
                                             ? (unsigned)n->o.heartbeat_ms
                                             : HEARTBEAT_MAX_MS);
    raft_set_pre_vote(&n->raft, true);
    raft_set_snapshot_trailing(&n->raft, TRAILING);
    TRY(configure(n, e));
    status = raft_start(&n->raft);
    n->started = true;
    return of_raft(n, status, "cannot start raft", e);
}

static enum rc raft_make(struct node *n, struct err *e)
{
    const struct peers_options o = {
        .loop = &n->loop,
        .cluster = n->home.cluster,
        .me = n->home.member,
        .listen_url = n->o.listen_peer,
        .url = n->o.advertise_peer,
        .faults = &n->faults,
        .hooks = { .arg = n,
                   .url = url_of,
                   .removed = is_removed,
                   .request = requests_take,
                   .we_are_removed = we_are_removed },
    };
    int status;

    TRY(peers_new(&o, &n->peers, e));
    status = raft_uv_init(&n->io, &n->loop, n->lab_dir, peers_transport(n->peers));
    if (status != 0)
        return err_set(e, RC_STORAGE, "cannot open '%s': %s", n->lab_dir, n->io.errmsg);
    TRY(keeper_init(&n->keeper, &n->io, &n->loop, &n->home, n->fsm.machine, e));
    n->keeper.failed = on_write_failed;
    n->keeper.arg = n;
    disk_init(&n->disk, &n->io, &n->loop, &n->faults);
    n->disk.failed = on_write_failed;
    n->disk.arg = n;
    status =
        raft_init(&n->raft, &n->io, &n->fsm.ops, n->home.member, n->o.advertise_peer);
    if (status != 0)
        return err_set(e, RC_STORAGE, "cannot open '%s': %s", n->lab_dir,
                       raft_errmsg(&n->raft));
    n->raft.data = n;
    return RC_OK;
}

static enum rc make_lab_dir(struct node *n, struct err *e)
{
    int size = snprintf(n->lab_dir, sizeof n->lab_dir, "%s/lab", n->o.data_dir);

    if (size < 0 || (size_t)size >= sizeof n->lab_dir)
        return err_set(e, RC_USAGE, "--data-dir is too long");
    return access(n->lab_dir, F_OK) == 0 ? RC_OK : os_mkdir(AT_FDCWD, n->lab_dir, e);
}

static enum rc base(struct node *n, struct err *e)
{
    struct bolt_file *file = NULL;
    OWNED(machine) machine = NULL;

    TRY(identity_establish(&n->o, e));
    TRY(make_lab_dir(n, e));
    TRY(home_open(n->o.data_dir, n->o.minor, &n->home, &file, &machine, e));
    fsm_init(&n->fsm, &n->raft, n->o.minor, n->lab_dir, GIVE(machine), file);
    n->fsm.hooks = (struct fsm_hooks){
        .arg = n,
        .wanted = on_wanted,
        .applied = on_applied,
        .restored = on_restored,
        .draws = on_draws,
    };
    return RC_OK;
}

static void start_handles(struct node *n)
{
    n->tick.data = n->prepare.data = n->term.data = n->interrupt.data = n;
    uv_timer_init(&n->loop, &n->tick);
    uv_prepare_init(&n->loop, &n->prepare);
    uv_signal_init(&n->loop, &n->term);
    uv_signal_init(&n->loop, &n->interrupt);
    uv_timer_start(&n->tick, on_tick, TICK_MS, TICK_MS);
    uv_prepare_start(&n->prepare, on_prepare);
    uv_signal_start(&n->term, on_signal, SIGTERM);
    uv_signal_start(&n->interrupt, on_signal, SIGINT);
}

enum rc node_open(const struct node_options *o, struct node **out, struct err *e)
{
    OWNED(node) n = NULL;

    signal(SIGPIPE, SIG_IGN);
    TRY(mem_new(&n, sizeof *n, "a member", e));
    n->o = *o;
    n->home.db = -1;
    if (uv_loop_init(&n->loop) != 0)
        return err_set(e, RC_NOMEM, "no memory for the loop");
    n->loop.data = n;
    TRY(base(n, e));
    proposals_start(n);
    TRY(raft_make(n, e));
    start_handles(n);
    TRY(raft_begin(n, e));
    TRY(control_open(n, &n->control, e));
    TRY(serve_start(n, e));
    *out = GIVE(n);
    return RC_OK;
}

/* All that was applied is in the log, and now in the database. Not after `lying-disk`:
 * what was never written is not to come back by this way. */
static void keep_state(struct node *n)
{
    struct machine *m = n->fsm.machine;
    struct err e;

    if (n->applied <= n->home.index || n->applied >= n->keeper.next ||
        n->faults.lying_disk)
        return;
    machine_set_index(m, n->applied, keeper_term(&n->keeper, n->applied));
    if (home_keep(&n->home, m, &e) != RC_OK)
        log_warn("the database stays as it was at the last snapshot: %s", e.why);
}

enum rc node_run(struct node *n, struct err *e)
{
    uv_run(&n->loop, UV_RUN_DEFAULT);
    if (n->end.code != RC_OK) {
        *e = n->end;
        return n->end.code;
    }
    keep_state(n);
    return RC_OK;
}

void node_free(struct node *n)
{
    if (n == NULL)
        return;
    if (n->started) {
        struct err none = { 0 };

        node_stop(n, &none);
        uv_run(&n->loop, UV_RUN_DEFAULT);
        raft_uv_close(&n->io);
    }
    uv_loop_close(&n->loop);
    peers_free(n->peers);
    fsm_clear(&n->fsm);
    lessor_clear(&n->lessor);
    tokens_clear(&n->tokens);
    tls_server_free(n->tls);
    keeper_clear(&n->keeper);
    home_close(&n->home);
    mem_free(n);
}
