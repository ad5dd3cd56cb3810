#include "agent/order.h"

#include <stdio.h>
#include <string.h>

enum { NUMBER_SIZE = 24, ENDPOINTS_MAX = 64 * 1024 };

/* Adds as long as nothing has failed, so that an order reads as a list. */
struct order {
    struct str_list *out;
    struct err *e;
    enum rc rc;
};

static void word(struct order *o, const char *text)
{
    if (o->rc == RC_OK)
        o->rc = str_list_add(o->out, text, o->e);
}

/* "--name=value", so that no value is ever taken for an option. */
static void with(struct order *o, const char *name, const char *value)
{
    AT_END(mem_end) char *text = NULL;

    if (value == NULL || o->rc != RC_OK)
        return;
    o->rc = str_format(&text, o->e, "--%s=%s", name, value);
    if (o->rc == RC_OK)
        word(o, text);
}

static void each(struct order *o, const char *name, char *const *items, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        with(o, name, items[i]);
}

static void number(struct order *o, const char *name, int64_t n)
{
    char text[NUMBER_SIZE];

    if (n <= 0)
        return;
    snprintf(text, sizeof text, "%lld", (long long)n);
    with(o, name, text);
}

static void seconds(struct order *o, const char *name, int64_t n)
{
    char text[NUMBER_SIZE];

    if (n <= 0)
        return;
    snprintf(text, sizeof text, "%llds", (long long)n);
    with(o, name, text);
}

static void flag(struct order *o, const char *option, bool given)
{
    if (given)
        word(o, option);
}

static void begin(struct order *o, const struct agent_config *f, const char *command)
{
    word(o, "holdfast");
    word(o, command);
    word(o, "--write-out=json");
    with(o, "state-dir", f->state_dir);
}

static void etcd(struct order *o, const struct agent_cluster *c)
{
    each(o, "endpoints", c->endpoints, c->endpoints_count);
    with(o, "cacert", c->cacert);
    with(o, "cert", c->cert);
    with(o, "key", c->key);
    with(o, "user", c->user);
    with(o, "password-file", c->password_file);
}

static void repository(struct order *o, const struct agent_cluster *c)
{
    with(o, "repo", c->repo);
    with(o, "cluster", c->name);
    with(o, "public-key", c->public_key);
    if (c->store == NULL)
        return;
    with(o, "repo-cacert", c->store->cacert);
    with(o, "repo-credentials", c->store->credentials_file);
    with(o, "repo-profile", c->store->profile);
    with(o, "ssh-key", c->store->ssh_key);
    with(o, "known-hosts", c->store->known_hosts);
    flag(o, "--allow-same-filesystem", c->store->allow_same_filesystem == YAML_YES);
}

static void backup(struct order *o, const struct agent_cluster *c,
                   const struct agent_job *j, int64_t within_s)
{
    etcd(o, c);
    repository(o, c);
    with(o, "signing-key", c->signing_key);
    each(o, "recipient", c->recipients, c->recipients_count);
    with(o, "recipients-file", c->recipients_file);
    with(o, "from", j->from);
    with(o, "rate", j->rate);
    with(o, "preset", j->preset);
    with(o, "lock", j->lock);
    each(o, "include", j->include, j->include_count);
    each(o, "tag", j->tags, j->tags_count);
    flag(o, "--skip-unchanged", j->skip_unchanged == YAML_YES);
    seconds(o, "unless-within", within_s);
}

static void prune(struct order *o, const struct agent_cluster *c,
                  const struct agent_job *j)
{
    repository(o, c);
    with(o, "signing-key", c->signing_key);
    with(o, "keep-last", j->keep_last);
    with(o, "keep-hourly", j->keep_hourly);
    with(o, "keep-daily", j->keep_daily);
    with(o, "keep-weekly", j->keep_weekly);
    with(o, "keep-monthly", j->keep_monthly);
    with(o, "keep-yearly", j->keep_yearly);
    with(o, "keep-within", j->keep_within);
    each(o, "keep-tag", j->keep_tags, j->keep_tags_count);
    with(o, "protect", j->protect);
    with(o, "max-percent", j->max_percent);
    word(o, "--yes");
}

static void verify(struct order *o, const struct agent_cluster *c,
                   const struct agent_job *j)
{
    repository(o, c);
    with(o, "identity", c->identity);
    with(o, "level", j->level);
    if (j->rotate != NULL)
        with(o, "rotate", j->rotate);
    else
        word(o, "--all");
}

static void drill(struct order *o, const struct agent_cluster *c,
                  const struct agent_job *j)
{
    word(o, j->pick != NULL ? j->pick : "latest");
    repository(o, c);
    with(o, "identity", c->identity);
    with(o, "etcd", j->etcd);
    with(o, "scratch", j->scratch);
    with(o, "report-dir", j->report_dir);
    each(o, "canary", j->canary, j->canary_count);
    with(o, "rto", j->rto);
    with(o, "rpo", j->rpo);
}

static void compact(struct order *o, const struct agent_cluster *c,
                    const struct agent_job *j)
{
    etcd(o, c);
    with(o, "keep", j->keep);
    with(o, "keep-revisions", j->keep_revisions);
    flag(o, "--physical", j->physical == YAML_YES);
    word(o, "--yes");
}

static void defrag(struct order *o, const struct agent_cluster *c,
                   const struct agent_job *j)
{
    etcd(o, c);
    word(o, "--cluster");
    with(o, "rule", j->rule);
    flag(o, "--move-leader", j->move_leader == YAML_YES);
    word(o, "--yes");
}

enum rc agent_order(const struct agent_config *f, const struct agent_cluster *c,
                    enum agent_kind k, int64_t within_s, struct str_list *out,
                    struct err *e)
{
    struct order o = { .out = out, .e = e, .rc = RC_OK };
    const struct agent_job *j = agent_job_of(c, k);

    begin(&o, f, agent_kind_name(k));
    switch (k) {
    case AGENT_BACKUP:
        backup(&o, c, j, within_s);
        break;
    case AGENT_VERIFY:
        verify(&o, c, j);
        break;
    case AGENT_PRUNE:
        prune(&o, c, j);
        break;
    case AGENT_DRILL:
        drill(&o, c, j);
        break;
    case AGENT_COMPACT:
        compact(&o, c, j);
        break;
    case AGENT_DEFRAG:
        defrag(&o, c, j);
        break;
    }
    return o.rc;
}

enum rc agent_order_list(const struct agent_config *f, const struct agent_cluster *c,
                         struct str_list *out, struct err *e)
{
    struct order o = { .out = out, .e = e, .rc = RC_OK };

    begin(&o, f, "list");
    repository(&o, c);
    number(&o, "last", AGENT_LIST_MAX);
    return o.rc;
}
