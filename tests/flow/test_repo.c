/* The repository: a backup goes in, is proved, and comes out again; whatever is done to
 * what is stored is noticed. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tests/flow/golden.h"
#include "tests/flow/history.h"
#include "tests/flow/picture.h"
#include "tests/flow/trouble.h"
#include "tests/flow/vault.h"
#include "tests/lib/tmpfs.h"
#include "util/clock.h"
#include "wire/auth.h"

#define REPO_ON_36(name)                        \
    static void name##_on_36(void);             \
    CASE(repo, name, .timeout = FLOW_TIMEOUT_S) \
    {                                           \
        flow_need("3.6");                       \
        name##_on_36();                         \
    }                                           \
    static void name##_on_36(void)

static const char canary[] = "canary-9f86d081884c7d65";

/* ---- the whole way, on every etcd ------------------------------------------------- */

static void back_up(const struct vault *v, const struct cluster *c, struct json **out)
{
    VAULT(p, v, 0, "backup", "--endpoints", cluster_endpoints(c), "--json");

    flow_json(&p, out);
    cr_assert_null(strstr(p.err, canary));
}

static void opens_with_standard_tools(const struct vault *v, const char *stored,
                                      const char *opened)
{
    static const char script[] = "age -d -i \"$1\" \"$2\" | zstd -d | cmp - \"$3\"";

    PEER(p, "sh", "-c", script, "sh", v->key, stored, opened);
}

static void restores(const struct cluster_backend *b, const char *file,
                     const struct picture *before)
{
    CLUSTER to = { 0 };
    PICTURE after = { 0 };
    OWNED(wire_client) w = NULL;

    flow_plan(&to, b, 1);
    TOOL(p, 0, "restore", file, "--name", to.members[0].name, "--data-dir",
         to.members[0].data_dir, "--initial-cluster", cluster_initial(&to, 1),
         "--initial-advertise-peer-urls", cluster_peer_url(&to, 0), "--bump-revision",
         "0");
    cluster_boot_first(&to, 1);
    flow_connect(&to, &w);
    picture_take(w, &after);
    picture_same(before, &after, "after backup and restore");
}

static void check_listed(const struct vault *v, const struct json *made)
{
    OWNED(json) list = NULL;
    VAULT(p, v, 0, "list", "--json");
    VAULT(other, v, 0, "list", "--cluster", "mistyped");
    bool proved = false;

    cr_assert_not_null(strstr(other.err, "no backup of 'mistyped'"), "%s", other.err);
    cr_assert_null(strstr(p.err, "no backup"), "%s", p.err);
    flow_json(&p, &list);
    cr_assert_eq(json_count(list), 1);
    cr_assert_eq(flow_number(json_at(list, 0), "sequence"), 1);
    cr_assert_eq(flow_number(json_at(list, 0), "revision"),
                 flow_number(made, "revision"));
    cr_assert_eq(flow_number(json_at(list, 0), "hashkv"), flow_number(made, "hashkv"));
    cr_assert(json_get_bool(json_at(list, 0), "proved", &proved) && proved);
}

static void check_no_leak(const struct vault *v)
{
    const char *in_repo = v->url[0] == '/' ? vault_leak(v->url, canary) : NULL;

    cr_assert_null(in_repo, "a value lies in clear in %s", in_repo);
    cr_assert_null(vault_leak(v->state, canary));
}

