#include "agent/agent.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/metrics.h"
#include "agent/notify.h"
#include "agent/serve.h"
#include "agent/textfile.h"
#include "agent/work.h"
#include "agent/zone.h"
#include "care/store.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/stop.h"

enum { TICK_MS = 500, TEXTFILE_MS = 15 * 1000, NOTICE_MS = 30 * 1000, CLUSTERS_MAX = 64 };

struct agent {
    const struct agent_options *options;
    struct sql *memory;
    struct serve *serve;
    struct agent_work *works[CLUSTERS_MAX]; /* one at a time per cluster; NULL: none */
    uint64_t noticed_ms; /* when systemd was last told; 0: it has to be told */
    uint64_t told_ms;    /* when the textfile was last written */
    unsigned failures;

    /* What the listener reads as well. */
    pthread_mutex_t lock;
    struct agent_config *config;
    struct agent_standing clusters[CLUSTERS_MAX]; /* in the configuration's order */
    int64_t started, reloaded;
    bool reload_ok;
};

static volatile sig_atomic_t hangup;

static void on_hangup(int number)
{
    (void)number;
    hangup = 1;
}

static int64_t now(void)
{
    return clock_unix_ms() / 1000;
}

/* ---- what is told --------------------------------------------------------------------
 */

/* The caller holds the lock. */
static struct agent_metrics facts_of(const struct agent *a)
{
    return (struct agent_metrics){
        .clusters = a->clusters,
        .count = a->config->clusters_count,
        .now = now(),
        .started = a->started,
        .reloaded = a->reloaded,
        .reload_ok = a->reload_ok,
        .version = a->options->version,
    };
}

static enum rc tell_metrics(void *arg, bool open, struct buf *out, struct err *e)
{
    struct agent *a = arg;

    pthread_mutex_lock(&a->lock);
    const struct agent_metrics m = facts_of(a);
    const enum rc rc =
        agent_metrics_text(&m, open ? METRICS_OPENMETRICS : METRICS_TEXT, out, e);

    pthread_mutex_unlock(&a->lock);
    return rc;
}

static enum rc tell_health(void *arg, bool *well, struct buf *out, struct err *e)
{
    struct agent *a = arg;

    pthread_mutex_lock(&a->lock);
    const struct agent_metrics m = facts_of(a);
    const enum rc rc = agent_health_text(&m, a->config, well, out, e);

    pthread_mutex_unlock(&a->lock);
    return rc;
}

static void write_textfile(struct agent *a)
{
    AT_END(buf_clear) struct buf text = { 0 };
    struct err e = { 0 };

    a->told_ms = clock_ms();
    if (a->config->textfile == NULL)
        return;
    if (tell_metrics(a, false, &text, &e) != RC_OK ||
        textfile_write(a->config->textfile, (struct bytes){ text.p, text.n }, &e) !=
            RC_OK)
        log_warn("the textfile was not written: %s", e.why);
}

/* Three times as often as the watchdog asks for; without one for the status alone. */
static uint64_t between_notices(void)
{
    const uint64_t watchdog = notify_watchdog_ms();

    return watchdog != 0 ? watchdog / 3 : NOTICE_MS;
}

static void tell_systemd(struct agent *a)
{
    char line[128];
    unsigned running = 0;

    if (a->noticed_ms != 0 && clock_ms() - a->noticed_ms < between_notices())
        return;
    a->noticed_ms = clock_ms();

    for (unsigned i = 0; i < a->config->clusters_count; i++)
        running += a->works[i] != NULL && !a->works[i]->looks;
    snprintf(line, sizeof line, "WATCHDOG=1\nSTATUS=%u clusters, %u jobs running",
             a->config->clusters_count, running);
    notify(line);
}

/* ---- configuration -------------------------------------------------------------------
 */

