/* Changing the members of a living cluster, on real servers. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/flow/certs.h"
#include "tests/flow/flow.h"
#include "tests/flow/shell.h"
#include "tests/flow/waiting.h"
#include "util/task.h"
#include "wire/auth.h"
#include "wire/kv.h"

/* ---- load ---------------------------------------------------------------- */

/* Writes through one member, and remembers how many puts were acknowledged. */
struct load {
    const struct cluster *c;
    unsigned member;
    atomic_bool stop;
    atomic_uint acknowledged;
    struct task task;
};

static enum rc put_number(struct wire_client *w, unsigned n, struct err *e)
{
    char key[24];

    snprintf(key, sizeof key, "load/%06u", n);
    return wire_put(w, bytes_str(key), bytes_str("x"), 0, NULL, e);
}

static enum rc write_on(void *arg, struct err *e)
{
    struct load *l = arg;
    OWNED(wire_client) w = NULL;

    (void)e;
    flow_connect_to(l->c, l->member, &w);
    while (!atomic_load(&l->stop)) {
        struct err why = { 0 };

        if (put_number(w, l->acknowledged, &why) == RC_OK)
            l->acknowledged++;
        usleep(1000);
    }
    return RC_OK;
}

static void load_start(struct load *l)
{
    struct err e = { 0 };

    OK(task_start(&l->task, write_on, l, &e), &e);
    for (int i = 0; i < 500 && atomic_load(&l->acknowledged) == 0; i++)
        usleep(20000); /* a put that loses its leader may wait until all is over */
}

static void load_stop(struct load *l)
{
    struct err e = { 0 };

    atomic_store(&l->stop, true);
    OK(task_join(&l->task, &e), &e);
    cr_assert_gt(l->acknowledged, 0);
}

static void all_there(const struct load *l, unsigned member)
{
    OWNED(wire_client) w = NULL;
    AT_END(wire_kvs_clear) struct wire_kvs kvs = { 0 };
    const struct wire_range q = { .key = bytes_str("load/"),
                                  .end = bytes_str("load0"),
                                  .count_only = true };
    struct err e = { 0 };

    flow_connect_to(l->c, member, &w);
    OK(wire_range_get(w, &q, &kvs, &e), &e);
    cr_assert_geq(kvs.total, (int64_t)l->acknowledged);
}

/* ---- what the cluster says ----------------------------------------------- */

static void equal(const struct cluster *c, unsigned a, unsigned b)
{
    struct cluster_hash x = cluster_hashkv(c, a, 0), y = cluster_hashkv(c, b, x.revision);

    cr_assert_eq(x.hash, y.hash, "m%u and m%u differ at %ld", a, b, (long)x.revision);
}

static unsigned listed(const struct cluster *c, unsigned at)
{
    const char *text = CTL(c, at, "member", "list");
    unsigned lines = 0;

    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static unsigned leader_of(const struct cluster *c, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const char *s = CTL(c, i, "endpoint", "status", "-w", "json");

        if (json_number(s, "leader") == json_number(s, "member_id"))
            return i;
    }
    cr_assert_fail("nobody leads");
    return 0;
}

static const char *new_member(const struct cluster *c, unsigned i)
{
    static char text[4][128];
    static unsigned turn;
    char *out = text[turn++ % 4];

    snprintf(out, 128, "m%u=%s", i, cluster_peer_url(c, i));
    return out;
}

static void says(const struct proc *p, const char *words)
{
    cr_assert(strstr(p->err, words) != NULL, "no '%s' in:\n%s", words, p->err);
}

/* One member of a cluster of which more are planned. */
static void start_first(struct cluster *c, const struct cluster_backend *b,
                        unsigned planned, unsigned n)
{
    cluster_plan(c, b, &(struct cluster_options){ .members = planned });
    cluster_boot_first(c, n);
}

/* ---- growing ------------------------------------------------------------- */

