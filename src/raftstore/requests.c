#include "raftstore/calls.h"
#include "raftstore/identity.h"
#include "raftstore/node_priv.h"

static void give_members(struct node *n, struct peer_request *r)
{
    AT_END(buf_clear) struct buf b = { 0 };
    struct err e;

    if (identity_members_write(n->fsm.machine, n->home.cluster, &b, &e) != RC_OK)
        peer_answer(r, CALL_NO, (struct bytes){ 0 });
    else
        peer_answer(r, CALL_DONE, (struct bytes){ b.p, b.n });
}

static void keep_alive(struct node *n, int64_t id, struct peer_request *r)
{
    uint8_t answer[8];
    int64_t ttl;

    if (!lessor_keep_alive(n, id, &ttl)) {
        peer_answer(r, CALL_NO, (struct bytes){ 0 });
        return;
    }
    put_le64(answer, (uint64_t)ttl);
    peer_answer(r, CALL_DONE, BYTES_OF(answer));
}

static void remaining(struct node *n, int64_t id, struct peer_request *r)
{
    uint8_t answer[16];
    int64_t seconds, granted;

    if (!lessor_remaining(n, id, &seconds, &granted)) {
        peer_answer(r, CALL_NO, (struct bytes){ 0 });
        return;
    }
    put_le64(answer, (uint64_t)seconds);
    put_le64(answer + 8, (uint64_t)granted);
    peer_answer(r, CALL_DONE, BYTES_OF(answer));
}

/* Those that only the leader can answer, about one number. */
static void answer_about(struct node *n, uint8_t what, uint64_t number,
                         struct peer_request *r)
{
    if (!node_is_leader(n))
        peer_answer(r, CALL_ELSEWHERE, (struct bytes){ 0 });
    else if (what == CALL_KEEP_ALIVE)
        keep_alive(n, (int64_t)number, r);
    else if (what == CALL_REMAINING)
        remaining(n, (int64_t)number, r);
    else
        peer_answer(r, members_in_sync(n, number) ? CALL_DONE : CALL_NO,
                    (struct bytes){ 0 });
}

void requests_take(void *arg, uint64_t from, uint8_t what, struct bytes body,
                   struct peer_request *r)
{
    struct node *n = arg;
    bool known = from != 0; /* a stranger may only ask who is there */

    if (known && machine_removed(n->fsm.machine, from))
        peer_answer(r, CALL_GONE, (struct bytes){ 0 });
    else if (what == CALL_MEMBERS)
        give_members(n, r);
    else if (known && what == CALL_PROPOSE)
        propose_for(n, body, r);
    else if (known && what == CALL_READ_INDEX)
        read_for(n, r);
    else if (known && what >= CALL_KEEP_ALIVE && what <= CALL_IN_SYNC && body.n == 8)
        answer_about(n, what, le64(body.p), r);
    else
        peer_answer(r, CALL_NO, (struct bytes){ 0 });
}
