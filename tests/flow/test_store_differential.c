/* The embedded store beside a real etcd: a long random workload goes to both in lockstep,
 * and each answer, each watched event and each HashKV is the same. HOLDFAST_LONG=1 makes
 * it fifty times longer. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "codec/pb.h"
#include "tests/flow/flow.h"
#include "tests/flow/pipe.h"
#include "tests/flow/requests.h"
#include "util/str.h"

enum {
    OPERATIONS = 20000,
    OPERATIONS_LONG = 1000000,
    HASH_EVERY = 100, /* revisions */
    PATIENCE_MS = 10000,
};

struct side {
    struct cluster k;
    struct pipe *p;
    struct pipe_call *watch, *answer;
    size_t read;       /* of the watch's answers */
    struct buf events; /* watched, and not yet seen on the other side */
};

enum { ETCD, STORE, SIDES };

struct pair {
    struct side sides[SIDES];
    const char *what;
    uint64_t seed;
    unsigned n, refused, hashes;
    int64_t head, compacted;
    struct buf request; /* the last one, to show */
};

static void side_end(struct side *s)
{
    pipe_drop(s->watch);
    pipe_drop(s->answer);
    pipe_free(s->p);
    buf_clear(&s->events);
    cluster_stop(&s->k);
}

static void pair_end(struct pair *t)
{
    for (int i = 0; i < SIDES; i++)
        side_end(&t->sides[i]);
    buf_clear(&t->request);
}

/* What is tried here is not the disk. */
static void boot(struct side *s, const char *backend, const char *const *flags)
{
    const struct cluster_options o = { .flags = flags };

    cluster_start(&s->k, cluster_backend(backend), &o);
    s->p = pipe_open(s->k.members[0].client_port);
}

static void boot_both(struct pair *t, const char *version)
{
    static const char *const real[] = { "--unsafe-no-fsync", NULL };
    const char *const ours[] = { "--etcd-version", version, NULL };

    if (access("/dev/shm", W_OK) == 0)
        cr_assert_eq(setenv("TMPDIR", "/dev/shm", 1), 0);
    boot(&t->sides[ETCD], version, real);
    boot(&t->sides[STORE], "lab", ours);
}

/* ---- one answer beside the other ----------------------------------------------------
 */

/* All but the header, whose ids and terms differ by right, and its revision. */
static struct bytes split(struct bytes reply, int64_t *revision)
{
    struct pb_reader r = pb_reader_of(reply), h;
    struct pb_field f;

    *revision = 0;
    if (!pb_next(&r, &f) || f.tag != PB_TAG(1, PB_BYTES))
        return reply;
    h = pb_reader_of(f.bytes);
    while (pb_next(&h, &f))
        if (f.tag == PB_TAG(3, PB_VARINT))
            *revision = (int64_t)f.value;
    return (struct bytes){ r.at, (size_t)(r.end - r.at) };
}

static void differ(const struct pair *t, const char *method, struct bytes a,
                   struct bytes b)
{
    char shown[3][1200];

    str_printable(shown[0], sizeof shown[0],
                  (struct bytes){ t->request.p, t->request.n });
    str_printable(shown[1], sizeof shown[1], a);
    str_printable(shown[2], sizeof shown[2], b);
    cr_assert_fail("%s, seed %" PRIu64 ", operation %u at revision %" PRId64
                   ": %s\n%s\netcd answers\n%s\nand the store\n%s",
                   t->what, t->seed, t->n, t->head, method, shown[0], shown[1], shown[2]);
}

static void same_status(const struct pair *t, const char *method)
{
    const struct pipe_call *a = t->sides[ETCD].answer, *b = t->sides[STORE].answer;

    cr_assert(a->done && b->done, "%s, operation %u: %s: a connection broke", t->what,
              t->n, method);
    if (a->status != b->status || strcmp(a->message, b->message) != 0)
        differ(t, method, bytes_str(a->message), bytes_str(b->message));
}

/* Sends the request to both, and leaves the answers in `answer`. */
static void ask(struct pair *t, const char *method, const void *message)
{
    struct err e = { 0 };

    t->n++;
    t->request.n = 0;
    OK(codec_pack(message, &t->request, &e), &e);
    for (int i = 0; i < SIDES; i++) {
        pipe_drop(t->sides[i].answer);
        t->sides[i].answer = pipe_send(t->sides[i].p, method, message);
    }
    for (int i = 0; i < SIDES; i++)
        pipe_wait(t->sides[i].p, t->sides[i].answer);
    same_status(t, method);
    if (t->sides[ETCD].answer->status != 0)
        t->refused++;
}

