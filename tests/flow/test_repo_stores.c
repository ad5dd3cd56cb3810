/* The same life of a repository in every kind of store, from a real etcd and from the
 * embedded store; and jobs that race where the store itself cannot lock. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/flow/golden.h"
#include "tests/flow/history.h"
#include "tests/flow/scene.h"
#include "tests/flow/vault.h"
#include "tests/flow/waiting.h"
#include "tests/lib/fakes3.h"
#include "tests/lib/objectstore.h"
#include "tests/store/sshd.h"

enum { RACERS = 3 };

/* The cluster whose backups go into one store after the other. */
struct source {
    struct cluster c;
    struct wire_client *w;
};

static void source_end(struct source *s)
{
    wire_client_free(s->w);
    cluster_stop(&s->c);
}

static void source_start(struct source *s, const struct cluster_backend *b)
{
    cluster_start(&s->c, b, NULL);
    flow_connect(&s->c, &s->w);
    history_fill(s->w, "k", 400, 4000);
}
#define SOURCE(s, version)                      \
    AT_END(source_end) struct source s = { 0 }; \
    flow_need(version);                         \
    source_start(&s, cluster_backend(version))

static const char *endpoints(const struct source *s)
{
    return cluster_endpoints(&s->c);
}

/* ---- one after the other ------------------------------------------------------------
 */

static void drilled(const struct vault *v, const struct source *s)
{
    const char *scratch = vault_directory();

    VAULT(p, v, 0, "drill", "latest", "--etcd", cluster_tool(s->c.backend, "etcd"),
          "--scratch", scratch, "-i", v->key);
    cr_assert_str_eq(dir_listing(scratch), "");
}

static void fetched_is_whole(const struct vault *v, const char *which)
{
    char file[600];

    snprintf(file, sizeof file, "%s/%s.db", tmpdir_new(), which);
    VAULT(p, v, 0, "fetch", which, "-o", file, "-i", v->key);
    TOOL(q, 0, "snapshot", "verify", file);
}

static void prune_to_one(const struct vault *v, const struct source *s)
{
    VAULT(p, v, 0, "prune", "--endpoints", endpoints(s), "--keep-last", "1", "--protect",
          "1", "--max-percent", "100", "--yes");
}

/* Backed up twice, and all that is done with what is stored. */
static void live(const struct vault *v, const struct source *s)
{
    VAULT(one, v, 0, "backup", "--endpoints", endpoints(s));
    history_put(s->w, "canary", v->url);
    VAULT(two, v, 0, "backup", "--endpoints", endpoints(s));
    cr_assert_eq(vault_count(v), 2);
    VAULT(verify, v, 0, "verify", "--all");
    VAULT(full, v, 0, "verify", "2", "--level", "full", "-i", v->key);
    fetched_is_whole(v, "1");
    fetched_is_whole(v, "latest");
    prune_to_one(v, s);
    cr_assert_eq(vault_count(v), 1);
    VAULT(pruned, v, 10, "info", "1");
    VAULT(audit, v, 0, "audit");
    drilled(v, s);
}

/* ---- at the same time ----------------------------------------------------------------
 */

static void begin_slowly(struct waiting *w, const struct vault *v, const struct source *s)
{
    const char *const argv[] = { HOLDFAST_BIN,  "backup",     "--rate", "100KB",
                                 "--endpoints", endpoints(s), NULL };

    vault_putenv(v);
    waiting_begin(w, v->dir, argv);
    cr_assert(waiting_says(w, "taking the snapshot"), "%s", waiting_text(w));
}

/* While one is at it, no other job writes; when it ends, the next one does. */
static void one_at_a_time(const struct vault *v, const struct source *s)
{
    size_t before = vault_count(v);
    struct waiting first = { 0 };

    begin_slowly(&first, v, s);
    VAULT(second, v, 11, "backup", "--endpoints", endpoints(s));
    VAULT(prune, v, 11, "prune", "--endpoints", endpoints(s), "--keep-last", "1",
          "--yes");
    cr_assert(proc_runs(first.pid), "it was too fast: %s", waiting_text(&first));
    kill(first.pid, SIGTERM);
    VAULT(third, v, 0, "backup", "--endpoints", endpoints(s), "--wait", "30s");
    cr_assert_eq(vault_count(v), before + 1);
    cr_assert_neq(proc_stop(first.pid, SIGTERM), 0);
}

