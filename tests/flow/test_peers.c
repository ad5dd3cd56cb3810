/* etcd's own tools accept what we write, and we what they write. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/flow/flow.h"
#include "tests/flow/history.h"
#include "tests/flow/picture.h"

/* `snapshot ...` of that version: etcdutl, and before 3.5 etcdctl. */
#define PEER_SNAPSHOT(p, b, ...)                                                        \
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 };                                   \
    flow_tool(                                                                          \
        &p, 0, &peer_options,                                                           \
        (const char *const[]){ cluster_tool(b, (b)->minor < 5 ? "etcdctl" : "etcdutl"), \
                               "snapshot", __VA_ARGS__, NULL })

static const struct proc_options peer_options = {
    .env = (const char *const[]){ "ETCDCTL_API=3", NULL },
};

static void start_with_history(struct cluster *c, const struct cluster_backend *b,
                               struct wire_client **w)
{
    cluster_start(c, b, NULL);
    flow_connect(c, w);
    history_make(*w, (uint64_t)b->minor);
    history_add_users(*w);
}

static const char *save(const struct cluster *c, const char *name)
{
    const char *file = path_in(c->dir, name);

    TOOL(p, 0, "snapshot", "save", file, "--endpoints", cluster_endpoints(c));
    return file;
}

static void restore_ours(const struct cluster *to, const char *file, const char *target)
{
    const struct cluster_member *m = &to->members[0];

    TOOL(p, 0, "restore", file, "--name", m->name, "--data-dir", m->data_dir,
         "--initial-cluster", cluster_initial(to, 1), "--bump-revision", "0", "-i",
         path_in(to->dir, "key"), "--target-version", target);
}

/* The running member serves what the picture shows. */
static void serves(struct cluster *c, const struct picture *want, struct flow_hash hash,
                   const char *what)
{
    OWNED(wire_client) w = NULL;
    PICTURE is = { 0 };
    struct flow_hash got;

    cluster_boot_first(c, 1);
    flow_connect_to(c, 0, &w);
    picture_take(w, &is);
    picture_same(want, &is, what);
    got = flow_hashkv(w, 0, want->revision);
    cr_assert(got.hash == hash.hash && got.compact == hash.compact,
              "%s: HashKV is %u, was %u", what, got.hash, hash.hash);
    history_put(w, "writes", "work");
    cluster_kill(c, 0, SIGKILL);
}

/* totalKey counted every record of every bucket until 3.5, and live keys since. */
static void same_status(const struct cluster_backend *b, const char *file)
{
    OWNED(json) ours = NULL;
    OWNED(json) theirs = NULL;

    PEER_SNAPSHOT(t, b, "status", file, "-w", "json");
    TOOL(o, 0, "snapshot", "status", file, "-w", "json");
    flow_json(&t, &theirs);
    flow_json(&o, &ours);
    cr_assert_eq(flow_number(ours, "hash"), flow_number(theirs, "hash"), "%s", b->name);
    cr_assert_eq(flow_number(ours, "revision"), flow_number(theirs, "revision"), "%s",
                 b->name);
    cr_assert_eq(flow_number(ours, "totalSize"), flow_number(theirs, "totalSize"), "%s",
                 b->name);
    cr_assert_eq(flow_number(ours, b->minor < 6 ? "records" : "totalKey"),
                 flow_number(theirs, "totalKey"), "%s", b->name);
    if (b->minor >= 6)
        cr_assert_str_eq(flow_text(ours, "version"), flow_text(theirs, "version"));
}

EACH_BACKEND(peers, status_and_verify_agree_on_both_tools_files)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    OWNED(json) said = NULL;
    const char *file;
    struct flow_hash hash;

    start_with_history(&c, b, &w);
    same_status(b, save(&c, "ours.db"));
    file = path_in(c.dir, "theirs.db");
    CTL(&c, 0, "snapshot", "save", file);
    same_status(b, file);
    hash = flow_hashkv(w, 0, 0);
    TOOL(v, 0, "snapshot", "verify", file, "--json", "--against-cluster", "--endpoints",
         cluster_endpoints(&c));
    flow_json(&v, &said);
    cr_assert_eq(flow_number(said, "hashkv"), hash.hash, "%s", b->name);
    cr_assert_eq(flow_number(said, "revision"), hash.revision, "%s", b->name);
    cr_assert_eq(flow_number(said, "compact_revision"), hash.compact, "%s", b->name);
    cr_assert_eq(json_count(json_get(said, "findings")), 0, "%s: %s", b->name, v.out);
}

