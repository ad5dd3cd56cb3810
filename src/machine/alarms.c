/* Alarms: bucket `alarm`, and what they forbid (etcd server/etcdserver/api/v3alarm,
 * apply: Alarm). */
#include "machine/reply.h"
#include "machine/state.h"

size_t machine_alarms(const struct machine *m, struct mvcc_alarm *out, size_t room)
{
    const struct table *t = &m->buckets[MVCC_ALARM];
    struct err e;
    size_t n = 0;

    for (size_t i = 0; i < t->count && n < room; i++)
        if (mvcc_alarm_read(t->rows[i].key, &out[n], &e) == RC_OK)
            n++;
    return n;
}

static size_t count_of(const struct machine *m, uint32_t type)
{
    const struct table *t = &m->buckets[MVCC_ALARM];
    struct mvcc_alarm a;
    struct err e;
    size_t n = 0;

    for (size_t i = 0; i < t->count; i++)
        if (mvcc_alarm_read(t->rows[i].key, &a, &e) == RC_OK && a.type == type)
            n++;
    return n;
}

bool machine_alarm(const struct machine *m, enum mvcc_alarm_type type)
{
    return count_of(m, type) > 0;
}

void alarms_settle(struct machine *m)
{
    m->capped = machine_alarm(m, MVCC_ALARM_NOSPACE);
    m->corrupt = machine_alarm(m, MVCC_ALARM_CORRUPT);
    m->unguarded = false;
}

static enum rc reply_alarm(struct bytes key, struct machine_outcome *o, struct err *e)
{
    return o->wants_reply ? pb_put_bytes(&o->reply, 2, key, e) : RC_OK;
}

/* The stored key is the AlarmMember message. */
static enum rc list(const struct machine *m, uint32_t type, struct machine_outcome *o,
                    struct err *e)
{
    const struct table *t = &m->buckets[MVCC_ALARM];
    struct mvcc_alarm a;

    for (size_t i = 0; i < t->count; i++) {
        TRY(mvcc_alarm_read(t->rows[i].key, &a, e));
        if (type == MVCC_ALARM_NONE || a.type == type)
            TRY(reply_alarm(t->rows[i].key, o, e));
    }
    return RC_OK;
}

enum rc alarm_query(const struct machine *m, const struct caller *who,
                    const void *request, struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__AlarmRequest *r = request;

    (void)who;
    if (r->action != ETCDRPC__ALARM_ACTION__ALARM_GET)
        return err_set(e, RC_REFUSED, "raising or clearing an alarm is no query");
    return list(m, (uint32_t)r->alarm, o, e);
}

/* Up to 3.5 only the first alarm of a kind, and its last one's end, change anything, and
 * then whatever other kinds there are. */
static void settle_raised(struct machine *m, uint32_t type, size_t before)
{
    if (m->options.minor > 5) {
        alarms_settle(m);
    } else if (before == 0 && count_of(m, type) == 1 &&
               (type == MVCC_ALARM_NOSPACE || type == MVCC_ALARM_CORRUPT)) {
        m->capped = type == MVCC_ALARM_NOSPACE;
        m->corrupt = type == MVCC_ALARM_CORRUPT;
        m->unguarded = true;
    }
}

static void settle_cleared(struct machine *m, uint32_t type, size_t before)
{
    if (m->options.minor > 5)
        alarms_settle(m);
    else if (before > 0 && count_of(m, type) == 0 &&
             (type == MVCC_ALARM_NOSPACE || type == MVCC_ALARM_CORRUPT))
        m->capped = m->corrupt = m->unguarded = false;
}

static enum rc raise_alarm(struct machine *m, struct mvcc_alarm alarm,
                           struct machine_outcome *o, struct err *e)
{
    struct table *t = bucket_of(m, MVCC_ALARM);
    size_t before = count_of(m, alarm.type), at;
    uint8_t text[MVCC_ALARM_KEY_MAX];
    const struct bytes key = { text, mvcc_alarm_write(text, alarm) };

    if (key.n == 0 || (alarm.type == MVCC_ALARM_NONE && m->options.minor > 4))
        return RC_OK;
    if (!table_find(t, key, &at))
        TRY(table_put(t, key, (struct bytes){ 0 }, NULL, e));
    settle_raised(m, alarm.type, before);
    return reply_alarm(key, o, e);
}

static enum rc clear_alarm(struct machine *m, struct mvcc_alarm alarm,
                           struct machine_outcome *o, struct err *e)
{
    struct table *t = bucket_of(m, MVCC_ALARM);
    size_t before = count_of(m, alarm.type), at;
    uint8_t text[MVCC_ALARM_KEY_MAX];
    const struct bytes key = { text, mvcc_alarm_write(text, alarm) };

    if (!table_find(t, key, &at))
        return RC_OK;
    table_remove(t, at);
    settle_cleared(m, alarm.type, before);
    return reply_alarm(key, o, e);
}

enum rc alarm_apply(struct machine *m, const struct caller *who, const void *request,
                    struct machine_outcome *o, struct err *e)
{
    const Etcdrpc__AlarmRequest *r = request;
    const struct mvcc_alarm alarm = { .member = r->member_id,
                                      .type = (uint32_t)r->alarm };

    (void)who;
    switch (r->action) {
    case ETCDRPC__ALARM_ACTION__ALARM_GET:
        return list(m, alarm.type, o, e);
    case ETCDRPC__ALARM_ACTION__ALARM_ACTIVATE:
        return raise_alarm(m, alarm, o, e);
    case ETCDRPC__ALARM_ACTION__ALARM_DEACTIVATE:
        return clear_alarm(m, alarm, o, e);
    case _ETCDRPC__ALARM_ACTION_IS_INT_SIZE:
        break;
    }
    return RC_OK;
}
