/* Three members of the embedded store are killed, cut off from each other and paused
 * while clients write, swap and read: whatever they saw must be linearizable. Ten seeds;
 * HOLDFAST_LONG=1 tries two hundred. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/flow/flow.h"
#include "tests/flow/history.h"
#include "tests/flow/linear.h"
#include "util/clock.h"
#include "wire/kv.h"

/* ---- the checker itself -------------------------------------------------------------
 */

#define W(v, from, to)                                                         \
    {                                                                          \
        .kind = LINEAR_WRITE, .value = (v), .called = (from), .returned = (to) \
    }
#define R(v, from, to)                                                        \
    {                                                                         \
        .kind = LINEAR_READ, .value = (v), .called = (from), .returned = (to) \
    }
#define S(old, new, done, from, to)                                                \
    {                                                                              \
        .kind = LINEAR_SWAP, .expected = (old), .value = (new), .swapped = (done), \
        .called = (from), .returned = (to)                                         \
    }
#define NEVER LINEAR_UNKNOWN

#define HISTORY(good, ...)                                                        \
    do {                                                                          \
        const struct linear_op h_[] = { __VA_ARGS__ };                            \
        size_t stuck_;                                                            \
        cr_assert_eq(linear_check(h_, sizeof h_ / sizeof *h_, 0, &stuck_), good); \
    } while (0)

CASE(linear, orders_that_exist_are_found)
{
    HISTORY(true, R(0, 1, 2));
    HISTORY(true, W(1, 1, 2), R(1, 3, 4));
    HISTORY(true, W(1, 1, 10), R(0, 2, 3), R(1, 4, 5));
    HISTORY(true, W(1, 1, 10), W(2, 1, 10), R(1, 2, 3), R(2, 4, 5));
    HISTORY(true, W(1, 1, 4), W(2, 2, 6), R(2, 3, 8), R(1, 5, 9));
    HISTORY(true, S(0, 5, true, 1, 2), S(0, 6, false, 3, 4), R(5, 5, 6));
    HISTORY(true, S(0, 5, false, 1, 9), W(3, 2, 3), S(3, 0, true, 4, 5), R(0, 6, 7));
    HISTORY(true, W(1, 1, 2), R(1, 2, 3));
}

CASE(linear, orders_that_do_not_exist_are_not)
{
    HISTORY(false, R(1, 1, 2));
    HISTORY(false, W(1, 1, 2), R(0, 3, 4));
    HISTORY(false, W(1, 1, 10), R(1, 2, 3), R(0, 4, 5));
    HISTORY(false, W(1, 1, 2), W(2, 3, 4), R(1, 5, 6));
    HISTORY(false, W(1, 1, 2), W(2, 1, 2), R(1, 3, 4), R(2, 5, 6));
    HISTORY(false, S(0, 5, true, 1, 4), S(0, 6, true, 2, 5));
    HISTORY(false, S(0, 5, false, 1, 2));
    HISTORY(false, W(1, 1, 2), S(1, 2, true, 3, 4), R(1, 5, 6));
}

CASE(linear, what_nobody_knows_may_have_happened)
{
    HISTORY(true, W(1, 1, NEVER), R(0, 2, 3));
    HISTORY(true, W(1, 1, NEVER), R(0, 2, 3), R(1, 4, 5));
    HISTORY(false, W(1, 1, NEVER), R(1, 2, 3), R(0, 4, 5));
    HISTORY(false, W(1, 5, NEVER), R(1, 2, 3));
    HISTORY(true, S(0, 1, false, 1, NEVER), R(1, 2, 3));
    HISTORY(false, S(7, 1, false, 1, NEVER), R(1, 2, 3));
    HISTORY(true, W(1, 1, NEVER), W(2, 2, 3), R(2, 4, 5), R(1, 6, 7));
}

