#include "cli/members.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/str.h"

static const char *without_scheme(const char *endpoint)
{
    const char *at = strstr(endpoint, "://");

    return at == NULL ? endpoint : at + 3;
}

static void size_or_nothing(struct result *r, const char *label, bool known,
                            uint64_t bytes)
{
    if (known)
        result_size(r, label, NULL, bytes);
    else
        result_str(r, label, NULL, "-");
}

static void percent(struct result *r, const char *label, const char *key, bool known,
                    unsigned value)
{
    char text[16];

    snprintf(text, sizeof text, "%u%%", value);
    result_str(r, label, NULL, known ? text : "-");
    if (known)
        result_u64(r, NULL, key, value);
    else
        result_str(r, NULL, key, NULL);
}

struct result *members_brief(const struct care_view *v)
{
    struct result *r = result_new_list();

    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];

        result_next(r);
        result_str(r, "Name", NULL, m->name == NULL || *m->name == '\0' ? "-" : m->name);
        result_str(r, "Endpoint", NULL, without_scheme(m->endpoint));
        result_str(r, "Role", NULL,
                   m->state == CARE_UP ? care_role(v, m) : care_state_name(m->state));
        result_str(r, "Version", NULL, m->answered ? m->status.version : "-");
        size_or_nothing(r, "DB size", m->answered, m->status.db_size);
        percent(r, "Free", NULL, m->answered, care_free_percent(m));
        size_or_nothing(r, "Quota", m->quota_from != CARE_UNKNOWN, m->quota);
        if (m->answered)
            result_u64(r, "Lag", NULL, care_lag(v, m));
        else
            result_str(r, "Lag", NULL, "-");
    }
    return r;
}

void members_explain(const struct care_view *v, struct result *brief)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];
        char name[80], alarms[24];

        care_called(m, name);
        care_alarm_names(m->alarms, alarms, sizeof alarms);
        if (m->state != CARE_UP)
            result_line(brief, "%s is %s: %s", name, care_state_name(m->state),
                        m->failure.why);
        if (m->alarms != 0)
            result_line(brief, "%s: alarm %s", name, alarms);
    }
}

static struct json *header_json(const struct wire_header *h)
{
    struct json *o = json_new_object();

    json_set_u64(o, "cluster_id", h->cluster_id);
    json_set_u64(o, "member_id", h->member_id);
    json_set_i64(o, "revision", h->revision);
    json_set_u64(o, "raft_term", h->raft_term);
    return o;
}

/* What etcdctl leaves out when it is zero is here nevertheless. */
static struct json *status_json(const struct wire_status *s)
{
    struct json *o = json_new_object(), *errors = json_new_array();

    json_set(o, "header", header_json(&s->header));
    json_set_str(o, "version", s->version);
    json_set_u64(o, "dbSize", s->db_size);
    json_set_u64(o, "leader", s->leader);
    json_set_u64(o, "raftIndex", s->raft_index);
    json_set_u64(o, "raftTerm", s->raft_term);
    json_set_u64(o, "raftAppliedIndex", s->raft_applied_index);
    for (size_t i = 0; i < s->errors.count; i++)
        json_add_str(errors, s->errors.items[i]);
    json_set(o, "errors", errors);
    json_set_u64(o, "dbSizeInUse", s->db_size_in_use);
    json_set_bool(o, "isLearner", s->is_learner);
    json_set_str(o, "storageVersion", s->storage_version);
    json_set_u64(o, "dbSizeQuota", s->db_size_quota);
    return o;
}

/* The failure, or the errors that the member itself tells. */
static void show_errors(struct result *r, const struct care_member *m)
{
    char text[768] = "";

    if (m->state != CARE_UP) {
        result_str(r, "Errors", "error", m->failure.why);
        return;
    }
    for (size_t i = 0; i < m->status.errors.count; i++) {
        size_t used = strlen(text);

        snprintf(text + used, sizeof text - used, "%s%s", used > 0 ? ", " : "",
                 m->status.errors.items[i]);
    }
    result_str(r, "Errors", NULL, text);
    result_str(r, NULL, "error", NULL);
}

static void show_alarms(struct result *r, const struct care_member *m)
{
    struct json *list = json_new_array();
    char names[24];

    care_alarm_names(m->alarms, names, sizeof names);
    result_str(r, "Alarms", NULL, names);
    if ((m->alarms & 1U << WIRE_ALARM_NOSPACE) != 0)
        json_add_str(list, "NOSPACE");
    if ((m->alarms & 1U << WIRE_ALARM_CORRUPT) != 0)
        json_add_str(list, "CORRUPT");
    result_json(r, "alarms", list);
}

/* etcdctl's columns, in its order. */
static void show_etcdctls(struct result *r, const struct care_view *v,
                          const struct care_member *m)
{
    const struct wire_status *s = &m->status;

    result_str(r, "Endpoint", "Endpoint", m->endpoint);
    result_id(r, "ID", "member_id", "member_id_hex", m->id);
    result_str(r, "Version", NULL, s->version);
    result_str(r, "Storage version", NULL, s->storage_version);
    size_or_nothing(r, "DB size", m->answered, s->db_size);
    size_or_nothing(r, "In use", m->answered, s->db_size_in_use);
    percent(r, "Percentage not in use", "free_percent", m->answered,
            care_free_percent(m));
    size_or_nothing(r, "Quota", m->quota_from != CARE_UNKNOWN, m->quota);
    result_bool(r, "Is leader", "is_leader", m->id != 0 && m->id == v->leader);
    result_bool(r, "Is learner", "is_learner", m->learner);
    result_u64(r, "Raft term", NULL, s->raft_term);
    result_u64(r, "Raft index", NULL, s->raft_index);
    result_u64(r, "Raft applied index", NULL, s->raft_applied_index);
    show_errors(r, m);
}

static void show_ours(struct result *r, const struct care_view *v,
                      const struct care_member *m)
{
    result_str(r, "Name", "name", m->name == NULL ? "" : m->name);
    result_str(r, "State", "state", care_state_name(m->state));
    if (m->answered)
        result_u64(r, "Lag", "lag", care_lag(v, m));
    else
        result_str(r, "Lag", "lag", NULL);
    show_alarms(r, m);
    if (m->quota_from != CARE_UNKNOWN)
        result_u64(r, NULL, "quota", m->quota);
    else
        result_str(r, NULL, "quota", NULL);
    result_str(r, NULL, "quota_source", care_source_name(m->quota_from));
    result_bool(r, NULL, "listed", m->listed);
    if (m->answered)
        result_json(r, "Status", status_json(&m->status));
    else
        result_str(r, NULL, "Status", NULL);
}

struct result *members_list(const struct care_view *v)
{
    struct result *r = result_new_list();

    for (size_t i = 0; i < v->count; i++) {
        result_next(r);
        show_etcdctls(r, v, &v->items[i]);
        show_ours(r, v, &v->items[i]);
    }
    return r;
}
