#include "snapshot/choose.h"

#include <string.h>

#include "util/str.h"

enum rank {
    RANK_FOLLOWER,
    RANK_LEADER,
    RANK_LEARNER,
    RANK_CORRUPT,
    RANK_LAGGING,
    RANK_NONE
};

static const char *const reasons[] = {
    [RANK_FOLLOWER] = "a caught-up follower, so the leader is spared",
    [RANK_LEADER] = "the leader: no caught-up follower answered",
    [RANK_LEARNER] = "a learner: no voter answered",
    [RANK_CORRUPT] = "it carries a CORRUPT alarm, but no other member answered",
    [RANK_LAGGING] = "it lags behind the others",
};

static bool lags(const struct snap_member *m, int64_t newest)
{
    return newest - m->revision > SNAP_LAG_MAX;
}

static enum rank rank_of(const struct snap_member *m, enum snap_from from, int64_t newest)
{
    if (!m->answered || (from == SNAP_FROM_LEADER && !m->leader) ||
        (from == SNAP_FROM_FOLLOWER && (m->leader || m->learner)))
        return RANK_NONE;
    if (lags(m, newest))
        return RANK_LAGGING;
    if (m->corrupt_alarm)
        return RANK_CORRUPT;
    if (m->learner)
        return RANK_LEARNER;
    return m->leader ? RANK_LEADER : RANK_FOLLOWER;
}

static int64_t newest_revision(const struct snap_member *members, size_t n)
{
    int64_t newest = 0;

    for (size_t i = 0; i < n; i++)
        if (members[i].answered && members[i].revision > newest)
            newest = members[i].revision;
    return newest;
}

static enum rc choose_endpoint(const struct snap_member *members, size_t n,
                               const char *endpoint, struct snap_candidate *order,
                               size_t *count, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(members[i].endpoint, endpoint) != 0)
            continue;
        if (!members[i].answered)
            return err_set(e, RC_NET, "the member at %s does not answer", endpoint);
        order[0] = (struct snap_candidate){ i, "you named it" };
        *count = 1;
        return RC_OK;
    }
    return err_set(e, RC_NOTFOUND,
                   "%s is not among the endpoints" HINT "list it in --endpoints too",
                   endpoint);
}

/* Members of one rank, newest revision first; the rank order is the caller's loop. */
static size_t take_rank(const struct snap_member *members, size_t n, enum snap_from from,
                        enum rank rank, struct snap_candidate *order, size_t count)
{
    int64_t newest = newest_revision(members, n);
    size_t first = count;

    for (size_t i = 0; i < n; i++) {
        size_t at = count;

        if (rank_of(&members[i], from, newest) != rank)
            continue;
        for (; at > first && members[order[at - 1].member].revision < members[i].revision;
             at--)
            order[at] = order[at - 1];
        order[at] = (struct snap_candidate){ i, reasons[rank] };
        count++;
    }
    return count;
}

static enum rc nobody(const struct snap_member *members, size_t n, enum snap_from from,
                      struct err *e)
{
    size_t answered = 0;

    for (size_t i = 0; i < n; i++)
        answered += members[i].answered;
    if (answered == 0)
        return err_set(e, RC_NET, "no endpoint answers");
    return err_set(e, RC_NOTFOUND,
                   "no %s is among the members that answer" HINT
                   "leave --from out, or name an endpoint with it",
                   from == SNAP_FROM_LEADER ? "leader" : "follower");
}

enum rc snap_choose(const struct snap_member *members, size_t n, enum snap_from from,
                    const char *endpoint, struct snap_candidate *order, size_t *count,
                    struct err *e)
{
    int64_t newest = newest_revision(members, n);
    size_t taken = 0, lagging = 0;

    if (from == SNAP_FROM_ENDPOINT)
        return choose_endpoint(members, n, endpoint, order, count, e);
    for (enum rank r = RANK_FOLLOWER; r < RANK_LAGGING; r++)
        taken = take_rank(members, n, from, r, order, taken);
    for (size_t i = 0; i < n; i++)
        lagging += rank_of(&members[i], from, newest) == RANK_LAGGING;
    if (taken == 0 && lagging == 0)
        return nobody(members, n, from, e);
    if (taken == 0)
        return err_set(e, RC_REFUSED,
                       "only members that lag more than %d revisions are left" HINT
                       "wait until they catch up, or name one with --from ENDPOINT",
                       SNAP_LAG_MAX);
    *count = taken;
    return RC_OK;
}