/* A long honest history is judged in no time, and one late reader spoils it. */
CASE(linear, long_histories_are_judged_quickly)
{
    enum { OPS = 3000, CLIENTS = 6 };
    static struct linear_op ops[OPS];
    struct history_random r = { 9 };
    int64_t state = 0;
    size_t stuck;

    for (size_t i = 0; i < OPS; i++) {
        /* made at 10 * i, called up to CLIENTS calls earlier and returned as much later
         */
        uint64_t at = 1000 + 10 * i;
        bool writes = history_below(&r, 2) == 0;

        if (writes)
            state = (int64_t)i + 1;
        ops[i] = (struct linear_op){ .kind = writes ? LINEAR_WRITE : LINEAR_READ,
                                     .value = state,
                                     .called = at - history_below(&r, 10 * CLIENTS),
                                     .returned = at + history_below(&r, 10 * CLIENTS) };
        if (writes && history_below(&r, 300) == 0)
            ops[i].returned = LINEAR_UNKNOWN;
    }
    cr_assert(linear_check(ops, OPS, 0, &stuck), "stuck at %zu", stuck);
    ops[OPS / 2].kind = LINEAR_READ;
    ops[OPS / 2].value = 1;
    ops[OPS / 2].returned = ops[OPS / 2].called + 1;
    cr_assert(!linear_check(ops, OPS, 0, &stuck));
}

/* ---- clients ------------------------------------------------------------------------
 */

enum {
    CASES = 2,
    SEEDS = 5, /* of each case */
    SEEDS_LONG = 100,
    MEMBERS = 3,
    CLIENTS = 5,
    KEYS = 3,
    OPS_MAX = 4000, /* of a client */
    STORM_MS = 1700,
    CALM_MS = 300,
    CALL_MS = 700,
};

struct client {
    const struct cluster *k;
    unsigned id;
    uint64_t seed;
    struct history_random random;
    atomic_bool *stop;
    struct linear_op *ops;
    size_t n;
    unsigned failed, unknown;
    int64_t seen[KEYS];
    pthread_t thread;
};

static void key_name(const struct client *c, unsigned key, char *out, size_t room)
{
    snprintf(out, room, "linear/%" PRIu64 "/%u", c->seed, key);
}

static struct bytes number(int64_t v, char *text, size_t room)
{
    snprintf(text, room, "%" PRId64, v);
    return bytes_str(text);
}

static enum rc do_read(struct wire_client *w, const char *key, struct linear_op *op,
                       struct err *e)
{
    AT_END(wire_kvs_clear) struct wire_kvs k = { 0 };
    const struct wire_range q = { .key = bytes_str(key) };
    char text[24];

    TRY(wire_range_get(w, &q, &k, e));
    op->value = 0;
    if (k.count > 0) {
        snprintf(text, sizeof text, "%.*s", (int)k.items[0].value.n,
                 (const char *)k.items[0].value.p);
        op->value = strtoll(text, NULL, 10);
    }
    return RC_OK;
}

static enum rc do_write(struct wire_client *w, const char *key, struct linear_op *op,
                        struct err *e)
{
    char text[24];

    return wire_put(w, bytes_str(key), number(op->value, text, sizeof text), 0, NULL, e);
}

static enum rc do_swap(struct wire_client *w, const char *key, struct linear_op *op,
                       struct err *e)
{
    AT_END(codec_end) Etcdrpc__TxnResponse *r = NULL;
    Etcdrpc__TxnRequest q = ETCDRPC__TXN_REQUEST__INIT;
    Etcdrpc__Compare compare = ETCDRPC__COMPARE__INIT, *compares = &compare;
    Etcdrpc__RequestOp step = ETCDRPC__REQUEST_OP__INIT, *steps = &step;
    Etcdrpc__PutRequest put = ETCDRPC__PUT_REQUEST__INIT;
    char texts[2][24];

    compare.key = put.key = codec_field(bytes_str(key));
    if (op->expected == 0) { /* it has never been written */
        compare.target = ETCDRPC__COMPARE_TARGET__CMP_CREATE;
        compare.target_union_case = ETCDRPC__COMPARE__TARGET_UNION_CREATE_REVISION;
    } else {
        compare.target = ETCDRPC__COMPARE_TARGET__CMP_VALUE;
        compare.target_union_case = ETCDRPC__COMPARE__TARGET_UNION_VALUE;
        compare.value = codec_field(number(op->expected, texts[0], sizeof texts[0]));
    }
    put.value = codec_field(number(op->value, texts[1], sizeof texts[1]));
    step.op_case = ETCDRPC__REQUEST_OP__OP_PUT;
    step.put = &put;
    q.compare = &compares;
    q.success = &steps;
    q.n_compare = q.n_success = 1;
    TRY(wire_txn(w, &q, &r, NULL, e));
    op->swapped = r->succeeded;
    return RC_OK;
}

