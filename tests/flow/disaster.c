#include "tests/flow/disaster.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/flow/history.h"
#include "tests/flow/waiting.h"
#include "util/clock.h"
#include "util/os.h"
#include "wire/cluster.h"
#include "wire/kv.h"
#include "wire/maintenance.h"

/* In the usual tests the two versions that most clusters run. */
static bool is_due(const struct cluster_backend *b)
{
    return !b->store &&
           (b->minor == 5 || b->minor == 6 || getenv("HOLDFAST_LONG") != NULL);
}

void disaster_each(const char *usual, void (*row)(const struct cluster_backend *))
{
    flow_need(usual);
    for (const struct cluster_backend *b = cluster_backends; b->name != NULL; b++)
        if (is_due(b) && cluster_available(b))
            row(b);
}

void disaster_store(void (*row)(const struct cluster_backend *))
{
    flow_need("lab");
    row(cluster_backend("lab"));
}

void disaster_lose(struct cluster *c, unsigned i)
{
    cluster_kill(c, i, SIGKILL);
    PEER(p, "rm", "-rf", c->members[i].data_dir);
}

void disaster_lose_all_but(struct cluster *c, unsigned i)
{
    for (unsigned k = 0; k < c->count; k++)
        if (k != i)
            disaster_lose(c, k);
}

/* ---- the ledger ---------------------------------------------------------------------
 */

enum { LEDGER_MAX = 100000 };

struct ledger {
    struct wire_client *client;
    pthread_t thread;
    bool joined;
    unsigned count;
    int64_t revisions[LEDGER_MAX];
};

static bool put_next(struct ledger *l, struct err *e)
{
    struct wire_header h;
    char key[32];

    snprintf(key, sizeof key, "ledger/%u", l->count);
    if (l->count == LEDGER_MAX ||
        wire_put(l->client, bytes_str(key), bytes_str("kept"), 0, &h, e) != RC_OK)
        return false;
    l->revisions[l->count++] = h.revision;
    return true;
}

static void *write_down(void *arg)
{
    struct err e = { 0 };

    while (put_next(arg, &e))
        ;
    return NULL;
}

struct ledger *ledger_start(const struct cluster *c)
{
    struct ledger *l = calloc(1, sizeof *l);

    flow_connect(c, &l->client);
    cr_assert_eq(pthread_create(&l->thread, NULL, write_down, l), 0);
    return l;
}

struct ledger *ledger_open(const struct cluster *c, unsigned i)
{
    struct ledger *l = calloc(1, sizeof *l);

    flow_connect_to(c, i, &l->client);
    l->joined = true;
    return l;
}

void ledger_move(struct ledger *l, const struct cluster *c, unsigned i)
{
    wire_client_free(l->client);
    flow_connect_to(c, i, &l->client);
}

void ledger_add(struct ledger *l, unsigned puts)
{
    struct err e = { 0 };

    for (unsigned k = 0; k < puts; k++)
        cr_assert(put_next(l, &e), "ledger/%u: %s", l->count, e.why);
}

unsigned ledger_join(struct ledger *l)
{
    if (!l->joined)
        cr_assert_eq(pthread_join(l->thread, NULL), 0);
    l->joined = true;
    return l->count;
}

void ledger_free(struct ledger *l)
{
    if (l == NULL)
        return;
    ledger_join(l);
    wire_client_free(l->client);
    free(l);
}

struct seen {
    bool keys[LEDGER_MAX];
};

static enum rc see(void *arg, const struct wire_kv *kv, struct err *e)
{
    struct seen *s = arg;
    char key[40];
    unsigned n;

    (void)e;
    snprintf(key, sizeof key, "%.*s", (int)kv->key.n, (const char *)kv->key.p);
    if (sscanf(key, "ledger/%u", &n) == 1 && n < LEDGER_MAX)
        s->keys[n] = true;
    return RC_OK;
}

unsigned ledger_check(const struct ledger *l, struct wire_client *w, int64_t revision)
{
    const struct wire_range all = { .key = bytes_str("ledger/"),
                                    .end = bytes_str("ledger0"),
                                    .keys_only = true };
    struct seen *s = calloc(1, sizeof *s);
    struct err e = { 0 };
    unsigned kept = 0;
    int64_t at = 0;

    OK(wire_range_each(w, &all, see, s, &at, &e), &e);
    for (; kept < l->count && l->revisions[kept] <= revision; kept++)
        cr_assert(s->keys[kept],
                  "ledger/%u was acknowledged at revision %" PRId64
                  ", and is not there at the recovery point %" PRId64,
                  kept, l->revisions[kept], revision);
    free(s);
    return kept;
}

