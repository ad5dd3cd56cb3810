/* Salvaged databases, served by real etcd: what is left is right, and as much as can be.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/flow/flow.h"
#include "tests/flow/history.h"
#include "tests/flow/picture.h"
#include "tests/forge/forge.h"
#include "util/mem.h"
#include "util/os.h"
#include "wire/kv.h"
#include "wire/lease.h"
#include "wire/maintenance.h"

enum { PAGE = 4096 };

static struct image load(const char *path)
{
    struct image db = { 0 };
    struct err e = { 0 };

    OK(os_read_file(path, (size_t)256 << 20, &db.p, &db.n, &e), &e);
    return db;
}

static void store(const char *path, const struct image *db)
{
    FILE *f = fopen(path, "we");

    cr_assert_not_null(f);
    cr_assert_eq(fwrite(db->p, 1, db->n, f), db->n);
    cr_assert_eq(fclose(f), 0);
}

static void wipe(const struct image *db, uint64_t page)
{
    memset(db->p + page * PAGE, 0, PAGE);
}

/* A member with a history, what clients saw of it, and its snapshot. */
struct scene {
    struct cluster c;
    struct picture picture;
    struct flow_hash hash;
    struct image snapshot;
    const struct cluster_backend *b;
};

static void scene_end(struct scene *s)
{
    picture_clear(&s->picture);
    image_clear(&s->snapshot);
    cluster_end(&s->c);
}
#define SCENE [[gnu::cleanup(scene_end)]] struct scene

static void scene_make(struct scene *s, const struct cluster_backend *b)
{
    OWNED(wire_client) client = NULL;
    char file[600];

    s->b = b;
    cluster_start(&s->c, b, NULL);
    flow_connect(&s->c, &client);
    history_make(client, 11);
    history_fill(client, "late", 200, 200);
    s->hash = flow_hashkv(client, 0, 0);
    picture_take(client, &s->picture);
    snprintf(file, sizeof file, "%s/x.db", s->c.dir);
    TOOL(p, 0, "snapshot", "save", file, "--endpoints", cluster_endpoints(&s->c));
    s->snapshot = load(file);
    cluster_kill(&s->c, 0, SIGTERM);
}

/* Salvages `broken` to NAME.saved, with losses, and boots what a restore makes of it. */
static void serve(const struct scene *s, const char *broken, const char *name,
                  struct cluster *to, struct wire_client **client, struct json **told)
{
    char saved[600];

    snprintf(saved, sizeof saved, "%s/%s.saved", s->c.dir, name);
    TOOL(p, 8, "snapshot", "salvage", broken, "-o", saved, "--json");
    flow_json(&p, told);
    TOOL(v, 0, "snapshot", "verify", saved);
    flow_plan(to, s->b, 1);
    TOOL(r, 0, "restore", saved, "--name", "m0", "--data-dir", to->members[0].data_dir,
         "--initial-cluster", cluster_initial(to, 1));
    cluster_boot_first(to, 1);
    flow_connect(to, client);
}

static void works(struct wire_client *client)
{
    struct err e = { 0 };

    history_fill(client, "after", 100, 100);
    OK(wire_compact(client, history_revision(client) - 2, true, &e), &e);
    OK(wire_defragment(client, 0, 0, &e), &e);
}

/* The branch above all keys is gone: every leaf is found again. */
EACH_BACKEND(salvage, without_the_branch_all_is_saved)
{
    SCENE s = { 0 };
    CLUSTER to = { 0 };
    PICTURE now = { 0 };
    OWNED(wire_client) client = NULL;
    OWNED(json) told = NULL;
    struct flow_hash hash;
    char broken[600];

    scene_make(&s, b);
    wipe(&s.snapshot, forge_branch(&s.snapshot));
    snprintf(broken, sizeof broken, "%s/broken.db", s.c.dir);
    store(broken, &s.snapshot);
    serve(&s, broken, "branch", &to, &client, &told);
    cr_assert_eq(flow_number(told, "revisions_lost"), 0);
    hash = flow_hashkv(client, 0, 0);
    cr_assert(hash.hash == s.hash.hash && hash.revision == s.hash.revision &&
                  hash.compact == s.hash.compact,
              "%s: HashKV %u, was %u", b->name, hash.hash, s.hash.hash);
    picture_take(client, &now);
    picture_same(&s.picture, &now, b->name);
    works(client);
}

static bool is_small(const uint8_t *page)
{
    return le16(page + 10) >= 3 && le32(page + 12) == 0;
}

/* A leaf is gone: the rest is served, its holes as a compaction; HashKV is the one told.
 */
