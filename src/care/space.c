#include "care/space.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    FRAGMENTED_PERCENT = 45, /* and so many bytes to gain */
    FRAGMENTED_BYTES = 100000000,
    WORTH_PERCENT = 10, /* when it is tight already */
    HISTORY_MIN = 1000, /* revisions: fewer are no history to speak of */
};

const char *care_lever_name(enum care_lever l)
{
    static const char *const names[] = {
        [CARE_LEVER_NONE] = "none",
        [CARE_LEVER_DEFRAG] = "defrag",
        [CARE_LEVER_COMPACT] = "compact",
        [CARE_LEVER_KEYS] = "keys",
    };

    return names[l];
}

static unsigned percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (unsigned)((double)part * 100 / (double)whole);
}

static bool is_known(const struct care_member *m)
{
    return m->quota_from != CARE_UNKNOWN && m->quota != 0;
}

/* In /metrics of those that show them. */
static int64_t compacted_of(const struct care_member *m)
{
    if (!m->metrics_known || m->metrics.compacted < 0 || m->metrics.compacted > 9e15)
        return -1;
    return (int64_t)m->metrics.compacted;
}

static enum care_lever choose(const struct care_space *s)
{
    bool tight = s->alarm || s->quota_percent >= CARE_SPACE_NEAR_PERCENT;

    if (s->free_percent >= FRAGMENTED_PERCENT && s->free >= FRAGMENTED_BYTES)
        return CARE_LEVER_DEFRAG;
    if (!tight)
        return CARE_LEVER_NONE;
    if (s->free_percent >= WORTH_PERCENT)
        return CARE_LEVER_DEFRAG;
    if (s->history < 0 || s->history > HISTORY_MIN || s->alarm)
        return CARE_LEVER_COMPACT;
    return CARE_LEVER_KEYS;
}

struct care_space care_space_of(const struct care_view *v, const struct care_member *m)
{
    const struct wire_status *t = &m->status;
    int64_t compacted = compacted_of(m);
    struct care_space s = {
        .size = t->db_size,
        .in_use = t->db_size_in_use,
        .free = t->db_size > t->db_size_in_use ? t->db_size - t->db_size_in_use : 0,
        .quota = is_known(m) ? m->quota : 0,
        .history = compacted < 0 ? -1 : v->revision - compacted,
        .alarm = (m->alarms & 1U << WIRE_ALARM_NOSPACE) != 0,
    };

    s.free_percent = percent(s.free, s.size);
    s.quota_percent = percent(s.size, s.quota);
    s.lever = choose(&s);
    return s;
}

void care_space_sentence(const struct care_view *v, char *out, size_t n)
{
    enum care_lever lever = CARE_LEVER_NONE;
    bool alarm = false;

    for (size_t i = 0; i < v->count; i++) {
        struct care_space s;

        if (!v->items[i].answered)
            continue;
        s = care_space_of(v, &v->items[i]);
        alarm = alarm || s.alarm;
        if (s.lever > lever)
            lever = s.lever;
    }
    if (alarm)
        snprintf(out, n,
                 "the alarm NOSPACE is raised and nobody can write: "
                 "'holdfast space fix' compacts, defragments, disarms and proves "
                 "it");
    else if (lever == CARE_LEVER_DEFRAG)
        snprintf(out, n,
                 "free pages fill the files: 'holdfast defrag --cluster' gives "
                 "them back");
    else if (lever == CARE_LEVER_COMPACT)
        snprintf(out, n,
                 "the quota is near, and old revisions are kept: 'holdfast space "
                 "fix' drops them and gives their pages back");
    else if (lever == CARE_LEVER_KEYS)
        snprintf(out, n,
                 "the quota is near, and what fills it is live: delete keys, or "
                 "start the members with a larger --quota-backend-bytes");
    else
        snprintf(out, n, "there is room, and nothing to gain that is worth a pause");
}

enum rc care_space_roomy(const struct care_view *v, struct err *e)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];
        struct care_space s;
        char name[80];

        care_called(m, name);
        if (!m->answered)
            return err_set(e, RC_DEGRADED,
                           "%s does not answer, so whether it has room is unknown", name);
        s = care_space_of(v, m);
        if (s.quota_percent >= CARE_SPACE_FULL_PERCENT)
            return err_set(e, RC_DEGRADED,
                           "%s still fills %u %% of its quota" HINT
                           "delete keys and run it again, or start the members with a "
                           "larger --quota-backend-bytes; 'holdfast space --snapshot "
                           "FILE' shows which keys are large",
                           name, s.quota_percent);
    }
    return RC_OK;
}

bool care_space_would_be_roomy(const struct care_view *v)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];

        if (m->answered && is_known(m) &&
            percent(m->status.db_size_in_use, m->quota) >= CARE_SPACE_NEAR_PERCENT)
            return false;
    }
    return true;
}

int64_t care_space_keep_less(int64_t kept)
{
    static const int64_t steps[] = { 1000, 100, 10, 0 };

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (steps[i] < kept)
            return steps[i];
    return -1;
}

int64_t care_space_target(const struct care_view *v, int64_t keep)
{
    int64_t compacted = 0, target = v->revision - keep;

    for (size_t i = 0; i < v->count; i++)
        if (v->items[i].answered && compacted_of(&v->items[i]) > compacted)
            compacted = compacted_of(&v->items[i]);
    return target > compacted && target > 0 ? target : 0;
}
