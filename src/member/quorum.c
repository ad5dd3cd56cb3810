#include "member/quorum.h"

#include <stdio.h>

struct quorum quorum_of(size_t voters, size_t up)
{
    struct quorum q = { .voters = voters, .up = up < voters ? up : voters };

    q.needed = voters / 2 + 1;
    q.has = q.up >= q.needed;
    q.tolerance = voters == 0 ? 0 : voters - q.needed;
    q.tolerates = q.has ? q.up - q.needed : 0;
    return q;
}

struct quorum quorum_plus(struct quorum q, bool up_too)
{
    return quorum_of(q.voters + 1, q.up + (up_too ? 1 : 0));
}

struct quorum quorum_minus(struct quorum q, bool was_up)
{
    if (q.voters == 0)
        return q;
    return quorum_of(q.voters - 1, was_up && q.up > 0 ? q.up - 1 : q.up);
}

const char *quorum_trap(size_t voters, char *out, size_t n)
{
    if (voters == 0 || voters % 2 == 1)
        return NULL;
    if (voters == 2)
        snprintf(out, n,
                 "two voters need both: it stops when either fails, which is twice as "
                 "likely as with one; add a third");
    else
        snprintf(out, n,
                 "%zu voters bear %zu failure%s, no more than %zu do, and are more to "
                 "fail; add one or remove one",
                 voters, voters / 2 - 1, voters == 4 ? "" : "s", voters - 1);
    return out;
}
