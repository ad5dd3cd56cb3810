/* The table of disasters, row by row: a member of which only a part is left, or a damaged
 * one. Each is a cluster of one, so that nobody else has what it lost. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/flow/disaster.h"
#include "tests/flow/golden.h"
#include "tests/flow/history.h"
#include "util/clock.h"

enum { FEW = 20, TWICE = 2 * FEW };

static const char db[] = "member/snap/db";
static const char wal[] = "member/wal/0000000000000000-0000000000000000.wal";

/* A member with FEW acknowledged writes in its database, and as many that may be in its
 * log alone; killed. */
struct scene {
    struct cluster c;
    struct ledger *ledger;
    struct flow_hash hash;
    char dir[512], backup[600];
};

static void scene_end(struct scene *s)
{
    ledger_free(s->ledger);
    cluster_end(&s->c);
}
#define SCENE [[gnu::cleanup(scene_end)]] struct scene

/* What follows a restart stays in the log alone. */
static const char *const lazy[] = { "--backend-batch-interval=1h",
                                    "--backend-batch-limit=10000000", NULL };
/* Raft takes a snapshot of its own every 10 entries. */
static const char *const often[] = { "--snapshot-count=10", NULL };

static void begin(struct scene *s, const struct cluster_backend *b)
{
    cluster_start(&s->c, b, NULL);
    snprintf(s->dir, sizeof s->dir, "%s", s->c.members[0].data_dir);
    snprintf(s->backup, sizeof s->backup, "%s/backup.db", s->c.dir);
    s->ledger = ledger_open(&s->c, 0);
    ledger_add(s->ledger, FEW);
    disaster_save(&s->c, 0, s->backup);
    cluster_kill(&s->c, 0, SIGTERM);
}

/* Until raft's snapshot is there, and no database of one is on its way any more. */
static void await_snapshot(const struct scene *s)
{
    uint64_t end = clock_ms() + 20000;
    const char *names;

    do {
        cr_assert_lt(clock_ms(), end, "raft takes no snapshot");
        clock_sleep_ms(20);
        names = dir_listing(path_in(s->dir, "member/snap"));
    } while (strstr(names, ".snap") == NULL || strstr(names, ".snap.db") != NULL);
}

static void go_on(struct scene *s, const char *const flags[])
{
    OWNED(wire_client) w = NULL;

    s->c.options.flags = flags;
    cluster_boot(&s->c, 0);
    cluster_wait(&s->c, 0);
    ledger_move(s->ledger, &s->c, 0);
    ledger_add(s->ledger, FEW);
    flow_connect(&s->c, &w);
    s->hash = flow_hashkv(w, 0, 0);
    if (flags == often)
        await_snapshot(s);
    cluster_kill(&s->c, 0, SIGKILL);
    s->c.options.flags = NULL;
}

static const char *part(const struct scene *s, const char *name)
{
    return path_in(s->dir, name);
}

static void remove_tree(const char *path)
{
    PEER(p, "rm", "-rf", path);
}

static size_t place_of(const char *file, const char *text)
{
    AT_END(buf_clear) struct buf all = golden_file(file);
    const uint8_t *at = memmem(all.p, all.n, text, strlen(text));

    cr_assert_not_null(at, "no '%s' in %s", text, file);
    return (size_t)(at - all.p);
}

static void refused_by_from_data_dir(const struct scene *s, const char *says)
{
    TOOL(p, 3, "snapshot", "from-data-dir", s->dir, "-o", path_in(s->c.dir, "no.db"));
    cr_assert(strstr(p.err, says) != NULL, "%s", p.err);
    cr_assert_neq(access(path_in(s->c.dir, "no.db"), F_OK), 0, "something was stored");
}

/* All that can be had, where something cannot be known: exit status 8. */
static int64_t taken_with_doubts(const struct scene *s, const char *file,
                                 const char *unknown)
{
    OWNED(json) made = NULL;
    TOOL(p, 8, "snapshot", "from-data-dir", s->dir, "-o", file, "--allow-damaged-wal",
         "--json");

    flow_json(&p, &made);
    cr_assert(strstr(p.out, unknown) != NULL, "%s", p.out);
    return flow_number(made, "revision");
}

/* Recovered from its own directory: nothing is lost, and HashKV is what it was. */
static void recovers_all(struct scene *s)
{
    OWNED(wire_client) w = NULL;
    OWNED(json) plan = NULL;

    DISASTER_PLAN(&s->c, "plan.json", &plan, s->dir);
    cr_assert_str_eq(disaster_source(plan), s->dir);
    cr_assert_eq((uint32_t)flow_number(json_get(plan, "source"), "hashkv"), s->hash.hash);
    disaster_lost_nothing(plan);
    disaster_carry_out(&s->c, "plan.json", plan, s->ledger, TWICE);
    flow_connect(&s->c, &w);
    cr_assert_eq(flow_hashkv(w, 0, s->hash.revision).hash, s->hash.hash);
}

