#include <inttypes.h>
#include <stdio.h>

#include "codec/message.h"
#include "codec/pb.h"
#include "mvcc/survey.h"
#include "raftstore/image.h"
#include "raftstore/node_priv.h"
#include "raftstore/serve.h"
#include "util/mem.h"
#include "util/os.h"

enum { ALARMS_MAX = 32, ERROR_SIZE = 80 };

static void finish_packed(struct node *n, struct grpcd_call *call, const void *message)
{
    AT_END(buf_clear) struct buf b = { 0 };
    struct err e;

    if (codec_pack(message, &b, &e) != RC_OK)
        serve_broken(call, &e);
    else
        serve_reply(n, call, 0, (struct bytes){ b.p, b.n });
}

/* ---- Status ----------------------------------------------------------------------- */

struct errors {
    char text[ALARMS_MAX + 1][ERROR_SIZE];
    char *each[ALARMS_MAX + 1];
    size_t count;
};

static void errors_of(struct node *n, struct errors *out)
{
    struct mvcc_alarm alarms[ALARMS_MAX];
    size_t count = machine_alarms(n->fsm.machine, alarms, ALARMS_MAX);
    const char *gap = n->o.minor >= 7 ? "  " : " ", *end = n->o.minor >= 7 ? "" : " ";

    if (node_leader(n) == 0)
        snprintf(out->text[out->count++], ERROR_SIZE, "etcdserver: no leader");
    for (size_t i = 0; i < count && i < ALARMS_MAX; i++)
        snprintf(out->text[out->count++], ERROR_SIZE, "memberID:%" PRIu64 "%salarm:%s%s",
                 alarms[i].member, gap,
                 alarms[i].type == MVCC_ALARM_NOSPACE ? "NOSPACE" : "CORRUPT", end);
    for (size_t i = 0; i < out->count; i++)
        out->each[i] = out->text[i];
}

void serve_status(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    Etcdrpc__StatusResponse r;
    Etcdrpc__DowngradeInfo downgrade;
    struct errors errors = { 0 };
    char version[] = "3.0.0";
    uint64_t size = serve_db_size(n);
    struct caller who;

    etcdrpc__status_response__init(&r);
    etcdrpc__downgrade_info__init(&downgrade);
    (void)request;
    if (!serve_enter(n, call, GATE_LEARNER | GATE_USER, &who))
        return;
    version[2] = (char)('0' + n->o.minor);
    errors_of(n, &errors);
    r.version = version;
    r.db_size = (int64_t)(size > n->allocated ? size : n->allocated);
    r.db_size_in_use = (int64_t)size;
    r.leader = node_leader(n);
    r.raft_index = r.raft_applied_index = node_index(n);
    r.raft_term = node_term(n);
    r.errors = errors.each;
    r.n_errors = errors.count;
    r.is_learner = node_is_learner(n);
    if (n->o.minor >= 6) {
        r.storage_version = version;
        r.db_size_quota = (int64_t)n->o.quota;
        r.downgrade_info = &downgrade;
    }
    finish_packed(n, call, &r);
}

/* ---- hashes ----------------------------------------------------------------------- */

void serve_hashkv(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    const struct kvstore *kv = machine_kv(n->fsm.machine);
    AT_END(codec_end) Etcdrpc__HashKVRequest *r = NULL;
    Etcdrpc__HashKVResponse answer;
    struct mvcc_hashkv hash;
    struct caller who;
    struct err e;

    etcdrpc__hash_kvresponse__init(&answer);
    if (!serve_enter(n, call, GATE_ROOT | GATE_BARE, &who))
        return;
    if (codec_unpack(&etcdrpc__hash_kvrequest__descriptor, request, &r, &e) != RC_OK) {
        serve_broken(call, &e);
        return;
    }
    if (kvstore_hashkv(kv, r->revision, &hash, &e) != RC_OK) {
        grpcd_finish(call, GRPCD_OUT_OF_RANGE,
                     r->revision > kvstore_revision(kv)
                         ? "etcdserver: mvcc: required revision is a future revision"
                         : "etcdserver: mvcc: required revision has been compacted");
        return;
    }
    answer.hash = hash.hash;
    answer.compact_revision = hash.compact_revision;
    answer.hash_revision = n->o.minor >= 6 ? hash.revision : 0;
    finish_packed(n, call, &answer);
}

static enum rc whole_hash(struct node *n, uint32_t *out, struct err *e)
{
    const struct mvcc_survey_options options = { .level = MVCC_PAGES,
                                                 .status_hash = true };
    AT_END(mvcc_facts_clear) struct mvcc_facts facts = { 0 };
    OWNED(bolt_file) file = NULL;
    OWNED_FD int fd = -1;
    uint64_t size;

    TRY(image_scratch(n->lab_dir, &fd, e));
    TRY(image_write(n->fsm.machine, fd, "a database", &size, e));
    TRY(bolt_file_open_fd(fd, "a database", NULL, &file, e));
    TRY(mvcc_survey_file(file, &options, NULL, &facts, e));
    *out = facts.maintenance_hash;
    return RC_OK;
}

