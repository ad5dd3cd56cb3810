#include "tests/unit/raftstore/world.h"

#include <stdio.h>

#include "codec/message.h"
#include "raftstore/image.h"
#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "util/mem.h"
#include "util/os.h"

enum { LONG_MS = 60000, FIRST = 3 };

/* The fixture has no threads to offer. */
static int snapshot(struct raft_fsm *ops, struct raft_buffer *bufs[], unsigned *n)
{
    struct fsm *f = ops->data;
    int status = f->ops.snapshot(&f->ops, bufs, n);

    return status != 0 ? status : f->ops.snapshot_async(&f->ops, bufs, n);
}

static int finalize(struct raft_fsm *ops, struct raft_buffer *bufs[], unsigned *n)
{
    struct fsm *f = ops->data;

    return f->ops.snapshot_finalize(&f->ops, bufs, n);
}

static int apply(struct raft_fsm *ops, const struct raft_buffer *b, void **result)
{
    struct fsm *f = ops->data;

    return f->ops.apply(&f->ops, b, result);
}

static int restore(struct raft_fsm *ops, struct raft_buffer *b)
{
    struct fsm *f = ops->data;

    return f->ops.restore(&f->ops, b);
}

static void new_machine(bool empty, struct machine **out)
{
    const struct machine_options options = { .minor = 6 };
    struct err e = { 0 };

    OK(machine_new(&options, out, &e), &e);
    for (unsigned i = 0; !empty && i < FIRST; i++) {
        char json[80];
        struct wal_change c = { .node_id = 100 + i };

        snprintf(json, sizeof json, "{\"id\":%u,\"peerURLs\":[\"http://127.0.0.1:%u\"]}",
                 100 + i, 1000 + i);
        c.context = bytes_str(json);
        OK(machine_change(*out, &c, NULL, &e), &e);
    }
    if (!empty)
        machine_set_index(*out, FIRST, 1);
}

static void image_of(const struct machine *m, struct raft_buffer *out)
{
    uint64_t size;
    struct err e = { 0 };
    OWNED_FD int fd = -1;

    OK(image_scratch(tmpdir_new(), &fd, &e), &e);
    OK(image_write(m, fd, "an image", &size, &e), &e);
    out->len = (size_t)size;
    out->base = raft_malloc(out->len);
    OK(os_pread_full(fd, out->base, out->len, 0, "an image", &e), &e);
}

/* As keeper.h starts libraft: with a snapshot, and no entry before it. */
static void begin_behind_a_snapshot(struct world *w, unsigned i,
                                    const struct raft_configuration *c)
{
    struct raft_snapshot *s = raft_calloc(1, sizeof *s);

    s->index = s->configuration_index = FIRST;
    s->term = 1;
    s->n_bufs = 1;
    s->bufs = raft_calloc(1, sizeof *s->bufs);
    image_of(w->fsm[i].machine, &s->bufs[0]);
    raft_configuration_init(&s->configuration);
    for (unsigned k = 0; k < c->n; k++)
        cr_assert_eq(raft_configuration_add(&s->configuration, c->servers[k].id,
                                            c->servers[k].address, c->servers[k].role),
                     0);
    raft_fixture_set_snapshot(&w->fx, i, s);
    raft_fixture_set_term(&w->fx, i, 1);
}

static unsigned add(struct world *w, bool empty)
{
    unsigned i = w->count++;
    struct machine *m = NULL;

    new_machine(empty, &m);
    fsm_init(&w->fsm[i], NULL, 6, tmpdir_new(), m, NULL);
    w->ops[i] = (struct raft_fsm){ .version = 2,
                                   .data = &w->fsm[i],
                                   .apply = apply,
                                   .snapshot = snapshot,
                                   .restore = restore,
                                   .snapshot_finalize = finalize };
    cr_assert_eq(raft_fixture_grow(&w->fx, &w->ops[i]), 0);
    w->fsm[i].raft = raft_fixture_get(&w->fx, i);
    raft_set_pre_vote(w->fsm[i].raft, true);
    return i;
}

