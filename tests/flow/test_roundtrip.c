/* Save, verify, restore, boot: nothing is lost, on every etcd. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/flow/flow.h"
#include "tests/flow/history.h"
#include "tests/flow/picture.h"
#include "util/clock.h"
#include "wire/auth.h"
#include "wire/cluster.h"
#include "wire/kv.h"
#include "wire/maintenance.h"

/* Saves to DIR/x.db.zst.age and proves the copy; the key file is DIR/key. */
static const char *save_sealed(const struct cluster *c)
{
    const char *file = path_in(c->dir, "x.db.zst.age"), *key = path_in(c->dir, "key");
    const char *recipient = flow_keygen(c->dir);

    if (c->user != NULL) {
        TOOL(p, 0, "snapshot", "save", file, "--endpoints", cluster_endpoints(c), "-r",
             recipient, "--user", c->user);
    } else {
        TOOL(p, 0, "snapshot", "save", file, "--endpoints", cluster_endpoints(c), "-r",
             recipient);
    }
    TOOL(v, 0, "snapshot", "verify", "--level", "full", file, "-i", key, "--json");
    return file;
}

/* Restores member i of `to` as the only one of a new cluster. */
static void restore_alone(const struct cluster *to, const char *file, const char *key,
                          const char *bump)
{
    const struct cluster_member *m = &to->members[0];

    TOOL(p, 0, "restore", file, "-i", key, "--name", m->name, "--data-dir", m->data_dir,
         "--initial-cluster", cluster_initial(to, 1), "--initial-advertise-peer-urls",
         cluster_peer_url(to, 0), "--bump-revision", bump);
}

static void same_hash(struct flow_hash a, struct flow_hash b, const char *what)
{
    cr_assert(a.hash == b.hash && a.compact == b.compact,
              "%s: HashKV %u at compaction %" PRId64 ", then %u at %" PRId64, what,
              a.hash, a.compact, b.hash, b.compact);
}

/* A promotion is refused until the learner has caught up with its leader. */
static void promote(struct wire_client *c, uint64_t id, const char *what)
{
    uint64_t end = clock_ms() + 60000;
    struct err e = { 0 };

    while (wire_member_promote(c, id, &e) != RC_OK) {
        cr_assert(clock_ms() < end, "%s: not promoted: %s / %s", what, e.what, e.why);
        clock_sleep_ms(100);
    }
}

/* Waits until member i has applied all that member 0 has, for HashKV at one revision. */
static void catch_up(struct wire_client *c, size_t i, int64_t revision)
{
    uint64_t end = clock_ms() + 60000;
    int64_t at = 0;

    while (at < revision) {
        struct wire_status s = { 0 };
        struct err e = { 0 };

        if (wire_status_get(c, i, &s, &e) == RC_OK)
            at = s.header.revision;
        wire_status_clear(&s);
        cr_assert(clock_ms() < end, "member %zu stays at revision %" PRId64, i, at);
        if (at < revision)
            clock_sleep_ms(50);
    }
}

/* The new member has nothing: it can only start from the .snap file that the restore
 * wrote and the database beside it. */
static void add_member(struct cluster *c, struct wire_client *w)
{
    AT_END(str_list_clear) struct str_list urls = { 0 };
    OWNED(wire_client) both = NULL;
    struct err e = { 0 };
    uint64_t id = 0;
    int64_t head;

    OK(str_list_add(&urls, cluster_peer_url(c, 1), &e), &e);
    OK(wire_member_add(w, &urls, true, &id, &e), &e);
    cluster_boot_joining(c, 1, cluster_initial(c, 2));
    promote(w, id, c->backend->name);
    history_put(w, "after-promotion", "1");
    head = history_revision(w);
    flow_connect(c, &both);
    catch_up(both, 1, head);
    same_hash(flow_hashkv(both, 0, head), flow_hashkv(both, 1, head), "the new member");
}

