/* The agent: jobs by schedule, several agents, mistakes, and its end. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/http.h"
#include "lab/port.h"
#include "tests/flow/golden.h"
#include "tests/flow/history.h"
#include "tests/flow/vault.h"
#include "tests/lib/peer.h"
#include "util/clock.h"
#include "util/os.h"

enum { PATIENCE_MS = 60 * 1000, LOOK_MS = 100 };

/* One agent, its configuration and what it has to say. */
struct watch {
    struct vault *v;
    char dir[400], config[500], log[500], textfile[500];
    unsigned port;
    pid_t pid;
};

static void watch_end(struct watch *w)
{
    (void)proc_stop(w->pid, SIGTERM);
}
#define WATCH [[gnu::cleanup(watch_end)]] struct watch

static void write_config(struct watch *w, const struct cluster *c, const char *jobs)
{
    char text[4000];
    const int n = snprintf(text, sizeof text,
                           "state_dir: %s/state\nlisten: 127.0.0.1:%u\ntextfile: %s\n"
                           "clusters:\n  - name: prod\n    endpoints: [\"%s\"]\n"
                           "    repo: %s\n    store: { allow_same_filesystem: true }\n"
                           "    recipients_file: %s\n    max_age: 1h\n"
                           "    identity: %s\n    signing_key: %s\n%s",
                           w->dir, w->port, w->textfile, cluster_endpoint(c, 0),
                           w->v->url, path_in(w->v->dir, "recipients"), w->v->key,
                           vault_file(w->v->state, ".key"), jobs);

    cr_assert_lt((size_t)n, sizeof text);
    golden_write(w->config, text, (size_t)n);
    cr_assert_eq(chmod(w->config, 0600), 0);
}

static void plan_watch(struct watch *w, struct vault *v)
{
    struct err e = { 0 };
    OWNED_FD int fd = -1;
    uint16_t port;

    *w = (struct watch){ .v = v };
    OK(lab_port_take(&port, &fd, &e), &e);
    w->port = port;
    snprintf(w->dir, sizeof w->dir, "%s", tmpdir_new());
    snprintf(w->config, sizeof w->config, "%s", path_in(w->dir, "holdfast.yaml"));
    snprintf(w->log, sizeof w->log, "%s", path_in(w->dir, "log"));
    snprintf(w->textfile, sizeof w->textfile, "%s", path_in(w->dir, "holdfast.prom"));
}

static void begin(struct watch *w)
{
    w->pid = proc_start(w->log, (const char *const[]){ HOLDFAST_BIN, "agent", "--config",
                                                       w->config, NULL });
}

static bool file_says(const char *path, const char *words)
{
    AT_END(buf_clear) struct buf all = { 0 };

    if (access(path, R_OK) != 0)
        return false;
    all = golden_file(path);
    return memmem(all.p, all.n, words, strlen(words)) != NULL;
}

static void never_came(const struct watch *w, const char *words)
{
    AT_END(buf_clear) struct buf log = golden_file(w->log);

    cr_assert_fail("no '%s'; the log: %.*s", words, (int)log.n, (const char *)log.p);
}

/* What must come, in the log or in the metrics, while the agent lives. */
static void comes(const struct watch *w, const char *path, const char *words)
{
    const uint64_t until = clock_ms() + PATIENCE_MS;

    while (!file_says(path, words)) {
        if (!proc_runs(w->pid) || clock_ms() > until)
            never_came(w, words);
        clock_sleep_ms(LOOK_MS);
    }
}

static int get(const struct watch *w, const char *page, struct buf *out)
{
    OWNED(http) h = NULL;
    struct err e = { 0 };
    char url[100];
    int status = 0;

    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", w->port, page);
    OK(http_new(&(struct http_options){ 0 }, &h, &e), &e);
    OK(http_get(h, url, PATIENCE_MS, out, &status, &e), &e);
    return status;
}

static int health(const struct watch *w)
{
    AT_END(buf_clear) struct buf text = { 0 };

    return get(w, "/healthz", &text);
}

static void prometheus_has_no_complaint(const struct watch *w)
{
    static const char script[] = "\"$1\" check metrics < \"$2\"";

    if (!peer_available("tools/promtool"))
        return;
    PEER(p, "sh", "-c", script, "sh", peer_path("tools/promtool/usr/bin/promtool"),
         w->textfile);
    cr_assert_str_empty(p.err, "%s", p.err);
}

/* ---- what it does --------------------------------------------------------------------
 */

