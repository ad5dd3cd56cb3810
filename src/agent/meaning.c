#include "agent/meaning.h"

#include <string.h>

#include "care/rule.h"
#include "catalog/manifest.h"
#include "catalog/retain.h"
#include "crypto/age_keys.h"
#include "host/preset.h"
#include "util/str.h"

enum { SHARE_MAX = 100, KEEP_MAX = 100000 };

/* ---- kinds of text -------------------------------------------------------------------
 */

enum rc meaning_duration(const char *key, const char *text, uint64_t *ms, struct err *e)
{
    *ms = 0;
    if (text != NULL && !str_to_duration(text, ms))
        return err_set(e, RC_USAGE,
                       "%s: '%s' is no length of time" HINT "such as 90s, 30m or 1h30m",
                       key, text);
    return RC_OK;
}

enum rc meaning_limit(const char *key, const char *text, uint64_t *ms, struct err *e)
{
    TRY(meaning_duration(key, text, ms, e));
    if (text != NULL && *ms == 0)
        return err_set(e, RC_USAGE, "%s: '%s' is no limit" HINT "leave it out for none",
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

static enum rc tags(const char *key, char *const *words, unsigned n, struct err *e)
{
    AT_END(str_list_clear) struct str_list all = { 0 };

    for (unsigned i = 0; i < n; i++)
        if (manifest_add_tag(&all, words[i], e) != RC_OK)
            return err_wrap(e, "%s", key);
    return RC_OK;
}

/* An agent has no directory of its own that a relative name could count from. */
static enum rc absolute(const char *key, const char *path, struct err *e)
{
    if (path != NULL && path[0] != '/')
        return err_set(e, RC_USAGE, "%s: '%s' does not begin with '/'", key, path);
    return RC_OK;
}

static enum rc ping(const char *url, struct err *e)
{
    if (url != NULL && strncmp(url, "https://", 8) != 0 &&
        strncmp(url, "http://", 7) != 0)
        return err_set(e, RC_USAGE, "ping: it begins with neither https:// nor http://");
    return RC_OK;
}

/* ---- jobs ----------------------------------------------------------------------------
 */

static enum rc recipients(const struct agent_cluster *c, struct err *e)
{
    OWNED(age_recipients) to = NULL;

    if (c->recipients_count == 0 && c->recipients_file == NULL)
        return err_set(e, RC_USAGE,
                       "nothing says for whom it is encrypted" HINT
                       "recipients: [age1..., age1...], or recipients_file");
    TRY(age_recipients_new(&to, e));
    for (unsigned i = 0; i < c->recipients_count; i++)
        if (age_recipients_add(to, c->recipients[i], e) != RC_OK)
            return err_wrap(e, "recipients");
    return RC_OK;
}

/* "leader", "follower", or an endpoint, which has a port. */
static enum rc from(const char *text, struct err *e)
{
    if (text == NULL || strcmp(text, "leader") == 0 || strcmp(text, "follower") == 0 ||
        strchr(text, ':') != NULL)
        return RC_OK;
    return err_set(e, RC_USAGE, "from: '%s' is neither leader, follower nor an endpoint",
                   text);
}

static enum rc rate(const char *text, struct err *e)
{
    uint64_t n;

    if (text == NULL || strcmp(text, "auto") == 0 || str_to_size(text, &n))
        return RC_OK;
    return err_set(e, RC_USAGE,
                   "rate: '%s' is no size" HINT "such as 100MiB a second, or auto", text);
}

static enum rc backup(const struct agent_cluster *c, const struct agent_job *j,
                      struct err *e)
{
    uint64_t ms;

    TRY(recipients(c, e));
    TRY(from(j->from, e));
    TRY(rate(j->rate, e));
    TRY(meaning_limit("lock", j->lock, &ms, e));
    if (j->preset != NULL && host_preset_named(j->preset) == NULL)
        return err_set(e, RC_USAGE, "preset: '%s' is none of kubeadm, k3s and rke2",
                       j->preset);
    for (unsigned i = 0; i < j->include_count; i++)
        TRY(absolute("include", j->include[i], e));
    return tags("tags", j->tags, j->tags_count, e);
}

static enum rc span(const char *key, const char *text, struct err *e)
{
    uint64_t s;

    if (text == NULL || (retain_span(text, &s) && s > 0))
        return RC_OK;
    return err_set(e, RC_USAGE,
                   "%s: '%s' is no span of time" HINT "such as 36h, 14d or 1y5m", key,
                   text);
}

static enum rc prune(const struct agent_job *j, struct err *e)
{
    const char *const keeps[][2] = {
        { "keep_last", j->keep_last },       { "keep_hourly", j->keep_hourly },
        { "keep_daily", j->keep_daily },     { "keep_weekly", j->keep_weekly },
        { "keep_monthly", j->keep_monthly }, { "keep_yearly", j->keep_yearly },
    };
    bool any = j->keep_within != NULL || j->keep_tags_count > 0;

    for (size_t i = 0; i < sizeof keeps / sizeof keeps[0]; i++) {
        TRY(count(keeps[i][0], keeps[i][1], KEEP_MAX, e));
        any = any || keeps[i][1] != NULL;
    }
    TRY(count("protect", j->protect, KEEP_MAX, e));
    TRY(count("max_percent", j->max_percent, SHARE_MAX, e));
    if (!any)
        return err_set(e, RC_USAGE,
                       "nothing says what to keep" HINT
                       "keep_last: 8 keeps the newest eight");
    TRY(span("keep_within", j->keep_within, e));
    return tags("keep_tags", j->keep_tags, j->keep_tags_count, e);
}

static enum rc needs_identity(const struct agent_cluster *c, struct err *e)
{
    if (c->identity == NULL)
        return err_set(e, RC_USAGE,
                       "nothing opens a backup" HINT
                       "identity: the file with a recipient's secret key");
    return RC_OK;
}

static enum rc verify(const struct agent_cluster *c, const struct agent_job *j,
                      struct err *e)
{
    const bool full = j->level != NULL && strcmp(j->level, "full") == 0;

    if (j->level != NULL && !full && strcmp(j->level, "stored") != 0)
        return err_set(e, RC_USAGE, "level is stored or full");
    if (full)
        TRY(needs_identity(c, e));
    return count("rotate", j->rotate, KEEP_MAX, e);
}

static enum rc drill(const struct agent_cluster *c, const struct agent_job *j,
                     struct err *e)
{
    uint64_t n;

    TRY(needs_identity(c, e));
    if (j->pick != NULL && strcmp(j->pick, "latest") != 0 &&
        strcmp(j->pick, "random") != 0 && (!str_to_u64(j->pick, &n) || n == 0))
        return err_set(e, RC_USAGE,
                       "pick: '%s' is neither latest, random nor the number of a backup",
                       j->pick);
    TRY(meaning_limit("rto", j->rto, &n, e));
    TRY(meaning_limit("rpo", j->rpo, &n, e));
    TRY(absolute("etcd", j->etcd, e));
    TRY(absolute("scratch", j->scratch, e));
    return absolute("report_dir", j->report_dir, e);
}

static enum rc compact(const struct agent_job *j, struct err *e)
{
    uint64_t ms;

    if ((j->keep != NULL) == (j->keep_revisions != NULL))
        return err_set(e, RC_USAGE, "give one of keep and keep_revisions");
    TRY(count("keep_revisions", j->keep_revisions, INT64_MAX, e));
    return meaning_limit("keep", j->keep, &ms, e);
}

static enum rc defrag(const struct agent_job *j, struct err *e)
{
    struct care_rule r;

    if (j->rule != NULL && care_rule_parse(j->rule, &r, e) != RC_OK)
        return err_wrap(e, "rule '%s'", j->rule);
    return RC_OK;
}

enum rc meaning_check(const struct agent_cluster *c, enum agent_kind k,
                      const struct agent_job *j, struct err *e)
{
    TRY(ping(j->ping, e));
    if (k < AGENT_COMPACT && c->repo == NULL)
        return err_set(e, RC_USAGE, "the cluster has no repo");
    switch (k) {
    case AGENT_BACKUP:
        return backup(c, j, e);
    case AGENT_VERIFY:
        return verify(c, j, e);
    case AGENT_PRUNE:
        return prune(j, e);
    case AGENT_DRILL:
        return drill(c, j, e);
    case AGENT_COMPACT:
        return compact(j, e);
    case AGENT_DEFRAG:
        return defrag(j, e);
    }
    return RC_OK;
}
