/* The repository: a backup goes in, is proved, and comes out again; whatever is done to
 * what is stored is noticed. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/flow/history.h"
#include "tests/flow/picture.h"
#include "tests/flow/vault.h"

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

static void restores(const struct vault *v, const struct cluster_backend *b,
                     const char *file, const struct picture *before)
{
    CLUSTER to = { 0 };
    PICTURE after = { 0 };
    OWNED(wire_client) w = NULL;

    (void)v;
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
    bool proved = false;

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
    restores(v, b, opened, &before);
}

EACH_ETCD(repo, a_backup_comes_back)
{
    struct vault v;

    vault_make(&v, vault_directory(), NULL);
    the_whole_way(b, &v);
}
