/* What changed from one database to another: two sorted indexes merged key by key, and
 * the other buckets compared item by item. */
#ifndef SNAPSHOT_DIFF_H
#define SNAPSHOT_DIFF_H

#include "snapshot/look.h"

enum snap_change_kind { SNAP_ADDED, SNAP_REMOVED, SNAP_CHANGED };
enum snap_subject {
    SNAP_KEY,
    SNAP_HISTORY, /* a record of a key that is not its newest put */
    SNAP_LEASE,
    SNAP_USER,
    SNAP_ROLE,
    SNAP_MEMBER,
    SNAP_REMOVED_MEMBER,
    SNAP_ALARM,
    SNAP_AUTH,
    SNAP_SUBJECTS,
};

const char *snap_change_name(enum snap_change_kind k); /* "added" ... */
const char *snap_subject_name(enum snap_subject s);    /* "key" "lease" ... */

/* One difference, borrowed for the time of the call. */
struct snap_change {
    enum snap_change_kind kind;
    enum snap_subject subject;
    struct bytes name;
    /* Of a key or its history; NULL where it was not, or is no more. Of the same revision
     * and yet different, the two databases are not of one history. */
    const struct snap_record *before, *after;
    /* Of anything else: what it was and is; "" where it was not, or is no more. */
    const char *was, *is;
};

typedef enum rc snap_change_fn(void *arg, const struct snap_change *c, struct err *e);

/* Live keys, in order. A key has changed when any byte of its record has: the value, the
 * lease, a revision. */
enum rc snap_diff_keys(const struct snap_look *before, const struct snap_look *after,
                       snap_change_fn *change, void *arg, struct err *e);

/* Superseded puts and deletions, of keys that are gone too, at the revisions where both
 * databases have all of them: above either's compactions, up to the lower newest one. Two
 * of one cluster differ in none; members that differ there answer older revisions
 * differently, and have another HashKV, though their keys may be equal. */
enum rc snap_diff_history(const struct snap_look *before, const struct snap_look *after,
                          snap_change_fn *change, void *arg, struct err *e);

/* Leases, users, roles, members, alarms, whether authentication is on, and how often it
 * has changed. Passwords are not compared, for the facts do not hold them; a new one
 * raises that number. */
enum rc snap_diff_rest(const struct snap_look *before, const struct snap_look *after,
                       snap_change_fn *change, void *arg, struct err *e);

#endif