EACH_BACKEND(member, grows_from_one_to_three)
{
    CLUSTER c = { 0 };
    struct waiting w;
    const char *file;
    char client[64];

    start_first(&c, b, 3, 1);
    file = path_in(c.dir, "before.db");
    CTL(&c, 0, "put", "a", "1");
    TOOL(dry, 0, "member", "grow", "--to", "3", "--with", new_member(&c, 1), "--with",
         new_member(&c, 2), "--no-backup", "--dry-run", "--endpoints",
         cluster_endpoint(&c, 0));
    cr_assert_eq(listed(&c, 0), 1);
    TOOL(asks, 2, "member", "grow", "--to", "3", "--with", new_member(&c, 1),
         "--no-backup", "--dry-run", "--endpoints", cluster_endpoint(&c, 0));
    says(&asks, "--with names 1");
    TOOL(whose, 2, "member", "grow", "--to", "3", "--with", new_member(&c, 1), "--with",
         new_member(&c, 2), "--client-url", "m9=http://127.0.0.1:2379", "--no-backup",
         "--dry-run", "--endpoints", cluster_endpoint(&c, 0));
    says(&whose, "of no member that comes");
    snprintf(client, sizeof client, "m2=%s", cluster_endpoint(&c, 2));
    BEGIN(&w, &c, "member", "grow", "--to", "3", "--with", new_member(&c, 1), "--with",
          new_member(&c, 2), "--client-url", client, "--backup", file, "--yes",
          "--endpoints", cluster_endpoint(&c, 0));
    cluster_boot_joining(&c, 1, waiting_initial(&w, 0));
    cluster_boot_joining(&c, 2, waiting_initial(&w, 1));
    cr_assert(strstr(waiting_start(&w, 1), cluster_endpoint(&c, 2)) != NULL, "%s",
              w.text);
    waiting_ends(&w, 0);
    cr_assert(strstr(waiting_text(&w), "Equal at revision") != NULL, "%s", w.text);
    cr_assert_eq(listed(&c, 1), 3);
    equal(&c, 0, 1);
    equal(&c, 0, 2);
    TOOL(verify, 0, "snapshot", "verify", file);
    TOOL(list, 0, "member", "list", "-w", "json", "--endpoints", cluster_endpoint(&c, 2));
    cr_assert(strstr(list.out, "\"isLearner\":true") == NULL, "%s", list.out);
}

/* ---- replacing ----------------------------------------------------------- */

static void refuses_what_loses_quorum(const struct cluster *c)
{
    const char *at = cluster_endpoint(c, 0);

    TOOL(add, 5, "member", "add", "m3", "--peer-urls", cluster_peer_url(c, 3), "--yes",
         "--endpoints", at);
    says(&add, "member replace m1");
    says(&add, "member remove m1");
    TOOL(healthy, 5, "member", "remove", "m2", "--yes", "--endpoints", at);
    says(&healthy, "would lose quorum");
    says(&healthy, "'m1' is down");
    TOOL(grow, 5, "member", "plan", "--grow", "5", "--endpoints", at);
    says(&grow, "m1");
    TOOL(list, 8, "member", "list", "--endpoints", at);
    cr_assert(strstr(list.out, "down") != NULL, "%s", list.out);
}

static void replaces_the_dead(const struct cluster_backend *b)
{
    CLUSTER c = { 0 };
    struct load load = { .c = &c };
    struct waiting w;

    start_first(&c, b, 4, 3);
    load_start(&load);
    cluster_kill(&c, 1, SIGKILL);
    refuses_what_loses_quorum(&c);
    TOOL(unasked, 2, "member", "replace", "m1", "--with", new_member(&c, 3), "--yes",
         "--endpoints", cluster_endpoint(&c, 0));
    says(&unasked, "--backup");
    BEGIN(&w, &c, "member", "replace", "m1", "--with", new_member(&c, 3), "--backup",
          path_in(c.dir, "b.db.zst"), "--yes", "--endpoints", cluster_endpoint(&c, 0));
    cluster_boot_joining(&c, 3, waiting_initial(&w, 0));
    waiting_ends(&w, 0);
    load_stop(&load);
    cluster_wait(&c, 3);
    cr_assert_eq(listed(&c, 0), 3);
    equal(&c, 0, 2);
    equal(&c, 0, 3);
    all_there(&load, 3);
}