static void the_whole_way(const struct cluster_backend *b, struct vault *v)
{
    char stored[600], opened[600];
    CLUSTER c = { 0 };
    PICTURE before = { 0 };
    OWNED(wire_client) w = NULL;
    OWNED(json) made = NULL;

    cluster_start(&c, b, &(struct cluster_options){ .members = 1 });
    flow_connect(&c, &w);
    history_make(w, 7);
    history_put(w, "secret", canary);
    picture_take(w, &before);
    back_up(v, &c, &made);
    check_listed(v, made);
    check_no_leak(v);
    snprintf(stored, sizeof stored, "%s", path_in(v->dir, "s.db.zst.age"));
    snprintf(opened, sizeof opened, "%s", path_in(v->dir, "s.db"));
    VAULT(verify, v, 0, "verify", "--all");
    VAULT(full, v, 0, "verify", "latest", "--level", "full", "-i", v->key);
    VAULT(fetch, v, 0, "fetch", "latest", "-o", stored);
    VAULT(open, v, 0, "fetch", "1", "-o", opened, "-i", v->key);
    VAULT(audit, v, 0, "audit");
    opens_with_standard_tools(v, stored, opened);
    restores(b, opened, &before);
}

EACH_ETCD(repo, a_backup_comes_back)
{
    struct vault v;

    vault_make(&v, vault_directory(), NULL);
    the_whole_way(b, &v);
}

/* ---- nothing new ------------------------------------------------------------------ */

static bool is_skipped(const struct vault *v, const struct cluster *c)
{
    OWNED(json) o = NULL;
    bool skipped = false;
    VAULT(p, v, 0, "backup", "--endpoints", cluster_endpoints(c), "--skip-unchanged",
          "--json");

    flow_json(&p, &o);
    return json_get_bool(o, "skipped", &skipped) && skipped;
}

EACH_ETCD(repo, users_count_when_no_key_was_written)
{
    const bool tells = b->minor >= 5;
    struct vault v;
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    struct err e = { 0 };

    vault_make(&v, vault_directory(), NULL);
    cluster_start(&c, b, &(struct cluster_options){ .members = 1 });
    flow_connect(&c, &w);
    history_put(w, "a", "1");
    cr_assert_not(is_skipped(&v, &c));
    cr_assert_eq(is_skipped(&v, &c), tells);
    OK(wire_user_add(w, "somebody", "secret", &e), &e);
    cr_assert_not(is_skipped(&v, &c), "a user is no key");
    cr_assert_eq(is_skipped(&v, &c), tells);
    history_put(w, "a", "2");
    cr_assert_not(is_skipped(&v, &c));
}

/* ---- a bundle --------------------------------------------------------------------- */

static void check_extracted(const struct vault *v, const char *pki)
{
    static const char same[] = "cmp \"$1/files$2/ca.key\" \"$2/ca.key\"; "
                               "cmp \"$1/snapshot.db\" \"$3\"";
    char dir[600], alone[600];

    snprintf(dir, sizeof dir, "%s", path_in(v->dir, "extracted"));
    snprintf(alone, sizeof alone, "%s", path_in(v->dir, "alone.db"));
    VAULT(p, v, 0, "fetch", "latest", "--extract", dir, "-i", v->key);
    VAULT(open, v, 0, "fetch", "latest", "-o", alone, "-i", v->key);
    PEER(q, "sh", "-ec", same, "sh", dir, pki, alone);
    VAULT(again, v, 5, "fetch", "latest", "--extract", dir, "-i", v->key);
}

REPO_ON_36(a_bundle_brings_the_files_of_the_host)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    char pki[600], data[600];
    struct vault v;

    vault_make(&v, vault_directory(), NULL);
    snprintf(pki, sizeof pki, "%s", tmpdir_new());
    golden_write(path_in(pki, "ca.key"), canary, strlen(canary));
    snprintf(data, sizeof data, "%s", path_in(v.dir, "data"));
    cluster_start(&c, cluster_backend("3.6"), &(struct cluster_options){ .members = 1 });
    flow_connect(&c, &w);
    history_fill(w, "k", 300, 200);
    VAULT(missing, &v, 8, "backup", "--endpoints", cluster_endpoints(&c), "--include",
          pki, "--include", "/nowhere/at/all");
    cr_assert_not_null(strstr(missing.err, "/nowhere/at/all"), "%s", missing.err);
    VAULT(p, &v, 0, "backup", "--endpoints", cluster_endpoints(&c), "--include", pki);
    check_no_leak(&v);
    VAULT(full, &v, 0, "verify", "--all", "--level", "full", "-i", v.key);
    check_extracted(&v, pki);
    VAULT(restore, &v, 0, "restore", "-i", v.key, "--data-dir", data);
    cr_assert_eq(access(path_in(data, "member"), F_OK), 0);
    cr_assert_neq(access(path_in(v.dir, "data.fetched.db"), F_OK), 0);
}