/* ---- the tool -----------------------------------------------------------------------
 */

enum { WORDS_MAX = 60 };

/* Behind those that `argv` has already. */
static void add_words(const char *argv[static WORDS_MAX], const char *const words[])
{
    size_t n = 0;

    while (argv[n] != NULL)
        n++;
    for (; words != NULL && *words != NULL && n < WORDS_MAX - 1; words++)
        argv[n++] = *words;
}

void disaster_assess(int status, struct json **out, const char *const words[])
{
    const char *argv[WORDS_MAX] = { HOLDFAST_BIN, "assess", "--json", "--endpoints",
                                    DISASTER_NOBODY };
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 };

    add_words(argv, words);
    flow_tool(&p, status, NULL, argv);
    flow_json(&p, out);
}

const char *disaster_quorum(const struct json *assessment)
{
    return flow_text(json_get(assessment, "quorum"), "state");
}

void disaster_plan(const struct cluster *c, int status, const char *file,
                   struct json **out, const char **err, const char *const words[])
{
    const char *argv[WORDS_MAX] = { HOLDFAST_BIN, "recover",     "--plan",       file,
                                    "--json",     "--endpoints", DISASTER_NOBODY };
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 };
    static char text[2000];

    (void)c;
    add_words(argv, words);
    flow_tool(&p, status, NULL, argv);
    if (out != NULL && status == 0)
        flow_json(&p, out);
    snprintf(text, sizeof text, "%s", p.err);
    if (err != NULL)
        *err = text;
}

void disaster_refused(const struct cluster *c, int status, const char *says,
                      const char *const words[])
{
    const char *file = path_in(c->dir, "refused.json"), *err = NULL;

    disaster_plan(c, status, file, NULL, &err, words);
    cr_assert(strstr(err, says) != NULL, "'%s' is not said: %s", says, err);
    cr_assert_neq(access(file, F_OK), 0, "a plan was written");
}

void disaster_step(const struct cluster *c, unsigned i, int status, const char *file,
                   struct json **out, const char *const words[])
{
    const struct cluster_member *m = &c->members[i];
    /* The store takes clients before it has a leader, and lets them wait for one. */
    const char *argv[WORDS_MAX] = {
        HOLDFAST_BIN,
        "recover",
        "--apply",
        file,
        "--member",
        m->name,
        "--data-dir",
        m->data_dir,
        "--yes",
        "--json",
        "--endpoints",
        cluster_endpoint(c, i),
        "--command-timeout",
        c->backend->store ? "1s" : "5s",
    };
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 };

    add_words(argv, words);
    flow_tool(&p, status, NULL, argv);
    if (out != NULL)
        flow_json(&p, out);
}

static const char *state_of(const struct json *told)
{
    static char state[40];

    snprintf(state, sizeof state, "%s", flow_text(told, "state"));
    return state;
}

/* The apply that follows a start by hand; again as long as etcd has not come to open its
 * directory. */
static const char *apply_started(const struct cluster *c, unsigned i, const char *file)
{
    uint64_t end = clock_ms() + 60000;
    const char *state;

    do {
        OWNED(json) told = NULL;

        cr_assert(proc_runs(c->members[i].pid), "%s has ended", c->members[i].name);
        disaster_step(c, i, 0, file, &told, NULL);
        state = state_of(told);
    } while (strcmp(state, "to-be-started") == 0 && clock_ms() < end);
    return state;
}

const char *disaster_apply(struct cluster *c, unsigned i, const char *file)
{
    OWNED(json) before = NULL;

    disaster_step(c, i, 0, file, &before, NULL);
    cr_assert_str_eq(state_of(before), "to-be-started", "%s", c->members[i].name);
    cluster_boot(c, i);
    return apply_started(c, i, file);
}

unsigned disaster_host(const struct cluster *c, const char *name)
{
    for (unsigned i = 0; i < c->count; i++)
        if (strcmp(c->members[i].name, name) == 0)
            return i;
    cr_assert_fail("no member '%s'", name);
    return 0;
}