/* Over TLS and logged in; the new one is started by the very text that is shown. */
static void replaces_behind_tls(const struct cluster_backend *b)
{
    const char *dir = certificates();
    CLUSTER c = { 0 };
    OWNED(wire_client) root = NULL;
    struct waiting w;
    struct err e = { 0 };

    cluster_plan(&c, b,
                 &(struct cluster_options){
                     .members = 4, .tls_dir = dir, .client_cert_auth = true });
    cluster_boot_first(&c, 3);
    flow_connect_to(&c, 0, &root);
    OK(wire_user_add(root, "root", "pw", &e), &e);
    OK(wire_user_grant(root, "root", "root", &e), &e);
    OK(wire_auth_enable(root, &e), &e);
    c.user = "root:pw";
    cluster_kill(&c, 1, SIGKILL);
    cluster_wait(&c, 0); /* a login during an election fails */
    BEGIN(&w, &c, "member", "replace", "m1", "--with", new_member(&c, 3), "--backup",
          path_in(c.dir, "b.db"), "--yes", "--endpoints", cluster_endpoint(&c, 0),
          "--cacert", path_in(dir, "ca.crt"), "--cert", path_in(dir, "client.crt"),
          "--key", path_in(dir, "client.key"), "--user", c.user, "--new-data-dir",
          c.members[3].data_dir, "--client-url", cluster_endpoint(&c, 3),
          "--new-cert-dir", dir);
    shell_start_member(&c, 3, waiting_start(&w, 0));
    waiting_ends(&w, 0);
    cr_assert(strstr(waiting_text(&w), "Equal at revision") != NULL, "%s", w.text);
    cr_assert_eq(listed(&c, 3), 3);
}

CASE(member, replaces_behind_tls_3_6, .timeout = FLOW_TIMEOUT_S)
{
    flow_need("3.6");
    replaces_behind_tls(cluster_backend("3.6"));
}

CASE(member, replaces_behind_tls_lab, .timeout = FLOW_TIMEOUT_S)
{
    replaces_behind_tls(cluster_backend("lab"));
}

