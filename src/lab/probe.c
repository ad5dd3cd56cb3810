#include "lab/probe.h"

#include "lab/reach.h"
#include "util/clock.h"
#include "util/stop.h"
#include "util/task.h"
#include "wire/kv.h"
#include "wire/maintenance.h"

#define NO_KEY "holdfast/lab/nobody-has-this-key"

/* One call may wait for a leader as long as a member does. */
enum { ONE_TRY_MS = 1500, PAUSE_MS = 30 };

typedef enum rc try_fn(struct wire_client *c, struct err *e);

static enum rc try_write(struct wire_client *c, struct err *e)
{
    int64_t deleted;

    return wire_delete(c, bytes_str(NO_KEY), (struct bytes){ 0 }, &deleted, NULL, e);
}

static enum rc try_read(struct wire_client *c, bool serializable, struct err *e)
{
    const struct wire_range q = { .key = bytes_str(NO_KEY),
                                  .serializable = serializable };
    AT_END(wire_kvs_clear) struct wire_kvs k = { 0 };

    return wire_range_get(c, &q, &k, e);
}

static enum rc try_linearizable(struct wire_client *c, struct err *e)
{
    return try_read(c, false, e);
}

static enum rc try_serializable(struct wire_client *c, struct err *e)
{
    return try_read(c, true, e);
}

static enum rc try_at(const struct lab *l, size_t i, try_fn *fn, bool *yes, struct err *e)
{
    OWNED(wire_client) c = NULL;
    bool which[LAB_MEMBERS_MAX] = { 0 };
    struct err refused = { 0 };

    which[i] = true;
    TRY(lab_client(l, which, ONE_TRY_MS, &c, e));
    *yes = fn(c, &refused) == RC_OK;
    return RC_OK;
}

/* ---- any of them, within the patience ------------------------------------------------
 */

struct any {
    const struct lab *lab;
    const bool *which;
    try_fn *fn;
    uint64_t patience_ms;
    bool yes;
    struct task task;
};

static enum rc try_any(void *arg, struct err *e)
{
    struct any *a = arg;
    uint64_t end = clock_ms() + a->patience_ms;

    do {
        for (size_t i = 0; i < a->lab->count && !a->yes; i++) {
            TRY(stop_check(e));
            if (a->which[i])
                TRY(try_at(a->lab, i, a->fn, &a->yes, e));
        }
        if (!a->yes)
            clock_sleep_ms(PAUSE_MS);
    } while (!a->yes && clock_ms() < end);
    return RC_OK;
}

static enum rc each_reads(const struct lab *l, const bool *which, bool *yes,
                          struct err *e)
{
    *yes = true;
    for (size_t i = 0; i < l->count && *yes; i++)
        if (which[i])
            TRY(try_at(l, i, try_serializable, yes, e));
    return RC_OK;
}

/* ---- who leads -----------------------------------------------------------------------
 */

struct voice {
    uint64_t id, leader, term;
};

static enum rc hear(const struct lab *l, size_t i, struct voice *v, struct err *e)
{
    AT_END(wire_status_clear) struct wire_status s = { 0 };
    OWNED(wire_client) c = NULL;
    bool which[LAB_MEMBERS_MAX] = { 0 };
    struct err silent = { 0 };

    which[i] = true;
    TRY(lab_client(l, which, ONE_TRY_MS, &c, e));
    if (wire_status_get(c, 0, &s, &silent) == RC_OK)
        *v = (struct voice){ s.header.member_id, s.leader, s.raft_term };
    return RC_OK;
}

enum rc lab_probe_leader(const struct lab *l, const bool *which, size_t *out,
                         struct err *e)
{
    struct voice voices[LAB_MEMBERS_MAX] = { 0 };
    uint64_t leader = 0, term = 0;

    *out = LAB_NOBODY;
    for (size_t i = 0; i < l->count; i++)
        if (which[i])
            TRY(hear(l, i, &voices[i], e));
    for (size_t i = 0; i < l->count; i++)
        if (voices[i].leader != 0 && voices[i].term >= term) {
            leader = voices[i].leader;
            term = voices[i].term;
        }
    for (size_t i = 0; i < l->count && leader != 0; i++)
        if (voices[i].id == leader)
            *out = i;
    return RC_OK;
}

enum rc lab_probe(const struct lab *l, const bool *which, uint64_t patience_ms,
                  struct lab_probe *out, struct err *e)
{
    struct any all[] = { { l, which, try_write, patience_ms, false, { 0 } },
                         { l, which, try_linearizable, patience_ms, false, { 0 } } };
    size_t asked = 0;
    enum rc rc = RC_OK;

    *out = (struct lab_probe){ .leader = LAB_NOBODY };
    for (size_t i = 0; i < l->count; i++)
        asked += which[i];
    if (asked == 0)
        return RC_OK;
    for (size_t i = 0; i < 2 && rc == RC_OK; i++)
        rc = task_start(&all[i].task, try_any, &all[i], e);
    if (rc == RC_OK)
        rc = each_reads(l, which, &out->can_read_serializable, e);
    for (size_t i = 0; i < 2; i++)
        if (task_join(&all[i].task, e) != RC_OK)
            rc = e->code;
    TRY(rc);
    out->can_write = all[0].yes;
    out->can_read_linearizable = all[1].yes;
    return lab_probe_leader(l, which, &out->leader, e);
}
