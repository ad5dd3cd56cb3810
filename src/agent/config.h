/* The agent's configuration: YAML by a schema. What may stand in it is a table in
 * config_schema.c; each job's options are those of the command that it runs.
 *
 *     clusters:
 *       - name: prod
 *         endpoints: [https://10.0.0.1:2379, https://10.0.0.2:2379]
 *         repo: /srv/backups
 *         recipients: [age1...]
 *         backup: { schedule: "0 0,6,12,18 * * *", jitter: 5m }
 *         prune: { schedule: "@daily", keep_last: 8, keep_daily: 14 }
 *
 * Nothing secret stands in it: passwords and keys are named by file. */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/schedule.h"
#include "util/bytes.h"
#include "util/own.h"
#include "yaml/yaml.h"

/* The jobs, in the order in which those that are due together are begun. */
enum agent_kind {
    AGENT_BACKUP,
    AGENT_VERIFY,
    AGENT_PRUNE,
    AGENT_DRILL,
    AGENT_COMPACT,
    AGENT_DEFRAG,
};
enum { AGENT_KINDS = AGENT_DEFRAG + 1 };
const char *agent_kind_name(enum agent_kind k); /* "backup", which is the command too */

/* NULL where nothing is said; numbers are texts that were looked at. */
struct agent_job {
    char *schedule;
    char *jitter, *timeout;        /* durations */
    char *ping;                    /* health checks' URL: URL/start, URL, URL/fail */
    char *on_success, *on_failure; /* run by /bin/sh -c */
    enum yaml_switch paused;

    /* Options of `backup`. */
    char *from, *rate, *preset, *lock;
    char **include, **tags;
    unsigned include_count, tags_count;
    enum yaml_switch skip_unchanged;
    /* of `prune` */
    char *keep_last, *keep_hourly, *keep_daily, *keep_weekly, *keep_monthly, *keep_yearly;
    char *keep_within;
    char **keep_tags;
    unsigned keep_tags_count;
    char *protect, *max_percent;
    /* of `verify` and `drill` */
    char *level, *rotate, *pick, *etcd, *scratch, *report_dir, *rto, *rpo;
    char **canary;
    unsigned canary_count;
    /* of `compact` and `defrag` */
    char *keep, *rule;
    char *keep_revisions;
    enum yaml_switch physical, move_leader;

    /* What the texts mean; filled after reading. */
    struct schedule when;
    uint64_t timeout_ms;
};

struct agent_store {
    char *cacert, *credentials_file, *profile, *ssh_key, *known_hosts;
    enum yaml_switch allow_same_filesystem;
};

struct agent_cluster {
    char *name;
    char **endpoints;
    unsigned endpoints_count;
    char *cacert, *cert, *key, *user, *password_file;
    char *repo;
    struct agent_store *store; /* NULL: nothing is said */
    char **recipients;
    unsigned recipients_count;
    char *recipients_file, *signing_key, *public_key, *identity;
    char *max_age; /* of the newest proved backup, before /healthz says no */
    struct agent_job *backup, *verify, *prune, *drill, *compact, *defrag; /* or NULL */

    uint64_t max_age_ms; /* 0: no limit */
};

struct agent_config {
    char *state_dir, *time_zone;
    char *listen;   /* "127.0.0.1:9379"; NULL: no listener */
    char *textfile; /* for node_exporter; NULL: none */
    struct agent_cluster *clusters;
    unsigned clusters_count;
};

/* RC_USAGE with file and line (schema) or with cluster and job (meaning); as
 * os_open_regular does. */
enum rc agent_config_load(const char *path, struct agent_config **out, struct err *e);
/* The same from memory; `name` is for messages. */
enum rc agent_config_parse(struct bytes text, const char *name, struct agent_config **out,
                           struct err *e);
void agent_config_free(struct agent_config *c); /* NULL is fine */
OWN_DEFINE(agent_config)

/* NULL: not configured. */
struct agent_job *agent_job_of(const struct agent_cluster *c, enum agent_kind k);

#endif
