#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "codec/message.h"
#include "codec/pb.h"
#include "raftstore/calls.h"
#include "raftstore/node_priv.h"
#include "raftstore/serve.h"
#include "restore/members.h"
#include "util/json.h"
#include "util/mem.h"
#include "wal/raft_ids.h"

enum { CALL_MS = 3000 };

/* A call about members; what its answer shows beside the list is `shown`. */
struct cluster_call {
    struct node *n;
    struct grpcd_call *call;
    uint64_t shown;       /* 0: only the list */
    unsigned list_number; /* field of the list */
};

static enum rc member_put(const struct mvcc_member *m, unsigned number, struct buf *out,
                          struct err *e)
{
    Etcdrpc__Member it;
    AT_END(buf_clear) struct buf b = { 0 };

    etcdrpc__member__init(&it);
    it.id = m->id;
    if (m->name != NULL)
        it.name = m->name;
    it.peer_urls = m->peer_urls.items;
    it.n_peer_urls = m->peer_urls.count;
    it.client_urls = m->client_urls.items;
    it.n_client_urls = m->client_urls.count;
    it.is_learner = m->learner;
    TRY(codec_pack(&it, &b, e));
    return pb_put_bytes(out, number, (struct bytes){ b.p, b.n }, e);
}

static enum rc members_put(const struct cluster_call *c, struct buf *out, struct err *e)
{
    size_t count;
    const struct mvcc_member *all = machine_members(c->n->fsm.machine, &count);
    const struct mvcc_member *shown = c->shown == 0 ? NULL : node_member(c->n, c->shown);

    if (shown != NULL)
        TRY(member_put(shown, 2, out, e));
    for (size_t i = 0; i < count; i++)
        TRY(member_put(&all[i], c->list_number, out, e));
    return RC_OK;
}

static void answer(struct cluster_call *c)
{
    AT_END(buf_clear) struct buf b = { 0 };
    struct err e;

    if (members_put(c, &b, &e) != RC_OK)
        serve_broken(c->call, &e);
    else
        serve_reply(c->n, c->call, 0, (struct bytes){ b.p, b.n });
    mem_free(c);
}

static struct cluster_call *begin(struct node *n, struct grpcd_call *call, unsigned gates)
{
    struct caller who;
    struct cluster_call *c;

    if (!serve_enter(n, call, gates, &who))
        return NULL;
    c = mem_zero(sizeof *c);
    if (c == NULL)
        grpcd_finish(call, GRPCD_RESOURCE_EXHAUSTED, "out of memory");
    else
        *c = (struct cluster_call){ .n = n, .call = call, .list_number = 2 };
    return c;
}

static void refuse(struct cluster_call *c, int code, const char *message)
{
    grpcd_finish(c->call, (enum grpcd_code)code, message);
    mem_free(c);
}

static void broken(struct cluster_call *c, const struct err *e)
{
    serve_broken(c->call, e);
    mem_free(c);
}

/* ---- listing ---------------------------------------------------------------------- */

static void on_readable(void *arg, int code, const char *message)
{
    if (code != 0)
        refuse(arg, code, message);
    else
        answer(arg);
}

void serve_member_list(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    AT_END(codec_end) Etcdrpc__MemberListRequest *r = NULL;
    struct cluster_call *c = begin(n, call, GATE_USER);
    struct err e;

    if (c == NULL)
        return;
    if (codec_unpack(&etcdrpc__member_list_request__descriptor, request, &r, &e) != RC_OK)
        broken(c, &e);
    else if (r->linearizable && n->o.minor >= 5)
        read_linearizable(n, on_readable, c);
    else
        answer(c);
}

/* ---- changing --------------------------------------------------------------------- */

static void on_changed(void *arg, int code, const char *message,
                       struct machine_outcome *o)
{
    (void)o;
    if (code != 0)
        refuse(arg, code, message);
    else
        answer(arg);
}

