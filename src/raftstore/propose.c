#include "raftstore/propose.h"

#include <time.h>

#include "raftstore/calls.h"
#include "raftstore/node_priv.h"
#include "util/mem.h"

struct proposal {
    struct proposal *next;
    uint64_t number, since;
    enum payload_kind kind;
    struct buf body; /* kept until it is sent */
    bool sent;
    proposal_done *done;
    void *arg;
};

struct append {
    struct raft_apply req;
    struct peer_request *asker; /* NULL: our own proposal */
};

static struct proposal **place(struct proposals *p, uint64_t number)
{
    struct proposal **at = &p->buckets[number % PROPOSALS_BUCKETS];

    while (*at != NULL && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

static void settle(struct proposals *p, struct proposal **at, int code,
                   const char *message, struct machine_outcome *o)
{
    struct proposal *it = *at;

    *at = it->next;
    p->count--;
    it->done(it->arg, code, message, o);
    buf_clear(&it->body);
    mem_free(it);
}

bool proposals_wanted(const struct proposals *p, uint64_t number)
{
    return *place((struct proposals *)(uintptr_t)p, number) != NULL;
}

void proposals_applied(struct proposals *p, uint64_t number, struct machine_outcome *o)
{
    struct proposal **at = place(p, number);

    if (*at != NULL)
        settle(p, at, o->code, o->message, o);
}

/* As etcd: two bytes of the member, five of the time, and a counter that may run over
 * into them. */
void proposals_start(struct node *n)
{
    uint64_t ms = (uint64_t)time(NULL) * 1000 + uv_hrtime() / 1000000 % 1000;

    n->proposals.next = n->home.member << 48 | (ms & 0xffffffffff) << 8;
}

uint64_t propose_number(struct node *n)
{
    return ++n->proposals.next;
}

/* ---- the leader's side ------------------------------------------------------------ */

static void on_appended(struct raft_apply *req, int status, void *result)
{
    struct append *a = (struct append *)req;

    (void)result;
    /* A failure leaves the outcome open: the entry may be in another leader's log. */
    if (a->asker != NULL)
        peer_answer(a->asker, status == 0 ? CALL_DONE : CALL_NO, (struct bytes){ 0 });
    mem_free(a);
}

/* False: we do not lead, or cannot; nothing was done. */
static bool append(struct node *n, const struct payload *p, struct peer_request *asker)
{
    struct payload stamped = *p;
    struct append *a = mem_zero(sizeof *a);
    struct raft_buffer b;
    struct err e;

    stamped.term = node_term(n);
    if (a == NULL || payload_write(&stamped, &b, &e) != RC_OK) {
        mem_free(a);
        return false;
    }
    a->asker = asker;
    if (raft_apply(&n->raft, &a->req, &b, 1, on_appended) != 0) {
        raft_free(b.base);
        mem_free(a);
        return false;
    }
    return true;
}

void propose_for(struct node *n, struct bytes payload, struct peer_request *r)
{
    struct payload p;
    struct err e;

    if (!node_is_leader(n) || payload_read(payload, &p, &e) != RC_OK || !append(n, &p, r))
        peer_answer(r, CALL_ELSEWHERE, (struct bytes){ 0 });
}

/* ---- the proposer's side ---------------------------------------------------------- */

struct forward {
    struct node *n;
    uint64_t number;
};

static void on_forwarded(void *arg, int status, struct bytes body)
{
    struct forward *f = arg;
    struct proposal *it = *place(&f->n->proposals, f->number);

    (void)body;
    /* It was not taken, for certain: there is another leader, or none. */
    if (it != NULL && (status == CALL_ELSEWHERE || status == PEER_UNSENT))
        it->sent = false;
    mem_free(f);
}

static void forward(struct node *n, struct proposal *it, uint64_t leader)
{
    const struct payload p = {
        .kind = it->kind,
        .id = it->number,
        .body = { it->body.p, it->body.n },
    };
    struct forward *f = mem_zero(sizeof *f);
    struct raft_buffer b;
    struct err e;

    if (f == NULL || payload_write(&p, &b, &e) != RC_OK) {
        mem_free(f);
        return;
    }
    *f = (struct forward){ n, it->number };
    it->sent = true;
    peer_call(n->peers, leader, CALL_PROPOSE, (struct bytes){ b.base, b.len },
              (unsigned)node_patience_ms(n), on_forwarded, f);
    raft_free(b.base);
}

static void hand_over(struct node *n, struct proposal *it)
{
    const struct payload p = {
        .kind = it->kind,
        .id = it->number,
        .body = { it->body.p, it->body.n },
    };
    uint64_t leader = node_leader(n);

    if (leader == n->home.member)
        it->sent = append(n, &p, NULL);
    else if (leader != 0)
        forward(n, it, leader);
}

void propose(struct node *n, enum payload_kind kind, uint64_t number, struct bytes body,
             proposal_done *done, void *arg)
{
    struct proposals *p = &n->proposals;
    struct proposal *it;
    struct err e;

    if (p->count >= PROPOSALS_MAX) {
        done(arg, GRPCD_RESOURCE_EXHAUSTED, "etcdserver: too many requests", NULL);
        return;
    }
    it = n->stopping ? NULL : mem_zero(sizeof *it);
    if (it == NULL || buf_add(&it->body, body.p, body.n, &e) != RC_OK) {
        mem_free(it);
        done(arg, GRPCD_UNAVAILABLE, "etcdserver: server stopped", NULL);
        return;
    }
    it->number = number;
    it->kind = kind;
    it->since = uv_now(&n->loop);
    it->done = done;
    it->arg = arg;
    it->next = p->buckets[number % PROPOSALS_BUCKETS];
    p->buckets[number % PROPOSALS_BUCKETS] = it;
    p->count++;
    hand_over(n, it);
}

void propose_forget(struct node *n, uint64_t number)
{
    struct proposal **at = place(&n->proposals, number);

    if (*at != NULL && !(*at)->sent)
        settle(&n->proposals, at, GRPCD_CANCELED, "context canceled", NULL);
}

static const char *late(const struct node *n, const struct proposal *it)
{
    if (n->leader_since > it->since)
        return "etcdserver: request timed out, possibly due to previous leader failure";
    return "etcdserver: request timed out";
}

void proposals_tick(struct node *n)
{
    struct proposals *p = &n->proposals;
    uint64_t now = uv_now(&n->loop);

    if (p->count == 0)
        return;
    for (size_t i = 0; i < PROPOSALS_BUCKETS; i++)
        for (struct proposal **at = &p->buckets[i]; *at != NULL;) {
            if (now - (*at)->since >= node_patience_ms(n)) {
                settle(p, at, GRPCD_UNAVAILABLE, late(n, *at), NULL);
                continue;
            }
            if (!(*at)->sent)
                hand_over(n, *at);
            at = &(*at)->next;
        }
}

void proposals_end(struct node *n)
{
    struct proposals *p = &n->proposals;

    for (size_t i = 0; i < PROPOSALS_BUCKETS; i++)
        while (p->buckets[i] != NULL)
            settle(p, &p->buckets[i], GRPCD_UNAVAILABLE, "etcdserver: server stopped",
                   NULL);
}