static enum rc recall(struct agent *a, const struct agent_config *f,
                      struct agent_standing *out, struct err *e)
{
    for (unsigned i = 0; i < f->clusters_count; i++) {
        out[i] = (struct agent_standing){ 0 };
        snprintf(out[i].cluster, sizeof out[i].cluster, "%s", f->clusters[i].name);
        TRY(agent_memory_load(a->memory, &out[i], e));
    }
    return RC_OK;
}

static enum rc load(const struct agent_options *o, struct agent_config **out,
                    struct err *e)
{
    OWNED(agent_config) f = NULL;

    TRY(agent_config_load(o->config, &f, e));
    if (f->state_dir == NULL)
        f->state_dir = mem_str(o->state_dir);
    if (f->state_dir == NULL)
        return err_set(e, RC_NOMEM, "out of memory");
    *out = GIVE(f);
    return RC_OK;
}

static enum rc open_memory(struct agent *a, struct err *e)
{
    OWNED(care_store) state = NULL;

    TRY(care_store_open(a->config->state_dir, &state, e));
    return agent_memory_open(a->config->state_dir, &a->memory, e);
}

static enum rc begin(struct agent *a, struct err *e)
{
    TRY(load(a->options, &a->config, e));
    TRY(zone_use(a->config->time_zone, e));
    TRY(open_memory(a, e));
    TRY(recall(a, a->config, a->clusters, e));
    a->started = a->reloaded = now();
    a->reload_ok = true;
    if (a->config->listen == NULL || a->options->once)
        return RC_OK;
    return serve_new(a->config->listen,
                     &(struct serve_pages){ tell_metrics, tell_health, a }, &a->serve, e);
}

/* What only a restart can change. */
static void remark(const struct agent_config *old, const struct agent_config *new)
{
    const char *const pairs[][3] = {
        { "listen", old->listen, new->listen },
        { "state_dir", old->state_dir, new->state_dir },
        { "time_zone", old->time_zone, new->time_zone },
    };

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const char *was = pairs[i][1], *is = pairs[i][2];

        if ((was == NULL) != (is == NULL) || (was != NULL && strcmp(was, is) != 0))
            log_warn("the new %s counts after a restart", pairs[i][0]);
    }
}

/* What is known of the backups stays; how the runs went is in the memory. */
static void carry_over(const struct agent *a, const struct agent_config *new,
                       struct agent_standing *to)
{
    for (unsigned i = 0; i < new->clusters_count; i++)
        for (unsigned k = 0; k < a->config->clusters_count; k++)
            if (strcmp(to[i].cluster, a->clusters[k].cluster) == 0) {
                to[i] = a->clusters[k];
                break;
            }
}

static enum rc begin_look(struct agent *a, unsigned i, struct err *e)
{
    OWNED(agent_work) w = NULL;

    TRY(agent_work_new(a->options->program, a->config, &a->config->clusters[i],
                       AGENT_BACKUP, 0, &w, e));
    w->looks = true;
    w->seen = a->clusters[i];
    TRY(agent_work_start(w, e));
    a->works[i] = GIVE(w);
    return RC_OK;
}

/* What there is already, before anything is done, so that the age is soon right. Each
 * on a thread of its own: a store that does not answer holds up its own cluster alone,
 * and neither the others nor systemd, which waits for us to be ready. */
static void look(struct agent *a)
{
    for (unsigned i = 0; i < a->config->clusters_count; i++) {
        struct err e = { 0 };

        if (a->config->clusters[i].repo != NULL && !a->clusters[i].listed &&
            begin_look(a, i, &e) != RC_OK)
            log_warn("%s: what there is cannot be looked at: %s", a->clusters[i].cluster,
                     e.why);
    }
}

static enum rc take_config(struct agent *a, struct err *e)
{
    OWNED(agent_config) new = NULL;
    AT_END(mem_end) struct agent_standing *standing = NULL;

