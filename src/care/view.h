/* A living cluster as its members describe it: who belongs, who answers, what each one
 * says of itself. look.h fills it; whoever judges it gets a struct and does no I/O. */
#ifndef CARE_VIEW_H
#define CARE_VIEW_H

#include "care/metrics.h"
#include "member/quorum.h"
#include "wire/cluster.h"
#include "wire/maintenance.h"

enum care_state {
    CARE_UP,
    CARE_FROZEN,   /* says how it is, and does not finish a linearizable read */
    CARE_SILENT,   /* takes connections, and does not answer in time */
    CARE_DOWN,     /* no connection */
    CARE_LOCKED,   /* runs, and lets nobody log in: that takes a leader, and it knows none
                    */
    CARE_BARRED,   /* TLS or the permissions keep us out; it may well be alive */
    CARE_STRANGER, /* belongs to another cluster, or is another member than it should be
                    */
};
const char *care_state_name(enum care_state s); /* "up" "frozen" "silent" "down" ... */

enum care_source { CARE_UNKNOWN, CARE_FROM_STATUS, CARE_FROM_METRICS };
const char *care_source_name(enum care_source s); /* "unknown" "status" "metrics" */

struct care_member {
    uint64_t id;    /* 0: an endpoint that did not answer and that no member advertises */
    char *name;     /* "" when not known, or not started yet; print with care */
    char *endpoint; /* where it was asked; "" when it advertises nowhere */
    bool listed;    /* the cluster's list of members has it */
    bool learner;
    enum care_state state;
    struct err failure; /* why, unless it is up */

    struct wire_status status; /* when answered, so for CARE_UP and CARE_FROZEN */
    bool answered;
    uint64_t took_ms;

    uint64_t quota; /* bytes; 0 unless quota_from */
    enum care_source quota_from;

    bool metrics_known;
    struct care_metrics metrics;

    bool clock_known;
    int64_t clock_low_ms, clock_high_ms; /* its clock is ahead of ours by this much */

    bool read_tried; /* a linearizable read, and how it ended */
    enum rc read;
    uint64_t read_ms;

    unsigned alarms; /* 1 << enum wire_alarm_type, raised for this member */
};

struct care_view {
    uint64_t cluster_id; /* 0: nobody answered */
    struct care_member *items;
    size_t count;
    uint64_t leader;         /* in the newest term that most know of; 0: none */
    int64_t revision;        /* the newest anybody has */
    uint64_t index;          /* the newest committed anybody knows of */
    unsigned foreign_alarms; /* of members that are gone from the list */
    bool reads_hang;         /* a quorum answers, and none of it finishes a read */
};
void care_view_clear(struct care_view *v);
void care_member_clear(struct care_member *m);

/* Works out what the view says as a whole from what its members said: leader, revision,
 * index, alarms, the quota that the status tells. */
void care_view_derive(struct care_view *v);

/* The cluster's voters: those listed, or those that answered when no list was had. */
bool care_is_voter(const struct care_member *m);
struct quorum care_quorum(const struct care_view *v);

const struct care_member *care_leader(const struct care_view *v);
const struct care_member *care_member_of(const struct care_view *v, uint64_t id);

/* Voters enough for a quorum say how they are, and know no leader, or too few of them
 * finish a linearizable read: for some seconds after a leader died that is an election.
 */
bool care_is_electing(const struct care_view *v);

/* How many entries the member has yet to apply; 0 when it did not answer. */
uint64_t care_lag(const struct care_view *v, const struct care_member *m);

/* Share of the file that is free pages, in percent; 0 when it did not answer. */
unsigned care_free_percent(const struct care_member *m);

/* "follower" "leader" "learner" "" */
const char *care_role(const struct care_view *v, const struct care_member *m);

/* "NOSPACE", "NOSPACE CORRUPT", "" */
void care_alarm_names(unsigned alarms, char *out, size_t n);

/* The cluster has added it, and no etcd has come to be it: one that runs tells its name.
 */
bool care_never_started(const struct care_member *m);

/* The name, else the endpoint, else the id: what a sentence calls it. */
const char *care_called(const struct care_member *m, char out[static 80]);

/* One alarm out of a member's list of errors ("memberID:81 alarm:NOSPACE "): every
 * member tells them all, also when there is no quorum to ask. False for other texts. */
bool care_alarm_parse(const char *text, struct wire_alarm *out);

/* RC_OK when every member is up, there is a leader, and no alarm; RC_DEGRADED with the
 * first thing that is not so; when no member answered, the failure of the first. */
enum rc care_view_verdict(const struct care_view *v, struct err *e);

#endif
