/* Changing the members of a living cluster, on real servers. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/flow/flow.h"
#include "util/clock.h"
#include "util/str.h"
#include "util/task.h"
#include "wire/kv.h"

/* ---- a tool that waits while the test acts ------------------------------- */

struct waiting {
    pid_t pid;
    char log[600], text[65536];
};

static const char *read_log(struct waiting *w)
{
    FILE *f = fopen(w->log, "r");

    w->text[0] = '\0';
    if (f != NULL) {
        w->text[fread(w->text, 1, sizeof w->text - 1, f)] = '\0';
        fclose(f);
    }
    return w->text;
}

static void begin(struct waiting *w, const char *dir, const char *const argv[])
{
    static unsigned count;

    snprintf(w->log, sizeof w->log, "%s/tool%u.log", dir, count++);
    w->pid = proc_start(w->log, argv);
}
#define BEGIN(w, c, ...) \
    begin(w, (c)->dir, (const char *const[]){ HOLDFAST_BIN, __VA_ARGS__, NULL })

/* The value of --initial-cluster in the nth start command that it shows; so what is
 * started below is what a person would start. */
static const char *initial_shown(struct waiting *w, unsigned nth)
{
    static const char flag[] = "--initial-cluster ";
    static char value[1024];
    uint64_t until = clock_ms() + 60000;

    while (clock_ms() < until) {
        const char *at = read_log(w);

        for (unsigned i = 0; at != NULL && i <= nth; i++) {
            at = strstr(at, flag);
            at = at == NULL ? NULL : at + sizeof flag - 1;
        }
        if (at != NULL && strstr(at, "existing\n") != NULL) {
            snprintf(value, sizeof value, "%.*s", (int)strcspn(at, " \n"), at);
            return value;
        }
        cr_assert(proc_runs(w->pid), "it ended:\n%s", w->text);
        usleep(20000);
    }
    cr_assert_fail("no start command %u:\n%s", nth, w->text);
    return NULL;
}

static void ends_with(struct waiting *w, int status)
{
    uint64_t until = clock_ms() + 120000;
    int got;

    while (proc_runs(w->pid) && clock_ms() < until)
        usleep(20000);
    got = proc_stop(w->pid, SIGKILL);
    cr_assert_eq(got, status, "status %d, not %d:\n%s", got, status, read_log(w));
}

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
    BEGIN(&w, &c, "member", "grow", "--to", "3", "--with", new_member(&c, 1), "--with",
          new_member(&c, 2), "--backup", file, "--yes", "--endpoints",
          cluster_endpoint(&c, 0));
    cluster_boot_joining(&c, 1, initial_shown(&w, 0));
    cluster_boot_joining(&c, 2, initial_shown(&w, 1));
    ends_with(&w, 0);
    cr_assert(strstr(read_log(&w), "Equal at revision") != NULL, "%s", w.text);
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
    cluster_boot_joining(&c, 3, initial_shown(&w, 0));
    ends_with(&w, 0);
    load_stop(&load);
    cluster_wait(&c, 3);
    cr_assert_eq(listed(&c, 0), 3);
    equal(&c, 0, 2);
    equal(&c, 0, 3);
    all_there(&load, 3);
}

#define REPLACES(version, suffix)                                       \
    CASE(member, replaces_the_dead_##suffix, .timeout = FLOW_TIMEOUT_S) \
    {                                                                   \
        flow_need(version);                                             \
        replaces_the_dead(cluster_backend(version));                    \
    }
REPLACES("3.5", 3_5)
REPLACES("3.6", 3_6)

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
    initial_shown(&w, 0);
    snprintf(id, sizeof id, "%s", strstr(w.text, "Start member ") + 13);
    id[strcspn(id, " ")] = '\0';
    CTL(&c, 0, "member", "remove", id);
    ends_with(&w, 5);
    cr_assert(strstr(read_log(&w), "removed meanwhile") != NULL, "%s", w.text);
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