static void open_with_standard_tools(const char *dir, const char *sealed,
                                     const char *plain)
{
    char line[2048];

    snprintf(line, sizeof line, "age -d -i '%s' '%s' | zstd -dq > '%s'",
             path_in(dir, "key"), sealed, plain);
    PEER(p, "sh", "-c", line);
}

static void restore_theirs(const struct cluster *to, const char *file)
{
    const struct cluster_member *m = &to->members[0];

    PEER_SNAPSHOT(p, to->backend, "restore", file, "--name", m->name, "--data-dir",
                  m->data_dir, "--initial-cluster", cluster_initial(to, 1),
                  "--initial-advertise-peer-urls", cluster_peer_url(to, 0));
}

/* The promise: without us, age and zstd give a file that etcd's own restore takes; and
 * both restores make the same cluster. */
EACH_BACKEND(peers, age_and_zstd_give_a_file_that_their_restore_takes)
{
    CLUSTER from = { 0 }, theirs = { 0 }, ours = { 0 };
    OWNED(wire_client) w = NULL;
    PICTURE old = { 0 };
    struct flow_hash hash;
    const char *sealed, *plain;

    start_with_history(&from, b, &w);
    picture_take(w, &old);
    hash = flow_hashkv(w, 0, 0);
    sealed = path_in(from.dir, "x.db.zst.age");
    plain = path_in(from.dir, "plain.db");
    TOOL(p, 0, "snapshot", "save", sealed, "-r", flow_keygen(from.dir), "--endpoints",
         cluster_endpoints(&from));
    cluster_kill(&from, 0, SIGTERM);
    open_with_standard_tools(from.dir, sealed, plain);

    flow_plan(&theirs, b, 1);
    restore_theirs(&theirs, plain);
    serves(&theirs, &old, hash, "their restore");
    flow_plan(&ours, b, 1);
    flow_keygen(ours.dir);
    restore_ours(&ours, plain, b->version);
    serves(&ours, &old, hash, "our restore");
}

EACH_BACKEND(peers, we_open_what_age_and_zstd_wrap)
{
    CLUSTER c = { 0 };
    const char *plain, *recipient, *key;
    char line[2048];

    cluster_start(&c, b, NULL);
    plain = path_in(c.dir, "x.db");
    CTL(&c, 0, "snapshot", "save", plain);
    recipient = flow_keygen(c.dir);
    key = path_in(c.dir, "key");
    snprintf(line, sizeof line,
             "zstd -q '%s' && age -r %s -o '%s.zst.age' '%s.zst' && "
             "age -a -r %s -o '%s.age' '%s'",
             plain, recipient, plain, plain, recipient, plain, plain);
    PEER(p, "sh", "-c", line);
    TOOL(v1, 0, "snapshot", "verify", path_in(c.dir, "x.db.zst"));
    TOOL(v2, 0, "snapshot", "verify", path_in(c.dir, "x.db.zst.age"), "-i", key);
    TOOL(v3, 0, "snapshot", "verify", path_in(c.dir, "x.db.age"), "-i", key);
}

/* From one version to another. */
static void cross(const char *from_version, const char *to_version)
{
    const struct cluster_backend *old = cluster_backend(from_version);
    const struct cluster_backend *new = cluster_backend(to_version);
    CLUSTER from = { 0 }, to = { 0 };
    OWNED(wire_client) w = NULL;
    PICTURE before = { 0 };
    struct flow_hash hash;
    const char *file;
    char what[64];

    snprintf(what, sizeof what, "from %s to %s", from_version, to_version);
    start_with_history(&from, old, &w);
    picture_take(w, &before);
    hash = flow_hashkv(w, 0, 0);
    file = save(&from, "x.db");
    cluster_kill(&from, 0, SIGTERM);
    flow_plan(&to, new, 1);
    flow_keygen(to.dir);
    restore_ours(&to, file, to_version);
    serves(&to, &before, hash, what);
}

#define CROSS(from, to, from_version, to_version)                         \
    CASE(peers, from##_snapshot_boots_on_##to, .timeout = FLOW_TIMEOUT_S) \
    {                                                                     \
        flow_need(from_version);                                          \
        flow_need(to_version);                                            \
        cross(from_version, to_version);                                  \
    }

/* clang-format off */
CROSS(a_3_4, 3_5, "3.4", "3.5")
CROSS(a_3_4, 3_6, "3.4", "3.6")
CROSS(a_3_4, 3_7, "3.4", "3.7")
CROSS(a_3_5, 3_7, "3.5", "3.7")
CROSS(a_3_7, 3_6, "3.7", "3.6")
CROSS(a_3_7, 3_5, "3.7", "3.5")
CROSS(a_3_7, 3_4, "3.7", "3.4")
/* clang-format on */
