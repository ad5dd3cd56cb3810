/* Offline defrag and compaction, judged by the servers that boot on the result. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boltdb/walk.h"
#include "mvcc/chain.h"
#include "mvcc/schema.h"
#include "tests/flow/flow.h"
#include "tests/flow/golden.h"
#include "tests/flow/history.h"
#include "wire/kv.h"
#include "wire/maintenance.h"

/* ---- a member and copies of it ----------------------------------------------------- */

static const char *db_of(const struct cluster *c)
{
    static char path[600];

    snprintf(path, sizeof path, "%s/member/snap/db", c->members[0].data_dir);
    return path;
}

/* The stopped member's directory again, under another name. */
static void copy_dir(const struct cluster *c, const char *to)
{
    PEER(p, "cp", "-a", c->members[0].data_dir, to);
}

static void boot_on(struct cluster *c, const char *dir)
{
    snprintf(c->members[0].data_dir, sizeof c->members[0].data_dir, "%s", dir);
    cluster_boot(c, 0);
    cluster_wait(c, 0);
}

/* bbolt's own checker; on a machine without it the servers have to do. */
static void bbolt_check(const char *path)
{
    const char *peers = getenv("HOLDFAST_PEERS"), *cache = getenv("XDG_CACHE_HOME");
    char tool[512];

    if (peers != NULL)
        snprintf(tool, sizeof tool, "%s/tools/bbolt", peers);
    else if (cache != NULL)
        snprintf(tool, sizeof tool, "%s/holdfast/peers/tools/bbolt", cache);
    else
        snprintf(tool, sizeof tool, "%s/.cache/holdfast/peers/tools/bbolt",
                 getenv("HOME"));
    if (access(tool, X_OK) < 0) {
        fprintf(stderr, "SKIPPED: no bbolt at %s (run scripts/peers)\n", tool);
        cr_assert_null(getenv("HOLDFAST_REQUIRE_PEERS"), "bbolt is required here");
        return;
    }
    PEER(p, tool, "check", path);
}

static void same_hash(struct flow_hash a, struct flow_hash b, const char *what)
{
    cr_assert(a.hash == b.hash && a.compact == b.compact,
              "%s, revision %" PRId64 ": HashKV %u at compaction %" PRId64
              ", then %u at %" PRId64,
              what, a.revision, a.hash, a.compact, b.hash, b.compact);
}

/* ---- defrag ------------------------------------------------------------------------ */

static void refused_while_running(const struct cluster *c)
{
    char pid[64];

    TOOL(p, 11, "defrag", "--data-dir", c->members[0].data_dir);
    snprintf(pid, sizeof pid, "is in use by process %d (etcd)", (int)c->members[0].pid);
    cr_assert_not_null(strstr(p.err, pid), "%s", p.err);
    TOOL(q, 11, "compact", "--data-dir", c->members[0].data_dir, "--keep-revisions", "1",
         "--dry-run");
}

EACH_ETCD(defrag, of_a_stopped_member_keeps_everything)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) before = NULL;
    OWNED(wire_client) after = NULL;
    OWNED(json) would = NULL;
    OWNED(json) did = NULL;
    struct flow_hash hash;
    struct err e = { 0 };

    cluster_start(&c, b, NULL);
    flow_connect(&c, &before);
    history_make(before, 3);
    history_add_users(before);
    hash = flow_hashkv(before, 0, 0);
    refused_while_running(&c);
    cluster_kill(&c, 0, SIGTERM);

    TOOL(dry, 0, "defrag", "--data-dir", c.members[0].data_dir, "--dry-run", "--json");
    TOOL(run, 0, "defrag", "--data-dir", c.members[0].data_dir, "--keep-backup",
         "--json");
    flow_json(&dry, &would);
    flow_json(&run, &did);
    cr_assert_eq(flow_number(would, "size_after"), flow_number(did, "size_after"));
    cr_assert_lt(flow_number(did, "size_after"), flow_number(did, "size_before"));
    cr_assert_eq((uint32_t)flow_number(did, "hashkv"), hash.hash, "%s", b->name);
    bbolt_check(db_of(&c));

    /* With db.bak beside it; and it works as well as any. */
    cluster_boot(&c, 0);
    cluster_wait(&c, 0);
    flow_connect(&c, &after);
    same_hash(hash, flow_hashkv(after, 0, hash.revision), b->name);
    history_fill(after, "later", 300, 100);
    OK(wire_compact(after, history_revision(after) - 5, true, &e), &e);
    OK(wire_defragment(after, 0, 0, &e), &e);
}

