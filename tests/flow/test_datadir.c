/* A snapshot from a dead member's directory, judged by the etcd that boots on it. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datadir/read.h"
#include "snapshot/verify.h"
#include "tests/flow/flow.h"
#include "tests/flow/history.h"
#include "tests/flow/picture.h"
#include "tests/flow/storm.h"
#include "util/clock.h"
#include "wire/auth.h"
#include "wire/cluster.h"
#include "wire/kv.h"
#include "wire/maintenance.h"

enum { KILLS = 3, KILLS_LONG = 20 };

static unsigned kills(void)
{
    return getenv("HOLDFAST_LONG") == NULL ? KILLS : KILLS_LONG;
}

/* ---- a directory of which nothing may change --------------------------------------- */

static void sums_of(const char *dir, char *out, size_t n)
{
    char command[700];

    snprintf(command, sizeof command,
             "cd '%s' && find . | sort && find . -type f -print0 | sort -z | "
             "xargs -0 sha256sum",
             dir);
    PEER(p, "sh", "-c", command);
    cr_assert_lt(p.out_size, n);
    memcpy(out, p.out, p.out_size + 1);
}

/* The member's directory again, without what etcd preallocates. */
static const char *copy_of(const struct cluster *c, unsigned member, const char *name)
{
    const char *to = path_in(c->dir, name);
    char command[1400];

    snprintf(command, sizeof command, "cp -a '%s' '%s' && rm -f '%s'/member/wal/*.tmp",
             c->members[member].data_dir, to, to);
    PEER(p, "sh", "-c", command);
    return to;
}

/* Runs the command on `dir` and sees to it that nothing there changes. */
static void make(const char *dir, const char *file, struct json **out)
{
    static char before[1 << 16], after[1 << 16];

    sums_of(dir, before, sizeof before);
    TOOL(p, 0, "snapshot", "from-data-dir", dir, "-o", file, "--json");
    sums_of(dir, after, sizeof after);
    cr_assert_str_eq(before, after, "the directory was changed");
    flow_json(&p, out);
}

/* ---- the same as what etcd makes of it --------------------------------------------- */

static const struct wire_member *member_of(const struct wire_members *l, uint64_t id)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].id == id)
            return &l->items[i];
    return NULL;
}

static void same_members(const struct mvcc_facts *f, struct wire_client *w)
{
    AT_END(wire_members_clear) struct wire_members m = { 0 };
    struct err e = { 0 };

    OK(wire_member_list(w, 0, false, &m, &e), &e);
    cr_assert_eq(m.count, f->member_count);
    for (size_t i = 0; i < f->member_count; i++) {
        const struct mvcc_member *ours = &f->members[i];
        const struct wire_member *theirs = member_of(&m, ours->id);

        cr_assert_not_null(theirs, "member %" PRIx64, ours->id);
        cr_assert_str_eq(ours->name == NULL ? "" : ours->name, theirs->name);
        cr_assert_eq(ours->learner, theirs->is_learner);
        cr_assert_eq(ours->peer_urls.count, theirs->peer_urls.count);
        cr_assert_str_eq(ours->peer_urls.items[0], theirs->peer_urls.items[0]);
        cr_assert_eq(ours->client_urls.count, theirs->client_urls.count);
    }
}

static void same_auth(const struct mvcc_facts *f, const struct cluster *c,
                      struct wire_client *w)
{
    struct err e = { 0 };
    uint64_t revision;
    bool enabled;

    cr_assert_eq(f->auth_enabled, c->user != NULL);
    if (c->backend->minor == 4)
        return;
    OK(wire_auth_status(w, &enabled, &revision, &e), &e);
    cr_assert(f->auth_enabled == enabled && f->auth_revision == revision,
              "authRevision %" PRIu64 ", the server's is %" PRIu64, f->auth_revision,
              revision);
}