EACH_ETCD(salvage, without_a_leaf_the_rest_is_served)
{
    SCENE s = { 0 };
    CLUSTER to = { 0 };
    OWNED(wire_client) client = NULL;
    OWNED(json) told = NULL;
    struct err e = { 0 };
    struct wire_kvs kvs = { 0 };
    const struct wire_range old = { .key = bytes_str("x"), .revision = 5 };
    char broken[600];

    scene_make(&s, b);
    wipe(&s.snapshot, forge_leaf_with(&s.snapshot, is_small));
    snprintf(broken, sizeof broken, "%s/broken.db", s.c.dir);
    store(broken, &s.snapshot);
    serve(&s, broken, "leaf", &to, &client, &told);
    cr_assert_eq((uint32_t)flow_number(told, "hashkv"),
                 flow_hashkv(client, 0, flow_number(told, "revision")).hash, "%s",
                 b->name);
    cr_assert_eq(flow_number(told, "revision"), s.picture.revision, "%s", b->name);
    cr_assert_neq(wire_range_get(client, &old, &kvs, &e), RC_OK, "%s: a hole is served",
                  b->name);
    works(client);
}

/* Both metas of a stopped member's database are gone: the newest root page is found. */
EACH_ETCD(salvage, of_a_database_without_metas)
{
    SCENE s = { 0 };
    CLUSTER to = { 0 };
    PICTURE now = { 0 };
    OWNED(wire_client) client = NULL;
    OWNED(json) told = NULL;
    OWNED_IMAGE db = { 0 };
    char path[700];

    scene_make(&s, b);
    snprintf(path, sizeof path, "%s/member/snap/db", s.c.members[0].data_dir);
    db = load(path);
    wipe(&db, 0);
    wipe(&db, 1);
    store(path, &db);
    serve(&s, path, "dir", &to, &client, &told);
    picture_take(client, &now);
    picture_same(&s.picture, &now, b->name);
    cr_assert_str_eq(flow_text(told, "root"), "some earlier commit");
    TOOL(again, 5, "snapshot", "salvage", path, "-o", path);
    works(client);
}

/* Leases come and go in place: what stood on a lost page of theirs is not known, whatever
 * is found of it elsewhere. */
EACH_ETCD(salvage, without_a_page_of_leases)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) client = NULL;
    OWNED_IMAGE db = { 0 };
    struct wire_lease lease;
    struct err e = { 0 };
    char path[600], saved[600];

    cluster_start(&c, b, NULL);
    flow_connect(&c, &client);
    for (int64_t id = 1; id <= 100; id++)
        OK(wire_lease_grant(client, id, 3600, &lease, &e), &e);
    snprintf(path, sizeof path, "%s/x.db", c.dir);
    snprintf(saved, sizeof saved, "%s/saved.db", c.dir);
    TOOL(s, 0, "snapshot", "save", path, "--endpoints", cluster_endpoints(&c));
    db = load(path);
    wipe(&db, forge_bucket_root(&db, "lease"));
    store(path, &db);
    TOOL(p, 8, "snapshot", "salvage", path, "-o", saved, "--json");
    cr_assert_not_null(strstr(p.out, "what the lost pages of other buckets"), "%s: %s",
                       b->name, p.out);
}

/* ---- with the log ------------------------------------------------------------------ */

enum { DAMAGES = 5, DAMAGES_LONG = 80 };

/* A member under load that was killed; its log begins with the cluster or, as its
 * database came from a restore, does not. */
struct wreckage {
    struct cluster c;
    struct image db;
    char path[700];
    uint32_t hash;
    int64_t revision;
};

static void wreckage_end(struct wreckage *w)
{
    image_clear(&w->db);
    cluster_end(&w->c);
}
#define WRECKAGE [[gnu::cleanup(wreckage_end)]] struct wreckage

static void restore_first(struct cluster *c, const struct cluster_backend *b)
{
    SCENE s = { 0 };
    char file[600];

    scene_make(&s, b);
    snprintf(file, sizeof file, "%s/x.db", s.c.dir);
    flow_plan(c, b, 1);
    TOOL(r, 0, "restore", file, "--name", "m0", "--data-dir", c->members[0].data_dir,
         "--initial-cluster", cluster_initial(c, 1));
    cluster_boot_first(c, 1);
}

static void wreckage_make(struct wreckage *w, const struct cluster_backend *b,
                          bool restored)
{
    OWNED(wire_client) client = NULL;
    OWNED(json) told = NULL;
    struct history_random random = { 7 };
    char truth[600];

    if (restored)
        restore_first(&w->c, b);
    else
        cluster_start(&w->c, b, NULL);
    flow_connect(&w->c, &client);
    history_make(client, 12);
    history_grow(client, &random, 150, 5);
    cluster_kill(&w->c, 0, SIGKILL);
    snprintf(w->path, sizeof w->path, "%s/member/snap/db", w->c.members[0].data_dir);
    w->db = load(w->path);
    snprintf(truth, sizeof truth, "%s/truth.db", w->c.dir);
    TOOL(p, 0, "snapshot", "from-data-dir", w->c.members[0].data_dir, "-o", truth,
         "--json");
    flow_json(&p, &told);
    w->hash = (uint32_t)flow_number(told, "hashkv");
    w->revision = flow_number(told, "revision");
}

