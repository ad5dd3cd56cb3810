#include "agent/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "catalog/retain.h"

enum { VALUE_SIZE = 40 };

struct subject {
    const struct agent_metrics *m;
    const struct agent_standing *c;
    enum agent_kind kind;
    enum agent_outcome outcome;
};

enum scope { OF_AGENT, OF_CLUSTER, OF_JOB, OF_OUTCOME };

/* NAN: there is nothing to say. */
struct metric {
    const char *name; /* without "holdfast_" */
    const char *help;
    enum scope scope;
    bool counter;
    double (*value)(const struct subject *s);
};

static double or_nothing(int64_t v)
{
    return v == 0 ? NAN : (double)v;
}

static double one(const struct subject *s)
{
    (void)s;
    return 1;
}
static double started(const struct subject *s)
{
    return (double)s->m->started;
}
static double reloaded(const struct subject *s)
{
    return (double)s->m->reloaded;
}
static double reload_ok(const struct subject *s)
{
    return s->m->reload_ok ? 1 : 0;
}
static double listed(const struct subject *s)
{
    return s->c->listed ? 1 : 0;
}
static double backups(const struct subject *s)
{
    return (double)s->c->backups;
}
static double proved_time(const struct subject *s)
{
    return s->c->proved.known ? (double)s->c->proved.time : 0;
}
/* A time that lies ahead says nothing of the age: that is not taken for youth. */
static bool is_aged(const struct agent_metrics *m, const struct agent_standing *c)
{
    return c->proved.known && retain_made_since(c->proved.time, INT64_MIN, m->now);
}

static double proved_age(const struct subject *s)
{
    return is_aged(s->m, s->c) ? (double)(s->m->now - s->c->proved.time) : INFINITY;
}
static double proved_revision(const struct subject *s)
{
    return s->c->proved.known ? (double)s->c->proved.revision : NAN;
}
static double newest_size(const struct subject *s)
{
    return s->c->newest.known ? (double)s->c->newest.size : NAN;
}
static double newest_stored(const struct subject *s)
{
    return s->c->newest.known ? (double)s->c->newest.stored_size : NAN;
}
static double drill_passed(const struct subject *s)
{
    return s->c->drill.known ? (double)s->c->drill.passed : NAN;
}
static double drill_recovery(const struct subject *s)
{
    return s->c->drill.known ? s->c->drill.recovery_s : NAN;
}
static double drill_data_age(const struct subject *s)
{
    return s->c->drill.known ? s->c->drill.data_age_s : NAN;
}

static const struct agent_run *run_of(const struct subject *s)
{
    return &s->c->runs[s->kind];
}
static double run_began(const struct subject *s)
{
    return or_nothing(run_of(s)->past.last);
}
static double run_succeeded(const struct subject *s)
{
    return or_nothing(run_of(s)->succeeded);
}
static double run_took(const struct subject *s)
{
    return run_of(s)->ended == 0 ? NAN : (double)run_of(s)->took_ms / 1000;
}
static double run_status(const struct subject *s)
{
    return run_of(s)->ended == 0 ? NAN : (double)run_of(s)->status;
}
static double run_now(const struct subject *s)
{
    return run_of(s)->running ? 1 : 0;
}
static double run_count(const struct subject *s)
{
    return (double)run_of(s)->count[s->outcome];
}

/* clang-format off */
static const struct metric metrics[] = {
    { "build_info", "Version of the running agent.", OF_AGENT, false, one },
    { "agent_start_time_seconds", "When the agent was started.",
      OF_AGENT, false, started },
    { "config_reload_timestamp_seconds", "When the configuration was last read.",
      OF_AGENT, false, reloaded },
    { "config_reload_success", "1 when that configuration could be used.",
      OF_AGENT, false, reload_ok },
    { "newest_proved_backup_timestamp_seconds",
      "When the newest proved backup was made; 0 when there is none.",
      OF_CLUSTER, false, proved_time },
    { "newest_proved_backup_age_seconds",
      "Age of the newest proved backup; infinite when there is none.",
      OF_CLUSTER, false, proved_age },
    { "newest_proved_backup_revision", "Revision of the newest proved backup.",
      OF_CLUSTER, false, proved_revision },
    { "backup_database_bytes", "Size of the database in the newest backup.",
      OF_CLUSTER, false, newest_size },
    { "backup_stored_bytes", "Size of the newest backup as it is stored.",
      OF_CLUSTER, false, newest_stored },
    { "backups", "Backups in the repository, at most 1000.", OF_CLUSTER, false, backups },
    { "repository_up", "1 when the repository could be read when it was last tried.",
      OF_CLUSTER, false, listed },
    { "drill_passed", "1 when the last drill brought back what was backed up.",
      OF_CLUSTER, false, drill_passed },
    { "drill_recovery_seconds", "Time that the last drill took to a working store.",
      OF_CLUSTER, false, drill_recovery },
    { "drill_data_age_seconds", "Age of the data that the last drill brought back.",
      OF_CLUSTER, false, drill_data_age },
    { "job_last_run_timestamp_seconds", "When the job was last begun.",
      OF_JOB, false, run_began },
    { "job_last_success_timestamp_seconds", "When the job last ended well.",
      OF_JOB, false, run_succeeded },
    { "job_duration_seconds", "How long the job's last run took.",
      OF_JOB, false, run_took },
    { "job_exit_status", "Exit status of the job's last run.",
      OF_JOB, false, run_status },
    { "job_running", "1 while the job runs.", OF_JOB, false, run_now },
    { "job_runs", "Runs of the job by how they ended.", OF_OUTCOME, true, run_count },
};
/* clang-format on */