/* `file` against a server that booted on the same directory. */
static void same_state(const struct cluster *c, struct wire_client *w, const char *file,
                       const struct json *made, const char *note)
{
    const struct snap_verify_options o = { .file = file, .level = SNAP_LEVEL_FULL };
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };
    int64_t revision = flow_number(made, "revision");
    struct flow_hash theirs;
    struct err e = { 0 };

    cr_assert_eq(history_revision(w), revision,
                 "%s: the server has %" PRId64 ", ours %" PRId64, note,
                 history_revision(w), revision);
    theirs = flow_hashkv(w, 0, revision);
    OK(snap_verify(&o, &v, &e), &e);
    OK(findings_verdict(&v.findings, &e), &e);
    cr_assert_eq((uint32_t)flow_number(made, "hashkv"), theirs.hash, "%s", note);
    cr_assert_eq(v.facts.hashkv.hash, theirs.hash, "%s", note);
    cr_assert_eq(v.facts.hashkv.compact_revision, theirs.compact, "%s", note);
    same_members(&v.facts, w);
    same_auth(&v.facts, c, w);
}

/* Restores `file` into a cluster of one and boots it. */
static void restore(struct cluster *to, const struct cluster *from, const char *file,
                    bool by_etcd)
{
    const char *tool =
        cluster_tool(from->backend, from->backend->minor == 4 ? "etcdctl" : "etcdutl");
    const struct cluster_member *m;

    flow_plan(to, from->backend, 1);
    to->user = from->user;
    m = &to->members[0];
    if (by_etcd) {
        PEER(p, "env", "ETCDCTL_API=3", tool, "snapshot", "restore", file, "--name",
             m->name, "--data-dir", m->data_dir, "--initial-cluster",
             cluster_initial(to, 1), "--initial-advertise-peer-urls",
             cluster_peer_url(to, 0));
    } else {
        TOOL(p, 0, "restore", file, "--name", m->name, "--data-dir", m->data_dir,
             "--initial-cluster", cluster_initial(to, 1), "--initial-advertise-peer-urls",
             cluster_peer_url(to, 0), "--bump-revision", "0");
    }
    cluster_boot(to, 0);
    cluster_wait(to, 0);
}

/* Her password was changed by an entry that was in the log alone: 3.4 writes it there in
 * the clear, and whoever applies it hashes it. */
static void alice_logs_in(struct cluster *to)
{
    OWNED(wire_client) w = NULL;
    struct err e = { 0 };

    to->user = "alice:another";
    flow_connect(to, &w);
    OK(wire_put(w, bytes_str("s/alice"), bytes_str("1"), 0, NULL, &e), &e);
}

/* What clients see of the snapshot restored is what they see of the member itself. */
static void restores(const struct cluster *c, struct wire_client *w, const char *file,
                     bool by_etcd, const char *note)
{
    PICTURE want = { 0 };
    PICTURE got = { 0 };
    CLUSTER to = { 0 };
    OWNED(wire_client) r = NULL;

    picture_take(w, &want);
    restore(&to, c, file, by_etcd);
    flow_connect(&to, &r);
    picture_take(r, &got);
    picture_same(&want, &got, note);
    if (to.user != NULL)
        alice_logs_in(&to);
}

/* ---- one member, killed ------------------------------------------------------------ */

/* With these the database on disk stays as it was when the server started: all that
 * follows is in the log alone. */
static const char *const lazy[] = { "--backend-batch-interval=1h",
                                    "--backend-batch-limit=10000000", NULL };

/* With this raft takes a snapshot of its own every 50 entries: marks in the log, and
 * files beside the database. */
static const char *const often[] = { "--snapshot-count=50", NULL };

static void enable_auth(struct cluster *c)
{
    OWNED(wire_client) w = NULL;
    struct err e = { 0 };

    flow_connect(c, &w);
    OK(wire_auth_enable(w, &e), &e);
    c->user = "root:pw";
}