void serve_hash(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    Etcdrpc__HashResponse answer;
    struct caller who;
    struct err e;

    etcdrpc__hash_response__init(&answer);
    (void)request;
    if (!serve_enter(n, call, GATE_ROOT | GATE_BARE, &who))
        return;
    if (whole_hash(n, &answer.hash, &e) != RC_OK)
        serve_broken(call, &e);
    else
        finish_packed(n, call, &answer);
}

/* ---- Defragment ------------------------------------------------------------------- */

void serve_defragment(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    struct caller who;

    (void)request;
    if (!serve_enter(n, call, GATE_ROOT | GATE_BARE, &who))
        return;
    n->allocated = serve_db_size(n);
    grpcd_reply(call, (struct bytes){ 0 }); /* etcd sends no header either */
}

/* ---- MoveLeader ------------------------------------------------------------------- */

struct move {
    struct raft_transfer req; /* first */
    struct node *n;
    struct grpcd_call *call;
    uint64_t target;
    uv_timer_t timer;
    uint64_t until;
};

static void move_freed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static void move_ends(struct move *m, int code, const char *message)
{
    if (code == 0)
        serve_reply(m->n, m->call, 0, (struct bytes){ 0 });
    else
        grpcd_finish(m->call, (enum grpcd_code)code, message);
    uv_close((uv_handle_t *)&m->timer, move_freed);
}

/* Until everybody, that is: we, know the new one. */
static void on_move_tick(uv_timer_t *timer)
{
    struct move *m = timer->data;

    if (node_leader(m->n) == m->target)
        move_ends(m, 0, NULL);
    else if (uv_now(&m->n->loop) >= m->until || m->n->stopping)
        move_ends(m, GRPCD_UNAVAILABLE,
                  "etcdserver: request timed out, leader transfer took too long");
}

static void on_transferred(struct raft_transfer *req)
{
    struct move *m = (struct move *)req;

    m->until = uv_now(&m->n->loop) + m->n->o.election_ms;
    uv_timer_start(&m->timer, on_move_tick, 0, 10);
}

static void move(struct node *n, struct grpcd_call *call, uint64_t target)
{
    struct move *m = mem_zero(sizeof *m);

    if (m == NULL) {
        grpcd_finish(call, GRPCD_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    m->n = n;
    m->call = call;
    m->target = target;
    m->timer.data = m;
    uv_timer_init(&n->loop, &m->timer);
    if (raft_transfer(&n->raft, &m->req, target, on_transferred) != 0)
        move_ends(m, GRPCD_FAILED_PRECONDITION, "etcdserver: bad leader transferee");
}

void serve_move_leader(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    AT_END(codec_end) Etcdrpc__MoveLeaderRequest *r = NULL;
    const struct mvcc_member *m;
    struct caller who;
    struct err e;

    if (!serve_enter(n, call, GATE_ROOT, &who))
        return;
    if (codec_unpack(&etcdrpc__move_leader_request__descriptor, request, &r, &e) !=
        RC_OK) {
        serve_broken(call, &e);
        return;
    }
    m = node_member(n, r->target_id);
    if (!node_is_leader(n))
        grpcd_finish(call, GRPCD_FAILED_PRECONDITION, "etcdserver: not leader");
    else if (m == NULL || m->learner)
        grpcd_finish(call, GRPCD_FAILED_PRECONDITION,
                     "etcdserver: bad leader transferee");
    else if (r->target_id == n->home.member)
        serve_reply(n, call, 0, (struct bytes){ 0 });
    else
        move(n, call, r->target_id);
}

/* ---- Downgrade -------------------------------------------------------------------- */

/* The store has one version: what etcd would refuse is refused in its words, the one
 * downgrade that it would begin is not on offer here. */
void serve_downgrade(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    AT_END(codec_end) Etcdrpc__DowngradeRequest *r = NULL;
    struct mvcc_version v;
    struct caller who;
    struct err e;

    if (!serve_enter(n, call, GATE_ROOT, &who))
        return;
    if (codec_unpack(&etcdrpc__downgrade_request__descriptor, request, &r, &e) != RC_OK)
        serve_broken(call, &e);
    else if (r->action == ETCDRPC__DOWNGRADE_ACTION__DG_CANCEL)
        grpcd_finish(call, GRPCD_FAILED_PRECONDITION,
                     "etcdserver: no inflight downgrade job");
    else if (mvcc_version_read(bytes_str(r->version), &v, &e) != RC_OK)
        grpcd_finish(call, GRPCD_INVALID_ARGUMENT,
                     "etcdserver: wrong downgrade target version format");
    else if (v.major != 3 || v.minor + 1 != (unsigned)n->o.minor)
        grpcd_finish(call, GRPCD_INVALID_ARGUMENT,
                     "etcdserver: invalid downgrade target version");
    else
        grpcd_finish(call, GRPCD_FAILED_PRECONDITION, "etcdserver: not capable");
}