/* ---- what was seen is never seen again under another value ------------------------ */

static void check_doctor(const struct vault *v, const struct cluster *c)
{
    OWNED(json) found = NULL;
    VAULT(p, v, 0, "doctor", "--endpoints", cluster_endpoints(c), "--json");

    flow_json(&p, &found);
    cr_assert_lt(flow_number(found, "backup_age_seconds"), 600);
    usleep(1100000); /* ages are in seconds */
    VAULT(late, v, 8, "doctor", "--endpoints", cluster_endpoints(c), "--backup-age",
          "0s");
    cr_assert_not_null(strstr(late.out, "holdfast backup --repo"), "%s", late.out);
}

/* One plan for all hosts, each of which fetches by itself; another backup is not taken.
 */
static void check_plan(const struct vault *v)
{
    char plan[600], data[600];

    snprintf(plan, sizeof plan, "%s", path_in(v->dir, "plan.json"));
    snprintf(data, sizeof data, "%s", path_in(v->dir, "b"));
    VAULT(p, v, 0, "restore", "--write-plan", plan, "--name", "a", "--initial-cluster",
          "a=http://127.0.0.1:4001,b=http://127.0.0.1:4002", "-i", v->key);
    cr_assert_not_null(strstr(p.out, "--sequence 2 --plan"), "%s", p.out);
    VAULT(other, v, 3, "restore", "--plan", plan, "--member", "b", "--data-dir", data,
          "--sequence", "1", "-i", v->key);
    VAULT(right, v, 0, "restore", "--plan", plan, "--member", "b", "--data-dir", data,
          "--sequence", "2", "-i", v->key);
    cr_assert_eq(access(path_in(data, "member"), F_OK), 0);
}

REPO_ON_36(a_restore_goes_past_all_that_was_ever_seen)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    OWNED(json) first = NULL;
    OWNED(json) second = NULL;
    OWNED(json) done = NULL;
    struct vault v;

    vault_make(&v, vault_directory(), NULL);
    cluster_start(&c, cluster_backend("3.6"), &(struct cluster_options){ .members = 1 });
    flow_connect(&c, &w);
    history_fill(w, "k", 300, 20);
    back_up(&v, &c, &first);
    history_fill(w, "l", 500, 20);
    back_up(&v, &c, &second);
    VAULT(p, &v, 0, "restore", "--sequence", "1", "-i", v.key, "--data-dir",
          path_in(v.dir, "data"), "--json");
    flow_json(&p, &done);
    cr_assert_eq(flow_number(done, "snapshot_revision"), flow_number(first, "revision"));
    cr_assert_gt(flow_number(done, "revision"), flow_number(second, "revision"));
    check_doctor(&v, &c);
    check_plan(&v);
}

/* ---- never at etcd's expense ------------------------------------------------------ */

/* A server and an empty directory on one small disk. */
static bool share_a_disk(const char *disk, struct cluster *c, char *repo, size_t n)
{
    OWNED(wire_client) w = NULL;

    if (!tmpfs_mount(disk, "size=256m"))
        return false;
    setenv("TMPDIR", disk, 1);
    cluster_start(c, cluster_backend("3.6"), &(struct cluster_options){ .members = 1 });
    flow_connect(c, &w);
    history_fill(w, "k", 4000, 1000);
    snprintf(repo, n, "%s", tmpdir_new());
    return true;
}

