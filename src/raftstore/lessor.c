#include "raftstore/lessor.h"

#include <stdlib.h>

#include "codec/message.h"
#include "codec/pb.h"
#include "raftstore/node_priv.h"
#include "util/mem.h"

enum { ASK_AGAIN_MS = 3000, FIELD_GRANT = 8, FIELD_REVOKE = 9 };

static uint64_t advance(struct node *n)
{
    struct lessor *l = &n->lessor;
    uint64_t now = uv_now(&n->loop);

    if (l->real_ms != 0 && !n->faults.clock_frozen)
        l->clock_ms += now - l->real_ms;
    l->real_ms = now;
    return l->clock_ms;
}

static struct lessor_entry *find(struct lessor *l, int64_t id)
{
    size_t low = 0, high = l->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (l->entries[middle].id == id)
            return &l->entries[middle];
        if (l->entries[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* The machine's leases, in order; those that were known keep their time. */
static void resync(struct node *n)
{
    struct lessor *l = &n->lessor, next = { .clock_ms = advance(n) };
    struct machine_lease lease;

    for (size_t i = 0; machine_lease_at(n->fsm.machine, i, &lease); i++) {
        const struct lessor_entry *known = find(l, lease.id);

        if (next.count == next.room) {
            size_t room = next.room * 2 + 64;
            struct lessor_entry *more =
                mem_resize(next.entries, room, sizeof *next.entries);

            if (more == NULL) {
                mem_free(next.entries);
                return;
            }
            next.entries = more;
            next.room = room;
        }
        next.entries[next.count++] =
            known != NULL ? *known
                          : (struct lessor_entry){
                                .id = lease.id,
                                .ttl = lease.ttl,
                                .expires = next.clock_ms + (uint64_t)lease.ttl * 1000,
                            };
    }
    next.real_ms = l->real_ms;
    mem_free(l->entries);
    *l = next;
}

void lessor_lead(struct node *n)
{
    struct lessor *l = &n->lessor;

    l->count = 0;
    resync(n);
    for (size_t i = 0; i < l->count; i++)
        l->entries[i].expires += n->o.election_ms;
}

void lessor_clear(struct lessor *l)
{
    mem_free(l->entries);
    *l = (struct lessor){ 0 };
}

void lessor_applied(struct lessor *l, struct bytes request)
{
    struct pb_reader r = pb_reader_of(request);
    struct pb_field f;

    while (pb_next(&r, &f))
        if (f.tag == PB_TAG(FIELD_GRANT, PB_BYTES) ||
            f.tag == PB_TAG(FIELD_REVOKE, PB_BYTES))
            l->dirty = true;
}

static void on_revoked(void *arg, int code, const char *message,
                       struct machine_outcome *o)
{
    (void)arg;
    (void)code;
    (void)message;
    (void)o;
}

static void ask_revoke(struct node *n, int64_t id)
{
    Raftreq__InternalRaftRequest r;
    Raftreq__RequestHeader header;
    Etcdrpc__LeaseRevokeRequest lease;
    AT_END(buf_clear) struct buf b = { 0 };
    struct err e;

    raftreq__internal_raft_request__init(&r);
    raftreq__request_header__init(&header);
    etcdrpc__lease_revoke_request__init(&lease);
    header.id = propose_number(n);
    lease.id = id;
    r.header = &header;
    r.lease_revoke = &lease;
    if (codec_pack(&r, &b, &e) == RC_OK)
        propose(n, PAYLOAD_REQUEST, header.id, (struct bytes){ b.p, b.n }, on_revoked,
                NULL);
}

void lessor_tick(struct node *n)
{
    struct lessor *l = &n->lessor;
    uint64_t now = advance(n);

    if (!node_is_leader(n))
        return;
    if (l->dirty)
        resync(n);
    for (size_t i = 0; i < l->count; i++) {
        struct lessor_entry *it = &l->entries[i];

        if (it->expires > now || (it->asked_at != 0 && it->asked_at + ASK_AGAIN_MS > now))
            continue;
        it->asked_at = now;
        ask_revoke(n, it->id);
    }
}

/* Granted an instant ago, perhaps: look again before saying no. */
static struct lessor_entry *living(struct node *n, int64_t id)
{
    struct lessor_entry *it;
    uint64_t now = advance(n);

    if (n->lessor.dirty)
        resync(n);
    it = find(&n->lessor, id);
    return it == NULL || it->expires <= now ? NULL : it;
}

bool lessor_keep_alive(struct node *n, int64_t id, int64_t *ttl)
{
    struct lessor_entry *it = living(n, id);

    if (it == NULL)
        return false;
    it->expires = n->lessor.clock_ms + (uint64_t)it->ttl * 1000;
    *ttl = it->ttl;
    return true;
}

bool lessor_remaining(struct node *n, int64_t id, int64_t *seconds, int64_t *granted)
{
    const struct lessor_entry *it = living(n, id);

    if (it == NULL)
        return false;
    *seconds = (int64_t)((it->expires - n->lessor.clock_ms) / 1000);
    *granted = it->ttl;
    return true;
}

static int by_end(const void *a, const void *b)
{
    const struct lessor_entry *x = a, *y = b;

    if (x->expires != y->expires)
        return x->expires < y->expires ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

enum rc lessor_list(struct node *n, struct lessor_entry **out, size_t *count,
                    struct err *e)
{
    struct machine_lease lease;
    size_t total = 0;

    while (machine_lease_at(n->fsm.machine, total, &lease))
        total++;
    TRY(mem_new(out, (total + 1) * sizeof **out, "a list of leases", e));
    for (size_t i = 0; machine_lease_at(n->fsm.machine, i, &lease); i++) {
        const struct lessor_entry *it = node_is_leader(n) ? living(n, lease.id) : NULL;

        (*out)[i] = it == NULL ? (struct lessor_entry){ .id = lease.id } : *it;
    }
    qsort(*out, total, sizeof **out, by_end);
    *count = total;
    return RC_OK;
}