struct writer {
    struct buf *out;
    enum metrics_format format;
};

static void number(char out[static VALUE_SIZE], double v)
{
    if (isinf(v))
        snprintf(out, VALUE_SIZE, "+Inf");
    else
        snprintf(out, VALUE_SIZE, "%.15g", v);
}

static enum rc sample(struct writer *w, const struct metric *m, const char *labels,
                      const struct subject *s, struct err *e)
{
    const double v = m->value(s);
    char text[VALUE_SIZE];

    if (isnan(v))
        return RC_OK;
    number(text, v);
    return str_append(w->out, e, "holdfast_%s%s%s %s\n", m->name,
                      m->counter ? "_total" : "", labels, text);
}

/* Names of clusters are plain (record_name_valid), so that no label needs escaping. */
static enum rc outcomes(struct writer *w, const struct metric *m, struct subject *s,
                        struct err *e)
{
    for (unsigned o = 0; o < AGENT_OUTCOMES; o++) {
        char labels[160];

        s->outcome = o;
        snprintf(labels, sizeof labels, "{cluster=\"%s\",job=\"%s\",outcome=\"%s\"}",
                 s->c->cluster, agent_kind_name(s->kind), agent_outcome_name(o));
        TRY(sample(w, m, labels, s, e));
    }
    return RC_OK;
}

static enum rc jobs(struct writer *w, const struct metric *m, struct subject *s,
                    struct err *e)
{
    for (unsigned k = 0; k < AGENT_KINDS; k++) {
        char labels[128];

        s->kind = k;
        if (m->scope == OF_OUTCOME) {
            TRY(outcomes(w, m, s, e));
            continue;
        }
        snprintf(labels, sizeof labels, "{cluster=\"%s\",job=\"%s\"}", s->c->cluster,
                 agent_kind_name(k));
        TRY(sample(w, m, labels, s, e));
    }
    return RC_OK;
}

static enum rc clusters(struct writer *w, const struct metric *m, struct subject *s,
                        struct err *e)
{
    for (size_t i = 0; i < s->m->count; i++) {
        char labels[96];

        s->c = &s->m->clusters[i];
        if (m->scope != OF_CLUSTER) {
            TRY(jobs(w, m, s, e));
            continue;
        }
        snprintf(labels, sizeof labels, "{cluster=\"%s\"}", s->c->cluster);
        TRY(sample(w, m, labels, s, e));
    }
    return RC_OK;
}

/* In the older format a counter's family carries its suffix. */
static enum rc family(struct writer *w, const struct metric *m, struct subject *s,
                      struct err *e)
{
    const char *suffix = m->counter && w->format == METRICS_TEXT ? "_total" : "";
    char labels[96] = "";

    TRY(str_append(w->out, e, "# HELP holdfast_%s%s %s\n", m->name, suffix, m->help));
    TRY(str_append(w->out, e, "# TYPE holdfast_%s%s %s\n", m->name, suffix,
                   m->counter ? "counter" : "gauge"));
    if (m->scope != OF_AGENT)
        return clusters(w, m, s, e);
    if (m->value == one)
        snprintf(labels, sizeof labels, "{version=\"%s\"}", s->m->version);
    return sample(w, m, labels, s, e);
}

enum rc agent_metrics_text(const struct agent_metrics *m, enum metrics_format format,
                           struct buf *out, struct err *e)
{
    struct writer w = { .out = out, .format = format };

    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        struct subject s = { .m = m };

        TRY(family(&w, &metrics[i], &s, e));
    }
    return format == METRICS_OPENMETRICS ? str_append(out, e, "# EOF\n") : RC_OK;
}

/* ---- health --------------------------------------------------------------------------
 */

static uint64_t limit_of(const struct agent_config *f, const char *cluster)
{
    for (unsigned i = 0; i < f->clusters_count; i++)
        if (strcmp(f->clusters[i].name, cluster) == 0)
            return f->clusters[i].max_age_ms / 1000;
    return 0;
}

enum rc agent_health_text(const struct agent_metrics *m, const struct agent_config *f,
                          bool *well, struct buf *out, struct err *e)
{
    *well = true;
    for (size_t i = 0; i < m->count; i++) {
        const struct agent_standing *c = &m->clusters[i];
        const uint64_t limit = limit_of(f, c->cluster);
        const int64_t age = m->now - c->proved.time;
        const bool old = limit != 0 && age > (int64_t)limit;

        *well = *well && is_aged(m, c) && !old;
        if (!c->proved.known)
            TRY(str_append(out, e, "%s: no proved backup\n", c->cluster));
        else if (!is_aged(m, c))
            TRY(str_append(out, e, "%s: newest proved backup is of a time to come\n",
                           c->cluster));
        else
            TRY(str_append(out, e, "%s: newest proved backup is %lld s old%s\n",
                           c->cluster, (long long)age, old ? ", too old" : ""));
    }
    return RC_OK;
}