/* Whoever says that nothing was lost has the server's HashKV; else there is a reason. */
static bool salvage_it(const struct wreckage *w, const char *note)
{
    OWNED(json) told = NULL;
    char saved[600];
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 };
    const struct proc_options o = { .timeout_s = 60 };
    bool whole;

    snprintf(saved, sizeof saved, "%s/saved.db", w->c.dir);
    proc_run(&p, &o,
             (const char *const[]){ HOLDFAST_BIN, "snapshot", "salvage",
                                    w->c.members[0].data_dir, "-o", saved, "--json",
                                    NULL });
    cr_assert(p.status == 0 || p.status == 8, "%s: exit %d: %s", note, p.status, p.err);
    flow_json(&p, &told);
    cr_assert(json_get_bool(told, "whole", &whole) && whole == (p.status == 0), "%s",
              note);
    if (p.status == 0)
        cr_assert((uint32_t)flow_number(told, "hashkv") == w->hash &&
                      flow_number(told, "revision") == w->revision,
                  "%s: said to be whole, and is not: %s", note, p.out);
    else
        cr_assert_null(strstr(p.out, "\"unknown\":[]"), "%s: no reason: %s", note, p.out);
    TOOL(v, 0, "snapshot", "verify", saved);
    cr_assert_eq(unlink(saved), 0);
    return p.status == 0;
}

static uint64_t pages_in_use(const struct image *db)
{
    uint64_t a = le64(db->p + 16 + 40), b = le64(db->p + PAGE + 16 + 40);

    return a > b ? a : b;
}

static void strike(const struct wreckage *w, struct history_random *random, bool zeros)
{
    OWNED_IMAGE hit = load(w->path);
    uint64_t pages = pages_in_use(&w->db);

    for (unsigned n = history_below(random, 4) + 1; n > 0; n--) {
        uint8_t *page = hit.p + (size_t)history_below(random, (uint32_t)pages) * PAGE;

        /* Random bytes where the page's table is: those in a value leave no trace. */
        memset(page, zeros ? 0 : 0xa5, zeros ? PAGE : 64);
    }
    store(w->path, &hit);
}

static void damage_at_random(const struct cluster_backend *b, bool restored)
{
    WRECKAGE w = { 0 };
    OWNED(wire_client) client = NULL;
    struct history_random random = { 99 };
    unsigned whole = 0;
    struct flow_hash now;

    wreckage_make(&w, b, restored);
    for (uint64_t meta = 0; meta < 2; meta++) {
        OWNED_IMAGE hit = load(w.path);

        wipe(&hit, meta);
        store(w.path, &hit);
        cr_assert(salvage_it(&w, meta == 0 ? "meta 0" : "meta 1"), "%s, meta %d", b->name,
                  (int)meta);
        store(w.path, &w.db);
    }
    for (unsigned n = 0; n < (getenv("HOLDFAST_LONG") == NULL ? DAMAGES : DAMAGES_LONG);
         n++) {
        char note[80];

        snprintf(note, sizeof note, "%s, damage %u", b->name, n);
        strike(&w, &random, restored || n % 2 == 0);
        whole += salvage_it(&w, note);
        store(w.path, &w.db);
    }
    if (!restored)
        cr_assert_eq(whole, getenv("HOLDFAST_LONG") == NULL ? DAMAGES : DAMAGES_LONG,
                     "%s: the log holds everything", b->name);
    cluster_boot_first(&w.c, 1);
    flow_connect(&w.c, &client);
    now = flow_hashkv(client, 0, w.revision);
    cr_assert_eq(now.hash, w.hash, "%s: the truth is the server's", b->name);
}

EACH_ETCD(salvage, a_member_killed_under_load_with_all_of_its_log)
{
    damage_at_random(b, false);
}

EACH_ETCD(salvage, a_restored_member_killed_under_load)
{
    damage_at_random(b, true);
}

/* No plaintext beside an encrypted name, and a pipe gets nothing else. */
EACH_ETCD(salvage, into_a_sealed_file_and_a_pipe)
{
    SCENE s = { 0 };
    const char *recipient, *dir;
    char key[600], sealed[600], command[2400];

    scene_make(&s, b);
    dir = s.c.members[0].data_dir;
    recipient = flow_keygen(s.c.dir);
    snprintf(key, sizeof key, "%s/key", s.c.dir);
    snprintf(sealed, sizeof sealed, "%s/y.db.zst.age", s.c.dir);
    TOOL(refused, 2, "snapshot", "salvage", dir, "-o", sealed);
    TOOL(p, 0, "snapshot", "salvage", dir, "-o", sealed, "-r", recipient);
    TOOL(v, 0, "snapshot", "verify", sealed, "-i", key);

    OWNED_IMAGE stored = load(sealed);

    cr_assert_eq(memcmp(stored.p, "age-encryption.org/v1", 21), 0);
    snprintf(command, sizeof command,
             "'%s' snapshot salvage '%s' -o - > '%s/piped.db' && '%s' snapshot verify "
             "'%s/piped.db'",
             HOLDFAST_BIN, dir, s.c.dir, HOLDFAST_BIN, s.c.dir);
    PEER(q, "sh", "-c", command);
}
