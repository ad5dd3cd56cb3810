#include "tests/flow/scene.h"

#include <stdio.h>
#include <string.h>

#include "repo/audit.h"
#include "repo/verify.h"

struct scene scene;

/* facts.json has the figures. */
struct fake_script scene_script(void)
{
    return (struct fake_script){
        .db = scene.snapshot.p,
        .db_size = scene.snapshot.n - GOLDEN_TRAILER,
        .revision = 56,
        .compact_revision = 21,
        .hash = GOLDEN_HASHKV,
        .version = "3.6.0",
    };
}

void scene_set_up(void)
{
    struct fake_script script;

    golden_in_memory();
    scene.snapshot = golden_snapshot("3.6");
    script = scene_script();
    scene.member = fake_start(&script);
    vault_make(&scene.v, vault_directory(), NULL);
}

void scene_tear_down(void)
{
    fake_stop(scene.member);
    buf_clear(&scene.snapshot);
}

void scene_back_up(void)
{
    VAULT(p, &scene.v, 0, "backup", "--endpoints", fake_endpoint(scene.member));
}

void scene_shell(const char *script, const char *a, const char *b)
{
    PEER(p, "sh", "-ec", script, "sh", a, b);
}

struct words scene_prune(void)
{
    struct words w = { 0 };

    SAY(&w, HOLDFAST_BIN, "prune", "--keep-last", "1", "--protect", "1", "--max-percent",
        "100", "--yes");
    return w;
}

size_t scene_consistent(const char *note)
{
    AT_END(repo_audit_clear) struct repo_audit a = { 0 };
    OWNED(care_store) state = NULL;
    OWNED(repo) r = NULL;
    struct err e = { 0 };

    OK(care_store_open(scene.v.state, &state, &e), &e);

    const struct repo_options o = { .store = { .url = scene.v.url,
                                               .allow_same_filesystem = true },
                                    .cluster = "prod",
                                    .state = state };

    OK(repo_open(&o, &r, &e), &e);
    OK(repo_audit(r, NULL, 0, &a, &e), &e);
    cr_assert_eq(a.findings.errors, 0, "%s: %s", note, a.findings.items[0].message);
    for (size_t i = 0; i < a.log->count; i++)
        if (chain_is_backup(&a.log->items[i]))
            OK(repo_verify(r, a.log->items[i].record, REPO_LEVEL_STORED, NULL, &e), &e);
    return a.backups;
}

void scene_tidy(const char *note)
{
    char uploads[800];

    snprintf(uploads, sizeof uploads, "%s/prod/uploads", scene.v.url);
    cr_assert_str_eq(dir_listing(uploads), "", "%s: an upload is left", note);
    VAULT(p, &scene.v, 0, "audit", "--json");
    cr_assert_null(strstr(p.out, "object-unnamed"), "%s: %s", note, p.out);
    cr_assert_null(strstr(p.out, "log-unfinished"), "%s: %s", note, p.out);
}

void scene_keep(void)
{
    snprintf(scene.kept, sizeof scene.kept, "%s", tmpdir_new());
    scene_shell("cp -a \"$1\" \"$2/repo\"", scene.v.url, scene.kept);
    scene_shell("cp -a \"$1\" \"$2/state\"", scene.v.state, scene.kept);
}

void scene_back(void)
{
    scene_shell("find \"$1\" -mindepth 1 -delete; cp -a \"$2\"/repo/. \"$1\"",
                scene.v.url, scene.kept);
    scene_shell("find \"$1\" -mindepth 1 -delete; cp -a \"$2\"/state/. \"$1\"",
                scene.v.state, scene.kept);
}