static void change(struct cluster_call *c, enum wal_change_type type, uint64_t id,
                   struct bytes context)
{
    struct wal_change it = { .node_id = id, .type = type, .context = context };
    AT_END(buf_clear) struct buf b = { 0 };
    struct err e;

    it.id = propose_number(c->n);
    if (wal_change_put(&b, &it, &e) != RC_OK)
        broken(c, &e);
    else
        propose(c->n, PAYLOAD_CHANGE, it.id, (struct bytes){ b.p, b.n }, on_changed, c);
}

/* etcd's rule (membership.IsReadyToAddVotingMember and its siblings): of the voters there
 * would be, a majority must have started. */
static bool enough_started(const struct node *n, uint64_t without, bool adding)
{
    size_t count, voters = adding ? 1 : 0, started = 0;
    const struct mvcc_member *all = machine_members(n->fsm.machine, &count);

    for (size_t i = 0; i < count; i++) {
        if (all[i].learner || all[i].id == without)
            continue;
        voters++;
        started += all[i].name != NULL ? 1 : 0;
    }
    /* One that is there may always become two. */
    return started >= voters / 2 + 1 || (adding && started == 1 && voters == 2);
}

static bool urls_good(char **urls, size_t count)
{
    struct err e;

    for (size_t i = 0; i < count; i++)
        if (restore_url_check(urls[i], &e) != RC_OK)
            return false;
    return count > 0;
}

static enum rc new_member(char **urls, size_t count, bool learner,
                          struct mvcc_member *out, struct err *e)
{
    char now[24];

    snprintf(now, sizeof now, "%" PRId64, (int64_t)time(NULL));
    out->learner = learner;
    for (size_t i = 0; i < count; i++)
        TRY(str_list_add(&out->peer_urls, urls[i], e));
    return wal_member_id((const char *const *)urls, count, now, &out->id, e);
}

static void member_end(struct mvcc_member *m)
{
    mvcc_member_clear(m);
}

static void add(struct cluster_call *c, const Etcdrpc__MemberAddRequest *r)
{
    AT_END(member_end) struct mvcc_member m = { 0 };
    AT_END(buf_clear) struct buf json = { 0 };
    struct err e;

    if (!urls_good(r->peer_urls, r->n_peer_urls)) {
        refuse(c, GRPCD_INVALID_ARGUMENT, "etcdserver: given member URLs are invalid");
        return;
    }
    if (!r->is_learner && !enough_started(c->n, 0, true)) {
        refuse(c, GRPCD_FAILED_PRECONDITION,
               "etcdserver: re-configuration failed due to not enough started members");
        return;
    }
    if (new_member(r->peer_urls, r->n_peer_urls, r->is_learner, &m, &e) != RC_OK ||
        mvcc_member_write(&m, &json, &e) != RC_OK) {
        broken(c, &e);
        return;
    }
    c->shown = m.id;
    c->list_number = 3;
    change(c, r->is_learner ? WAL_CHANGE_ADD_LEARNER : WAL_CHANGE_ADD, m.id,
           (struct bytes){ json.p, json.n });
}

void serve_member_add(struct grpcd_call *call, struct bytes request, void *arg)
{
    AT_END(codec_end) Etcdrpc__MemberAddRequest *r = NULL;
    struct cluster_call *c = begin(arg, call, GATE_ROOT);
    struct err e;

    if (c == NULL)
        return;
    if (codec_unpack(&etcdrpc__member_add_request__descriptor, request, &r, &e) != RC_OK)
        broken(c, &e);
    else
        add(c, r);
}

void serve_member_remove(struct grpcd_call *call, struct bytes request, void *arg)
{
    AT_END(codec_end) Etcdrpc__MemberRemoveRequest *r = NULL;
    struct cluster_call *c = begin(arg, call, GATE_ROOT);
    const struct mvcc_member *m;
    struct err e;

    if (c == NULL)
        return;
    if (codec_unpack(&etcdrpc__member_remove_request__descriptor, request, &r, &e) !=
        RC_OK) {
        broken(c, &e);
        return;
    }
    m = node_member(c->n, r->id);
    if (m != NULL && !m->learner && !enough_started(c->n, r->id, false))
        refuse(c, GRPCD_FAILED_PRECONDITION,
               "etcdserver: re-configuration failed due to not enough started members");
    else
        change(c, WAL_CHANGE_REMOVE, r->id, (struct bytes){ 0 });
}

