/* The machine's members are the truth; raft's configuration is made to follow, one step
 * at a time, by the leader.
 *
 * A member that was added as a voter becomes one for raft only when it has caught up, and
 * until then does not count for the quorum: etcd counts it at once. */
#include "raftstore/node_priv.h"

#include "codec/message.h"
#include "raftstore/calls.h"
#include "util/log.h"

enum { IN_SYNC_PERCENT = 90, HEARD_MS = 2000, FAREWELL_MS = 300 };

bool members_in_sync(struct node *n, uint64_t id)
{
    const struct disk_heard *h = disk_heard(&n->disk, id);

    return h != NULL && uv_now(&n->loop) - h->at_ms < HEARD_MS &&
           h->last_index * 100 >= raft_last_index(&n->raft) * IN_SYNC_PERCENT;
}

static void on_changed(struct raft_change *req, int status)
{
    struct node *n = req->data;

    n->changing = false;
    if (status != 0)
        log_info("raft's configuration was not changed: %s", raft_strerror(status));
}

static const struct raft_server *server_of(const struct node *n, uint64_t id)
{
    const struct raft_configuration *c = &n->raft.configuration;

    for (unsigned i = 0; i < c->n; i++)
        if (c->servers[i].id == id)
            return &c->servers[i];
    return NULL;
}

/* The first step towards `m`; false when there is none to take. */
static bool adjust(struct node *n, const struct mvcc_member *m)
{
    const struct raft_server *s = server_of(n, m->id);
    int status;

    if (s == NULL)
        status = m->peer_urls.count == 0 ? RAFT_NOTFOUND
                                         : raft_add(&n->raft, &n->change, m->id,
                                                    m->peer_urls.items[0], on_changed);
    else if (s->role == RAFT_SPARE)
        status = raft_assign(&n->raft, &n->change, m->id, RAFT_STANDBY, on_changed);
    else if (s->role == RAFT_STANDBY && !m->learner && members_in_sync(n, m->id))
        status = raft_assign(&n->raft, &n->change, m->id, RAFT_VOTER, on_changed);
    else
        return false;
    n->changing = status == 0;
    return n->changing;
}

/* A member that lives is given time to hear of its end: once it is out of raft's
 * configuration nothing is sent to it any more. */
static bool may_go(struct node *n, uint64_t id)
{
    const struct disk_heard *h = disk_heard(&n->disk, id);
    uint64_t now = uv_now(&n->loop);

    if (n->leaving != id) {
        n->leaving = id;
        n->leaving_since = now;
    }
    return id == n->home.member || h == NULL || now - h->at_ms >= HEARD_MS ||
           now - n->leaving_since >= FAREWELL_MS;
}

static bool drop_one(struct node *n)
{
    const struct raft_configuration *c = &n->raft.configuration;

    for (unsigned i = 0; i < c->n; i++) {
        uint64_t id = c->servers[i].id;

        if (!machine_removed(n->fsm.machine, id) || c->n == 1)
            continue;
        if (may_go(n, id))
            n->changing = raft_remove(&n->raft, &n->change, id, on_changed) == 0;
        return true;
    }
    return false;
}

static void on_asked(void *arg, int status, struct bytes body)
{
    (void)body;
    if (status == CALL_GONE)
        node_gone(arg);
}

/* One that was removed while it was away may wait for a leader for ever: raft tells it
 * nothing. So it asks, and the others say so, in their hello or their answer. */
static void ask_around(struct node *n)
{
    uint64_t now = uv_now(&n->loop);
    size_t count;
    const struct mvcc_member *all = machine_members(n->fsm.machine, &count);

    if (node_leader(n) != 0 || now - n->leader_since < 2 * n->o.election_ms ||
        now - n->asked_at < 2 * n->o.election_ms)
        return;
    n->asked_at = now;
    for (size_t i = 0; i < count; i++)
        if (all[i].id != n->home.member)
            peer_call(n->peers, all[i].id, CALL_MEMBERS, (struct bytes){ 0 },
                      (unsigned)n->o.election_ms, on_asked, n);
}

static void on_forced(void *arg, int code, const char *message, struct machine_outcome *o)
{
    struct node *n = arg;

    (void)message;
    (void)o;
    n->changing = false;
    if (code != 0)
        log_warn("a member that is gone could not be removed: code %d", code);
}

/* --force-new-cluster: all others go, and a learner is made a voter. */
static void force(struct node *n)
{
    size_t count;
    const struct mvcc_member *all = machine_members(n->fsm.machine, &count);

    for (size_t i = 0; i < count; i++) {
        struct wal_change change = { .node_id = all[i].id, .type = WAL_CHANGE_REMOVE };
        AT_END(buf_clear) struct buf b = { 0 };
        struct err e;

        if (all[i].id == n->home.member)
            continue;
        change.id = propose_number(n);
        n->changing = true;
        if (wal_change_put(&b, &change, &e) == RC_OK)
            propose(n, PAYLOAD_CHANGE, change.id, (struct bytes){ b.p, b.n }, on_forced,
                    n);
        return;
    }
    n->forcing = false;
    log_info("this member is a cluster of its own now");
}

void members_tick(struct node *n)
{
    size_t count;
    const struct mvcc_member *all;

    n->change.data = n;
    ask_around(n);
    if (!node_is_leader(n) || n->changing || n->stopping)
        return;
    if (n->forcing) {
        force(n);
        return;
    }
    if (drop_one(n))
        return;
    all = machine_members(n->fsm.machine, &count);
    for (size_t i = 0; i < count; i++)
        if (adjust(n, &all[i]))
            return;
}
