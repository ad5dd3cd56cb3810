#include "raftstore/reads.h"

#include "raftstore/calls.h"
#include "raftstore/node_priv.h"
#include "util/mem.h"

enum { RETRY_MS = 20 };

struct read {
    struct read *next;
    uint64_t since, index;
    read_done *done;
    void *arg;
};

struct barrier {
    struct raft_barrier req;
    struct node *n;
};

static void append_to(struct read **list, struct read *it)
{
    while (*list != NULL)
        list = &(*list)->next;
    *list = it;
}

/* Those that were asked for get their index, or have to ask again. */
static void asked_for(struct node *n, bool known, uint64_t index)
{
    struct reads *r = &n->reads;

    r->asking = false;
    if (!known) {
        append_to(&r->asked, r->fresh);
        r->fresh = r->asked;
        r->retry_at = uv_now(&n->loop) + RETRY_MS;
    } else {
        for (struct read *it = r->asked; it != NULL; it = it->next)
            it->index = index;
        append_to(&r->indexed, r->asked);
    }
    r->asked = NULL;
}

static void on_barrier(struct raft_barrier *req, int status)
{
    struct barrier *b = (struct barrier *)req;
    struct node *n = b->n;

    /* It is being applied: everything before it has been. */
    asked_for(n, status == 0, raft_last_applied(&n->raft));
    mem_free(b);
}

static void on_index(void *arg, int status, struct bytes body)
{
    struct node *n = arg;

    if (status == CALL_DONE && body.n == 8)
        asked_for(n, true, le64(body.p));
    else
        asked_for(n, false, 0);
}

static void ask(struct node *n)
{
    uint64_t leader = node_leader(n);
    struct reads *r = &n->reads;
    struct barrier *b;

    if (leader == 0 || r->asking || r->fresh == NULL || uv_now(&n->loop) < r->retry_at ||
        n->stopping)
        return;
    b = leader == n->home.member ? mem_zero(sizeof *b) : NULL;
    r->asked = r->fresh;
    r->fresh = NULL;
    r->asking = true;
    if (leader != n->home.member) {
        peer_call(n->peers, leader, CALL_READ_INDEX, (struct bytes){ 0 },
                  (unsigned)n->o.election_ms, on_index, n);
        return;
    }
    if (b != NULL)
        b->n = n;
    if (b == NULL || raft_barrier(&n->raft, &b->req, on_barrier) != 0) {
        mem_free(b);
        asked_for(n, false, 0);
    }
}

void read_linearizable(struct node *n, read_done *done, void *arg)
{
    struct read *it = mem_zero(sizeof *it);

    if (it == NULL || n->stopping) {
        mem_free(it);
        done(arg, GRPCD_UNAVAILABLE, "etcdserver: server stopped");
        return;
    }
    *it = (struct read){ .since = uv_now(&n->loop), .done = done, .arg = arg };
    append_to(&n->reads.fresh, it);
    ask(n);
}

struct asker {
    struct node *n;
    struct peer_request *request;
};

static void on_asked(void *arg, int code, const char *message)
{
    struct asker *a = arg;
    uint8_t index[8];

    (void)message;
    put_le64(index, raft_last_applied(&a->n->raft));
    peer_answer(a->request, code == 0 ? CALL_DONE : CALL_ELSEWHERE, BYTES_OF(index));
    mem_free(a);
}

void read_for(struct node *n, struct peer_request *r)
{
    struct asker *a = node_is_leader(n) ? mem_zero(sizeof *a) : NULL;

    if (a == NULL) {
        peer_answer(r, CALL_ELSEWHERE, (struct bytes){ 0 });
        return;
    }
    *a = (struct asker){ n, r };
    read_linearizable(n, on_asked, a);
}

static void settle(struct read *it, int code, const char *message)
{
    it->done(it->arg, code, message);
    mem_free(it);
}

static struct read *first_ready(struct reads *r, uint64_t applied)
{
    for (struct read **at = &r->indexed; *at != NULL; at = &(*at)->next)
        if ((*at)->index <= applied) {
            struct read *it = *at;

            *at = it->next;
            return it;
        }
    return NULL;
}

static struct read *first_late(struct read **list, uint64_t before)
{
    for (; *list != NULL; list = &(*list)->next)
        if ((*list)->since <= before) {
            struct read *it = *list;

            *list = it->next;
            return it;
        }
    return NULL;
}

void reads_progress(struct node *n)
{
    struct reads *r = &n->reads;
    uint64_t now = uv_now(&n->loop), patience = node_patience_ms(n);
    uint64_t before = now > patience ? now - patience : 0;
    struct read *it;

    if (r->indexed != NULL)
        while ((it = first_ready(r, raft_last_applied(&n->raft))) != NULL)
            settle(it, 0, NULL);
    while ((it = first_late(&r->fresh, before)) != NULL ||
           (it = first_late(&r->indexed, before)) != NULL)
        settle(it, GRPCD_UNAVAILABLE, "etcdserver: request timed out");
    ask(n);
}

void reads_end(struct node *n)
{
    struct read *it;

    while ((it = first_late(&n->reads.fresh, UINT64_MAX)) != NULL ||
           (it = first_late(&n->reads.asked, UINT64_MAX)) != NULL ||
           (it = first_late(&n->reads.indexed, UINT64_MAX)) != NULL)
        settle(it, GRPCD_UNAVAILABLE, "etcdserver: server stopped");
}