static void same(struct pair *t, const char *method, const void *message)
{
    int64_t revisions[SIDES];
    struct bytes rest[SIDES];

    ask(t, method, message);
    for (int i = 0; i < SIDES; i++)
        rest[i] = split(t->sides[i].answer->reply, &revisions[i]);
    if (!bytes_equal(rest[ETCD], rest[STORE]))
        differ(t, method, rest[ETCD], rest[STORE]);
    cr_assert_eq(revisions[ETCD], revisions[STORE],
                 "%s, operation %u: %s: revision %" PRId64 " and %" PRId64, t->what, t->n,
                 method, revisions[ETCD], revisions[STORE]);
    if (revisions[ETCD] > t->head)
        t->head = revisions[ETCD];
}

/* ---- leases: their time runs, and their order is nobody's -----------------------------
 */

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static size_t lease_ids(const struct side *s, int64_t *out, size_t room)
{
    AT_END(codec_end) Etcdrpc__LeaseLeasesResponse *r = NULL;
    struct err e = { 0 };

    OK(codec_unpack(&etcdrpc__lease_leases_response__descriptor, s->answer->reply, &r,
                    &e),
       &e);
    cr_assert_leq(r->n_leases, room);
    for (size_t i = 0; i < r->n_leases; i++)
        out[i] = r->leases[i]->id;
    qsort(out, r->n_leases, sizeof *out, by_value);
    return r->n_leases;
}

static void list_leases(struct pair *t)
{
    Etcdrpc__LeaseLeasesRequest r = ETCDRPC__LEASE_LEASES_REQUEST__INIT;
    int64_t ids[SIDES][16];
    size_t n[SIDES];

    ask(t, "Lease/LeaseLeases", &r);
    for (int i = 0; i < SIDES; i++)
        n[i] = lease_ids(&t->sides[i], ids[i], 16);
    cr_assert(n[0] == n[1] && memcmp(ids[0], ids[1], n[0] * sizeof **ids) == 0,
              "%s, operation %u: other leases", t->what, t->n);
}

static int bytes_order(const void *a, const void *b)
{
    return bytes_compare(codec_bytes(a), codec_bytes(b));
}

static void look_at_lease(struct pair *t, int64_t id)
{
    AT_END(codec_end) Etcdrpc__LeaseTimeToLiveResponse *a = NULL;
    AT_END(codec_end) Etcdrpc__LeaseTimeToLiveResponse *b = NULL;
    Etcdrpc__LeaseTimeToLiveRequest q = ETCDRPC__LEASE_TIME_TO_LIVE_REQUEST__INIT;
    const ProtobufCMessageDescriptor *type =
        &etcdrpc__lease_time_to_live_response__descriptor;
    struct err e = { 0 };

    q.id = id;
    q.keys = true;
    ask(t, "Lease/LeaseTimeToLive", &q);
    OK(codec_unpack(type, t->sides[ETCD].answer->reply, &a, &e), &e);
    OK(codec_unpack(type, t->sides[STORE].answer->reply, &b, &e), &e);
    cr_assert(a->id == b->id && a->granted_ttl == b->granted_ttl &&
                  llabs(a->ttl - b->ttl) < 60 && a->n_keys == b->n_keys,
              "%s, operation %u: lease %" PRId64 ": %" PRId64 "/%" PRId64 " %zu keys and "
              "%" PRId64 "/%" PRId64 " %zu keys",
              t->what, t->n, id, a->ttl, a->granted_ttl, a->n_keys, b->ttl,
              b->granted_ttl, b->n_keys);
    if (a->n_keys == 0)
        return;
    qsort(a->keys, a->n_keys, sizeof *a->keys, bytes_order);
    qsort(b->keys, b->n_keys, sizeof *b->keys, bytes_order);
    for (size_t i = 0; i < a->n_keys; i++)
        cr_assert(bytes_equal(codec_bytes(&a->keys[i]), codec_bytes(&b->keys[i])),
                  "%s, operation %u: other keys of lease %" PRId64, t->what, t->n, id);
}