EACH_ETCD(agent, backs_up_and_says_so)
{
    struct vault v;
    CLUSTER c = { 0 };
    WATCH w;
    AT_END(buf_clear) struct buf text = { 0 };

    vault_make(&v, vault_directory(), NULL);
    cluster_start(&c, b, NULL);
    plan_watch(&w, &v);
    write_config(&w, &c,
                 "    backup: { schedule: 6h }\n"
                 "    prune: { schedule: 6h, keep_last: 3 }\n"
                 "    verify: { schedule: 6h, level: full }\n");
    TOOL(check, 0, "config", "check", w.config);
    begin(&w);
    comes(&w, w.textfile, "job=\"prune\",outcome=\"ok\"} 1\n");
    comes(&w, w.textfile, "job=\"verify\",outcome=\"ok\"} 1\n");
    cr_assert(file_says(w.textfile, "holdfast_backups{cluster=\"prod\"} 1\n"));
    cr_assert_eq(health(&w), 200);
    cr_assert_eq(get(&w, "/metrics", &text), 200);
    cr_assert_not_null(memmem(text.p, text.n, "newest_proved_backup_age_seconds{", 33));
    prometheus_has_no_complaint(&w);
    cr_assert_eq(vault_count(&v), 1);
    cr_assert_eq(proc_stop(w.pid, SIGTERM), 0);
    w.pid = 0;
}

CASE(agent, of_two_agents_one_does_it, .timeout = FLOW_TIMEOUT_S)
{
    struct vault v;
    CLUSTER c = { 0 };
    WATCH a = { 0 };
    WATCH z = { 0 };

    flow_need("3.6");
    vault_make(&v, vault_directory(), NULL);
    cluster_start(&c, cluster_backend("3.6"), NULL);
    plan_watch(&a, &v);
    plan_watch(&z, &v);
    write_config(&a, &c, "    backup: { schedule: 6h }\n");
    write_config(&z, &c, "    backup: { schedule: 6h }\n");
    begin(&a);
    begin(&z);
    comes(&z, z.log, "backup ended");
    comes(&a, a.log, "backup ended");
    cr_assert_eq(vault_count(&v), 1);
    cr_assert_neq(file_says(a.log, "backup ended: ok"),
                  file_says(z.log, "backup ended: ok"));
    cr_assert_neq(file_says(a.log, "backup ended: elsewhere"),
                  file_says(z.log, "backup ended: elsewhere"));
}

/* ---- what it must bear ---------------------------------------------------------------
 */

CASE(agent, keeps_the_old_configuration_on_a_mistake, .timeout = FLOW_TIMEOUT_S)
{
    struct vault v;
    CLUSTER c = { 0 };
    WATCH w = { 0 };

    flow_need("3.6");
    vault_make(&v, vault_directory(), NULL);
    cluster_start(&c, cluster_backend("3.6"), NULL);
    plan_watch(&w, &v);
    write_config(&w, &c, "    verify: { schedule: \"0 0 1 1 *\" }\n");
    begin(&w);
    comes(&w, w.textfile, "holdfast_config_reload_success 1\n");
    cr_assert_eq(health(&w), 503, "without a backup nothing is well");
    write_config(&w, &c, "    backup: { shedule: 6h }\n");
    kill(w.pid, SIGHUP);
    comes(&w, w.log, "the old configuration stays");
    write_config(&w, &c, "    backup: { schedule: 6h }\n");
    kill(w.pid, SIGHUP);
    comes(&w, w.log, "backup ended: ok");
    cr_assert_eq(health(&w), 200);
}

CASE(agent, tries_again_what_failed_and_tells, .timeout = FLOW_TIMEOUT_S)
{
    struct vault v;
    CLUSTER c = { 0 };
    WATCH w = { 0 };
    char jobs[700];

    flow_need("3.6");
    vault_make(&v, vault_directory(), NULL);
    cluster_start(&c, cluster_backend("3.6"), NULL);
    plan_watch(&w, &v);
    snprintf(jobs, sizeof jobs,
             "    backup:\n      schedule: 6h\n      on_failure: echo "
             "$HOLDFAST_JOB-$HOLDFAST_STATUS > %s\n",
             path_in(w.dir, "hook"));
    write_config(&w, &c, jobs);
    cluster_kill(&c, 0, SIGKILL);
    begin(&w);
    comes(&w, w.log, "backup failed, exit status 4");
    comes(&w, path_in(w.dir, "hook"), "backup-4\n");
    comes(&w, w.textfile, "job=\"backup\",outcome=\"failed\"} 1\n");
}

CASE(agent, once_does_each_job_once, .timeout = FLOW_TIMEOUT_S)
{
    struct vault v;
    CLUSTER c = { 0 };
    WATCH w = { 0 };

    flow_need("3.6");
    vault_make(&v, vault_directory(), NULL);
    cluster_start(&c, cluster_backend("3.6"), NULL);
    plan_watch(&w, &v);
    write_config(&w, &c,
                 "    backup: { schedule: \"@yearly\" }\n"
                 "    drill: { schedule: \"@yearly\", canary: [never-was] }\n");
    TOOL(p, 8, "agent", "--once", "--config", w.config);
    cr_assert_not_null(strstr(p.err, "drill failed, exit status 3"), "%s", p.err);
    cr_assert(file_says(w.textfile, "holdfast_drill_passed{cluster=\"prod\"} 0\n"));
    cr_assert_eq(vault_count(&v), 1);
}