static enum rc update_json(const Etcdrpc__MemberUpdateRequest *r, struct buf *out,
                           struct err *e)
{
    AT_END(member_end) struct mvcc_member m = { .id = r->id };

    for (size_t i = 0; i < r->n_peer_urls; i++)
        TRY(str_list_add(&m.peer_urls, r->peer_urls[i], e));
    return mvcc_member_write(&m, out, e);
}

void serve_member_update(struct grpcd_call *call, struct bytes request, void *arg)
{
    AT_END(codec_end) Etcdrpc__MemberUpdateRequest *r = NULL;
    AT_END(buf_clear) struct buf json = { 0 };
    struct cluster_call *c = begin(arg, call, GATE_ROOT);
    struct err e;

    if (c == NULL)
        return;
    if (codec_unpack(&etcdrpc__member_update_request__descriptor, request, &r, &e) !=
            RC_OK ||
        update_json(r, &json, &e) != RC_OK)
        broken(c, &e);
    else if (!urls_good(r->peer_urls, r->n_peer_urls))
        refuse(c, GRPCD_INVALID_ARGUMENT, "etcdserver: given member URLs are invalid");
    else
        change(c, WAL_CHANGE_UPDATE, r->id, (struct bytes){ json.p, json.n });
}

/* ---- promoting -------------------------------------------------------------------- */

struct promotion {
    struct cluster_call *c;
    uint64_t id;
};

static void promote(struct cluster_call *c, uint64_t id)
{
    char json[96];

    snprintf(json, sizeof json,
             "{\"id\":%" PRIu64 ",\"peerURLs\":null,\"isPromote\":true}", id);
    change(c, WAL_CHANGE_ADD, id, bytes_str(json));
}

static void judged(struct cluster_call *c, uint64_t id, int status)
{
    if (status == CALL_DONE)
        promote(c, id);
    else if (status == CALL_NO)
        refuse(c, GRPCD_FAILED_PRECONDITION,
               "etcdserver: can only promote a learner member which is in sync with "
               "leader");
    else
        refuse(c, GRPCD_UNAVAILABLE, "etcdserver: request timed out");
}

static void on_judged(void *arg, int status, struct bytes body)
{
    struct promotion *p = arg;

    (void)body;
    judged(p->c, p->id, status);
    mem_free(p);
}

static void ask_leader(struct cluster_call *c, uint64_t id)
{
    struct promotion *p = mem_zero(sizeof *p);
    uint8_t body[8];

    if (p == NULL) {
        refuse(c, GRPCD_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    *p = (struct promotion){ c, id };
    put_le64(body, id);
    peer_call(c->n->peers, node_leader(c->n), CALL_IN_SYNC, BYTES_OF(body), CALL_MS,
              on_judged, p);
}

void serve_member_promote(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    AT_END(codec_end) Etcdrpc__MemberPromoteRequest *r = NULL;
    struct cluster_call *c = begin(n, call, GATE_ROOT);
    const struct mvcc_member *m;
    struct err e;

    if (c == NULL)
        return;
    if (codec_unpack(&etcdrpc__member_promote_request__descriptor, request, &r, &e) !=
        RC_OK) {
        broken(c, &e);
        return;
    }
    m = node_member(n, r->id);
    if (m == NULL)
        refuse(c, GRPCD_NOT_FOUND, "etcdserver: member not found");
    else if (!m->learner || node_is_leader(n))
        judged(c, r->id, !m->learner || members_in_sync(n, r->id) ? CALL_DONE : CALL_NO);
    else if (node_leader(n) == 0)
        refuse(c, GRPCD_UNAVAILABLE, "etcdserver: request timed out");
    else
        ask_leader(c, r->id);
}