static void any_lease(struct pair *t, struct requests *p)
{
    Etcdrpc__LeaseGrantRequest grant = ETCDRPC__LEASE_GRANT_REQUEST__INIT;
    Etcdrpc__LeaseRevokeRequest revoke = ETCDRPC__LEASE_REVOKE_REQUEST__INIT;
    Etcdrpc__LeaseKeepAliveRequest alive = ETCDRPC__LEASE_KEEP_ALIVE_REQUEST__INIT;
    int64_t id = 1 + history_below(&p->random, REQUESTS_LEASES);

    grant.id = revoke.id = alive.id = id;
    grant.ttl = 36000 + history_below(&p->random, 2) * INT64_C(10000000000);
    switch (history_below(&p->random, 8)) {
    case 0:
        same(t, "Lease/LeaseRevoke", &revoke);
        break;
    case 1:
        same(t, "Lease/LeaseKeepAlive", &alive);
        break;
    case 2:
        list_leases(t);
        break;
    case 3:
        look_at_lease(t, id);
        break;
    default:
        same(t, "Lease/LeaseGrant", &grant);
    }
}

/* ---- watches ------------------------------------------------------------------------
 */

static struct pipe_call *watch_all(struct side *s, int64_t from, bool prev_kv)
{
    Etcdrpc__WatchCreateRequest create = ETCDRPC__WATCH_CREATE_REQUEST__INIT;
    Etcdrpc__WatchRequest q = ETCDRPC__WATCH_REQUEST__INIT;

    create.key = create.range_end = codec_field((struct bytes){ (const uint8_t *)"", 1 });
    create.start_revision = from;
    create.prev_kv = prev_kv;
    q.req_case = ETCDRPC__WATCH_REQUEST__REQ_CREATE_REQUEST;
    q.create_request = &create;
    s->read = 0;
    return pipe_send(s->p, "Watch/Watch", &q);
}

/* From before the first write on, and known to the server by then: one that it still has
 * to catch up with, which etcd does ten times a second, is cancelled by a compaction. */
static void watch_from_now(struct pair *t)
{
    for (int i = 0; i < SIDES; i++) {
        struct side *s = &t->sides[i];
        unsigned turns = 0;

        s->watch = watch_all(s, t->head + 1, false);
        while (s->watch->body.n < 5) {
            pipe_turn(s->p, 100);
            cr_assert_lt(turns++, PATIENCE_MS / 100, "%s: no watch", s->k.backend->name);
        }
    }
}

/* Servers cut the same events into answers as it suits them. */
static void gather(struct side *s)
{
    struct buf *body = &s->watch->body;
    struct pb_field f;
    struct err e = { 0 };

    while (body->n - s->read >= 5 &&
           body->n - s->read - 5 >= be32(body->p + s->read + 1)) {
        size_t n = be32(body->p + s->read + 1);
        struct pb_reader r = pb_reader_of((struct bytes){ body->p + s->read + 5, n });

        while (pb_next(&r, &f)) {
            cr_assert_neq(f.tag, PB_TAG(4, PB_VARINT), "a watch was canceled");
            if (f.tag == PB_TAG(11, PB_BYTES))
                OK(pb_put_bytes(&s->events, 11, f.bytes, &e), &e);
        }
        s->read += 5 + n;
    }
    if (s->read == 0)
        return;
    memmove(body->p, body->p + s->read, body->n - s->read);
    body->n -= s->read;
    s->read = 0;
}

static void same_events(struct pair *t)
{
    struct buf *a = &t->sides[ETCD].events, *b = &t->sides[STORE].events;
    size_t n;

    for (int i = 0; i < SIDES; i++)
        gather(&t->sides[i]);
    n = a->n < b->n ? a->n : b->n;
    if (n == 0)
        return;
    cr_assert_eq(memcmp(a->p, b->p, n), 0, "%s, seed %" PRIu64 ": other events near %u",
                 t->what, t->seed, t->n);
    memmove(a->p, a->p + n, a->n -= n);
    memmove(b->p, b->p + n, b->n -= n);
}

static bool gathered(const struct buf *events, int64_t revision)
{
    AT_END(codec_end) Etcdrpc__WatchResponse *r = NULL;
    struct err e = { 0 };

    OK(codec_unpack(&etcdrpc__watch_response__descriptor,
                    (struct bytes){ events->p, events->n }, &r, &e),
       &e);
    return r->n_events > 0 && r->events[r->n_events - 1]->kv->mod_revision >= revision;
}

/* Until both have told all up to the head, the last of which only one side has seen when
 * the other's came: so that nothing is missing at the end of either. */
