#include "care/compact_plan.h"

#include <inttypes.h>

static int64_t wanted(int64_t newest, const struct care_compact_wish *w)
{
    if (!w->keeps)
        return w->number;
    return w->number < newest ? newest - w->number : 0;
}

enum rc care_compact_plan(int64_t newest, int64_t compacted,
                          const struct care_compact_wish *wish,
                          struct care_compact_plan *out, struct err *e)
{
    struct care_compact_plan p = { .newest = newest,
                                   .compacted = compacted < 0 ? 0 : compacted };

    p.target = wanted(newest, wish);
    if (p.target > newest)
        return err_set(e, RC_USAGE,
                       "revision %" PRId64 " is not there yet: the newest is %" PRId64,
                       p.target, newest);
    for (size_t i = 0; i < wish->protect_count; i++)
        if (wish->protect[i] < p.target) {
            p.target = wish->protect[i];
            p.protected = true;
        }
    if (p.target == newest && !wish->allow_newest)
        return err_set(e, RC_REFUSED,
                       "up to the newest revision, %" PRId64
                       ", every watch and every list read in pages would lose its "
                       "place" HINT "keep some with --keep-revisions, or give "
                       "--allow-newest",
                       newest);
    p.nothing = p.target <= p.compacted;
    *out = p;
    return RC_OK;
}

uint64_t care_compact_gain(const struct care_compact_plan *p, uint64_t keys,
                           uint64_t in_use)
{
    double records = (double)keys + (double)(p->newest - p->compacted);

    if (p->nothing || records <= 0)
        return 0;
    return (uint64_t)((double)in_use * (double)(p->target - p->compacted) / records);
}