static int ended(const struct waiting *w)
{
    while (proc_runs(w->pid))
        usleep(20000);
    return proc_stop(w->pid, SIGTERM);
}

/* All begin at once: who does not work says so, and each one that did is in the log. */
static void racers_take_turns(const struct vault *v, const struct source *s)
{
    const char *const argv[] = { HOLDFAST_BIN, "backup", "--endpoints", endpoints(s),
                                 NULL };
    struct waiting racers[RACERS] = { 0 };
    size_t before = vault_count(v), worked = 0;

    vault_putenv(v);
    for (int i = 0; i < RACERS; i++)
        waiting_begin(&racers[i], v->dir, argv);
    for (int i = 0; i < RACERS; i++) {
        int status = ended(&racers[i]);

        cr_assert(status == 0 || status == 11, "%d: %s", status,
                  waiting_text(&racers[i]));
        worked += status == 0;
    }
    cr_assert_geq(worked, 1);
    cr_assert_eq(vault_count(v), before + worked);
    VAULT(audit, v, 0, "audit");
    VAULT(verify, v, 0, "verify", "--all");
}

/* ---- in which store -------------------------------------------------------------------
 */

static void make_in(struct vault *v, const struct objectstore *o, const char *place)
{
    char credentials[VAULT_TEXT];

    snprintf(credentials, sizeof credentials, "HOLDFAST_REPO_CREDENTIALS=%s",
             o->credentials);
    vault_make(v, objectstore_url(o, place), (const char *const[]){ credentials, NULL });
}

/* Neither a prune nor anybody else removes it before its time. */
static void what_is_locked_stays(const struct vault *v, const struct source *s)
{
    size_t before = vault_count(v);

    for (int i = 0; i < 2; i++) {
        VAULT(p, v, 0, "backup", "--endpoints", endpoints(s), "--lock", "1h");
    }
    VAULT(prune, v, 0, "prune", "--endpoints", endpoints(s), "--keep-last", "1",
          "--protect", "1", "--max-percent", "100", "--yes", "--json");
    cr_assert_not_null(strstr(prune.out, "locked"), "%s", prune.out);
    cr_assert_eq(vault_count(v), 2, "%zu before", before);
    VAULT(verify, v, 0, "verify", "--all");
    VAULT(audit, v, 0, "audit");
}

CASE(repo_stores, an_object_store, .timeout = FLOW_TIMEOUT_S)
{
    OBJECTSTORE o = { 0 };
    struct vault plain, locks;

    SOURCE(s, "3.6");
    objectstore_start(&o, "radosgw", NULL);
    objectstore_bucket(&o, "plain", 0);
    make_in(&plain, &o, "plain/at");
    live(&plain, &s);
    one_at_a_time(&plain, &s);
    racers_take_turns(&plain, &s);
    objectstore_bucket(&o, "locks", OBJECTSTORE_LOCKS);
    make_in(&locks, &o, "locks/at");
    live(&locks, &s);
    one_at_a_time(&locks, &s);
    racers_take_turns(&locks, &s);
    what_is_locked_stays(&locks, &s);
}

CASE(repo_stores, an_object_store_without_conditions, .timeout = FLOW_TIMEOUT_S)
{
    OBJECTSTORE o = { 0 };
    struct vault v;

    SOURCE(s, "3.5");
    objectstore_start(&o, "swift", NULL);
    objectstore_bucket(&o, "plain", 0);
    make_in(&v, &o, "plain/at");
    one_at_a_time(&v, &s);
    racers_take_turns(&v, &s);
    prune_to_one(&v, &s);
    VAULT(audit, &v, 0, "audit");
}

