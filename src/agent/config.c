#include "agent/config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config_schema.h"
#include "agent/serve.h"
#include "agent/zone.h"
#include "catalog/record.h"
#include "catalog/retain.h"
#include "codec/crc32c.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

enum { CONFIG_MAX = 1 << 20, SHARE_MAX = 100, KEEP_MAX = 100000, HOST_NAME_SIZE = 256 };

static const char *const kinds[] = {
    [AGENT_BACKUP] = "backup", [AGENT_VERIFY] = "verify",   [AGENT_PRUNE] = "prune",
    [AGENT_DRILL] = "drill",   [AGENT_COMPACT] = "compact", [AGENT_DEFRAG] = "defrag",
};

const char *agent_kind_name(enum agent_kind k)
{
    return kinds[k];
}

struct agent_job *agent_job_of(const struct agent_cluster *c, enum agent_kind k)
{
    struct agent_job *const jobs[] = {
        [AGENT_BACKUP] = c->backup,   [AGENT_VERIFY] = c->verify,
        [AGENT_PRUNE] = c->prune,     [AGENT_DRILL] = c->drill,
        [AGENT_COMPACT] = c->compact, [AGENT_DEFRAG] = c->defrag,
    };

    return jobs[k];
}

void agent_config_free(struct agent_config *c)
{
    yaml_unload(&agent_config_schema, c);
}

/* ---- what the texts mean -------------------------------------------------------------
 */

static enum rc duration(const char *key, const char *text, uint64_t *ms, struct err *e)
{
    *ms = 0;
    if (text != NULL && !str_to_duration(text, ms))
        return err_set(e, RC_USAGE,
                       "%s: '%s' is no length of time" HINT "such as 90s, 30m or 1h30m",
                       key, text);
    return RC_OK;
}

/* Zero is refused: whoever writes it means either nothing or everything. */
static enum rc count(const char *key, const char *text, uint64_t most, struct err *e)
{
    uint64_t n;

    if (text != NULL && (!str_to_u64(text, &n) || n == 0 || n > most))
        return err_set(e, RC_USAGE, "%s: '%s' is no number from 1 to %llu", key, text,
                       (unsigned long long)most);
    return RC_OK;
}

static enum rc check_prune(const struct agent_job *j, struct err *e)
{
    const char *const keeps[][2] = {
        { "keep_last", j->keep_last },       { "keep_hourly", j->keep_hourly },
        { "keep_daily", j->keep_daily },     { "keep_weekly", j->keep_weekly },
        { "keep_monthly", j->keep_monthly }, { "keep_yearly", j->keep_yearly },
    };
    bool any = j->keep_within != NULL || j->keep_tags_count > 0;
    uint64_t span;

    for (size_t i = 0; i < sizeof keeps / sizeof keeps[0]; i++) {
        TRY(count(keeps[i][0], keeps[i][1], KEEP_MAX, e));
        any = any || keeps[i][1] != NULL;
    }
    TRY(count("max_percent", j->max_percent, SHARE_MAX, e));
    if (!any)
        return err_set(e, RC_USAGE,
                       "nothing says what to keep" HINT
                       "keep_last: 8 keeps the newest eight");
    if (j->keep_within != NULL && !retain_span(j->keep_within, &span))
        return err_set(e, RC_USAGE,
                       "keep_within: '%s' is no span of time" HINT
                       "such as 36h, 14d or 1y5m",
                       j->keep_within);
    return RC_OK;
}

static enum rc check_verify(const struct agent_job *j, struct err *e)
{
    if (j->level != NULL && strcmp(j->level, "stored") != 0 &&
        strcmp(j->level, "full") != 0)
        return err_set(e, RC_USAGE, "level is stored or full");
    return count("rotate", j->rotate, KEEP_MAX, e);
}

static enum rc check_targets(const struct agent_job *j, struct err *e)
{
    uint64_t ms;

    TRY(duration("rto", j->rto, &ms, e));
    return duration("rpo", j->rpo, &ms, e);
}

static enum rc check_compact(const struct agent_job *j, struct err *e)
{
    uint64_t ms;

    if ((j->keep != NULL) == (j->keep_revisions != NULL))
        return err_set(e, RC_USAGE, "give one of keep and keep_revisions");
    TRY(count("keep_revisions", j->keep_revisions, INT64_MAX, e));
    return duration("keep", j->keep, &ms, e);
}