EACH_BACKEND(roundtrip, nothing_is_lost_and_a_member_can_join)
{
    CLUSTER from = { 0 }, to = { 0 };
    OWNED(wire_client) before = NULL;
    OWNED(wire_client) after = NULL;
    PICTURE old = { 0 }, new = { 0 };
    struct flow_hash hash;
    const char *file;

    cluster_start(&from, b, NULL);
    flow_connect(&from, &before);
    history_make(before, 1);
    history_add_users(before);
    picture_take(before, &old);
    hash = flow_hashkv(before, 0, 0);
    cr_assert(old.keys > 1500 && old.leases == 5, "%zu keys", old.keys);
    file = save_sealed(&from);
    cluster_kill(&from, 0, SIGTERM);

    flow_plan(&to, b, 2);
    restore_alone(&to, file, path_in(from.dir, "key"), "0");
    cluster_boot_first(&to, 1);
    flow_connect_to(&to, 0, &after);
    same_hash(hash, flow_hashkv(after, 0, 0), b->name);
    picture_take(after, &new);
    picture_same(&old, &new, b->name);
    cr_assert_eq(old.revision, new.revision, "%s", b->name);
    add_member(&to, after);
}

/* With authentication on: the snapshot is taken by root, and the users, their passwords
 * and the rule itself are there again. */
EACH_BACKEND(roundtrip, authentication_stays_on)
{
    CLUSTER from = { 0 }, to = { 0 };
    OWNED(wire_client) w = NULL;
    OWNED(wire_client) root = NULL;
    OWNED(wire_client) alice = NULL;
    OWNED(wire_client) after = NULL;
    PICTURE old = { 0 }, new = { 0 };
    struct flow_hash hash;
    struct err e = { 0 };
    const char *file;

    cluster_start(&from, b, NULL);
    flow_connect(&from, &w);
    history_fill(w, "fill", 200, 50);
    history_add_users(w);
    OK(wire_auth_enable(w, &e), &e);
    from.user = "root:pw";
    flow_connect(&from, &root);
    picture_take(root, &old);
    hash = flow_hashkv(root, 0, 0);
    file = save_sealed(&from);
    cluster_kill(&from, 0, SIGTERM);

    flow_plan(&to, b, 1);
    restore_alone(&to, file, path_in(from.dir, "key"), "0");
    cluster_boot_first(&to, 1);
    to.user = "alice:secret";
    flow_connect(&to, &alice);
    cr_assert_eq(wire_put(alice, bytes_str("fill/x"), bytes_str("1"), 0, NULL, &e),
                 RC_AUTH, "%s: alice may only read", b->name);
    to.user = "root:pw";
    flow_connect(&to, &after);
    same_hash(hash, flow_hashkv(after, 0, 0), b->name);
    picture_take(after, &new);
    picture_same(&old, &new, b->name);
}

/* A watcher that was at `revision` must learn that it has missed something. */
static void watch_is_refused(const struct cluster *c, int64_t revision)
{
    char rev[32];
    const char *out;

    snprintf(rev, sizeof rev, "--rev=%" PRId64, revision);
    cluster_ctl_try(c, 0, (const char *const[]){ "watch", "h/0001", rev, NULL }, &out);
    cr_assert(strstr(out, "compacted") != NULL, "%s: watch %s said: %s", c->backend->name,
              rev, out);
}

EACH_BACKEND(roundtrip, no_revision_is_used_twice_after_a_bump)
{
    CLUSTER from = { 0 }, to = { 0 };
    OWNED(wire_client) before = NULL;
    OWNED(wire_client) after = NULL;
    PICTURE old = { 0 }, new = { 0 };
    struct wire_header h = { 0 };
    struct err e = { 0 };
    const char *file;

    cluster_start(&from, b, NULL);
    flow_connect(&from, &before);
    history_fill(before, "fill", 200, 50);
    picture_take(before, &old);
    file = path_in(from.dir, "x.db");
    TOOL(s, 0, "snapshot", "save", file, "--endpoints", cluster_endpoints(&from));
    cluster_kill(&from, 0, SIGTERM);

    flow_plan(&to, b, 1);
    TOOL(r, 0, "restore", file, "--name", "m0", "--data-dir", to.members[0].data_dir,
         "--initial-cluster", cluster_initial(&to, 1), "--bump-revision", "auto",
         "--mark-compacted");
    cluster_boot_first(&to, 1);
    flow_connect(&to, &after);
    watch_is_refused(&to, old.revision);
    watch_is_refused(&to, old.revision + 1);
    OK(wire_put(after, bytes_str("new"), bytes_str("1"), 0, &h, &e), &e);
    cr_assert_gt(h.revision, old.revision + 1000000000, "%s: a put got %" PRId64, b->name,
                 h.revision);
    OK(wire_delete(after, bytes_str("new"), (struct bytes){ 0 }, &(int64_t){ 0 }, NULL,
                   &e),
       &e);
    picture_take(after, &new);
    picture_same(&old, &new, b->name);
}

