/* A living cluster as the planner of its members needs it: who belongs, at which peer
 * addresses, and who takes part, found by a linearizable read at each member. */
#ifndef MEMBERSHIP_LOOK_H
#define MEMBERSHIP_LOOK_H

#include "care/look.h"
#include "member/change.h"

struct membership_look {
    struct care_view view;
    struct wire_members list; /* the whole list with its addresses */
    struct member_table table;
    char names[MEMBER_SEATS_MAX][80]; /* the table's names; safe to print */
};

/* Pure: the table of `list`, with what `view` knows of its members. The table's names
 * point into *l, so it must not move afterwards. RC_REFUSED for a list that is too
 * long. */
enum rc membership_tabulate(struct membership_look *l, struct err *e);

/* Fails when no member answers, or when none tells who belongs; a member that is down is
 * no failure. *out must not move afterwards. */
enum rc membership_look_take(const struct care_access *a, struct membership_look *out,
                             struct err *e);
/* The same, and again for some seconds while enough voters answer and too few of them
 * finish a read: an election is on, most likely. */
enum rc membership_look_settled(const struct care_access *a, struct membership_look *out,
                                struct err *e);
void membership_look_clear(struct membership_look *l);

/* A member by its name or its id in hex. RC_NOTFOUND; RC_USAGE when two have the name. */
enum rc membership_find(const struct membership_look *l, const char *name_or_id,
                        uint64_t *id, struct err *e);
const struct wire_member *membership_of(const struct membership_look *l, uint64_t id);

/* The member with one of these peer addresses; NULL when there is none. */
const struct wire_member *membership_at(const struct membership_look *l,
                                        const struct str_list *peer_urls);

/* Beyond what is safe, etcd adds no member while a voter is not connected, and none while
 * an earlier one never started. RC_REFUSED with what to do first; `leaving` is a member
 * that will be gone by then, or 0. */
enum rc membership_may_add(const struct membership_look *l, uint64_t leaving,
                           struct err *e);

/* A client of the voters that take part, the leader first, without member `but` when
 * there is another. */
enum rc membership_connect(const struct care_access *a, const struct membership_look *l,
                           uint64_t but, struct wire_client **out, struct err *e);

#endif
