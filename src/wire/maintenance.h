/* Questions to one member, and orders that concern its disk or its role. With
 * authentication on, all need role root unless said otherwise. */
#ifndef WIRE_MAINTENANCE_H
#define WIRE_MAINTENANCE_H

#include "util/str.h"
#include "wire/wire.h"

/* What a member says about itself, without asking the others. */
struct wire_status {
    struct wire_header header; /* revision: this member's own */
    char version[32];          /* of the program */
    char storage_version[32];  /* of the schema, since 3.6; else "" */
    uint64_t db_size, db_size_in_use;
    uint64_t db_size_quota; /* since 3.6; else 0 */
    uint64_t leader;        /* 0: none */
    uint64_t raft_index, raft_term, raft_applied_index;
    bool is_learner;
    bool downgrading;
    struct str_list errors; /* "etcdserver: no leader", and one text for each alarm */
};

/* Any authenticated user, but role root for 3.4.42+, 3.5.28-31 and 3.6.0-11. Answered
 * by a member without quorum too. */
enum rc wire_status_get(struct wire_client *c, size_t endpoint, struct wire_status *out,
                        struct err *e);
void wire_status_clear(struct wire_status *s);

/* The CRC-32C of the whole backend: of use only among members of the same version. */
enum rc wire_hash_get(struct wire_client *c, size_t endpoint, uint32_t *out,
                      struct err *e);

struct wire_hashkv {
    struct wire_header header;
    uint32_t hash;
    int64_t compact_revision; /* hashes compare only when this and the revision agree */
    int64_t hash_revision;    /* since 3.6; else 0 */
};

/* revision 0: the newest. WIRE_COMPACTED and WIRE_FUTURE_REVISION tell why not. */
enum rc wire_hashkv_get(struct wire_client *c, size_t endpoint, int64_t revision,
                        struct wire_hashkv *out, struct err *e);

/* Rewrites the member's database; it answers nothing else meanwhile. timeout_ms 0: waits
 * as long as the connection lives. Giving up does not stop the member. */
enum rc wire_defragment(struct wire_client *c, size_t endpoint, uint64_t timeout_ms,
                        struct err *e);

/* `endpoint` must be the leader's; the target a voting member. */
enum rc wire_leader_move(struct wire_client *c, size_t endpoint, uint64_t target,
                         struct err *e);

enum wire_alarm_type { WIRE_ALARM_NONE, WIRE_ALARM_NOSPACE, WIRE_ALARM_CORRUPT };

struct wire_alarm {
    uint64_t member_id;
    enum wire_alarm_type type;
};

struct wire_alarms {
    struct wire_alarm *items;
    size_t count;
};

/* Needs a quorum even to look: without one, see the errors of wire_status. Any
 * authenticated user may look. */
enum rc wire_alarm_list(struct wire_client *c, struct wire_alarms *out, struct err *e);
void wire_alarms_clear(struct wire_alarms *a);
enum rc wire_alarm_activate(struct wire_client *c, struct wire_alarm alarm,
                            struct err *e);
enum rc wire_alarm_disarm(struct wire_client *c, struct wire_alarm alarm, struct err *e);

#endif