static void kill_under_load(struct cluster *c, struct history_random *r, unsigned turn)
{
    OWNED(wire_client) w = NULL;
    struct storm *s;

    if (turn == 1)
        enable_auth(c);
    flow_connect(c, &w);
    storm_prepare(w, turn);
    s = storm_start(c, turn + 1, turn % 3 == 1);
    clock_sleep_ms(50 + history_below(r, 500));
    cluster_kill(c, 0, SIGKILL);
    cr_assert_gt(storm_join(s), 5);
}

/* From database and log, and from the log alone, which here begins with the cluster. */
static void make_both(const struct cluster *c, unsigned turn, const char **file,
                      struct json **made)
{
    OWNED(json) alone = NULL;
    char name[32], other[32];
    const char *dir;

    snprintf(name, sizeof name, "copy%u", turn);
    dir = copy_of(c, 0, name);
    snprintf(name, sizeof name, "x%u.db", turn);
    *file = path_in(c->dir, name);
    make(dir, *file, made);
    cr_assert_eq(unlink(path_in(dir, "member/snap/db")), 0);
    snprintf(other, sizeof other, "y%u.db.zst", turn);
    make(dir, path_in(c->dir, other), &alone);
    cr_assert_eq(flow_number(alone, "hashkv"), flow_number(*made, "hashkv"));
    cr_assert_eq(flow_number(alone, "revision"), flow_number(*made, "revision"));
}

static void check_turn(struct cluster *c, unsigned turn)
{
    OWNED(json) made = NULL;
    OWNED(wire_client) w = NULL;
    const char *file;
    char note[64];

    make_both(c, turn, &file, &made);
    snprintf(note, sizeof note, "%s, kill %u: %" PRId64 " entries", c->backend->name,
             turn, flow_number(made, "entries_applied"));
    c->options.flags = turn % 3 == 0 && !c->backend->store ? lazy : often;
    cluster_boot(c, 0);
    cluster_wait(c, 0);
    flow_connect(c, &w);
    same_state(c, w, file, made, note);
    if (turn + 1 == kills() || turn == 1)
        restores(c, w, file, turn != 1, note);
}

EACH_BACKEND(datadir, is_what_a_boot_makes_of_it)
{
    const struct cluster_options options = { .flags = often };
    struct history_random r = { (uint64_t)getpid() };
    CLUSTER c = { 0 };

    fprintf(stderr, "datadir: %s: seed %d\n", b->name, (int)getpid());
    cluster_start(&c, b, &options);
    for (unsigned turn = 0; turn < kills(); turn++) {
        kill_under_load(&c, &r, turn);
        check_turn(&c, turn);
    }
}

/* ---- the embedded store, killed, and what etcd makes of its directory -------------- */

/* Boots `b` on `dir` as the member that left it, and ends it. */
static void same_on(struct cluster *c, const struct cluster_backend *b, const char *dir,
                    const char *file, const struct json *made)
{
    struct cluster as = *c;
    OWNED(wire_client) w = NULL;
    char note[64];

    snprintf(note, sizeof note, "a killed lab of %s on %s", c->backend->version, b->name);
    as.backend = b;
    as.options.flags = b->store ? c->options.flags : NULL;
    snprintf(as.members[0].data_dir, sizeof as.members[0].data_dir, "%s", dir);
    cluster_boot(&as, 0);
    cluster_wait(&as, 0);
    flow_connect(&as, &w);
    same_state(&as, w, file, made, note);
    cluster_kill(&as, 0, SIGKILL);
}

static void kill_the_store(struct cluster *c, struct history_random *r, unsigned turn)
{
    OWNED(json) made = NULL;
    char name[32];
    const char *dir, *file;

    kill_under_load(c, r, turn);
    snprintf(name, sizeof name, "copy%u", turn);
    dir = copy_of(c, 0, name);
    snprintf(name, sizeof name, "x%u.db", turn);
    file = path_in(c->dir, name);
    make(dir, file, &made);
    same_on(c, cluster_backend(c->backend->version), dir, file, made);
    same_on(c, c->backend, c->members[0].data_dir, file, made);
    cluster_boot(c, 0);
    cluster_wait(c, 0);
}