void disaster_apply_all(struct cluster *c, const char *file, const struct json *plan)
{
    const struct json *members = json_get(plan, "members");
    uint64_t end = clock_ms() + 60000;
    const char *state = "";
    unsigned host = 0;

    for (size_t i = 0; i < json_count(members); i++) {
        host = disaster_host(c, flow_text(json_at(members, i), "name"));
        state = disaster_apply(c, host, file);
    }
    while (strcmp(state, "serves") == 0 && clock_ms() < end) {
        OWNED(json) told = NULL;

        disaster_step(c, host, 0, file, &told, NULL);
        state = state_of(told);
    }
    cr_assert_str_eq(state, "complete");
}

void disaster_back(const struct cluster *c, unsigned i, int status, const char *file,
                   const char *says)
{
    const struct cluster_member *m = &c->members[i];

    TOOL(p, status, "recover", "--rollback", file, "--member", m->name, "--data-dir",
         m->data_dir, "--yes", "--endpoints", cluster_endpoint(c, i));
    if (says != NULL)
        cr_assert(strstr(p.err, says) != NULL, "'%s' is not said: %s", says, p.err);
}

const char *disaster_aside(const struct cluster *c, unsigned i, const struct json *plan)
{
    static char path[600];

    snprintf(path, sizeof path, "%s.before-%s", c->members[i].data_dir,
             flow_text(plan, "plan_id"));
    return path;
}

/* ---- afterwards ---------------------------------------------------------------------
 */

int64_t disaster_point(const struct json *plan)
{
    return flow_number(json_get(plan, "recovery_point"), "revision");
}

int64_t disaster_announced(const struct json *plan)
{
    return flow_number(json_get(plan, "bump"), "revision");
}

uint64_t disaster_cluster(const struct cluster *c, unsigned i)
{
    AT_END(wire_status_clear) struct wire_status s = { 0 };
    OWNED(wire_client) w = NULL;
    struct err e = { 0 };

    flow_connect_to(c, i, &w);
    OK(wire_status_get(w, 0, &s, &e), &e);
    return s.header.cluster_id;
}

void disaster_await(struct cluster *c, unsigned i)
{
    const struct wire_range any = { .key = bytes_str("any") };
    uint64_t end = clock_ms() + 60000;
    struct err e = { 0 };
    enum rc rc;

    if (c->members[i].pid != 0) {
        cluster_wait(c, i);
        return;
    }
    do {
        AT_END(wire_kvs_clear) struct wire_kvs k = { 0 };
        OWNED(wire_client) w = NULL;

        flow_connect_to(c, i, &w);
        rc = wire_range_get(w, &any, &k, &e);
        cr_assert(rc == RC_OK || clock_ms() < end, "%s does not serve: %s",
                  c->members[i].name, e.why);
        clock_sleep_ms(rc == RC_OK ? 0 : 100);
    } while (rc != RC_OK);
}

/* Member i has read all that was written before; the revision then. */
static int64_t revision_at(const struct cluster *c, unsigned i)
{
    OWNED(wire_client) w = NULL;

    flow_connect_to(c, i, &w);
    return history_revision(w);
}

void disaster_whole(struct cluster *c, uint64_t cluster, int64_t revision)
{
    OWNED(wire_client) w = NULL;
    struct flow_hash first;

    for (unsigned i = 0; i < c->count; i++) {
        disaster_await(c, i);
        if (cluster == 0)
            cluster = disaster_cluster(c, i);
        cr_assert_eq(disaster_cluster(c, i), cluster, "%s is of another cluster",
                     c->members[i].name);
        cr_assert_geq(revision_at(c, i), revision, "the revision is lower");
    }
    flow_connect(c, &w);
    history_put(w, "after",
                "the disaster"); /* 3.4 hashes no revision that is compacted */
    revision = revision_at(c, 0);
    first = flow_hashkv(w, 0, revision);
    for (unsigned i = 1; i < c->count; i++) {
        cr_assert_geq(revision_at(c, i), revision);
        cr_assert_eq(flow_hashkv(w, i, revision).hash, first.hash,
                     "member %u holds other data", i);
    }
}

void disaster_over(struct cluster *c, const struct json *plan)
{
    uint64_t want = 0;

    cr_assert(json_get_u64(plan, "cluster_id", &want));
    disaster_whole(c, want, disaster_announced(plan));
}