/* A snapshot with Kubernetes keys is bumped unasked, and what comes of it is a database
 * like any other: it survives a second boot, is saved, proved and restored again. */
EACH_BACKEND(roundtrip, a_bumped_cluster_is_like_any_other)
{
    CLUSTER from = { 0 }, to = { 0 }, again = { 0 };
    OWNED(wire_client) before = NULL;
    OWNED(wire_client) after = NULL;
    OWNED(wire_client) last = NULL;
    PICTURE old = { 0 }, new = { 0 };
    struct flow_hash hash;
    const char *file;

    cluster_start(&from, b, NULL);
    flow_connect(&from, &before);
    history_make(before, 5);
    history_fill(before, "/registry/pods", 50, 100);
    file = path_in(from.dir, "x.db");
    TOOL(s, 0, "snapshot", "save", file, "--endpoints", cluster_endpoints(&from));
    cluster_kill(&from, 0, SIGTERM);

    flow_plan(&to, b, 1);
    TOOL(r, 0, "restore", file, "--name", "m0", "--data-dir", to.members[0].data_dir,
         "--initial-cluster", cluster_initial(&to, 1));
    cluster_boot_first(&to, 1);
    watch_is_refused(&to, 10);
    cluster_kill(&to, 0, SIGTERM);
    cluster_boot_first(&to, 1);
    flow_connect(&to, &after);
    history_fill(after, "/registry/pods", 20, 50);
    picture_take(after, &old);
    cr_assert_gt(old.revision, 1000000000, "%s", b->name);
    hash = flow_hashkv(after, 0, 0);
    file = path_in(to.dir, "y.db");
    TOOL(s2, 0, "snapshot", "save", file, "--endpoints", cluster_endpoints(&to));
    TOOL(v2, 0, "snapshot", "verify", file, "--against-cluster", "--endpoints",
         cluster_endpoints(&to));
    cluster_kill(&to, 0, SIGTERM);

    flow_plan(&again, b, 1);
    TOOL(r2, 0, "restore", file, "--name", "m0", "--data-dir", again.members[0].data_dir,
         "--initial-cluster", cluster_initial(&again, 1), "--bump-revision", "0");
    cluster_boot_first(&again, 1);
    flow_connect(&again, &last);
    same_hash(hash, flow_hashkv(last, 0, 0), b->name);
    picture_take(last, &new);
    picture_same(&old, &new, b->name);
}

/* Nothing but a cluster id, and its log on another disk. */
EACH_ETCD(roundtrip, an_empty_store_with_a_wal_dir)
{
    static char wal[600];
    const char *const flags[] = { "--wal-dir", wal, NULL };
    CLUSTER from = { 0 }, to = { 0 };
    OWNED(wire_client) before = NULL;
    OWNED(wire_client) after = NULL;
    struct flow_hash hash;
    const char *file;

    cluster_start(&from, b, NULL);
    flow_connect(&from, &before);
    hash = flow_hashkv(before, 0, 0);
    file = path_in(from.dir, "x.db");
    TOOL(s, 0, "snapshot", "save", file, "--endpoints", cluster_endpoints(&from));
    cluster_plan(&to, b, &(struct cluster_options){ .flags = flags });
    snprintf(wal, sizeof wal, "%s/wal", to.dir);
    TOOL(r, 0, "restore", file, "--name", "m0", "--data-dir", to.members[0].data_dir,
         "--initial-cluster", cluster_initial(&to, 1), "--wal-dir", wal);
    cluster_boot_first(&to, 1);
    flow_connect(&to, &after);
    same_hash(hash, flow_hashkv(after, 0, 0), b->name);
    history_put(after, "first", "1");
    cr_assert_eq(history_revision(after), 2, "%s", b->name);
}

static void restore_by_plan(const struct cluster *to, const char *file, unsigned i)
{
    const struct cluster_member *m = &to->members[i];

    TOOL(p, 0, "restore", file, "--plan", path_in(to->dir, "plan.json"), "--member",
         m->name, "--data-dir", m->data_dir);
}