static void await_events(struct pair *t)
{
    for (int i = 0; i < SIDES; i++) {
        struct side *s = &t->sides[i];
        unsigned turns = 0;

        for (gather(s); !gathered(&s->events, t->head); gather(s)) {
            pipe_turn(s->p, 100);
            cr_assert_lt(turns++, PATIENCE_MS / 100, "%s: no event of revision %" PRId64,
                         s->k.backend->name, t->head);
        }
    }
    same_events(t);
    cr_assert(t->sides[ETCD].events.n == 0 && t->sides[STORE].events.n == 0,
              "%s: one side told more events", t->what);
}

/* What a client that comes later is told: history, with what was before each change. */
static void watch_again(struct pair *t)
{
    for (int i = 0; i < SIDES; i++) {
        struct side *s = &t->sides[i];

        pipe_cancel(s->p, s->watch);
        pipe_drop(s->watch);
        s->watch = watch_all(s, t->compacted + 1, true);
    }
    await_events(t);
}

/* ---- the workload -------------------------------------------------------------------
 */

static void compact(struct pair *t, struct requests *p)
{
    Etcdrpc__CompactionRequest r = ETCDRPC__COMPACTION_REQUEST__INIT;
    bool far = history_below(&p->random, 2) == 0;

    r.revision = t->head - (far ? 10 + history_below(&p->random, 1000) : 8) +
                 history_below(&p->random, 10);
    r.physical = history_below(&p->random, 2) == 0;
    same(t, "KV/Compact", &r);
    if (t->sides[ETCD].answer->status == 0)
        t->compacted = r.revision;
}

static void any_request(struct pair *t, struct requests *p)
{
    uint32_t turn = history_below(&p->random, 64);

    requests_begin(p);
    p->head = t->head;
    if (turn == 0)
        compact(t, p);
    else if (turn < 6)
        any_lease(t, p);
    else if (turn < 20)
        same(t, "KV/Range", requests_range(p));
    else if (turn < 40)
        same(t, "KV/Put", requests_put(p));
    else if (turn < 44)
        same(t, "KV/DeleteRange", requests_delete(p));
    else
        same(t, "KV/Txn", requests_txn(p, 2));
}

/* Of the revision it was just compacted at a server tells what it hashed on its way. */
static void same_hash(struct pair *t)
{
    Etcdrpc__HashKVRequest r = ETCDRPC__HASH_KVREQUEST__INIT;

    if (t->head == t->compacted)
        return;
    r.revision = t->head;
    same(t, "Maintenance/HashKV", &r);
    cr_assert_eq(t->sides[ETCD].answer->status, 0);
    t->hashes++;
}

static void compare_with(const char *version, uint64_t seed, unsigned operations)
{
    static struct requests p;
    AT_END(pair_end) struct pair t = { .what = version, .seed = seed, .head = 1 };
    Etcdrpc__PutRequest last = ETCDRPC__PUT_REQUEST__INIT;
    int64_t hashed = 0;

    boot_both(&t, version);
    p = (struct requests){ .random = { seed }, .keys = 100 };
    watch_from_now(&t);
    while (t.n < operations) {
        any_request(&t, &p);
        if (t.head / HASH_EVERY == hashed)
            continue;
        hashed = t.head / HASH_EVERY;
        same_hash(&t);
        same_events(&t);
    }
    last.key = codec_field(bytes_str("last"));
    same(&t, "KV/Put", &last);
    same_hash(&t);
    await_events(&t);
    watch_again(&t);
    cr_assert(t.hashes > t.head / HASH_EVERY * 9 / 10 && t.refused > operations / 50 &&
                  t.head > operations / 5,
              "%s: %u hashes, %u refused, revision %" PRId64, version, t.hashes,
              t.refused, t.head);
}

static void compare_all(const char *version, unsigned operations)
{
    flow_need(version);
    compare_with(version, 1,
                 getenv("HOLDFAST_LONG") == NULL ? operations : OPERATIONS_LONG);
}

CASE(store, answers_as_etcd_3_4_does, .timeout = 7200)
{
    compare_all("3.4", OPERATIONS / 4);
}

CASE(store, answers_as_etcd_3_5_does, .timeout = 7200)
{
    compare_all("3.5", OPERATIONS);
}

CASE(store, answers_as_etcd_3_6_does, .timeout = 7200)
{
    compare_all("3.6", OPERATIONS);
}

CASE(store, answers_as_etcd_3_7_does, .timeout = 7200)
{
    compare_all("3.7", OPERATIONS / 4);
}