/* Of records of some thousand bytes a leaf takes several pages, as etcd itself never
 * writes them. It takes such leaves apart when some of their records go, and the rest is
 * whole. */
EACH_ETCD(defrag, leaves_of_several_pages_are_compacted_by_the_server)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) before = NULL;
    OWNED(wire_client) after = NULL;
    OWNED(wire_client) again = NULL;
    struct flow_hash hash;
    struct err e = { 0 };
    char key[32];

    cluster_start(&c, b, NULL);
    flow_connect(&c, &before);
    history_fill(before, "large", 1000, 2500);
    cluster_kill(&c, 0, SIGTERM);
    TOOL(run, 0, "defrag", "--data-dir", c.members[0].data_dir);
    bbolt_check(db_of(&c));

    cluster_boot(&c, 0);
    cluster_wait(&c, 0);
    flow_connect(&c, &after);
    for (int i = 0; i < 1000; i += 3) {
        snprintf(key, sizeof key, "large/%06d", i);
        history_put(after, key, "small");
    }
    OK(wire_compact(after, history_revision(after) - 1, true, &e), &e);
    hash = flow_hashkv(after, 0, 0);
    cluster_kill(&c, 0, SIGTERM);
    bbolt_check(db_of(&c));

    cluster_boot(&c, 0);
    cluster_wait(&c, 0);
    flow_connect(&c, &again);
    same_hash(hash, flow_hashkv(again, 0, hash.revision), b->name);
}

/* ---- compaction -------------------------------------------------------------------- */

struct records {
    bool in_key;
    uint64_t count;
    uint32_t crc;
};

static enum rc note_bucket(void *arg, struct bytes name, struct err *e)
{
    (void)e;
    ((struct records *)arg)->in_key = mvcc_bucket_find(name) == MVCC_KEY;
    return RC_OK;
}

static enum rc note_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                         struct err *e)
{
    struct records *r = arg;

    (void)page;
    (void)e;
    if (!r->in_key)
        return RC_OK;
    r->count++;
    r->crc = r->crc * 31 + mvcc_pair_crc(key, value);
    return RC_OK;
}

/* Of bucket key: how many, and what. */
static struct records records_of(const char *dir)
{
    struct records r = { 0 };
    const struct bolt_visitor v = { &r, note_bucket, note_pair };
    struct bolt_walk_result walked;
    OWNED(bolt_file) file = NULL;
    struct err e = { 0 };
    char path[600];

    snprintf(path, sizeof path, "%s/member/snap/db", dir);
    OK(bolt_file_open(path, NULL, &file, &e), &e);
    OK(bolt_walk(file, &v, NULL, &walked, &e), &e);
    return r;
}

/* A history whose revision R deletes a key: what is compacted there tells old and new
 * rule apart. */
static int64_t make_history(struct wire_client *c)
{
    struct history_random r = { 11 };
    struct wire_header h = { 0 };
    struct err e = { 0 };
    int64_t deleted;

    history_fill(c, "fill", 300, 60);
    history_fill(c, "fill", 200, 70);
    history_grow(c, &r, 50, 2);
    history_put(c, "gone", "1");
    history_put(c, "gone", "2");
    OK(wire_delete(c, bytes_str("gone"), (struct bytes){ 0 }, &deleted, &h, &e), &e);
    cr_assert_eq(deleted, 1);
    history_grow(c, &r, 15, 0);
    return h.revision;
}

