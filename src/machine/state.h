/* What a machine is made of; for the files of this folder alone. */
#ifndef MACHINE_STATE_H
#define MACHINE_STATE_H

#include "machine/machine.h"
#include "machine/refusal.h"
#include "machine/table.h"

/* A bucket that no etcd we know has. */
struct extra {
    struct bytes name;
    struct table pairs;
};

/* A simple token and who holds it. */
struct token {
    char *text, *user;
};

struct machine {
    struct machine_options options;
    struct kvstore *kv;
    struct table buckets[MVCC_BUCKETS]; /* as stored; MVCC_KEY is in kv */
    struct extra *extras;
    size_t extra_count;

    struct mvcc_member *members; /* by id */
    size_t member_count;
    char *cluster_version; /* NULL until it is decided */
    bool version_decided;  /* by an entry, not by the file */

    bool auth_enabled;
    uint64_t auth_revision;
    uint64_t lost_passwords;
    struct token *tokens;
    size_t token_count;

    uint64_t index, term;
    uint64_t applying; /* index of the entry at work; 0: none */
    bool moved;        /* an index was set */

    /* What the alarms make of the next request. Up to 3.5 an alarm that is raised while
     * the server runs replaces its chain of appliers, the checks of permissions
     * included, until it is cleared (applierV3backend.Alarm). */
    bool capped, corrupt, unguarded;

    bool starved; /* memory ran out where nobody could be told: see leases.c */
};

/* Who asks. */
struct caller {
    const char *user;
    uint64_t revision;
    bool trusted; /* nothing is checked */
};

static inline struct table *bucket_of(struct machine *m, enum mvcc_bucket b)
{
    return &m->buckets[b];
}

static inline struct bytes field_bytes(ProtobufCBinaryData f)
{
    return (struct bytes){ f.data, f.len };
}

static inline struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){ b->p, b->n };
}

/* The first patch release of 3.4, 3.5, 3.6 and 3.7 that has something; 0: all have it. */
struct since {
    unsigned patch[4];
};
#define NEVER UINT32_MAX

static inline bool has(const struct machine *m, struct since since)
{
    unsigned first = since.patch[m->options.minor - 4];

    return first != NEVER && (m->options.patch == 0 || m->options.patch >= first);
}

/* The newest revision, what is being written included. */
static inline int64_t revision_now(const struct kvstore *kv, bool writing)
{
    return kvstore_revision(kv) + (writing && kvstore_changed(kv) ? 1 : 0);
}

/* ---- leases.c ------------------------------------------------------------------------
 */

struct lease {
    int64_t id, ttl, remaining;
    struct bytes *keys; /* sorted, ours */
    size_t count, room;
};

void lease_free(void *meaning);
enum rc lease_load(struct machine *m, struct bytes key, struct bytes value,
                   struct err *e);
const struct lease *lease_find(const struct machine *m, int64_t id);
/* For kvstore_options. */
void lease_attach(void *arg, struct bytes key, int64_t before, int64_t after);

enum rc lease_grant(struct machine *m, const struct caller *who, const void *request,
                    struct machine_outcome *o, struct err *e);
enum rc lease_revoke(struct machine *m, const struct caller *who, const void *request,
                     struct machine_outcome *o, struct err *e);
enum rc lease_checkpoint(struct machine *m, const struct caller *who, const void *request,
                         struct machine_outcome *o, struct err *e);

/* ---- range.c ------------------------------------------------------------------------
 */

/* Whether a range at `revision` can be answered now. */
enum refusal range_refusal(const struct kvstore *kv, int64_t revision);

/* Appends the RangeResponse, with a header inside a transaction (`writing` then says
 * whether there may be changes already). The revision was checked. */
enum rc range_reply(const struct machine *m, const Etcdrpc__RangeRequest *r, bool writing,
                    struct buf *out, struct err *e);

enum rc range_query(const struct machine *m, const struct caller *who,
                    const void *request, struct machine_outcome *o, struct err *e);

/* ---- write.c, txn.c -----------------------------------------------------------------
 */

/* Inside a write, checked before: change the store and append the response. */
enum rc put_run(struct kvstore *kv, const Etcdrpc__PutRequest *r, struct buf *out,
                struct err *e);
enum rc delete_run(struct kvstore *kv, const Etcdrpc__DeleteRangeRequest *r,
                   struct buf *out, struct err *e);
/* What etcd checks of a put before a transaction. */
enum rc put_check(const struct machine *m, const Etcdrpc__PutRequest *r,
                  enum refusal *why, struct err *e);

enum rc put_apply(struct machine *m, const struct caller *who, const void *request,
                  struct machine_outcome *o, struct err *e);