    TRY(load(a->options, &new, e));
    TRY(mem_new(&standing, CLUSTERS_MAX * sizeof *standing, "a new configuration", e));
    TRY(recall(a, new, standing, e));
    remark(a->config, new);
    pthread_mutex_lock(&a->lock);
    carry_over(a, new, standing);
    memcpy(a->clusters, standing, CLUSTERS_MAX * sizeof *standing);
    struct agent_config *old = a->config;
    a->config = GIVE(new);
    pthread_mutex_unlock(&a->lock);
    agent_config_free(old);
    look(a);
    return RC_OK;
}

static bool idle(const struct agent *a)
{
    for (unsigned i = 0; i < a->config->clusters_count; i++)
        if (a->works[i] != NULL)
            return false;
    return true;
}

/* Between jobs, since a job's place is that of its cluster in the configuration. */
static void reload(struct agent *a)
{
    struct err e = { 0 };
    bool ok;

    hangup = 0;
    notify("RELOADING=1");
    ok = take_config(a, &e) == RC_OK;
    pthread_mutex_lock(&a->lock);
    a->reloaded = now();
    a->reload_ok = ok;
    pthread_mutex_unlock(&a->lock);
    if (ok)
        log_info("the configuration was read again");
    else
        log_warn("the old configuration stays: %s%s%s", e.what,
                 e.what[0] == '\0' ? "" : ": ", e.why);
    notify("READY=1");
}

/* ---- jobs ----------------------------------------------------------------------------
 */

static void keep(struct agent *a, const struct agent_standing *s, enum agent_kind k)
{
    struct err e = { 0 };

    if (agent_memory_keep(a->memory, s, k, &e) != RC_OK)
        log_warn("%s: how %s went is not kept: %s", s->cluster, agent_kind_name(k),
                 e.why);
}

static enum rc begin_job(struct agent *a, unsigned i, enum agent_kind k, int64_t within_s,
                         struct err *e)
{
    OWNED(agent_work) w = NULL;
    struct agent_standing *s = &a->clusters[i];

    TRY(agent_work_new(a->options->program, a->config, &a->config->clusters[i], k,
                       within_s, &w, e));
    w->seen = *s;
    TRY(agent_work_start(w, e));
    a->works[i] = GIVE(w);
    a->noticed_ms = 0;
    pthread_mutex_lock(&a->lock);
    s->runs[k].past.last = now();
    s->runs[k].running = true;
    pthread_mutex_unlock(&a->lock);
    keep(a, s, k);
    log_info("%s: %s begins", s->cluster, agent_kind_name(k));
    return RC_OK;
}

/* What there is in the repository, as it was last seen. */
static void take_list(struct agent_standing *s, const struct agent_standing *seen)
{
    s->listed = seen->listed;
    s->backups = seen->backups;
    s->newest = seen->newest;
    s->proved = seen->proved;
}

/* While another agent is at it nobody knows how that ends: it is looked at again. */
static bool ended_for_good(const struct agent_work *w)
{
    return w->outcome != AGENT_FAILED && w->status != rc_exit_status(RC_LOCKED);
}

static void take_result(struct agent *a, struct agent_standing *s,
                        const struct agent_work *w)
{
    struct agent_run *r = &s->runs[w->kind];

    pthread_mutex_lock(&a->lock);
    r->running = false;
    r->ended = now();
    schedule_ended(&r->past, r->ended, ended_for_good(w));
    r->status = w->status;
    r->took_ms = w->took_ms;
    r->count[w->outcome]++;
    if (w->outcome != AGENT_FAILED)
        r->succeeded = r->ended;
    snprintf(r->why, sizeof r->why, "%s", w->why);
    take_list(s, &w->seen);
    s->drill = w->seen.drill;
    pthread_mutex_unlock(&a->lock);
}

static void end_look(struct agent *a, struct agent_standing *s,
                     const struct agent_work *w)
{
    pthread_mutex_lock(&a->lock);
    take_list(s, &w->seen);
    pthread_mutex_unlock(&a->lock);
}

