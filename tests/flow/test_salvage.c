/* Salvaged databases, served by real etcd: what is left is right, and as much as can be.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/flow/flow.h"
#include "tests/flow/history.h"
#include "tests/flow/picture.h"
#include "tests/forge/forge.h"
#include "util/mem.h"
#include "util/os.h"
#include "wire/kv.h"
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
EACH_ETCD(salvage, without_the_branch_all_is_saved)
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
EACH_ETCD(salvage, of_a_data_dir_without_metas)
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
    serve(&s, s.c.members[0].data_dir, "dir", &to, &client, &told);
    picture_take(client, &now);
    picture_same(&s.picture, &now, b->name);
    cr_assert_str_eq(flow_text(told, "root"), "some earlier commit");
    TOOL(again, 5, "snapshot", "salvage", path, "-o", path);
    TOOL(sealed, 2, "snapshot", "salvage", path, "-o", "-");
    works(client);
}
