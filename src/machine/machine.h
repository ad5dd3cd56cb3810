/* etcd's replicated state machine: the state that a member's log produces, and what one
 * more entry does to it. Semantics: etcd server/etcdserver/apply (3.4: apply.go,
 * apply_auth.go), server/auth, server/lease, api/membership; where versions differ, the
 * rule of `minor` holds.
 *
 * Used twice: to finish a dead member's database with the tail of its WAL (datadir/), and
 * as the state of the embedded store (raftstore/). It reads no clock, no file and no
 * network, and is deterministic: equal entries on equal states give equal states. */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include "boltdb/build.h"
#include "boltdb/walk.h"
#include "codec/message.h"
#include "machine/kvstore.h"
#include "mvcc/member.h"
#include "wal/message.h"

struct machine;

struct machine_options {
    int minor;                /* 4 to 7 */
    unsigned patch;           /* 0: the newest of that minor version */
    int64_t min_lease_ttl;    /* seconds; 0: 2, what etcd's own timeouts make it */
    unsigned max_learners;    /* 0: 1 */
    bool persist_checkpoints; /* also before the cluster is 3.6 (an experimental flag) */

    /* The bcrypt text of a password. Entries of 3.4 carry passwords as they are, and each
     * member salts its own hash. Without this such a user gets a password that nobody
     * has, and machine_lost_passwords() counts it. */
    enum rc (*hash_password)(void *arg, const char *password, struct buf *out,
                             struct err *e);
    void *hash_arg;
};

enum rc machine_new(const struct machine_options *options, struct machine **out,
                    struct err *e);
void machine_free(struct machine *m);
OWN_DEFINE(machine)

/* ---- from and to a database file ----------------------------------------------------
 */

/* Fill a new machine from all buckets. The file must outlive the machine. RC_CORRUPT for
 * what a booting etcd could not read. */
enum rc machine_load(struct machine *m, const struct bolt_file *file, struct err *e);

/* The same from pairs that lie elsewhere, all in the order that a walk shows them; what
 * they borrow from must outlive the machine. Fails as `feed` does, too. */
typedef enum rc machine_feed(void *arg, const struct bolt_visitor *to, struct err *e);
enum rc machine_load_from(struct machine *m, machine_feed *feed, void *arg,
                          struct err *e);

/* All buckets, sorted, as etcd of `minor` would have stored them (consistent_index, term
 * and confState of the last entry applied; storageVersion from 3.6 on). */
enum rc machine_dump(const struct machine *m, struct bolt_builder *b, struct err *e);

/* ---- applying -------------------------------------------------------------------------
 */

/* What an entry came to. `code` is the gRPC status that the client is told (0: done) and
 * `message` etcd's text for it; an entry that is refused changes nothing but the index.
 */
struct machine_outcome {
    int code;
    const char *message; /* static */
    int64_t revision;    /* of the store afterwards, for the response's header */
    struct buf reply;    /* the response's fields but its header: the server puts one in
                            front (field 1 of every response) */
    bool wants_reply;    /* set by the caller: without it `reply` stays empty */
};
void machine_outcome_end(struct machine_outcome *o); /* for AT_END */

/* One committed entry of the log, in order. Entries at or below machine_index() are
 * passed over (as etcd does by consistent_index). Normal entries carry an
 * InternalRaftRequest, a v2 Request of 3.4 and 3.5, or nothing; RC_CORRUPT when it is
 * none of these. `o` may be NULL. */
enum rc machine_apply(struct machine *m, const struct wal_entry *entry,
                      struct machine_outcome *o, struct err *e);

/* The same for one request and one membership change, for who has no WAL entry. */
enum rc machine_request(struct machine *m, const Raftreq__InternalRaftRequest *r,
                        struct machine_outcome *o, struct err *e);
enum rc machine_change(struct machine *m, const struct wal_change *change,
                       struct machine_outcome *o, struct err *e);
/* and then where the log is: */
void machine_set_index(struct machine *m, uint64_t index, uint64_t term);

/* A request that changes nothing, against the state as it is: range, a read-only txn,
 * auth_status, user_get, user_list, role_get, role_list, alarm GET. RC_REFUSED when it
 * is another one. Checks permissions as applying does. */
enum rc machine_query(const struct machine *m, const Raftreq__InternalRaftRequest *r,
                      struct machine_outcome *o, struct err *e);

/* A request that etcd's servers refuse before it enters the log (v3rpc/key.go checks, txn
 * limits, span overlap): *o is the refusal, code 0 when it may go on. */
void machine_precheck(const Raftreq__InternalRaftRequest *r, unsigned max_txn_ops,
                      struct machine_outcome *o);

/* ---- facts ----------------------------------------------------------------------------
 */

struct kvstore *machine_kv(struct machine *m);
uint64_t machine_index(const struct machine *m); /* last entry applied */
uint64_t machine_term(const struct machine *m);

const struct mvcc_member *machine_members(const struct machine *m, size_t *count);
bool machine_removed(const struct machine *m, uint64_t id);
const char *machine_cluster_version(const struct machine *m); /* "3.5.0" or NULL */

size_t machine_alarms(const struct machine *m, struct mvcc_alarm *out, size_t room);
bool machine_alarm(const struct machine *m, enum mvcc_alarm_type type);

/* Leases in ascending order of id; false at the end. */
struct machine_lease {
    int64_t id, ttl, remaining_ttl; /* seconds; remaining 0: not checkpointed */
};
bool machine_lease_at(const struct machine *m, size_t i, struct machine_lease *out);
bool machine_lease_find(const struct machine *m, int64_t id, struct machine_lease *out);
/* Its keys in order, borrowed until the next write. */
enum rc machine_lease_keys(const struct machine *m, int64_t id,
                           enum rc (*visit)(void *arg, struct bytes key, struct err *e),
                           void *arg, struct err *e);

/* ---- authentication
 * --------------------------------------------------------------------- */

bool machine_auth_enabled(const struct machine *m);
uint64_t machine_auth_revision(const struct machine *m);
/* The bcrypt text of a user's password, borrowed; NULL when there is none. */
const char *machine_password(const struct machine *m, const char *user);
/* One who was added to log in by a certificate only. */
bool machine_without_password(const struct machine *m, const char *user);
/* How many passwords were set without a way to hash them. */
uint64_t machine_lost_passwords(const struct machine *m);
/* Who holds this simple token (given by an `authenticate` request); NULL: nobody. */
const char *machine_token_user(const struct machine *m, const char *token);
void machine_token_drop(struct machine *m, const char *token);
bool machine_is_root(const struct machine *m, const char *user); /* has role root */

/* May `user` watch this span (read permission)? */
bool machine_may_read(const struct machine *m, const char *user,
                      struct kvstore_span span);

#endif
