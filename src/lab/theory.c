#include "lab/table.h"

const char *lab_failure_name(enum lab_failure how)
{
    static const char *const names[] = { "kill", "partition", "pause", "recover" };

    return names[how];
}

/* More than half must agree on a write, on a leader, and on how new a linearizable read
 * must be; a serializable one asks nobody. */
struct lab_expected lab_theory(struct lab_case c)
{
    size_t up = c.members - c.failed;
    struct quorum q = quorum_of(c.members, up);

    if (c.how == LAB_RECOVERED)
        q = quorum_of(1, 1);
    return (struct lab_expected){
        .quorum = q,
        .up = up,
        .can_write = q.has,
        .can_read_linearizable = q.has,
        .can_read_serializable = up > 0,
        .has_leader = q.has,
    };
}
