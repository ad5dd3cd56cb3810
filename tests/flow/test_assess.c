/* What is left of a cluster, judged by what real etcd then makes of it. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/flow/flow.h"
#include "tests/flow/history.h"
#include "tests/flow/storm.h"
#include "util/clock.h"
#include "wire/cluster.h"
#include "wire/maintenance.h"

enum { MOMENTS = 1, MOMENTS_LONG = 10 };

static const char nobody[] = "127.0.0.1:1";

/* Runs assess over these directories; the caller frees *out. */
static void assess(int status, const char *const *paths, struct json **out)
{
    const char *argv[16] = { HOLDFAST_BIN, "assess", "--json", "--endpoints", nobody };
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 };
    size_t n = 5;

    for (size_t i = 0; paths[i] != NULL; i++)
        argv[n++] = paths[i];
    flow_tool(&p, status, NULL, argv);
    flow_json(&p, out);
}
#define ASSESS(status, out, ...) \
    assess(status, (const char *const[]){ __VA_ARGS__, NULL }, out)

static const char *state_of(const struct json *a)
{
    return flow_text(json_get(a, "quorum"), "state");
}

static const struct json *candidate(const struct json *a, const char *path)
{
    const struct json *all = json_get(a, "candidates");

    for (size_t i = 0; i < json_count(all); i++)
        if (strcmp(flow_text(json_at(all, i), "path"), path) == 0)
            return json_at(all, i);
    cr_assert_fail("no candidate '%s'", path);
    return NULL;
}

static void stands(const struct json *a, const char *path, const char *standing)
{
    cr_assert_str_eq(flow_text(candidate(a, path), "standing"), standing, "%s", path);
}

/* The member that leads now, by what member i says of it. */
static const char *leader_name(struct cluster *c, unsigned i)
{
    AT_END(wire_status_clear) struct wire_status s = { 0 };
    AT_END(wire_members_clear) struct wire_members m = { 0 };
    OWNED(wire_client) w = NULL;
    struct err e = { 0 };
    static char name[32];

    flow_connect_to(c, i, &w);
    OK(wire_status_get(w, 0, &s, &e), &e);
    OK(wire_member_list(w, 0, false, &m, &e), &e);
    for (size_t k = 0; k < m.count; k++)
        if (m.items[k].id == s.leader)
            snprintf(name, sizeof name, "%s", m.items[k].name);
    return name;
}

static void damage(const char *dir)
{
    char command[700];

    snprintf(command, sizeof command, "truncate -s 12288 '%s/member/snap/db'", dir);
    PEER(p, "sh", "-c", command);
}

static const char *copy_of(const struct cluster *c, unsigned i, const char *name)
{
    const char *to = path_in(c->dir, name);
    char command[1400];

    snprintf(command, sizeof command, "cp -a '%s' '%s'", c->members[i].data_dir, to);
    PEER(p, "sh", "-c", command);
    return to;
}

/* The two that are left of three: m2 died first and has less. */
static void two_of_three(struct cluster *c, int64_t told)
{
    const char *newer = c->members[0].data_dir, *older = c->members[2].data_dir;
    OWNED(wire_client) w = NULL;
    OWNED(json) both = NULL;
    OWNED(json) one = NULL;

    ASSESS(0, &both, newer, older);
    cr_assert_str_eq(state_of(both), "startable");
    cr_assert_str_eq(flow_text(both, "best"), newer);
    cr_assert_gt(flow_number(candidate(both, older), "loses_revisions"), 0);
    ASSESS(8, &one, older);
    cr_assert_str_eq(state_of(one), "lost");
    cr_assert_str_eq(flow_text(one, "best"), older);

    /* Raft itself: of these two only the newer can be elected. */
    cluster_boot(c, 0);
    cluster_boot(c, 2);
    cluster_wait(c, 0);
    cluster_wait(c, 2);
    cr_assert_str_eq(leader_name(c, 0), c->members[0].name);
    flow_connect_to(c, 0, &w);
    cr_assert_eq(history_revision(w),
                 flow_number(candidate(both, newer), "revision_with_tail"));
    cr_assert_geq(history_revision(w), told, "an acknowledged write is missing");
}