enum rc delete_apply(struct machine *m, const struct caller *who, const void *request,
                     struct machine_outcome *o, struct err *e);
enum rc compact_apply(struct machine *m, const struct caller *who, const void *request,
                      struct machine_outcome *o, struct err *e);
enum rc txn_apply(struct machine *m, const struct caller *who, const void *request,
                  struct machine_outcome *o, struct err *e);
enum rc txn_query(const struct machine *m, const struct caller *who, const void *request,
                  struct machine_outcome *o, struct err *e);
bool txn_readonly(const Etcdrpc__TxnRequest *r);

/* ---- permit.c -----------------------------------------------------------------------
 */

enum refusal permit_admin(const struct machine *m, const struct caller *who);
enum refusal permit_span(const struct machine *m, const struct caller *who,
                         struct kvstore_span span, bool write);
enum refusal permit_put(const struct machine *m, const struct caller *who,
                        const Etcdrpc__PutRequest *r);
enum refusal permit_delete(const struct machine *m, const struct caller *who,
                           const Etcdrpc__DeleteRangeRequest *r);
enum refusal permit_txn(const struct machine *m, const struct caller *who,
                        const Etcdrpc__TxnRequest *r);
enum refusal permit_lease(const struct machine *m, const struct caller *who, int64_t id);

/* ---- users.c, roles.c, auth.c -------------------------------------------------------
 */

struct user {
    Authpb__User *stored;
    char *password; /* the bcrypt text */
};

void user_free(void *meaning);
void role_free(void *meaning);
enum rc user_load(struct machine *m, struct bytes key, struct bytes value, struct err *e);
enum rc role_load(struct machine *m, struct bytes key, struct bytes value, struct err *e);
const struct user *user_find(const struct machine *m, const char *name);
const Authpb__Role *role_find(const struct machine *m, const char *name);
bool user_has(const struct user *u, const char *role);
enum rc user_store(struct machine *m, const Authpb__User *u, struct err *e);
/* A copy of the user without the role; *found whether it had it. */
enum rc user_store_without(struct machine *m, const struct user *u, const char *role,
                           bool *found, struct err *e);
/* Every change of users and roles raises it. */
enum rc auth_revise(struct machine *m, struct err *e);
void tokens_drop(struct machine *m, const char *user); /* NULL: all */

/* clang-format off */
#define AUTH_OPS(X)                                                           \
    X(auth_enable) X(auth_disable) X(authenticate) X(user_add) X(user_delete) \
    X(user_change_password) X(user_grant_role) X(user_revoke_role)            \
    X(role_add) X(role_delete) X(role_grant_permission) X(role_revoke_permission)
/* clang-format on */
#define X(name)                                                       \
    enum rc name##_apply(struct machine *m, const struct caller *who, \
                         const void *request, struct machine_outcome *o, struct err *e);
AUTH_OPS(X)
#undef X
#define AUTH_QUERIES(X) X(auth_status) X(user_get) X(user_list) X(role_get) X(role_list)
#define X(name)                                                             \
    enum rc name##_query(const struct machine *m, const struct caller *who, \
                         const void *request, struct machine_outcome *o, struct err *e);
AUTH_QUERIES(X)
#undef X

/* ---- alarms.c -----------------------------------------------------------------------
 */

void alarms_settle(struct machine *m); /* as a booting server does */
enum rc alarm_apply(struct machine *m, const struct caller *who, const void *request,
                    struct machine_outcome *o, struct err *e);
enum rc alarm_query(const struct machine *m, const struct caller *who,
                    const void *request, struct machine_outcome *o, struct err *e);

/* ---- members.c ----------------------------------------------------------------------
 */

enum rc member_load(struct machine *m, struct bytes key, struct bytes value,
                    struct err *e);
/* Name and client URLs of a member that published itself; of one that is unknown they
 * are ignored. */
enum rc member_publish(struct machine *m, uint64_t id, const char *name,
                       const struct str_list *client_urls, struct err *e);
enum rc cluster_version_store(struct machine *m, const char *version, struct err *e);

enum rc cluster_version_set_apply(struct machine *m, const struct caller *who,
                                  const void *request, struct machine_outcome *o,
                                  struct err *e);
enum rc member_attr_set_apply(struct machine *m, const struct caller *who,
                              const void *request, struct machine_outcome *o,
                              struct err *e);
enum rc downgrade_info_set_apply(struct machine *m, const struct caller *who,
                                 const void *request, struct machine_outcome *o,
                                 struct err *e);

/* ---- v2.c ---------------------------------------------------------------------------
 */

/* Is this entry a Request of the v2 API? 3.4 and 3.5 still log some. */
bool v2_is(struct bytes data);
enum rc v2_apply(struct machine *m, struct bytes data, struct err *e);

#endif
