#include <inttypes.h>
#include <stdio.h>

#include "membership/run.h"

/* "m2 (91bc3c398fb3c146)" */
static void call(const struct membership_look *l, uint64_t id, char out[static 120])
{
    const struct member_seat *s = member_seat_of(&l->table, id);

    if (s == NULL || !s->started)
        snprintf(out, 120, "member %" PRIx64, id);
    else
        snprintf(out, 120, "%s (%" PRIx64 ")", s->name, id);
}

static void call_new(const struct membership_new *who, char out[static 120])
{
    str_printable(out, 120, bytes_str(who == NULL ? "the new member" : who->name));
}

void membership_describe(const struct membership_look *l, const struct member_step *s,
                         const struct membership_new *who, char *out, size_t n)
{
    char a[120], b[120];

    if (s->id == 0)
        call_new(who, a);
    else
        call(l, s->id, a);
    call(l, s->to, b);
    switch (s->kind) {
    case MEMBER_BACKUP:
        snprintf(out, n, "take a snapshot");
        return;
    case MEMBER_MOVE_LEADER:
        snprintf(out, n, "move leadership to %s", b);
        return;
    case MEMBER_REMOVE:
        snprintf(out, n, "remove %s", a);
        return;
    case MEMBER_ADD_VOTER:
        snprintf(out, n, "add %s", a);
        return;
    case MEMBER_ADD_LEARNER:
        snprintf(out, n, "add %s as a learner", a);
        return;
    case MEMBER_AWAIT:
        snprintf(out, n, "wait until %s has caught up", a);
        return;
    case MEMBER_PROMOTE:
        snprintf(out, n, "promote %s to a voter", a);
        return;
    case MEMBER_UPDATE:
        snprintf(out, n, "change the peer addresses of %s", a);
        return;
    case MEMBER_COMPARE:
        snprintf(out, n, "compare what the voters hold");
        return;
    }
}