EACH_ETCD(assess, the_copy_that_raft_would_elect)
{
    const struct cluster_options o = { .members = 3 };
    OWNED(wire_client) w = NULL;
    CLUSTER c = { 0 };
    int64_t told;

    cluster_start(&c, b, &o);
    flow_connect_to(&c, 0, &w);
    history_fill(w, "before", 200, 20);
    cluster_kill(&c, 2, SIGKILL);
    cluster_wait(&c, 0); /* it may have led */
    history_fill(w, "after", 200, 20);
    history_put(w, "last", "word");
    told = history_revision(w);
    cluster_kill(&c, 0, SIGKILL);
    cluster_kill(&c, 1, SIGKILL);
    two_of_three(&c, told);
}

/* Killed in the middle of everything a client can do: the best of all three is what a
 * cluster of them comes back with, whoever leads. */
static void at_one_moment(const struct cluster_backend *b, unsigned turn)
{
    const struct cluster_options o = { .members = 3 };
    OWNED(wire_client) w = NULL;
    OWNED(json) all = NULL;
    struct storm *storm;
    CLUSTER c = { 0 };
    int64_t revision, best;
    const char *at;

    cluster_start(&c, b, &o);
    storm = storm_start(&c, 900 + turn, true);
    clock_sleep_ms(300 + 70 * turn);
    for (unsigned i = 0; i < 3; i++)
        cluster_kill(&c, (i + turn) % 3, SIGKILL);
    storm_join(storm);
    ASSESS(0, &all, c.members[0].data_dir, c.members[1].data_dir, c.members[2].data_dir);
    cr_assert_str_eq(state_of(all), "startable");
    at = flow_text(all, "best");
    best = flow_number(candidate(all, at), "revision_with_tail");
    for (unsigned i = 0; i < 3; i++) { /* the best and one more must win with the best */
        if (strcmp(c.members[i].data_dir, at) != 0)
            continue;
        cluster_boot(&c, i);
        cluster_boot(&c, (i + 1) % 3);
        cluster_wait(&c, i);
        flow_connect_to(&c, i, &w);
    }
    revision = history_revision(w);
    cr_assert_eq(revision, best, "turn %u: etcd has %" PRId64 ", assess said %" PRId64,
                 turn, revision, best);
}

EACH_ETCD(assess, killed_under_load)
{
    unsigned turns = getenv("HOLDFAST_LONG") == NULL ? MOMENTS : MOMENTS_LONG;

    for (unsigned turn = 0; turn < turns; turn++)
        at_one_moment(b, turn + (unsigned)b->minor);
}

static void id_of(struct wire_client *w, const char *name, char out[static 17])
{
    AT_END(wire_members_clear) struct wire_members m = { 0 };
    struct err e = { 0 };

    OK(wire_member_list(w, 0, false, &m, &e), &e);
    for (size_t i = 0; i < m.count; i++)
        if (strcmp(m.items[i].name, name) == 0)
            snprintf(out, 17, "%" PRIx64, m.items[i].id);
}

/* One removed, one damaged, one of another cluster, one twice, one by a statement. */
EACH_ETCD(assess, what_does_not_count_is_set_apart)
{
    const struct cluster_options three = { .members = 3 }, one = { .members = 1 };
    const char *statement, *backup, *twin;
    OWNED(wire_client) w = NULL;
    OWNED(json) a = NULL;
    CLUSTER c = { 0 };
    CLUSTER other = { 0 };
    char id[17];

    cluster_start(&c, b, &three);
    flow_connect_to(&c, 0, &w);
    history_fill(w, "k", 100, 20);
    cluster_kill(&c, 1, SIGKILL);
    cluster_wait(&c, 0); /* it may have led */
    id_of(w, c.members[1].name, id);
    CTL(&c, 0, "member", "remove", id);
    backup = path_in(c.dir, "backup.db");
    TOOL(save, 0, "snapshot", "save", backup, "--endpoints", cluster_endpoint(&c, 0));
    history_fill(w, "z", 100, 20);
    cluster_kill(&c, 0, SIGKILL);
    cluster_kill(&c, 2, SIGKILL);
    cluster_start(&other, b, &one);
    cluster_kill(&other, 0, SIGKILL);
    twin = copy_of(&c, 0, "twin");
    damage(c.members[2].data_dir);
    statement = path_in(c.dir, "statement.json");
    TOOL(export, 0, "assess", c.members[0].data_dir, "--export", statement);

    ASSESS(8, &a, statement, twin, c.members[1].data_dir, c.members[2].data_dir,
           other.members[0].data_dir, "--backup", backup);
    cr_assert_str_eq(state_of(a), "lost");
    cr_assert_eq(flow_number(json_get(a, "quorum"), "voters"), 2);
    cr_assert_str_eq(flow_text(a, "best"), c.members[0].data_dir);
    stands(a, twin, "twin");
    stands(a, c.members[1].data_dir, "removed");
    stands(a, c.members[2].data_dir, "damaged");
    stands(a, other.members[0].data_dir, "foreign");
    stands(a, backup, "candidate");
    cr_assert_gt(flow_number(candidate(a, backup), "loses_revisions"), 0);
}