static void store_as(const char *version)
{
    const char *const flags[] = { "--snapshot-count=50", "--etcd-version", version,
                                  NULL };
    struct cluster_backend b = *cluster_backend("lab");
    struct history_random r = { (uint64_t)getpid() };
    CLUSTER c = { 0 };

    b.version = version;
    b.minor = version[2] - '0';
    fprintf(stderr, "datadir: a lab of %s: seed %d\n", version, (int)getpid());
    cluster_start(&c, &b, &(struct cluster_options){ .flags = flags });
    for (unsigned turn = 0; turn < 2; turn++)
        kill_the_store(&c, &r, turn);
}

CASE(datadir, of_the_store_is_an_etcds, .timeout = 4 * FLOW_TIMEOUT_S)
{
    bool all = getenv("HOLDFAST_LONG") != NULL;

    flow_need("lab");
    for (const struct cluster_backend *b = cluster_backends; b->name != NULL; b++)
        if (!b->store && (all || b->minor == 5 || b->minor == 6) && cluster_available(b))
            store_as(b->version);
}

/* ---- what the command refuses, and what it says --------------------------------------
 */

/* For a picture it can be read while it runs, which does not pass for more. */
static void looked_at(const struct cluster *c, const char *dir)
{
    const struct datadir_request q = { .dir = dir, .in_use_too = true };
    OWNED(datadir) d = NULL;
    struct err e = { 0 };

    OK(datadir_open(&q, &d, &e), &e);
    cr_assert(d->in_use && !d->ok);
    cr_assert_eq(d->holder.pid, (uint64_t)c->members[0].pid);
    cr_assert_neq(d->member_id, 0);
    cr_assert_gt(d->last, 3);
}

/* Of a running member; compressed and encrypted, and opened without Holdfast. */
EACH_BACKEND(datadir, in_use_is_refused_and_sealed_is_opened)
{
    const char *sealed, *dir;
    OWNED(wire_client) w = NULL;
    OWNED(json) made = NULL;
    struct flow_hash want;
    CLUSTER c = { 0 };
    char text[700];

    cluster_start(&c, b, NULL);
    flow_connect(&c, &w);
    history_fill(w, "fill", 300, 50);
    want = flow_hashkv(w, 0, 0);
    sealed = path_in(c.dir, "x.db.zst.age");
    dir = c.members[0].data_dir;
    TOOL(p, 11, "snapshot", "from-data-dir", dir, "-o", path_in(c.dir, "no.db"));
    snprintf(text, sizeof text, "is in use by process %d (%s)", (int)c.members[0].pid,
             b->store ? "holdfast-lab" : "etcd");
    cr_assert_not_null(strstr(p.err, text), "%s", p.err);
    cr_assert_neq(access(path_in(c.dir, "no.db"), F_OK), 0);
    looked_at(&c, dir);
    cluster_kill(&c, 0, SIGKILL);

    TOOL(q, 0, "snapshot", "from-data-dir", dir, "-o", sealed, "-r", flow_keygen(c.dir),
         "--json");
    flow_json(&q, &made);
    cr_assert_eq((uint32_t)flow_number(made, "hashkv"), want.hash);
    snprintf(text, sizeof text, "age -d -i '%s/key' '%s' | zstd -dq > '%s/plain.db'",
             c.dir, sealed, c.dir);
    PEER(r, "sh", "-c", text);
    TOOL(t, 0, "snapshot", "verify", path_in(c.dir, "plain.db"));

    /* Its log elsewhere, and no more of it than it knows to be committed. */
    cr_assert_eq(rename(path_in(dir, "member/wal"), path_in(c.dir, "log")), 0);
    TOOL(u, 3, "snapshot", "from-data-dir", dir, "-o", path_in(c.dir, "no.db"));
    cr_assert_not_null(strstr(u.err, "--wal-dir"), "%s", u.err);
    TOOL(v, 0, "snapshot", "from-data-dir", dir, "-o", path_in(c.dir, "few.db"),
         "--wal-dir", path_in(c.dir, "log"), "--committed-only", "--etcd-version",
         b->version);
}