/* Recovered from what was taken out of it: the plan owns up to a loss. */
static void recovers_from(struct scene *s, const char *file, unsigned kept)
{
    OWNED(json) plan = NULL;

    DISASTER_REFUSED(&s->c, 3, "no copy is sound", s->dir);
    DISASTER_PLAN(&s->c, "plan.json", &plan, "--backup", file, s->dir, "--data-dir",
                  s->dir, "--members", cluster_initial(&s->c, 1));
    cr_assert_str_eq(disaster_source(plan), file);
    disaster_says_lost(plan, "everything that was written after the snapshot was taken");
    disaster_carry_out(&s->c, "plan.json", plan, s->ledger, kept);
}

/* ---- only the log --------------------------------------------------------------------
 */

DISASTER_ROW(d12_only_a_log_that_begins_with_the_cluster, "3.5")
{
    SCENE s = { 0 };

    begin(&s, b);
    go_on(&s, lazy);
    remove_tree(part(&s, "member/snap"));
    recovers_all(&s);
}

/* What was written behind the restore can be had all the same, to be written again. */
static void lists_what_is_left(const struct scene *s)
{
    OWNED(json) told = NULL;
    TOOL(p, 0, "snapshot", "log", s->dir, "--prefix", "ledger/", "--values", "--json");
    const struct json *asked;

    flow_json(&p, &told);
    asked = json_get(told, "requests");
    cr_assert_eq(json_count(asked), FEW);
    for (size_t i = 0; i < FEW; i++) {
        cr_assert_str_eq(flow_text(json_at(asked, i), "what"), "put");
        cr_assert_str_eq(flow_text(json_at(asked, i), "value"), "a2VwdA==");
    }
    cr_assert_str_eq(flow_text(json_at(asked, FEW - 1), "key"), "bGVkZ2VyLzM5");
}

/* A restore began it: what was restored is not in it, so it is not made up. */
DISASTER_ROW(d12_only_a_log_that_was_cut, "3.6")
{
    SCENE s = { 0 };
    OWNED(json) plan = NULL;

    begin(&s, b);
    remove_tree(s.dir);
    TOOL(p, 0, "restore", s.backup, "--name", "m0", "--data-dir", s.dir,
         "--initial-cluster", cluster_initial(&s.c, 1));
    go_on(&s, NULL);
    remove_tree(part(&s, db));
    refused_by_from_data_dir(&s, "what was restored is not in it");
    lists_what_is_left(&s);
    DISASTER_REFUSED(&s.c, 5, "no copy tells who belongs", s.dir);
    remove_tree(s.dir);
    DISASTER_PLAN(&s.c, "plan.json", &plan, "--backup", s.backup, "--data-dir", s.dir,
                  "--members", cluster_initial(&s.c, 1));
    disaster_says_lost(plan, "everything that was written after the snapshot was taken");
    disaster_carry_out(&s.c, "plan.json", plan, s.ledger, FEW);
}

/* ---- only the database
 * ----------------------------------------------------------------- */

/* Placed alone in a data directory etcd would serve reads and accept no write. */
DISASTER_ROW(d13_only_the_database, "3.6")
{
    SCENE s = { 0 };
    char file[600];

    begin(&s, b);
    go_on(&s, lazy);
    remove_tree(part(&s, "member/wal"));
    snprintf(file, sizeof file, "%s/taken.db", s.c.dir);
    refused_by_from_data_dir(&s, "there is no log");
    cr_assert_geq(taken_with_doubts(&s, file, "there is no log"), FEW + 1);
    recovers_from(&s, file, FEW);
}

/* ---- a damaged database
 * ------------------------------------------------------------------ */

static void spoil(const char *file)
{
    static const uint8_t zeros[3 * 4096];
    AT_END(buf_clear) struct buf all = golden_file(file);

    memcpy(all.p, zeros, sizeof zeros);
    golden_write(file, all.p, all.n);
}

static void salvages_all(const struct scene *s)
{
    OWNED(json) made = NULL;
    TOOL(p, 0, "snapshot", "salvage", s->dir, "-o", path_in(s->c.dir, "saved.db"),
         "--json");

    flow_json(&p, &made);
    cr_assert_eq((uint32_t)flow_number(made, "hashkv"), s->hash.hash);
}