/* The server itself compacts its copy and defragments it. */
static void compact_by_server(struct cluster *c, const char *dir, int64_t revision)
{
    OWNED(wire_client) w = NULL;
    struct err e = { 0 };

    boot_on(c, dir);
    flow_connect(c, &w);
    OK(wire_compact(w, revision, true, &e), &e);
    OK(wire_defragment(w, 0, 0, &e), &e);
    cluster_kill(c, 0, SIGTERM);
}

enum { HASHES_MAX = 64 };

/* HashKV of every revision from the compaction on, of a server that has just booted: it
 * would otherwise answer from what it remembers of the compaction. etcd before 3.4.27
 * does not answer for the compaction's revision itself. */
static unsigned hashes_of(struct cluster *c, const char *dir, int64_t revision,
                          struct flow_hash out[static HASHES_MAX])
{
    OWNED(wire_client) w = NULL;
    unsigned n = 0;
    int64_t head;

    boot_on(c, dir);
    flow_connect(c, &w);
    head = history_revision(w);
    for (int64_t r = revision + (c->backend->minor == 4); r <= head; r++)
        if (n < HASHES_MAX)
            out[n++] = flow_hashkv(w, 0, r);
    cluster_kill(c, 0, SIGTERM);
    return n;
}

static void compact_offline(const struct cluster *c, const char *dir, int64_t revision)
{
    /* The packaged 3.4 is older than 3.4.34. */
    const char *target = c->backend->minor == 4 ? "3.4.23" : c->backend->version;
    OWNED(json) would = NULL;
    OWNED(json) did = NULL;
    char number[32];

    snprintf(number, sizeof number, "%" PRId64, revision);
    TOOL(dry, 0, "compact", "--data-dir", dir, "--revision", number, "--target-version",
         target, "--dry-run", "--json");
    TOOL(run, 0, "compact", "--data-dir", dir, "--revision", number, "--target-version",
         target, "--json");
    flow_json(&dry, &would);
    flow_json(&run, &did);
    cr_assert_eq(flow_number(did, "compact_revision"), revision);
    cr_assert_gt(flow_number(did, "records_dropped"), 200);
    cr_assert_eq(flow_number(did, "records_dropped"),
                 flow_number(would, "records_dropped"));
    cr_assert_eq(flow_number(did, "size_after"), flow_number(would, "size_after"));
    TOOL(again, 5, "compact", "--data-dir", dir, "--revision", number);
}

EACH_ETCD(compact, is_what_the_server_does)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    struct flow_hash theirs[HASHES_MAX], ours[HASHES_MAX];
    struct records want, got;
    char server[600], offline[600], path[700];
    int64_t revision;
    unsigned n;

    cluster_start(&c, b, NULL);
    flow_connect(&c, &w);
    revision = make_history(w);
    cluster_kill(&c, 0, SIGTERM);
    snprintf(server, sizeof server, "%s/server", c.dir);
    snprintf(offline, sizeof offline, "%s/offline", c.dir);
    copy_dir(&c, server);
    copy_dir(&c, offline);

    compact_by_server(&c, server, revision);
    compact_offline(&c, offline, revision);
    snprintf(path, sizeof path, "%s/member/snap/db", offline);
    bbolt_check(path);
    want = records_of(server);
    got = records_of(offline);
    cr_assert(want.count == got.count && want.crc == got.crc,
              "%s: %" PRIu64 " records by the server, %" PRIu64 " offline", b->name,
              want.count, got.count);
    n = hashes_of(&c, server, revision, theirs);
    cr_assert_gt(n, 10);
    cr_assert_eq(hashes_of(&c, offline, revision, ours), n);
    for (unsigned i = 0; i < n; i++)
        same_hash(theirs[i], ours[i], b->name);
}

/* ---- snapshots --------------------------------------------------------------------- */

/* By etcd's own tool, which compares the SHA-256 at the end. */
static void restore_by_peer(const struct cluster *c, const char *file, const char *dir)
{
    static const char *const v3[] = { "ETCDCTL_API=3", NULL };
    const bool old = c->backend->minor == 4;
    const struct proc_options o = { .env = old ? v3 : NULL };
    const char *tool = cluster_tool(c->backend, old ? "etcdctl" : "etcdutl");
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 };

    flow_tool(&p, 0, &o,
              (const char *const[]){
                  tool, "snapshot", "restore", file, "--data-dir", dir, "--name",
                  c->members[0].name, "--initial-cluster", cluster_initial(c, 1),
                  "--initial-advertise-peer-urls", cluster_peer_url(c, 0), NULL });
}