void world_begin(struct world *w, unsigned voters)
{
    struct raft_configuration c;

    *w = (struct world){ .next = 1 };
    cr_assert_eq(raft_fixture_initialize(&w->fx), 0);
    for (unsigned i = 0; i < voters; i++)
        add(w, false);
    raft_fixture_configuration(&w->fx, voters, &c);
    for (unsigned i = 0; i < voters; i++)
        begin_behind_a_snapshot(w, i, &c);
    raft_configuration_close(&c);
    cr_assert_eq(raft_fixture_start(&w->fx), 0);
    world_leader(w);
}

void world_end(struct world *w)
{
    raft_fixture_close(&w->fx);
    for (unsigned i = 0; i < w->count; i++)
        fsm_clear(&w->fsm[i]);
}

unsigned world_grow(struct world *w)
{
    unsigned i = add(w, true);

    cr_assert_eq(raft_start(w->fsm[i].raft), 0);
    return i;
}

unsigned world_leader(struct world *w)
{
    cr_assert(raft_fixture_step_until_has_leader(&w->fx, LONG_MS));
    return raft_fixture_leader_index(&w->fx);
}

static void put_body(struct world *w, const char *key, const char *value, struct buf *out)
{
    Raftreq__InternalRaftRequest r;
    Raftreq__RequestHeader header;
    Etcdrpc__PutRequest put;
    struct err e = { 0 };

    raftreq__internal_raft_request__init(&r);
    raftreq__request_header__init(&header);
    etcdrpc__put_request__init(&put);
    header.id = w->next;
    put.key = codec_field(bytes_str(key));
    put.value = codec_field(bytes_str(value));
    r.header = &header;
    r.put = &put;
    OK(codec_pack(&r, out, &e), &e);
}

void world_put(struct world *w, const char *key, const char *value)
{
    static struct raft_apply requests[4096];
    unsigned leader = world_leader(w);
    struct raft *raft = raft_fixture_get(&w->fx, leader);
    AT_END(buf_clear) struct buf body = { 0 };
    struct payload p = { .kind = PAYLOAD_REQUEST, .term = 1, .id = w->next };
    struct raft_buffer b;
    struct err e = { 0 };

    put_body(w, key, value, &body);
    p.body = (struct bytes){ body.p, body.n };
    OK(payload_write(&p, &b, &e), &e);
    cr_assert_lt(w->next, 4096);
    cr_assert_eq(raft_apply(raft, &requests[w->next++], &b, 1, NULL), 0);
    cr_assert(
        raft_fixture_step_until_applied(&w->fx, leader, raft_last_index(raft), LONG_MS));
}

void world_settle(struct world *w)
{
    raft_index last = raft_last_index(raft_fixture_get(&w->fx, world_leader(w)));

    for (unsigned i = 0; i < w->count; i++)
        if (raft_fixture_alive(&w->fx, i))
            cr_assert(raft_fixture_step_until_applied(&w->fx, i, last, LONG_MS), "%u", i);
}

static bool changed;

static void on_change(struct raft_change *req, int status)
{
    (void)req;
    cr_assert_eq(status, 0, "%s", raft_strerror(status));
    changed = true;
}

static bool is_changed(struct raft_fixture *fx, void *arg)
{
    (void)fx;
    (void)arg;
    return changed;
}

void world_assign(struct world *w, unsigned i, int role)
{
    static struct raft_change req;
    struct raft *raft = raft_fixture_get(&w->fx, world_leader(w));
    char address[16];

    changed = false;
    snprintf(address, sizeof address, "%u", i + 1);
    if (role == RAFT_SPARE)
        cr_assert_eq(raft_add(raft, &req, i + 1, address, on_change), 0);
    else
        cr_assert_eq(raft_assign(raft, &req, i + 1, role, on_change), 0);
    cr_assert(raft_fixture_step_until(&w->fx, is_changed, NULL, LONG_MS));
}

uint32_t world_hash(struct world *w, unsigned i)
{
    struct mvcc_hashkv hash;
    struct err e = { 0 };

    OK(kvstore_hashkv(machine_kv(w->fsm[i].machine), 0, &hash, &e), &e);
    return hash.hash;
}

int64_t world_revision(struct world *w, unsigned i)
{
    return kvstore_revision(machine_kv(w->fsm[i].machine));
}
