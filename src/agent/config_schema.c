#include "agent/config_schema.h"

#include "agent/config.h"

enum { TEXT = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL };

#define STRING(key, type, field) \
    CYAML_FIELD_STRING_PTR(key, TEXT, struct type, field, 1, 4096)
#define STRINGS(key, type, field, most) \
    CYAML_FIELD_SEQUENCE(key, TEXT, struct type, field, &text, 0, most)
#define YESNO(key, field) YAML_SWITCH(key, struct agent_job, field)

/* What every job may say. */
/* clang-format off */
#define EVERY_JOB                                                                   \
    CYAML_FIELD_STRING_PTR("schedule", CYAML_FLAG_POINTER, struct agent_job,        \
                           schedule, 1, 256),                                       \
    STRING("jitter", agent_job, jitter), STRING("timeout", agent_job, timeout),     \
    STRING("ping", agent_job, ping), STRING("on_success", agent_job, on_success),   \
    STRING("on_failure", agent_job, on_failure), YESNO("paused", paused)

static const cyaml_schema_value_t text = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 4096),
};

static const cyaml_schema_field_t backup[] = {
    EVERY_JOB,
    STRING("from", agent_job, from), STRING("rate", agent_job, rate),
    STRING("preset", agent_job, preset), STRING("lock", agent_job, lock),
    STRINGS("include", agent_job, include, 256),
    STRINGS("tags", agent_job, tags, 32), YESNO("skip_unchanged", skip_unchanged),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t verify[] = {
    EVERY_JOB,
    STRING("level", agent_job, level), STRING("rotate", agent_job, rotate),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t prune[] = {
    EVERY_JOB,
    STRING("keep_last", agent_job, keep_last), STRING("keep_hourly", agent_job, keep_hourly),
    STRING("keep_daily", agent_job, keep_daily), STRING("keep_weekly", agent_job, keep_weekly),
    STRING("keep_monthly", agent_job, keep_monthly), STRING("keep_yearly", agent_job, keep_yearly),
    STRING("keep_within", agent_job, keep_within),
    STRINGS("keep_tags", agent_job, keep_tags, 32),
    STRING("protect", agent_job, protect), STRING("max_percent", agent_job, max_percent),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t drill[] = {
    EVERY_JOB,
    STRING("pick", agent_job, pick), STRING("etcd", agent_job, etcd),
    STRING("scratch", agent_job, scratch), STRING("report_dir", agent_job, report_dir),
    STRINGS("canary", agent_job, canary, 64), STRING("rto", agent_job, rto),
    STRING("rpo", agent_job, rpo),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t compact[] = {
    EVERY_JOB,
    STRING("keep", agent_job, keep), STRING("keep_revisions", agent_job, keep_revisions),
    YESNO("physical", physical),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t defrag[] = {
    EVERY_JOB,
    STRING("rule", agent_job, rule), YESNO("move_leader", move_leader),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t store[] = {
    STRING("cacert", agent_store, cacert),
    STRING("credentials_file", agent_store, credentials_file),
    STRING("profile", agent_store, profile),
    STRING("ssh_key", agent_store, ssh_key),
    STRING("known_hosts", agent_store, known_hosts),
    YAML_SWITCH("allow_same_filesystem", struct agent_store, allow_same_filesystem),
    CYAML_FIELD_END,
};

#define JOB(name) \
    CYAML_FIELD_MAPPING_PTR(#name, TEXT, struct agent_cluster, name, name)

static const cyaml_schema_field_t cluster[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct agent_cluster, name, 1, 64),
    CYAML_FIELD_SEQUENCE("endpoints", CYAML_FLAG_POINTER, struct agent_cluster, endpoints,
                         &text, 1, 64),
    STRING("cacert", agent_cluster, cacert), STRING("cert", agent_cluster, cert),
    STRING("key", agent_cluster, key), STRING("user", agent_cluster, user),
    STRING("password_file", agent_cluster, password_file),
    STRING("repo", agent_cluster, repo),
    CYAML_FIELD_MAPPING_PTR("store", TEXT, struct agent_cluster, store, store),
    STRINGS("recipients", agent_cluster, recipients, 64),
    STRING("recipients_file", agent_cluster, recipients_file),
    STRING("signing_key", agent_cluster, signing_key),
    STRING("public_key", agent_cluster, public_key),
    STRING("identity", agent_cluster, identity),
    STRING("max_age", agent_cluster, max_age),
    JOB(backup), JOB(verify), JOB(prune), JOB(drill), JOB(compact), JOB(defrag),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t cluster_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct agent_cluster, cluster),
};

static const cyaml_schema_field_t whole[] = {
    STRING("state_dir", agent_config, state_dir),
    STRING("time_zone", agent_config, time_zone),
    STRING("listen", agent_config, listen), STRING("textfile", agent_config, textfile),
    CYAML_FIELD_SEQUENCE("clusters", CYAML_FLAG_POINTER, struct agent_config, clusters,
                         &cluster_value, 1, 64),
    CYAML_FIELD_END,
};
/* clang-format on */

const cyaml_schema_value_t agent_config_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct agent_config, whole),
};