#define REPLACES(version, suffix)                                       \
    CASE(member, replaces_the_dead_##suffix, .timeout = FLOW_TIMEOUT_S) \
    {                                                                   \
        flow_need(version);                                             \
        replaces_the_dead(cluster_backend(version));                    \
    }
REPLACES("3.5", 3_5)
REPLACES("3.6", 3_6)
REPLACES("lab", lab)

/* ---- leaving ------------------------------------------------------------- */

/* From three to two to a refusal: the leader hands over first, two are warned of, and the
 * last one that answers changes nothing any more. */
EACH_BACKEND(member, removes_the_leader_and_stops_at_the_last)
{
    CLUSTER c = { 0 };
    unsigned leader, other;
    const char *at;

    start_first(&c, b, 3, 3);
    leader = leader_of(&c, 3);
    other = (leader + 1) % 3;
    at = cluster_endpoint(&c, leader);
    TOOL(unasked, 2, "member", "remove", c.members[leader].name, "--endpoints", at);
    cr_assert_eq(listed(&c, other), 3);
    TOOL(p, 0, "member", "remove", c.members[leader].name, "--yes", "-w", "json",
         "--endpoints", at);
    says(&p, "move leadership");
    cr_assert(strstr(p.out, "two voters need both") != NULL, "%s", p.out);
    cr_assert(strstr(p.out, "\"done\":true") != NULL, "%s", p.out);
    cr_assert_eq(listed(&c, other), 2);
    TOOL(gone, 10, "member", "remove", c.members[leader].name, "--yes", "--endpoints",
         cluster_endpoint(&c, other));
    cluster_kill(&c, (leader + 2) % 3, SIGKILL);
    TOOL(stuck, 5, "member", "remove", c.members[(leader + 2) % 3].name, "--yes",
         "--endpoints", cluster_endpoint(&c, other));
    says(&stuck, "quorum is lost");
}

/* ---- not coming ---------------------------------------------------------- */

/* A member that was added and never started blocks the next, and can be taken out. */
EACH_BACKEND(member, one_that_never_started_is_found)
{
    CLUSTER c = { 0 };
    OWNED(json) told = NULL;
    const char *at, *id;

    start_first(&c, b, 3, 1);
    at = cluster_endpoint(&c, 0);
    TOOL(add, 0, "member", "add", "m1", "--peer-urls", cluster_peer_url(&c, 1),
         "--learner", "--yes", "-w", "json", "--endpoints", at);
    flow_json(&add, &told);
    id = flow_text(told, "added_id_hex");
    TOOL(list, 8, "member", "list", "--endpoints", at);
    cr_assert(strstr(list.out, "unstarted") != NULL, "%s", list.out);
    says(&list, id);
    TOOL(second, 5, "member", "add", "m2", "--peer-urls", cluster_peer_url(&c, 2),
         "--yes", "--endpoints", at);
    says(&second, "never started");
    says(&second, id);
    TOOL(promote, 5, "member", "promote", id, "--yes", "--endpoints", at);
    TOOL(out, 0, "member", "remove", id, "--yes", "--endpoints", at);
    cr_assert_eq(listed(&c, 0), 1);
    TOOL(clean, 0, "member", "list", "--endpoints", at);
    TOOL(update, 0, "member", "update", "m0", "--peer-urls", cluster_peer_url(&c, 2),
         "--yes", "--endpoints", at);
    cr_assert(strstr(CTL(&c, 0, "member", "list"), cluster_peer_url(&c, 2)) != NULL);
}

/* In time or not at all: the learner goes again. And when somebody else changes the
 * members meanwhile, the tool does not go on. */
static void undoes(const struct cluster_backend *b)
{
    CLUSTER c = { 0 };
    struct waiting w;
    const char *at;
    char id[32];

    start_first(&c, b, 3, 1);
    at = cluster_endpoint(&c, 0);
    TOOL(late, 4, "member", "add", "m1", "--peer-urls", cluster_peer_url(&c, 1), "--wait",
         "1s", "--yes", "--endpoints", at);
    says(&late, "never started");
    says(&late, "taken out again");
    cr_assert_eq(listed(&c, 0), 1);
    BEGIN(&w, &c, "member", "add", "m1", "--peer-urls", cluster_peer_url(&c, 1), "--yes",
          "--endpoints", at);
    waiting_initial(&w, 0);
    snprintf(id, sizeof id, "%s", strstr(w.text, "Start member ") + 13);
    id[strcspn(id, " ")] = '\0';
    CTL(&c, 0, "member", "remove", id);
    waiting_ends(&w, 5);
    cr_assert(strstr(waiting_text(&w), "removed meanwhile") != NULL, "%s", w.text);
}

CASE(member, undoes_what_does_not_come_3_5, .timeout = FLOW_TIMEOUT_S)
{
    flow_need("3.5");
    undoes(cluster_backend("3.5"));
}

CASE(member, undoes_what_does_not_come_3_6, .timeout = FLOW_TIMEOUT_S)
{
    flow_need("3.6");
    undoes(cluster_backend("3.6"));
}

/* Started as a cluster of its own it never tells ours; its peer address does. And where
 * it wants to be asked may be nowhere. */
CASE(member, one_that_was_started_wrong_is_told, .timeout = FLOW_TIMEOUT_S)
{
    static const char *const nowhere[] = { "--advertise-client-urls=http://127.0.0.1:1",
                                           NULL };
    CLUSTER c = { 0 };
    struct waiting w;

    flow_need("3.5");
    start_first(&c, cluster_backend("3.5"), 2, 1);
    BEGIN(&w, &c, "member", "add", "m1", "--peer-urls", cluster_peer_url(&c, 1), "--yes",
          "--endpoints", cluster_endpoint(&c, 0));
    waiting_initial(&w, 0);
    cluster_boot(&c, 1);
    cr_assert(waiting_says(&w, "a member of another cluster answers"), "%s", w.text);
    cluster_kill(&c, 1, SIGKILL);
    PEER(rm, "rm", "-rf", c.members[1].data_dir);
    c.options.flags = nowhere;
    cluster_boot_joining(&c, 1, waiting_initial(&w, 0));
    cr_assert(waiting_says(&w, "advertises, 'http://127.0.0.1:1'"), "%s", w.text);
    cluster_kill(&c, 1, SIGKILL);
    c.options.flags = NULL;
    cluster_boot_joining(&c, 1, waiting_initial(&w, 0));
    waiting_ends(&w, 0);
}

/* ---- killed, and asked again ----------------------------------------------- */

/* The new one has the old one's name and address, so that only the journal tells whether
 * it is there already. */
static void replace_again(const struct cluster *c, struct waiting *w, const char *with)
{
    const char *state = path_in(c->dir, "state"), *file = path_in(c->dir, "b.db");

    BEGIN(w, c, "member", "replace", "m1", "--with", with, "--backup", file, "--yes",
          "--state-dir", state, "--new-data-dir", c->members[1].data_dir, "--client-url",
          cluster_endpoint(c, 1), "--endpoints", cluster_endpoint(c, 0));
}

/* The member is started when it was announced, by the run that is killed next. */
static bool killed_at_each_step(struct cluster *c, const char *with)
{
    static const char *const steps[] = { "take a snapshot", "remove",  "add",
                                         "wait until",      "promote", "compare" };
    struct waiting w;
    char note[64];
    bool ended = false;

    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && !ended; i++) {
        replace_again(c, &w, with);
        if (i == 4)
            cluster_boot_joining(c, 1, waiting_initial(&w, 0));
        snprintf(note, sizeof note, "note: %s", steps[i]);
        cr_assert(waiting_says(&w, note), "no '%s':\n%s", note, w.text);
        ended = waiting_kill(&w);
    }
    return ended;
}