/* Exit status 8 calls for somebody. */
CASE(agent, what_needs_a_look_is_no_success_to_hooks, .timeout = FLOW_TIMEOUT_S)
{
    struct vault v;
    CLUSTER c = { 0 };
    WATCH w = { 0 };
    char jobs[2000], hook[600];

    flow_need("3.6");
    vault_make(&v, vault_directory(), NULL);
    cluster_start(&c, cluster_backend("3.6"), NULL);
    VAULT(p, &v, 0, "backup", "--endpoints", cluster_endpoints(&c));
    plan_watch(&w, &v);
    snprintf(hook, sizeof hook, "%s", path_in(w.dir, "hook"));
    snprintf(jobs, sizeof jobs,
             "    drill:\n      schedule: 6h\n      rto: 1ms\n      etcd: %s\n"
             "      on_success: echo well > %s\n"
             "      on_failure: echo $HOLDFAST_STATUS > %s; yes | head -c 3000000\n",
             cluster_tool(cluster_backend("3.6"), "etcd"), hook, hook);
    write_config(&w, &c, jobs);
    TOOL(once, 8, "agent", "--once", "--config", w.config);
    cr_assert(file_says(hook, "8\n"));
    cr_assert_null(strstr(once.err, "the hook"), "%s", once.err);
}

/* Where systemd listens, in the agent's environment. */
static int listen_as_systemd(const struct watch *w)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(at.sun_path, sizeof at.sun_path, "%s", path_in(w->dir, "notify"));
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(setenv("NOTIFY_SOCKET", at.sun_path, 1), 0);
    return fd;
}

/* A store that takes connections and never answers. */
CASE(agent, a_store_that_does_not_answer_holds_up_its_own_cluster_alone,
     .timeout = FLOW_TIMEOUT_S)
{
    static const char keys[] =
        "[default]\naws_access_key_id=a\naws_secret_access_key=b\n";
    struct vault v;
    CLUSTER c = { 0 };
    WATCH w = { 0 };
    OWNED_FD int silent = -1;
    struct err e = { 0 };
    uint16_t port;
    char jobs[900], said[64] = "";

    flow_need("3.6");
    vault_make(&v, vault_directory(), NULL);
    cluster_start(&c, cluster_backend("3.6"), NULL);
    plan_watch(&w, &v);
    OK(lab_port_take(&port, &silent, &e), &e);
    cr_assert_eq(listen(silent, 16), 0);
    golden_write(path_in(w.dir, "keys"), keys, sizeof keys - 1);
    snprintf(jobs, sizeof jobs,
             "    backup: { schedule: 6h }\n  - name: far\n    endpoints: [\"%s\"]\n"
             "    repo: \"s3://bucket/p?endpoint=http://127.0.0.1:%u\"\n"
             "    store: { credentials_file: %s }\n    recipients_file: /r\n"
             "    backup: { schedule: 6h }\n",
             cluster_endpoint(&c, 0), port, path_in(w.dir, "keys"));
    write_config(&w, &c, jobs);

    OWNED_FD int systemd = listen_as_systemd(&w);

    begin(&w);
    comes(&w, w.log, "prod: backup ended: ok");
    cr_assert_gt(recv(systemd, said, sizeof said - 1, MSG_DONTWAIT), 0);
    cr_assert_str_eq(said, "READY=1");
    cr_assert_not(file_says(w.log, "far: backup begins"), "nothing came of the look yet");
}

/* A job under way ends with the agent, however that ends. */
CASE(agent, takes_its_jobs_with_it, .timeout = FLOW_TIMEOUT_S)
{
    struct vault v;
    CLUSTER c = { 0 };
    WATCH w = { 0 };

    flow_need("3.6");
    vault_make(&v, vault_directory(), NULL);
    cluster_start(&c, cluster_backend("3.6"), NULL);
    {
        OWNED(wire_client) client = NULL;

        flow_connect(&c, &client);
        history_fill(client, "key", 400, 4000);
    }
    plan_watch(&w, &v);
    write_config(&w, &c, "    backup: { schedule: 6h, rate: 100KB }\n");
    begin(&w);
    comes(&w, w.log, "backup begins");
    cr_assert_eq(proc_stop(w.pid, SIGTERM), 0);
    w.pid = 0;
    cr_assert_eq(vault_count(&v), 0);
    begin(&w);
    comes(&w, w.log, "backup begins");
    cr_assert_eq(proc_stop(w.pid, SIGKILL), 128 + SIGKILL);
    w.pid = 0;
    write_config(&w, &c, "    backup: { schedule: 6h }\n");
    begin(&w);
    comes(&w, w.textfile, "holdfast_backups{cluster=\"prod\"} 1\n");
}
