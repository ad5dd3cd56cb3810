#include "care/view.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

const char *care_state_name(enum care_state s)
{
    static const char *const names[] = {
        [CARE_UP] = "up",
        [CARE_FROZEN] = "frozen",
        [CARE_SILENT] = "silent",
        [CARE_DOWN] = "down",
        [CARE_LOCKED] = "locked",
        [CARE_BARRED] = "barred",
        [CARE_STRANGER] = "stranger",
    };

    return names[s];
}

const char *care_source_name(enum care_source s)
{
    static const char *const names[] = { "unknown", "status", "metrics" };

    return names[s];
}

void care_member_clear(struct care_member *m)
{
    mem_free(m->name);
    mem_free(m->endpoint);
    wire_status_clear(&m->status);
    *m = (struct care_member){ 0 };
}

void care_view_clear(struct care_view *v)
{
    for (size_t i = 0; i < v->count; i++)
        care_member_clear(&v->items[i]);
    mem_free(v->items);
    *v = (struct care_view){ 0 };
}

/* Texts of protobuf put one or two blanks between fields, as it pleases them. */
bool care_alarm_parse(const char *text, struct wire_alarm *out)
{
    static const char id[] = "memberID:", kind[] = "alarm:";
    char *rest;

    if (strncmp(text, id, sizeof id - 1) != 0 || !isdigit((unsigned char)text[9]))
        return false;
    out->member_id = strtoull(text + sizeof id - 1, &rest, 10);
    while (*rest == ' ')
        rest++;
    if (strncmp(rest, kind, sizeof kind - 1) != 0)
        return false;
    rest += sizeof kind - 1;
    size_t n = strcspn(rest, " ");

    if (n == 7 && strncmp(rest, "NOSPACE", n) == 0)
        out->type = WIRE_ALARM_NOSPACE;
    else if (n == 7 && strncmp(rest, "CORRUPT", n) == 0)
        out->type = WIRE_ALARM_CORRUPT;
    else
        return false;
    return true;
}

static struct care_member *find(struct care_view *v, uint64_t id)
{
    for (size_t i = 0; i < v->count; i++)
        if (id != 0 && v->items[i].id == id)
            return &v->items[i];
    return NULL;
}

const struct care_member *care_member_of(const struct care_view *v, uint64_t id)
{
    for (size_t i = 0; i < v->count; i++)
        if (id != 0 && v->items[i].id == id)
            return &v->items[i];
    return NULL;
}

static void take_alarms(struct care_view *v, const struct care_member *from)
{
    for (size_t i = 0; i < from->status.errors.count; i++) {
        struct wire_alarm a;
        struct care_member *of;

        if (!care_alarm_parse(from->status.errors.items[i], &a))
            continue;
        of = find(v, a.member_id);
        if (of != NULL)
            of->alarms |= 1U << a.type;
        else
            v->foreign_alarms |= 1U << a.type;
    }
}

static void take_quota(struct care_member *m)
{
    if (m->status.db_size_quota > 0) {
        m->quota = m->status.db_size_quota;
        m->quota_from = CARE_FROM_STATUS;
    } else if (m->metrics_known && m->metrics.quota > 0) {
        m->quota = (uint64_t)m->metrics.quota;
        m->quota_from = CARE_FROM_METRICS;
    }
}

/* Where nobody finishes a linearizable read it is nobody's own fault: there is no quorum,
 * or an election is on. */
static void excuse_the_frozen(struct care_view *v)
{
    size_t voters = 0, answered = 0, frozen = 0;
    bool quorum;

    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];

        voters += care_is_voter(m);
        answered += care_is_voter(m) && m->answered;
        frozen += care_is_voter(m) && m->state == CARE_FROZEN;
    }
    quorum = quorum_of(voters, answered).has;
    if (quorum && (frozen < answered || frozen < 2))
        return;
    v->reads_hang = quorum;
    for (size_t i = 0; i < v->count; i++)
        if (v->items[i].state == CARE_FROZEN)
            v->items[i].state = CARE_UP;
}

/* How many voters say that `leader` leads in `term`, against all. */
static struct quorum following(const struct care_view *v, uint64_t leader, uint64_t term)
{
    size_t voters = 0, follow = 0;

    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];

        voters += care_is_voter(m);
        follow += care_is_voter(m) && m->answered && m->status.leader == leader &&
                  m->status.raft_term == term;
    }
    return quorum_of(voters, follow);
}

/* Who is named in the newest term in which anybody is. A newer term without a leader is
 * an election, unless most voters have not heard of it: then it is that of a member that
 * is cut off and calls elections for itself. */
static uint64_t who_leads(const struct care_view *v)
{
    uint64_t leader = 0, term = 0, newest = 0;

    for (size_t i = 0; i < v->count; i++) {
        const struct wire_status *s = &v->items[i].status;

        if (!v->items[i].answered)
            continue;
        if (s->raft_term > newest)
            newest = s->raft_term;
        if (s->leader != 0 && s->raft_term >= term) {
            term = s->raft_term;
            leader = s->leader;
        }
    }
    return term == newest || following(v, leader, term).has ? leader : 0;
}

