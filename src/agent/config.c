#include "agent/config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config_schema.h"
#include "agent/meaning.h"
#include "agent/serve.h"
#include "agent/zone.h"
#include "catalog/record.h"
#include "codec/crc32c.h"
#include "storage/store.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

enum { CONFIG_MAX = 1 << 20, HOST_NAME_SIZE = 256, JITTER_MAX_MS = 24 * 3600 * 1000 };

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
    TRY(meaning_duration("jitter", j->jitter, &jitter, e));
    if (jitter > JITTER_MAX_MS)
        return err_set(e, RC_USAGE, "jitter: '%s' is more than a day", j->jitter);
    TRY(meaning_limit("timeout", j->timeout, &j->timeout_ms, e));
    j->when.seed = seed_of(c->name, k);
    j->when.jitter_s = (int64_t)(jitter / 1000);
    return meaning_check(c, k, j, e);
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
    TRY(meaning_limit("max_age", c->max_age, &c->max_age_ms, e));
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

/* ---- where the backups lie ------------------------------------------------------------
 */

/* The line in which it stands as it is; 0: it is spelled in another way. */
static size_t line_of(struct bytes text, const char *word)
{
    const uint8_t *at = memmem(text.p, text.n, word, strlen(word));
    size_t line = 1;

    if (at == NULL || *word == '\0')
        return 0;
    for (const uint8_t *p = text.p; p < at; p++)
        line += *p == '\n';
    return line;
}

static enum rc check_place(const char *url, struct err *e)
{
    TRY(store_check_url(url, e));
    if (url[0] == '/' || strstr(url, ":") != NULL)
        return RC_OK;
    return err_set(e, RC_USAGE,
                   "'%s' is a relative path" HINT
                   "where the agent is started from must not matter: begin with '/'",
                   url);
}

/* The place itself is not asked: it need not be there yet. */
static enum rc check_places(const struct agent_config *f, struct bytes text,
                            const char *name, struct err *e)
{
    for (unsigned i = 0; i < f->clusters_count; i++) {
        const struct agent_cluster *c = &f->clusters[i];

        if (c->repo != NULL && check_place(c->repo, e) != RC_OK)
            return err_wrap(e, "%s:%zu: cluster '%s': repo", name, line_of(text, c->repo),
                            c->name);
    }
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
    TRY(check_places(f, text, name, e));
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