static void one_call(struct client *c, struct wire_client *w)
{
    struct linear_op *op = &c->ops[c->n];
    uint32_t turn = history_below(&c->random, 100);
    char key[48];
    struct err e = { 0 };
    enum rc rc;

    *op = (struct linear_op){ .key = history_below(&c->random, KEYS),
                              .value = (int64_t)(c->n + 1) * CLIENTS + c->id };
    key_name(c, op->key, key, sizeof key);
    op->expected = c->seen[op->key];
    op->kind = turn < 45 ? LINEAR_READ : turn < 75 ? LINEAR_WRITE : LINEAR_SWAP;
    op->called = clock_us();
    rc = op->kind == LINEAR_READ    ? do_read(w, key, op, &e)
         : op->kind == LINEAR_WRITE ? do_write(w, key, op, &e)
                                    : do_swap(w, key, op, &e);
    op->returned = clock_us();
    if (rc == RC_OK) {
        if (op->kind != LINEAR_SWAP || op->swapped)
            c->seen[op->key] = op->value;
        c->n++;
        return;
    }
    c->failed++;
    if (op->kind != LINEAR_READ && wire_last(w)->unknown) {
        op->returned = LINEAR_UNKNOWN;
        c->unknown++;
        c->n++;
    }
    clock_sleep_ms(20);
}

/* Each prefers another member, and goes to the next when it has no answer. */
static void *client_run(void *arg)
{
    struct client *c = arg;
    char endpoints[256];
    struct wire_options o = { .endpoints = endpoints,
                              .dial_timeout_ms = 200,
                              .command_timeout_ms = CALL_MS };
    struct wire_client *w = NULL;
    struct err e = { 0 };

    snprintf(endpoints, sizeof endpoints,
             "http://127.0.0.1:%d,http://127.0.0.1:%d,http://127.0.0.1:%d",
             c->k->members[c->id % MEMBERS].client_port,
             c->k->members[(c->id + 1) % MEMBERS].client_port,
             c->k->members[(c->id + 2) % MEMBERS].client_port);
    if (wire_client_new(&o, &w, &e) != RC_OK)
        return NULL;
    while (!atomic_load(c->stop) && c->n + 1 < OPS_MAX) {
        one_call(c, w);
        usleep(history_below(&c->random, 3000));
    }
    wire_client_free(w);
    return NULL;
}

/* ---- what goes wrong ----------------------------------------------------------------
 */

static const char *socket_of(const struct cluster *k, unsigned i)
{
    static char path[MEMBERS][100];

    snprintf(path[i], sizeof path[i], "%s/c%u", k->dir, i);
    return path[i];
}

static void boot(struct cluster *k, unsigned i)
{
    const char *const flags[] = { "--control-socket",        socket_of(k, i),
                                  "--heartbeat-interval=50", "--election-timeout=300",
                                  "--snapshot-count=1000",   NULL };

    k->options.flags = flags;
    cluster_boot(k, i);
    k->options.flags = NULL;
}

/* One line to a member's control socket; one that is down has nothing to break. */
static void tell(const struct cluster *k, unsigned i, const char *line)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    const struct timeval patience = { .tv_sec = 3 };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char answer[256] = "";

    snprintf(to.sun_path, sizeof to.sun_path, "%s", socket_of(k, i));
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
        send(fd, line, strlen(line), MSG_NOSIGNAL) > 0 &&
        recv(fd, answer, sizeof answer - 1, 0) > 0)
        cr_assert_eq(strncmp(answer, "ok", 2), 0, "%s%s", line, answer);
    close(fd);
}

static void isolate(const struct cluster *k, unsigned i, const char *way)
{
    char line[64];

    for (unsigned other = 0; other < MEMBERS; other++) {
        if (other == i)
            continue;
        snprintf(line, sizeof line, "cut m%u %s\n", other, way);
        tell(k, i, line);
    }
}

static void mend(struct cluster *k)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (k->members[i].pid == 0)
            boot(k, i);
        else
            tell(k, i, "heal\n");
    }
}