/* A snapshot that is compacted offline and then restored is what the server makes of the
 * restored whole one. */
EACH_BACKEND(compact, of_a_golden_snapshot_is_what_the_server_does)
{
    enum { AT = 40 };
    AT_END(buf_clear) struct buf image = golden_snapshot(b->version);
    struct flow_hash theirs[HASHES_MAX], ours[HASHES_MAX];
    char whole[600], small[600], server[600], offline[600];
    CLUSTER c = { 0 };
    unsigned n;

    flow_plan(&c, b, 1);
    snprintf(whole, sizeof whole, "%s/whole.db", c.dir);
    snprintf(small, sizeof small, "%s/small.db", c.dir);
    snprintf(server, sizeof server, "%s/server", c.dir);
    snprintf(offline, sizeof offline, "%s/offline", c.dir);
    golden_write(whole, image.p, image.n);
    TOOL(p, 0, "compact", "--snapshot", whole, "-o", small, "--revision", "40");
    TOOL(v, 0, "snapshot", "verify", "--level", "full", small);
    cr_assert(golden_same(whole, image));
    restore_by_peer(&c, whole, server);
    restore_by_peer(&c, small, offline);
    compact_by_server(&c, server, AT);
    n = hashes_of(&c, server, AT, theirs);
    cr_assert_gt(n, 10);
    cr_assert_eq(hashes_of(&c, offline, AT, ours), n);
    for (unsigned i = 0; i < n; i++)
        same_hash(theirs[i], ours[i], b->name);
}

/* ---- the command line -------------------------------------------------------------- */

#define SAYS(status, text, ...)                                 \
    do {                                                        \
        TOOL(p_, status, __VA_ARGS__);                          \
        cr_assert_not_null(strstr(p_.err, text), "%s", p_.err); \
    } while (0)

CASE(defrag, says_what_is_missing)
{
    AT_END(buf_clear) struct buf image = golden_snapshot("3.5");
    const char *dir = tmpdir_new();
    char file[300], out[300];

    snprintf(file, sizeof file, "%s/x.db", dir);
    snprintf(out, sizeof out, "%s/out.db", dir);
    golden_write(file, image.p, image.n);
    SAYS(2, "give either --data-dir or --snapshot", "defrag", "--data-dir", dir,
         "--snapshot", file);
    SAYS(2, "--output goes with --snapshot", "defrag", "--data-dir", dir, "-o", out);
    SAYS(2, "--keep-backup makes no sense", "defrag", "--snapshot", file, "-o", out,
         "--keep-backup");
    SAYS(2, "--snapshot needs --output", "compact", "--snapshot", file, "--revision",
         "40");
    SAYS(2, "Neither --revision nor --keep-revisions", "compact", "--snapshot", file,
         "-o", out);
    SAYS(2, "is no number of revisions", "compact", "--snapshot", file, "-o", out,
         "--revision", "ten");
    SAYS(2, "is no version from 3.4 to 3.7", "compact", "--snapshot", file, "-o", out,
         "--revision", "40", "--target-version", "2.3");
    SAYS(2, "lies in the future: the database is at 56", "compact", "--snapshot", file,
         "-o", out, "--revision", "57");
    SAYS(5, "was compacted at 21", "compact", "--snapshot", file, "-o", out, "--revision",
         "21");
    SAYS(5, "exists already", "defrag", "--snapshot", file, "-o", file);
    SAYS(10, "cannot open", "defrag", "--data-dir", "/nonexistent");
    SAYS(3, "zstd data", "defrag", "--snapshot", "tests/golden/etcd-3.5/snapshot.db.zst",
         "-o", out);
    cr_assert_str_eq(dir_listing(dir), "x.db");
    cr_assert(golden_same(file, image));
}