void care_view_derive(struct care_view *v)
{
    for (size_t i = 0; i < v->count; i++) {
        struct care_member *m = &v->items[i];
        const struct wire_status *s = &m->status;

        if (!m->answered)
            continue;
        if (s->header.revision > v->revision)
            v->revision = s->header.revision;
        if (s->raft_index > v->index)
            v->index = s->raft_index;
        take_alarms(v, m);
        take_quota(m);
    }
    v->leader = who_leads(v);
    excuse_the_frozen(v);
}

bool care_is_voter(const struct care_member *m)
{
    return m->listed && !m->learner;
}

struct quorum care_quorum(const struct care_view *v)
{
    size_t voters = 0, up = 0;

    for (size_t i = 0; i < v->count; i++) {
        if (!care_is_voter(&v->items[i]))
            continue;
        voters++;
        up += v->items[i].state == CARE_UP;
    }
    return quorum_of(voters, up);
}

bool care_is_electing(const struct care_view *v)
{
    size_t voters = 0, answer = 0, read = 0;

    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];

        voters += care_is_voter(m);
        answer += care_is_voter(m) && m->answered;
        read += care_is_voter(m) && m->answered && m->state != CARE_FROZEN;
    }
    return quorum_of(voters, answer).has &&
           (v->leader == 0 || v->reads_hang || !quorum_of(voters, read).has);
}

const struct care_member *care_leader(const struct care_view *v)
{
    return care_member_of(v, v->leader);
}

uint64_t care_lag(const struct care_view *v, const struct care_member *m)
{
    uint64_t applied = m->status.raft_applied_index;

    return m->answered && v->index > applied ? v->index - applied : 0;
}

unsigned care_free_percent(const struct care_member *m)
{
    const struct wire_status *s = &m->status;

    if (s->db_size == 0 || s->db_size_in_use >= s->db_size)
        return 0;
    return (unsigned)(100 - s->db_size_in_use * 100 / s->db_size);
}

const char *care_role(const struct care_view *v, const struct care_member *m)
{
    if (m->id != 0 && m->id == v->leader)
        return "leader";
    if (m->learner)
        return "learner";
    return m->listed || m->answered ? "follower" : "";
}

void care_alarm_names(unsigned alarms, char *out, size_t n)
{
    bool space = (alarms & 1U << WIRE_ALARM_NOSPACE) != 0;
    bool corrupt = (alarms & 1U << WIRE_ALARM_CORRUPT) != 0;

    snprintf(out, n, "%s%s%s", space ? "NOSPACE" : "", space && corrupt ? " " : "",
             corrupt ? "CORRUPT" : "");
}

const char *care_called(const struct care_member *m, char out[static 80])
{
    const char *name = m->name != NULL && m->name[0] != '\0' ? m->name : m->endpoint;

    if (name != NULL && name[0] != '\0')
        str_printable(out, 80, bytes_str(name));
    else
        snprintf(out, 80, "member %" PRIx64, m->id);
    return out;
}

bool care_never_started(const struct care_member *m)
{
    return m->listed && (m->name == NULL || m->name[0] == '\0');
}

static bool anybody(const struct care_view *v)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->items[i].answered)
            return true;
    return false;
}

static enum rc nobody(const struct care_view *v, struct err *e)
{
    if (v->count == 0)
        return err_set(e, RC_NET, "the cluster has no member to ask");
    *e = v->items[0].failure;
    return e->code;
}

/* The first member that is not up, or that an alarm is raised for. */
static enum rc first_trouble(const struct care_view *v, struct err *e)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];
        char name[80], alarms[24];

        care_called(m, name);
        if (m->state != CARE_UP)
            return err_set(e, RC_DEGRADED, "%s is %s: %.600s", name,
                           care_state_name(m->state), m->failure.why);
        care_alarm_names(m->alarms, alarms, sizeof alarms);
        if (m->alarms != 0)
            return err_set(e, RC_DEGRADED, "the alarm %s is raised for %s", alarms, name);
    }
    return RC_OK;
}

enum rc care_view_verdict(const struct care_view *v, struct err *e)
{
    static const char hint[] = "'holdfast doctor' says what to do";
    const char *whole = v->leader == 0  ? "the cluster has no leader"
                        : v->reads_hang ? "no member finishes a linearizable read"
                                        : NULL;
    enum rc rc = RC_OK;

    if (!anybody(v))
        return nobody(v, e);
    if (whole != NULL)
        rc = err_set(e, RC_DEGRADED, "%s", whole);
    if (rc == RC_OK)
        rc = first_trouble(v, e);
    if (rc == RC_OK && v->foreign_alarms != 0)
        rc = err_set(e, RC_DEGRADED, "an alarm is raised for a member that is gone");
    if (rc != RC_OK)
        err_hint(e, "%s", hint);
    return rc;
}