static void one_fault(struct cluster *k, struct history_random *r)
{
    static const char *const ways[] = { "both", "both", "in", "out" };
    unsigned i = history_below(r, MEMBERS), next = (i + 1) % MEMBERS;
    char line[64];

    switch (history_below(r, 6)) {
    case 0:
    case 1:
        isolate(k, i, ways[history_below(r, 4)]);
        break;
    case 2:
        cluster_kill(k, i, SIGKILL);
        break;
    case 3:
        cluster_kill(k, i, SIGKILL);
        isolate(k, next, "both");
        break;
    case 4: /* each hears only some */
        snprintf(line, sizeof line, "cut m%u %s\n", next, ways[history_below(r, 4)]);
        tell(k, i, line);
        snprintf(line, sizeof line, "delay %u\n", history_below(r, 120));
        tell(k, (i + 2) % MEMBERS, line);
        break;
    default:
        snprintf(line, sizeof line, "pause %u\n", 100 + history_below(r, 500));
        tell(k, i, line);
    }
}

static void break_things(struct cluster *k, struct history_random *r)
{
    uint64_t end = clock_ms() + STORM_MS;

    while (clock_ms() < end) {
        clock_sleep_ms(100 + history_below(r, 300));
        one_fault(k, r);
        clock_sleep_ms(200 + history_below(r, 500));
        if (history_below(r, 3) != 0)
            mend(k);
    }
    mend(k);
}

/* ---- one seed -----------------------------------------------------------------------
 */

static size_t gather(struct client *clients, struct linear_op *all)
{
    size_t n = 0;

    for (unsigned i = 0; i < CLIENTS; i++) {
        memcpy(all + n, clients[i].ops, clients[i].n * sizeof *all);
        n += clients[i].n;
    }
    return n;
}

static void judge(struct client *clients, uint64_t seed)
{
    static struct linear_op all[CLIENTS * OPS_MAX];
    size_t n = gather(clients, all), done = 0, stuck;

    for (size_t i = 0; i < n; i++)
        done += all[i].returned != LINEAR_UNKNOWN;
    cr_assert_gt(done, 200, "seed %" PRIu64 ": only %zu calls were answered", seed, done);
    for (unsigned key = 0; key < KEYS; key++)
        cr_assert(linear_check(all, n, key, &stuck),
                  "seed %" PRIu64 ", key %u: kind %d of %" PRId64 " (expected %" PRId64
                  ", %d) called %" PRIu64 " returned %" PRIu64 " fits nowhere",
                  seed, key, all[stuck].kind, all[stuck].value, all[stuck].expected,
                  all[stuck].swapped, all[stuck].called, all[stuck].returned);
}

static void one_seed(struct cluster *k, uint64_t seed, unsigned *failed)
{
    static struct linear_op ops[CLIENTS][OPS_MAX];
    struct client clients[CLIENTS];
    struct history_random r = { seed };
    atomic_bool stop = false;

    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){ .k = k,
                                      .id = i,
                                      .seed = seed,
                                      .random = { seed * CLIENTS + i },
                                      .stop = &stop,
                                      .ops = ops[i] };
        cr_assert_eq(pthread_create(&clients[i].thread, NULL, client_run, &clients[i]),
                     0);
    }
    break_things(k, &r);
    for (unsigned i = 0; i < MEMBERS; i++)
        cluster_wait(k, i);
    clock_sleep_ms(CALM_MS);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < CLIENTS; i++) {
        cr_assert_eq(pthread_join(clients[i].thread, NULL), 0);
        *failed += clients[i].failed;
    }
    judge(clients, seed);
}

static void many_seeds(unsigned part)
{
    unsigned seeds = getenv("HOLDFAST_LONG") == NULL ? SEEDS : SEEDS_LONG, failed = 0;
    const struct cluster_options o = { .members = MEMBERS };
    CLUSTER k = { 0 };

    if (access("/dev/shm", W_OK) == 0)
        cr_assert_eq(setenv("TMPDIR", "/dev/shm", 1), 0);
    cluster_plan(&k, cluster_backend("lab"), &o);
    for (unsigned i = 0; i < MEMBERS; i++)
        boot(&k, i);
    for (unsigned i = 0; i < MEMBERS; i++)
        cluster_wait(&k, i);
    for (unsigned i = 0; i < seeds; i++)
        one_seed(&k, 1 + i * CASES + part, &failed);
    cr_assert_gt(failed, seeds, "nothing went wrong");
}

CASE(store, is_linearizable_whatever_fails, .timeout = 3600)
{
    many_seeds(0);
}

CASE(store, is_linearizable_whatever_else_fails, .timeout = 3600)
{
    many_seeds(1);
}