static void end_job(struct agent *a, unsigned i)
{
    OWNED(agent_work) w = GIVE(a->works[i]);
    struct agent_standing *s = &a->clusters[i];

    if (w->looks) {
        end_look(a, s, w);
        return;
    }
    a->noticed_ms = 0;
    take_result(a, s, w);
    keep(a, s, w->kind);
    if (w->outcome == AGENT_FAILED || w->outcome == AGENT_DEGRADED) {
        a->failures++;
        log_warn("%s: %s %s, exit status %d: %s", s->cluster, agent_kind_name(w->kind),
                 agent_outcome_name(w->outcome), w->status, w->why);
    } else {
        log_info("%s: %s ended: %s", s->cluster, agent_kind_name(w->kind),
                 agent_outcome_name(w->outcome));
    }
    write_textfile(a);
}

static void try_to_begin(struct agent *a, unsigned i, enum agent_kind k, int64_t within_s)
{
    struct err e = { 0 };

    if (begin_job(a, i, k, within_s, &e) != RC_OK) {
        a->failures++;
        log_warn("%s: %s cannot begin: %s", a->clusters[i].cluster, agent_kind_name(k),
                 e.why);
    }
}

/* The first that is due, in the order of kinds. */
static void begin_what_is_due(struct agent *a, unsigned i)
{
    for (unsigned k = 0; k < AGENT_KINDS && a->works[i] == NULL; k++) {
        struct agent_job *j = agent_job_of(&a->config->clusters[i], k);

        if (j == NULL || j->paused == YAML_YES)
            continue;
        const int64_t due = schedule_due(&j->when, &a->clusters[i].runs[k].past, now());

        if (due <= now())
            try_to_begin(a, i, k, schedule_elsewhere(&j->when, now() - due));
    }
}

static void tick(struct agent *a)
{
    for (unsigned i = 0; i < a->config->clusters_count; i++) {
        if (a->works[i] != NULL && agent_work_done(a->works[i]))
            end_job(a, i);
        if (a->works[i] == NULL && hangup == 0 && !stop_wanted())
            begin_what_is_due(a, i);
    }
    if (hangup != 0 && idle(a))
        reload(a);
    if (clock_ms() - a->told_ms >= TEXTFILE_MS)
        write_textfile(a);
    tell_systemd(a);
}

/* ---- run -----------------------------------------------------------------------------
 */

static void live(struct agent *a)
{
    look(a);
    notify("READY=1");
    while (!stop_wanted()) {
        tick(a);
        clock_sleep_ms(TICK_MS);
    }
    notify("STOPPING=1");
}

static void each_once(struct agent *a)
{
    for (unsigned i = 0; i < a->config->clusters_count; i++)
        for (unsigned k = 0; k < AGENT_KINDS && !stop_wanted(); k++) {
            const struct agent_job *j = agent_job_of(&a->config->clusters[i], k);

            if (j == NULL || j->paused == YAML_YES)
                continue;
            try_to_begin(a, i, k, 0);
            while (a->works[i] != NULL && !agent_work_done(a->works[i]))
                clock_sleep_ms(TICK_MS);
            if (a->works[i] != NULL)
                end_job(a, i);
        }
    write_textfile(a);
}

static void agent_end(struct agent *a)
{
    for (unsigned i = 0; i < CLUSTERS_MAX; i++)
        agent_work_free(a->works[i]);
    serve_free(a->serve);
    sql_free(a->memory);
    agent_config_free(a->config);
    pthread_mutex_destroy(&a->lock);
}

enum rc agent_run(const struct agent_options *o, struct err *e)
{
    AT_END(agent_end)
    struct agent a = { .options = o, .lock = PTHREAD_MUTEX_INITIALIZER };
    const struct sigaction sa = { .sa_handler = on_hangup };

    TRY(begin(&a, e));
    sigaction(SIGHUP, &sa, NULL);
    if (!o->once) {
        live(&a);
        return RC_OK;
    }
    each_once(&a);
    if (a.failures > 0)
        return err_set(e, RC_DEGRADED,
                       "%u jobs did not go well" HINT "the log above says why",
                       a.failures);
    return RC_OK;
}