EACH_BACKEND(roundtrip, three_members_from_one_plan)
{
    CLUSTER from = { 0 }, to = { 0 };
    OWNED(wire_client) before = NULL;
    OWNED(wire_client) after = NULL;
    PICTURE old = { 0 }, new = { 0 };
    const char *file;

    cluster_start(&from, b, NULL);
    flow_connect(&from, &before);
    history_make(before, 3);
    picture_take(before, &old);
    file = path_in(from.dir, "x.db.zst");
    TOOL(s, 0, "snapshot", "save", file, "--endpoints", cluster_endpoints(&from));
    cluster_kill(&from, 0, SIGTERM);

    flow_plan(&to, b, 3);
    TOOL(p, 0, "restore", file, "--write-plan", path_in(to.dir, "plan.json"), "--name",
         "m0", "--initial-cluster", cluster_initial(&to, 3));
    for (unsigned i = 0; i < 3; i++)
        restore_by_plan(&to, file, i);
    cluster_boot_first(&to, 3);
    flow_connect(&to, &after);
    picture_take(after, &new);
    picture_same(&old, &new, b->name);
    history_put(after, "elected", "1");
    for (unsigned i = 0; i < 3; i++) {
        catch_up(after, i, new.revision + 1);
        same_hash(flow_hashkv(after, 0, new.revision + 1),
                  flow_hashkv(after, i, new.revision + 1), b->name);
    }
}

/* A cluster at its worst: one member removed, a learner that never started, and the
 * NOSPACE alarm. Only the member's own process runs. */
static void spoil(const struct cluster *c, struct wire_client *w)
{
    AT_END(str_list_clear) struct str_list gone = { 0 }, learner = { 0 };
    static uint8_t large[1 << 20];
    struct err e = { 0 };
    uint64_t id = 0;
    char key[32];
    int puts = 0;

    OK(str_list_add(&gone, "http://127.0.0.1:1", &e), &e);
    OK(str_list_add(&learner, "http://127.0.0.1:2", &e), &e);
    OK(wire_member_add(w, &gone, true, &id, &e), &e);
    OK(wire_member_remove(w, id, &e), &e);
    OK(wire_member_add(w, &learner, true, &id, &e), &e);
    do
        snprintf(key, sizeof key, "large-%d", puts++);
    while (puts < 64 &&
           wire_put(w, bytes_str(key), BYTES_OF(large), 0, NULL, &e) == RC_OK);
    cr_assert_eq(wire_last(w)->detail, WIRE_NO_SPACE, "%s: %s", c->backend->name, e.why);
}

EACH_BACKEND(roundtrip, the_old_clusters_troubles_stay_behind)
{
    static const char *const small[] = { "--quota-backend-bytes=4194304", NULL };
    CLUSTER from = { 0 }, to = { 0 };
    OWNED(wire_client) before = NULL;
    OWNED(wire_client) after = NULL;
    OWNED(json) said = NULL;
    AT_END(wire_alarms_clear) struct wire_alarms alarms = { 0 };
    AT_END(wire_members_clear) struct wire_members members = { 0 };
    struct err e = { 0 };
    const char *file;

    cluster_start(&from, b, &(struct cluster_options){ .flags = small });
    flow_connect(&from, &before);
    spoil(&from, before);
    OK(wire_alarm_list(before, &alarms, &e), &e);
    cr_assert_eq(alarms.count, 1, "%s", b->name);
    wire_alarms_clear(&alarms);
    file = path_in(from.dir, "x.db");
    TOOL(s, 8, "snapshot", "save", file, "--endpoints", cluster_endpoints(&from));
    cr_assert(strstr(s.err, "NOSPACE alarm") != NULL, "%s", s.err);
    cluster_kill(&from, 0, SIGTERM);

    flow_plan(&to, b, 1);
    TOOL(r, 0, "restore", file, "--name", "m0", "--data-dir", to.members[0].data_dir,
         "--initial-cluster", cluster_initial(&to, 1), "--json");
    flow_json(&r, &said);
    cr_assert_eq(flow_number(json_get(said, "left_behind"), "alarms"), 1);
    cr_assert_eq(flow_number(json_get(said, "left_behind"), "learners"), 1);
    cluster_boot_first(&to, 1);
    flow_connect(&to, &after);
    OK(wire_alarm_list(after, &alarms, &e), &e);
    cr_assert_eq(alarms.count, 0, "%s: the alarm came along", b->name);
    history_put(after, "writes", "work");
    OK(wire_member_list(after, WIRE_ANY, false, &members, &e), &e);
    cr_assert(members.count == 1 && strcmp(members.items[0].name, "m0") == 0 &&
                  !members.items[0].is_learner,
              "%s: %zu members", b->name, members.count);
    cr_assert_str_eq(members.items[0].peer_urls.items[0], cluster_peer_url(&to, 0));
}