/* A flipped byte in the middle of the log, behind what the database has. */
EACH_BACKEND(datadir, a_damaged_log_is_refused_or_listed)
{
    OWNED(wire_client) w = NULL;
    OWNED(json) made = NULL;
    const char *dir, *file, *out;
    char command[1400];
    CLUSTER c = { 0 };

    cluster_start(&c, b, NULL);
    flow_connect(&c, &w);
    for (int i = 0; i < 40; i++)
        history_put(w, "counted", "0123456789");
    cluster_kill(&c, 0, SIGKILL);
    dir = copy_of(&c, 0, "copy");
    file = path_in(dir, "member/wal/0000000000000000-0000000000000000.wal");
    out = path_in(c.dir, "x.db");
    snprintf(command, sizeof command,
             "rm '%s'/member/snap/db && at=$(grep -abo 0123456789 '%s' | "
             "sed -n 20p | cut -d: -f1) && printf 'X' | "
             "dd of='%s' bs=1 seek=$at conv=notrunc status=none",
             dir, file, file);
    PEER(sh, "sh", "-c", command);

    TOOL(p, 3, "snapshot", "from-data-dir", dir, "-o", out);
    cr_assert_not_null(strstr(p.err, "offset"), "%s", p.err);
    cr_assert_neq(access(out, F_OK), 0, "nothing is stored");
    TOOL(q, 8, "snapshot", "from-data-dir", dir, "-o", out, "--allow-damaged-wal",
         "--json");
    flow_json(&q, &made);
    cr_assert_str_eq(flow_text(made, "wal"), "damaged");
    cr_assert_eq(flow_number(made, "revision"), 20, "what precedes the damage");
    cr_assert_geq(json_count(json_get(made, "unknown")), 2);
    TOOL(v, 0, "snapshot", "verify", out);
}

/* ---- one of three --------------------------------------------------------------------
 */

/* A follower dies under load; what it had is a moment of the cluster's own history. */
static void one_of_three(const struct cluster_backend *b)
{
    const struct cluster_options three = { .members = 3 };
    OWNED(wire_client) w = NULL;
    OWNED(json) made = NULL;
    unsigned follower = 0;
    struct flow_hash theirs;
    struct storm *s;
    struct err e = { 0 };
    CLUSTER c = { 0 };

    cluster_start(&c, b, &three);
    flow_connect(&c, &w);
    history_fill(w, "fill", 200, 40);
    for (size_t i = 0; i < 3; i++) {
        AT_END(wire_status_clear) struct wire_status st = { 0 };

        OK(wire_status_get(w, i, &st, &e), &e);
        if (st.leader != st.header.member_id)
            follower = (unsigned)i;
    }
    s = storm_start(&c, 7, true);
    clock_sleep_ms(400);
    cluster_kill(&c, follower, SIGKILL);
    clock_sleep_ms(200);
    for (unsigned i = 0; i < 3; i++)
        if (i != follower)
            cluster_kill(&c, i, SIGTERM);
    cr_assert_gt(storm_join(s), 5);
    make(copy_of(&c, follower, "copy"), path_in(c.dir, "x.db"), &made);

    for (unsigned i = 0; i < 3; i++)
        if (i != follower)
            cluster_boot(&c, i);
    cluster_wait(&c, (follower + 1) % 3);
    theirs = flow_hashkv(w, (follower + 1) % 3, flow_number(made, "revision"));
    cr_assert_eq((uint32_t)flow_number(made, "hashkv"), theirs.hash,
                 "%s, revision %" PRId64, b->name, flow_number(made, "revision"));
}

CASE(datadir, one_of_three_3_4, .timeout = FLOW_TIMEOUT_S)
{
    flow_need("3.4");
    one_of_three(cluster_backend("3.4"));
}

CASE(datadir, one_of_three_3_6, .timeout = FLOW_TIMEOUT_S)
{
    flow_need("3.6");
    one_of_three(cluster_backend("3.6"));
}