CASE(repo_stores, an_sftp_server, .timeout = FLOW_TIMEOUT_S)
{
    AT_END(sshd_stop) struct sshd d = { 0 };
    char key[VAULT_TEXT], hosts[VAULT_TEXT];
    struct vault v;

    SOURCE(s, "3.7");
    sshd_start(&d);
    snprintf(key, sizeof key, "HOLDFAST_SSH_KEY=%s", d.identity);
    snprintf(hosts, sizeof hosts, "HOLDFAST_KNOWN_HOSTS=%s", d.known_hosts);
    vault_make(&v, d.url, (const char *const[]){ key, hosts, NULL });
    live(&v, &s);
    one_at_a_time(&v, &s);
}

static void repo_stores_a_directory(const struct cluster_backend *b)
{
    AT_END(source_end) struct source s = { 0 };
    struct vault v;

    source_start(&s, b);
    vault_make(&v, vault_directory(), NULL);
    live(&v, &s);
    racers_take_turns(&v, &s);
}

FLOW_ON(repo_stores, a_directory, of_3_4, "3.4")
FLOW_ON(repo_stores, a_directory, of_the_embedded_store, "lab")

/* ---- a store that goes wrong once -----------------------------------------------------
 */

static const struct fakes3_rule wrongs[] = {
    { "PUT", "/backups/", FAKES3_STATUS, .status = 503, .code = "SlowDown", .times = 2 },
    { "PUT", "/backups/", FAKES3_LOSE, .times = 1 },
    { "GET", "/backups/", FAKES3_CUT, .at = 5000, .times = 1 },
    { "GET", "/backups/", FAKES3_CHANGE, .times = 1 },
    { "PUT", "/records/", FAKES3_LOSE, .times = 1 },
    { "PUT", "/records/", FAKES3_LATE_ERROR, .status = 500, .times = 1 },
    { "PUT", "/locks/", FAKES3_LOSE, .times = 1 },
    { "PUT", "/uploads/", FAKES3_STATUS, .status = 403, .code = "AccessDenied" },
    /* Asked for half a minute whether it is not there after all. */
    { "PUT", "/backups/", FAKES3_PRETEND, .times = 1 },
    { "PUT", "/records/", FAKES3_PRETEND, .times = 1 },
};
enum { WRONGS = sizeof wrongs / sizeof *wrongs };

static int back_up_to(const char *note)
{
    AT_END(proc_end) struct proc p = { 0 };
    const struct proc_options o = { .env = scene.v.env };

    proc_run(&p, &o,
             (const char *const[]){ HOLDFAST_BIN, "backup", "--endpoints",
                                    fake_endpoint(scene.member), NULL });
    cr_assert_lt(p.status, 20, "%s: %s", note, p.err);
    return p.status;
}

/* Whatever came of the first, a success is one, and the second finds all in order. */
static void survives(const struct fakes3_rule *rule)
{
    FAKES3 f = fakes3_start(&(struct fakes3_script){ .rules = { *rule } });
    char note[100];
    int first;

    snprintf(note, sizeof note, "%s %s, %d", rule->method, rule->contains, rule->does);
    vault_make(&scene.v, fakes3_url(f, "at"),
               (const char *const[]){ "AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=key",
                                      NULL });
    first = back_up_to(note);
    cr_assert_eq(back_up_to(note), 0, "%s", note);
    cr_assert_eq(vault_count(&scene.v), first == 0 ? 2 : 1, "%s: exit %d", note, first);
    VAULT(verify, &scene.v, 0, "verify", "--all");
    VAULT(audit, &scene.v, 0, "audit", "--json");
    cr_assert_null(strstr(audit.out, "object-unnamed"), "%s: %s", note, audit.out);
    cr_assert_eq(fakes3_uploads(f), 0);
}

SCENE(repo_stores, whatever_a_store_does_once_a_success_is_one)
{
    for (size_t i = 0; i < golden_effort(WRONGS - 2, WRONGS); i++)
        survives(&wrongs[i]);
}