/* The same job of two agents, and two jobs of one, start at different times. */
static uint64_t seed_of(const char *cluster, enum agent_kind k)
{
    char host[HOST_NAME_SIZE] = "", text[HOST_NAME_SIZE + RECORD_NAME_SIZE + 32];

    (void)gethostname(host, sizeof host - 1);
    const int n =
        snprintf(text, sizeof text, "%s/%s/%s", host, cluster, agent_kind_name(k));

    return fnv1a64(text, (size_t)n);
}

static enum rc check_job(const struct agent_cluster *c, enum agent_kind k,
                         struct agent_job *j, struct err *e)
{
    uint64_t jitter;

    TRY(schedule_parse(j->schedule, &j->when, e));
    TRY(duration("jitter", j->jitter, &jitter, e));
    TRY(duration("timeout", j->timeout, &j->timeout_ms, e));
    j->when.seed = seed_of(c->name, k);
    j->when.jitter_s = (int64_t)(jitter / 1000);
    if (k < AGENT_COMPACT && c->repo == NULL)
        return err_set(e, RC_USAGE, "the cluster has no repo");
    if (k == AGENT_PRUNE)
        return check_prune(j, e);
    if (k == AGENT_VERIFY)
        return check_verify(j, e);
    if (k == AGENT_DRILL)
        return check_targets(j, e);
    return k == AGENT_COMPACT ? check_compact(j, e) : RC_OK;
}

static enum rc check_jobs(struct agent_cluster *c, struct err *e)
{
    bool any = false;

    for (unsigned k = 0; k < AGENT_KINDS; k++) {
        struct agent_job *j = agent_job_of(c, k);

        if (j != NULL && check_job(c, k, j, e) != RC_OK)
            return err_wrap(e, "%s", agent_kind_name(k));
        any = any || j != NULL;
    }
    if (!any)
        return err_set(e, RC_USAGE,
                       "it has no job" HINT "backup: { schedule: \"0 */6 * * *\" }");
    return RC_OK;
}

static enum rc check_cluster(const struct agent_config *f, struct agent_cluster *c,
                             struct err *e)
{
    if (!record_name_valid(c->name))
        return err_set(e, RC_USAGE, "a name has 1 to 64 of A-Z a-z 0-9 . _ -");
    for (const struct agent_cluster *other = f->clusters; other < c; other++)
        if (strcmp(other->name, c->name) == 0)
            return err_set(e, RC_USAGE, "the name is taken by another cluster");
    if ((c->cert == NULL) != (c->key == NULL))
        return err_set(e, RC_USAGE, "cert and key belong together");
    if (c->user != NULL && c->password_file == NULL)
        return err_set(e, RC_USAGE, "user needs password_file");
    TRY(duration("max_age", c->max_age, &c->max_age_ms, e));
    return check_jobs(c, e);
}

static enum rc check(struct agent_config *f, struct err *e)
{
    if (f->time_zone != NULL)
        TRY(zone_check(f->time_zone, e));
    if (f->listen != NULL)
        TRY(serve_check(f->listen, e));
    for (unsigned i = 0; i < f->clusters_count; i++)
        if (check_cluster(f, &f->clusters[i], e) != RC_OK)
            return err_wrap(e, "cluster '%s'", f->clusters[i].name);
    return RC_OK;
}

/* ---- read ----------------------------------------------------------------------------
 */

enum rc agent_config_parse(struct bytes text, const char *name, struct agent_config **out,
                           struct err *e)
{
    OWNED(agent_config) f = NULL;

    TRY(yaml_load(text, &(struct yaml_options){ .name = name }, &agent_config_schema,
                  (void **)&f, e));
    if (f == NULL)
        return err_set(e, RC_USAGE, "%s: it is empty", name);
    if (check(f, e) != RC_OK)
        return err_wrap(e, "%s", name);
    *out = GIVE(f);
    return RC_OK;
}

/* Whoever can write to it can have commands run. */
static enum rc check_writers(const char *path, struct err *e)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return err_sys(e, RC_NOTFOUND, "cannot look at '%s'", path);
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 ||
        (st.st_uid != 0 && st.st_uid != geteuid()))
        return err_set(e, RC_REFUSED,
                       "others than root and you may write to '%s', which says what is "
                       "run" HINT "chmod 600 '%s'",
                       path, path);
    return RC_OK;
}

enum rc agent_config_load(const char *path, struct agent_config **out, struct err *e)
{
    AT_END(mem_end) uint8_t *text = NULL;
    size_t n;

    TRY(check_writers(path, e));
    TRY(os_read_file(path, CONFIG_MAX, &text, &n, e));
    return agent_config_parse((struct bytes){ text, n }, path, out, e);
}
