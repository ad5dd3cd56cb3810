#include "tests/flow/scene.h"

#include <stdio.h>
#include <string.h>

#include "repo/audit.h"
#include "repo/backup.h"
#include "repo/prune.h"
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

/* ---- in this process -------------------------------------------------------------- */

enum rc scene_open(struct scene_repo *r, struct err *e)
{
    struct repo_options o = { .store = { .url = scene.v.url,
                                         .allow_same_filesystem = true },
                              .cluster = "prod",
                              .tool = "test" };

    TRY(care_store_open(scene.v.state, &r->state, e));
    o.state = r->state;
    return repo_open(&o, &r->repo, e);
}

void scene_repo_end(struct scene_repo *r)
{
    repo_free(r->repo);
    care_store_free(r->state);
}

static enum rc connect_one(void *arg, const char *endpoint, struct wire_client **out,
                           struct err *e)
{
    const struct wire_options o = { .endpoints = endpoint };

    (void)arg;
    return wire_client_new(&o, out, e);
}

struct here {
    struct scene_repo at;
    struct wire_client *client;
    struct age_recipients *to;
    struct str_list endpoints;
    struct repo_backup made;
};

static void here_end(struct here *h)
{
    repo_backup_clear(&h->made);
    wire_client_free(h->client);
    age_recipients_free(h->to);
    str_list_clear(&h->endpoints);
    scene_repo_end(&h->at);
}

enum rc scene_back_up_here(struct err *e)
{
    AT_END(here_end) struct here h = { 0 };
    const struct care_access access = { &h.endpoints, connect_one, NULL };
    struct repo_backup_options b = { .access = &access };

    TRY(scene_open(&h.at, e));
    TRY(str_list_add(&h.endpoints, fake_endpoint(scene.member), e));
    TRY(connect_one(NULL, fake_endpoint(scene.member), &h.client, e));
    TRY(age_recipients_new(&h.to, e));
    TRY(age_recipients_add_file(h.to, path_in(scene.v.dir, "recipients"), e));
    b.client = h.client;
    b.recipients = h.to;
    return repo_backup(h.at.repo, &b, &h.made, e);
}

enum rc scene_prune_here(struct err *e)
{
    AT_END(scene_repo_end) struct scene_repo r = { 0 };
    AT_END(repo_pruned_clear) struct repo_pruned done = { 0 };
    struct retain_policy policy = retain_policy_default();
    const struct repo_prune_options o = { .policy = &policy, .carry_out = true };

    policy.last = policy.protect = 1;
    policy.cap_percent = 100;
    TRY(scene_open(&r, e));
    return repo_prune(r.repo, &o, &done, e);
}

static void assert_stored(struct repo *r, const struct chain *log, const char *note)
{
    struct err e = { 0 };

    for (size_t i = 0; i < log->count; i++)
        if (chain_is_backup(&log->items[i]))
            cr_assert_eq(
                repo_verify(r, log->items[i].record, REPO_LEVEL_STORED, NULL, &e), RC_OK,
                "%s: %s: %s", note, e.what, e.why);
}

size_t scene_consistent(const char *note)
{
    AT_END(repo_audit_clear) struct repo_audit a = { 0 };
    AT_END(scene_repo_end) struct scene_repo r = { 0 };
    struct err e = { 0 };

    cr_assert_eq(scene_open(&r, &e), RC_OK, "%s: %s: %s", note, e.what, e.why);
    OK(repo_audit(r.repo, NULL, 0, &a, &e), &e);
    cr_assert_eq(a.findings.errors, 0, "%s: %s", note, a.findings.items[0].message);
    assert_stored(r.repo, a.log, note);
    return a.backups;
}

/* ---- and looked at as a user does ------------------------------------------------- */

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