/* etcd's own restore up to 3.5 leaves the old cluster's members in the database. They are
 * nobody: three of them and one that is real are one voter, not four. */
EACH_ETCD(assess, members_of_a_former_cluster_do_not_vote)
{
    const struct cluster_options three = { .members = 3 };
    const char *tool, *backup;
    const struct cluster_member *m;
    OWNED(json) a = NULL;
    CLUSTER c = { 0 };
    CLUSTER to = { 0 };

    cluster_start(&c, b, &three);
    backup = path_in(c.dir, "backup.db");
    CTL(&c, 0, "put", "a", "b");
    TOOL(save, 0, "snapshot", "save", backup, "--endpoints", cluster_endpoint(&c, 0));
    cluster_stop(&c);
    flow_plan(&to, b, 1);
    m = &to.members[0];
    tool = cluster_tool(b, b->minor == 4 ? "etcdctl" : "etcdutl");
    PEER(p, "env", "ETCDCTL_API=3", tool, "snapshot", "restore", backup, "--name",
         m->name, "--data-dir", m->data_dir, "--initial-cluster", cluster_initial(&to, 1),
         "--initial-advertise-peer-urls", cluster_peer_url(&to, 0));
    cluster_boot(&to, 0);
    cluster_wait(&to, 0);
    cluster_kill(&to, 0, SIGKILL);
    ASSESS(0, &a, m->data_dir);
    cr_assert_str_eq(state_of(a), "startable");
    cr_assert_eq(flow_number(json_get(a, "quorum"), "voters"), 1);
    stands(a, m->data_dir, "candidate");
}

/* Members that answer are believed; running directories are only pictures. */
CASE(assess, the_living_are_asked, .timeout = FLOW_TIMEOUT_S)
{
    const struct cluster_options o = { .members = 3 };
    OWNED(json) serves = NULL;
    OWNED(json) unnamed = NULL;
    OWNED(json) frozen = NULL;
    OWNED(json) picture = NULL;
    CLUSTER c = { 0 };

    flow_need("3.6");
    cluster_start(&c, cluster_backend("3.6"), &o);
    cluster_kill(&c, 2, SIGKILL);
    cluster_wait(&c, 0); /* it may have led */
    cluster_wait(&c, 1);
    TOOL(p, 0, "assess", c.members[2].data_dir, "--json", "--endpoints",
         cluster_endpoint(&c, 0));
    flow_json(&p, &serves);
    cr_assert_str_eq(state_of(serves), "has");
    ASSESS(0, &unnamed, c.members[2].data_dir); /* which tells where the others are */
    cr_assert_str_eq(state_of(unnamed), "has");

    cluster_kill(&c, 1, SIGKILL);
    ASSESS(8, &picture, c.members[0].data_dir);
    cr_assert_str_eq(state_of(picture), "lost");
    cr_assert(strstr(flow_text(picture, "why"), "stop it, and assess again") != NULL);
    TOOL(q, 0, "assess", c.members[1].data_dir, "--json", "--command-timeout", "1s",
         "--endpoints", cluster_endpoint(&c, 0));
    flow_json(&q, &frozen);
    cr_assert_str_eq(state_of(frozen), "startable");
}

/* A statement that somebody edited is not believed. */
CASE(assess, an_edited_statement_is_refused, .timeout = FLOW_TIMEOUT_S)
{
    const char *statement;
    CLUSTER c = { 0 };
    char command[700];

    flow_need("3.6");
    cluster_start(&c, cluster_backend("3.6"), NULL);
    cluster_stop(&c);
    statement = path_in(c.dir, "s.json");
    TOOL(export, 0, "assess", c.members[0].data_dir, "--export", statement);
    TOOL(whole, 0, "assess", statement, "--endpoints", nobody);
    cr_assert(strstr(whole.out, "not lost") != NULL, "%s", whole.out);
    snprintf(command, sizeof command, "sed -i 's/\"term\": /\"term\": 9/' '%s'",
             statement);
    PEER(p, "sh", "-c", command);
    TOOL(edited, 3, "assess", statement, "--endpoints", nobody);
    cr_assert(strstr(edited.err, "was changed after it was written") != NULL, "%s",
              edited.err);
}