/* The log begins with the cluster: without the database all of it is made again. */
DISASTER_ROW(d14_the_database_is_damaged_and_the_log_is_whole, "3.5")
{
    SCENE s = { 0 };

    begin(&s, b);
    go_on(&s, lazy);
    spoil(part(&s, db));
    DISASTER_REFUSED(&s.c, 3, "no copy is sound", s.dir);
    refused_by_from_data_dir(&s, "the log is complete: of a copy of the directory "
                                 "without member/snap/db");
    salvages_all(&s);
    PEER(away, "mv", part(&s, db), path_in(s.c.dir, "damaged"));
    recovers_all(&s);
}

/* It begins with a restore: with the database of then in the place of the damaged one the
 * log goes on behind it, without a gap and nothing twice; etcd starts on that. */
DISASTER_ROW(d14_an_older_snapshot_and_the_log_behind_it, "3.6")
{
    SCENE s = { 0 };
    OWNED(wire_client) w = NULL;
    OWNED(json) made = NULL;

    begin(&s, b);
    remove_tree(s.dir);
    TOOL(p, 0, "restore", s.backup, "--name", "m0", "--data-dir", s.dir,
         "--initial-cluster", cluster_initial(&s.c, 1));
    PEER(keep, "cp", part(&s, db), s.backup);
    go_on(&s, lazy);
    spoil(part(&s, db));
    DISASTER_REFUSED(&s.c, 5, "is damaged", s.dir);
    PEER(put, "cp", s.backup, part(&s, db));
    TOOL(q, 0, "snapshot", "from-data-dir", s.dir, "-o", path_in(s.c.dir, "all.db"),
         "--json");
    flow_json(&q, &made);
    cr_assert_eq((uint32_t)flow_number(made, "hashkv"), s.hash.hash);
    DISASTER_REFUSED(&s.c, 5, "build no new cluster", s.dir);
    cluster_boot(&s.c, 0);
    disaster_whole(&s.c, 0, s.hash.revision);
    flow_connect(&s.c, &w);
    cr_assert_eq(ledger_check(s.ledger, w, INT64_MAX), TWICE);
    cr_assert_eq(flow_hashkv(w, 0, s.hash.revision).hash, s.hash.hash);
}

/* ---- a damaged log
 * ------------------------------------------------------------------------ */

/* The last record was not finished when the power failed: it was never acknowledged. */
DISASTER_ROW(d15_the_end_of_the_log_is_torn, "3.5")
{
    SCENE s = { 0 };
    OWNED(wire_client) w = NULL;
    OWNED(json) left = NULL;

    begin(&s, b);
    go_on(&s, lazy);
    cr_assert_eq(truncate(part(&s, wal), (off_t)place_of(part(&s, wal), "ledger/39")), 0);
    DISASTER_ASSESS(0, &left, s.dir);
    cr_assert_str_eq(disaster_quorum(left), "startable");
    DISASTER_REFUSED(&s.c, 5, "build no new cluster", s.dir);
    cluster_boot(&s.c, 0);
    disaster_whole(&s.c, 0, TWICE);
    flow_connect(&s.c, &w);
    cr_assert_eq(ledger_check(s.ledger, w, TWICE), TWICE - 1);
}

/* What is behind the damage cannot be applied; it is refused, or listed, and not repaired
 * in silence. */
DISASTER_ROW(d15_the_log_is_damaged_in_the_middle, "3.6")
{
    SCENE s = { 0 };
    char file[600];
    size_t at;

    begin(&s, b);
    go_on(&s, lazy);
    at = place_of(part(&s, wal), "ledger/30");
    AT_END(buf_clear) struct buf log = golden_file(part(&s, wal));
    log.p[at] ^= 1;
    golden_write(part(&s, wal), log.p, log.n);
    snprintf(file, sizeof file, "%s/taken.db", s.c.dir);
    refused_by_from_data_dir(&s, "offset");
    cr_assert_eq(taken_with_doubts(&s, file, "the log is damaged"), FEW + 11);
    recovers_from(&s, file, FEW + 10);
}

/* ---- a database that raft's own snapshots are ahead of
 * ------------------------------------ */

/* etcd would end with "failed to find database snapshot file". */
DISASTER_ROW(d16_the_database_is_older_than_the_marks_in_the_log, "3.5")
{
    SCENE s = { 0 };

    begin(&s, b);
    PEER(keep, "cp", part(&s, db), path_in(s.c.dir, "older"));
    go_on(&s, often);
    PEER(put, "cp", path_in(s.c.dir, "older"), part(&s, db));
    recovers_all(&s);
}