/* Nobody of a majority is there to accept it. */
static void accepts_nothing(const struct cluster *c, unsigned i)
{
    const struct wire_options o = { .endpoints = cluster_endpoint(c, i),
                                    .dial_timeout_ms = 2000,
                                    .command_timeout_ms = 1500 };
    OWNED(wire_client) w = NULL;
    struct err e = { 0 };

    OK(wire_client_new(&o, &w, &e), &e);
    cr_assert_neq(wire_put(w, bytes_str("old"), bytes_str("write"), 0, NULL, &e), RC_OK,
                  "an old member accepted a write");
}

void disaster_old_stays_out(struct cluster *c, unsigned i, const char *old_dir)
{
    unsigned other = (i + 1) % c->count;
    AT_END(wire_members_clear) struct wire_members m = { 0 };
    OWNED(wire_client) w = NULL;
    struct err e = { 0 };
    char mine[512];

    snprintf(mine, sizeof mine, "%s", c->members[i].data_dir);
    cluster_kill(c, i, SIGKILL);
    snprintf(c->members[i].data_dir, sizeof c->members[i].data_dir, "%s", old_dir);
    cluster_boot(c, i);
    if (c->count > 2)
        cluster_wait(c, other); /* the one that was killed may have led */
    accepts_nothing(c, i);
    flow_connect_to(c, other, &w);
    if (c->count > 2)
        history_put(w, "new", "write");
    OK(wire_member_list(w, 0, false, &m, &e), &e);
    cr_assert_eq(m.count, c->count, "somebody else has joined");
    cluster_kill(c, i, SIGKILL);
    snprintf(c->members[i].data_dir, sizeof c->members[i].data_dir, "%s", mine);
}

/* ---- courses of rows ----------------------------------------------------------------
 */

void disaster_save(const struct cluster *c, unsigned i, const char *file)
{
    TOOL(p, 0, "snapshot", "save", file, "--endpoints", cluster_endpoint(c, i));
}

void disaster_kill_all(struct cluster *c)
{
    for (unsigned i = 0; i < c->count; i++)
        cluster_kill(c, i, SIGKILL);
}

const char *disaster_source(const struct json *plan)
{
    return flow_text(json_get(plan, "source"), "path");
}

void disaster_says_lost(const struct json *plan, const char *words)
{
    const struct json *lost = json_get(json_get(plan, "recovery_point"), "lost");
    bool said = false;

    for (size_t i = 0; i < json_count(lost); i++)
        said |= strstr(json_str(json_at(lost, i)), words) != NULL;
    cr_assert(said, "'%s' is not among the losses", words);
}

void disaster_lost_nothing(const struct json *plan)
{
    cr_assert_eq(json_count(json_get(json_get(plan, "recovery_point"), "lost")), 0);
}

void disaster_carry_out(struct cluster *c, const char *file, const struct json *plan,
                        const struct ledger *l, unsigned kept)
{
    OWNED(wire_client) w = NULL;

    disaster_apply_all(c, path_in(c->dir, file), plan);
    disaster_over(c, plan);
    flow_connect_to(c, 0, &w);
    cr_assert_eq(ledger_check(l, w, disaster_point(plan)), kept);
}

void disaster_comes_anew(struct cluster *c, unsigned i, struct waiting *w)
{
    cluster_boot_joining(c, i, waiting_initial(w, 0));
    waiting_ends(w, 0);
}

void disaster_replace(struct cluster *c, unsigned i)
{
    const char *name = c->members[i].name;
    struct waiting w;
    char with[128];

    snprintf(with, sizeof with, "%s=%s", name, cluster_peer_url(c, i));
    BEGIN(&w, c, "member", "replace", name, "--with", with, "--backup",
          path_in(c->dir, "before.db"), "--yes", "--endpoints", cluster_endpoint(c, 0));
    disaster_comes_anew(c, i, &w);
    cr_assert(strstr(waiting_text(&w), "Equal at revision") != NULL, "%s", w.text);
}

const char *disaster_put_away(struct cluster *c, unsigned i)
{
    static char old[600];

    cluster_kill(c, i, SIGKILL);
    snprintf(old, sizeof old, "%s.old", c->members[i].data_dir);
    PEER(p, "mv", c->members[i].data_dir, old);
    cluster_wait(c, 0); /* it may have led */
    return old;
}