/* All but a tenth, which is not for backups, and a little. */
static void fill_up(const char *disk)
{
    char size[32];
    struct statvfs fs;

    cr_assert_eq(statvfs(disk, &fs), 0);
    snprintf(size, sizeof size, "%llu",
             (unsigned long long)(fs.f_bavail - fs.f_blocks / 10) * fs.f_frsize -
                 (128ULL << 10));
    PEER(p, "fallocate", "-l", size, path_in(disk, "ballast"));
}

/* The story without us: copies that nobody stops take all of the disk, and the next puts
 * end the server. */
static void without_care_it_ends(struct cluster *c, struct wire_client *w,
                                 const char *disk)
{
    char copies[600];
    struct err e = { 0 };
    unsigned puts = 0;

    snprintf(copies, sizeof copies, "of=%s/copies", disk);
    RUN(p, "dd", "if=/dev/zero", "bs=64k", copies);
    cr_assert_neq(p.status, 0, "the disk is endless");
    while (proc_runs(c->members[0].pid) && puts++ < 400)
        if (trouble_put(w, "key", &e) != RC_OK)
            clock_sleep_ms(100);
    cr_assert(!proc_runs(c->members[0].pid), "it bears %u puts on a full disk", puts);
}

REPO_ON_36(a_backup_never_takes_the_room_of_a_running_etcd)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    const char *disk = tmpdir_new();
    char repo[600];
    struct vault v;
    int64_t before;

    vault_plan(&v, "", NULL);
    if (!share_a_disk(disk, &c, repo, sizeof repo))
        return;
    vault_set(&v, "HOLDFAST_REPO", repo);
    flow_connect(&c, &w);
    before = history_revision(w);
    vault_set(&v, "HOLDFAST_ALLOW_SAME_FILESYSTEM", "false");
    VAULT(refused, &v, 5, "repo", "init", repo);
    cr_assert_not_null(strstr(refused.err, "stops etcd"), "%s", refused.err);
    vault_set(&v, "HOLDFAST_ALLOW_SAME_FILESYSTEM", "true");
    VAULT(init, &v, 0, "repo", "init", repo);
    fill_up(disk);
    VAULT(full, &v, 6, "backup", "--endpoints", cluster_endpoints(&c));
    cr_assert_not_null(strstr(full.err, "keep backups on another file system"), "%s",
                       full.err);
    cr_assert_eq(vault_count(&v), 0);
    cr_assert_null(vault_leak(repo, "age-encryption.org"), "an object is left");
    history_put(w, "after", "the full disk");
    cr_assert_eq(history_revision(w), before + 1);
    without_care_it_ends(&c, w, disk);
    cluster_stop(&c);
    tmpfs_unmount(disk);
}

/* ---- what a backup of a sick cluster is worth ------------------------------------- */

static bool proved_now(const struct vault *v, const struct cluster *c, unsigned from,
                       int status)
{
    OWNED(json) made = NULL;
    bool proved = false;
    VAULT(p, v, status, "backup", "--endpoints", cluster_endpoint(c, from), "--json");

    flow_json(&p, &made);
    cr_assert(json_get_bool(made, "proved", &proved));
    return proved;
}

REPO_ON_36(a_majority_proves_a_backup_and_a_survivor_does_not)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    struct vault v;

    vault_make(&v, vault_directory(), NULL);
    cluster_start(&c, cluster_backend("3.6"), &(struct cluster_options){ .members = 3 });
    flow_connect(&c, &w);
    history_fill(w, "k", 300, 200);
    cr_assert(proved_now(&v, &c, 0, 0), "all three");
    cluster_kill(&c, 2, SIGKILL);
    cluster_wait(&c, 0);
    cr_assert(proved_now(&v, &c, 0, 0), "two of three");
    cluster_kill(&c, 1, SIGKILL);
    cr_assert_not(proved_now(&v, &c, 0, 8), "one of three");
    cr_assert_eq(vault_count(&v), 3, "kept");
}