static void survives_kills(const struct cluster_backend *b)
{
    CLUSTER c = { 0 };
    struct load load = { .c = &c };
    struct waiting w;
    char with[128];

    start_first(&c, b, 3, 3);
    load_start(&load);
    snprintf(with, sizeof with, "%s", new_member(&c, 1));
    cluster_kill(&c, 1, SIGKILL);
    PEER(rm, "rm", "-rf", c.members[1].data_dir);
    if (!killed_at_each_step(&c, with)) {
        replace_again(&c, &w, with);
        waiting_ends(&w, 0);
        cr_assert(strstr(waiting_text(&w), "Equal at revision") != NULL, "%s", w.text);
    }
    load_stop(&load);
    cr_assert_eq(listed(&c, 0), 3);
    equal(&c, 0, 1);
    equal(&c, 0, 2);
    all_there(&load, 1);
    TOOL(verify, 0, "snapshot", "verify", path_in(c.dir, "b.db"));
}

CASE(member, goes_on_after_a_kill_at_each_step_3_5, .timeout = FLOW_TIMEOUT_S)
{
    flow_need("3.5");
    survives_kills(cluster_backend("3.5"));
}

CASE(member, goes_on_after_a_kill_at_each_step_lab, .timeout = FLOW_TIMEOUT_S)
{
    survives_kills(cluster_backend("lab"));
}

static void grow_again(const struct cluster *c, struct waiting *w, const char *first,
                       const char *second)
{
    BEGIN(w, c, "member", "grow", "--to", "3", "--with", first, "--with", second,
          "--backup", path_in(c->dir, "b.db"), "--yes", "--state-dir",
          path_in(c->dir, "state"), "--endpoints", cluster_endpoint(c, 0));
}

/* The backup of the first run counts for the others, and so does whom it has added. */
CASE(member, grows_on_after_kills, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c = { 0 };
    struct waiting w;
    char first[128], second[128];

    flow_need("3.6");
    start_first(&c, cluster_backend("3.6"), 3, 1);
    snprintf(first, sizeof first, "%s", new_member(&c, 1));
    snprintf(second, sizeof second, "%s", new_member(&c, 2));
    grow_again(&c, &w, first, second);
    waiting_initial(&w, 0);
    waiting_kill(&w);
    grow_again(&c, &w, first, second);
    cluster_boot_joining(&c, 1, waiting_initial(&w, 0));
    waiting_initial(&w, 1);
    cr_assert(strstr(waiting_text(&w), "add m2 as a learner") != NULL, "%s", w.text);
    waiting_kill(&w);
    grow_again(&c, &w, first, second);
    cluster_boot_joining(&c, 2, waiting_initial(&w, 0));
    waiting_ends(&w, 0);
    cr_assert(strstr(waiting_text(&w), "the earlier run took the backup") != NULL, "%s",
              w.text);
    cr_assert_eq(listed(&c, 0), 3);
    equal(&c, 0, 2);
    TOOL(whole, 0, "member", "list", "--endpoints", cluster_endpoint(&c, 0));
}

static void add_again(const struct cluster *c, struct waiting *w)
{
    BEGIN(w, c, "member", "add", "m1", "--peer-urls", cluster_peer_url(c, 1), "--yes",
          "--state-dir", path_in(c->dir, "state"), "--endpoints", cluster_endpoint(c, 0));
}

/* What broke off is told until it is done. */
static void doctor_says(const struct cluster *c, int status, const char *words, bool says)
{
    TOOL(told, status, "doctor", "--state-dir", path_in(c->dir, "state"), "--endpoints",
         cluster_endpoint(c, 0));
    cr_assert_eq(strstr(told.out, words) != NULL, says, "%s", told.out);
}

CASE(member, adds_on_after_a_kill, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c = { 0 };
    struct waiting w;

    start_first(&c, cluster_backend("lab"), 2, 1);
    add_again(&c, &w);
    waiting_initial(&w, 0);
    waiting_kill(&w);
    doctor_says(&c, 8, "was added and never started", true);
    doctor_says(&c, 8, "broke off", true);
    add_again(&c, &w);
    cluster_boot_joining(&c, 1, waiting_initial(&w, 0));
    waiting_ends(&w, 0);
    cr_assert_eq(listed(&c, 0), 2);
    doctor_says(&c, 0, "broke off", false);
}
