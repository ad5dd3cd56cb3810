/* What etcd 3.4 to 3.7 stores in its buckets: binary keys and protobuf values.
 *
 * A reader refuses what is malformed (RC_CORRUPT, with the byte or field) and skips
 * protobuf fields it does not know, because a newer etcd may have added them. Readers
 * judge one pair alone; how pairs fit together is history.h and facts.h.
 * The JSON values are in member.h. */
#ifndef MVCC_SCHEMA_H
#define MVCC_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"
#include "util/own.h"
#include "util/str.h"

/* The ten buckets every etcd since 3.4 creates at its first boot, in file order. */
#define MVCC_BUCKET_TABLE(X)                   \
    X(MVCC_ALARM, "alarm")                     \
    X(MVCC_AUTH, "auth")                       \
    X(MVCC_AUTH_ROLES, "authRoles")            \
    X(MVCC_AUTH_USERS, "authUsers")            \
    X(MVCC_CLUSTER, "cluster")                 \
    X(MVCC_KEY, "key")                         \
    X(MVCC_LEASE, "lease")                     \
    X(MVCC_MEMBERS, "members")                 \
    X(MVCC_MEMBERS_REMOVED, "members_removed") \
    X(MVCC_META, "meta")

enum mvcc_bucket {
#define X(name, text) name,
    MVCC_BUCKET_TABLE(X)
#undef X
        MVCC_BUCKETS, /* how many; also: none of them */
};

const char *mvcc_bucket_name(enum mvcc_bucket b);
enum mvcc_bucket mvcc_bucket_find(struct bytes name); /* MVCC_BUCKETS when unknown */

/* Keys of bucket meta, cluster and auth. */
#define MVCC_CONSISTENT_INDEX "consistent_index"
#define MVCC_TERM "term"
#define MVCC_CONF_STATE "confState"
#define MVCC_SCHEDULED_COMPACT "scheduledCompactRev"
#define MVCC_FINISHED_COMPACT "finishedCompactRev"
#define MVCC_STORAGE_VERSION "storageVersion"
#define MVCC_CLUSTER_VERSION "clusterVersion"
#define MVCC_DOWNGRADE "downgrade"
#define MVCC_AUTH_ENABLED "authEnabled"
#define MVCC_AUTH_REVISION "authRevision"

/* ---- bucket key ------------------------------------------------------------------- */

enum { MVCC_REV_SIZE = 17, MVCC_TOMBSTONE_SIZE = 18 };

struct mvcc_rev {
    int64_t main; /* from 2 up in bucket key */
    int64_t sub;  /* from 0 up */
    bool tombstone;
};

/* Reads both sizes; neither number may be negative. */
enum rc mvcc_rev_read(struct bytes key, struct mvcc_rev *out, struct err *e);
void mvcc_rev_write(uint8_t out[static MVCC_REV_SIZE], int64_t main, int64_t sub);

/* An mvccpb.KeyValue; bytes borrowed from the value. */
struct mvcc_kv {
    struct bytes key, value;
    int64_t create, mod, version, lease;
};
enum rc mvcc_kv_read(struct bytes value, struct mvcc_kv *out, struct err *e);

/* ---- lease, alarm, auth ----------------------------------------------------------- */

struct mvcc_lease {
    int64_t id;
    int64_t ttl, remaining_ttl; /* seconds; remaining is 0 without checkpointing */
};

/* RC_CORRUPT also when key and value name different leases. */
enum rc mvcc_lease_read(struct bytes key, struct bytes value, struct mvcc_lease *out,
                        struct err *e);

enum mvcc_alarm_type {
    MVCC_ALARM_NONE = 0,
    MVCC_ALARM_NOSPACE = 1,
    MVCC_ALARM_CORRUPT = 2
};

struct mvcc_alarm {
    uint64_t member; /* 0: CORRUPT of nobody in particular */
    uint32_t type;   /* enum mvcc_alarm_type, or what a newer etcd may add */
};
enum { MVCC_ALARM_KEY_MAX = 20 };

enum rc mvcc_alarm_read(struct bytes key, struct mvcc_alarm *out, struct err *e);
/* The bucket key of an alarm, whose value is empty. Returns its size. */
size_t mvcc_alarm_write(uint8_t out[static MVCC_ALARM_KEY_MAX], struct mvcc_alarm alarm);

/* The bcrypt text is not kept: nobody needs it, and what is not there cannot leak. */
struct mvcc_user {
    char *name;
    struct str_list roles;
    bool has_password, no_password;
};
enum rc mvcc_user_read(struct bytes key, struct bytes value, struct mvcc_user *out,
                       struct err *e);
void mvcc_user_clear(struct mvcc_user *u);

enum mvcc_permission_kind { MVCC_READ = 0, MVCC_WRITE = 1, MVCC_READWRITE = 2 };

struct mvcc_permission {
    uint32_t kind;               /* enum mvcc_permission_kind */
    struct bytes key, range_end; /* owned by the role */
};
struct mvcc_role {
    char *name;
    struct mvcc_permission *permissions;
    size_t count;
};
enum rc mvcc_role_read(struct bytes key, struct bytes value, struct mvcc_role *out,
                       struct err *e);
void mvcc_role_clear(struct mvcc_role *r);

/* ---- single values ---------------------------------------------------------------- */

/* 8 bytes, big end first: consistent_index, term, authRevision. */
enum rc mvcc_u64_read(struct bytes value, uint64_t *out, struct err *e);

/* scheduledCompactRev, finishedCompactRev: a revision key with sub 0. */
enum rc mvcc_compact_rev_read(struct bytes value, int64_t *out, struct err *e);

/* One byte 0 or 1. */
enum rc mvcc_flag_read(struct bytes value, bool *out, struct err *e);

struct mvcc_version {
    unsigned major, minor, patch;
};
/* "3.6.0", perhaps with "-pre" or "+meta" behind. */
enum rc mvcc_version_read(struct bytes value, struct mvcc_version *out, struct err *e);

/* Member ids as bucket keys: lower-case hex without leading zeros. */
enum { MVCC_MEMBER_KEY_MAX = 17 };
enum rc mvcc_member_key_read(struct bytes key, uint64_t *out, struct err *e);
void mvcc_member_key_write(char out[static MVCC_MEMBER_KEY_MAX], uint64_t id);

#endif
