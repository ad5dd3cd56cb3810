/* Why etcd refuses a request: the gRPC status and the text that its clients are told
 * (api/v3rpc/rpctypes; what is not listed there travels as Unknown with its own text). */
#ifndef MACHINE_REFUSAL_H
#define MACHINE_REFUSAL_H

#include "machine/machine.h"

/* clang-format off */
#define REFUSAL_TABLE(X)                                                                 \
    X(ALLOWED, 0, "")                                                                    \
    X(REFUSE_NO_KEY, 3, "etcdserver: key is not provided")                               \
    X(REFUSE_KEY_NOT_FOUND, 3, "etcdserver: key not found")                              \
    X(REFUSE_VALUE_PROVIDED, 3, "etcdserver: value is provided")                         \
    X(REFUSE_LEASE_PROVIDED, 3, "etcdserver: lease is provided")                         \
    X(REFUSE_TOO_MANY_OPS, 3, "etcdserver: too many operations in txn request")          \
    X(REFUSE_DUPLICATE_KEY, 3, "etcdserver: duplicate key given in txn request")         \
    X(REFUSE_SORT, 3, "etcdserver: invalid sort option")                                 \
    X(REFUSE_COMPACTED, 11, "etcdserver: mvcc: required revision has been compacted")    \
    X(REFUSE_FUTURE, 11, "etcdserver: mvcc: required revision is a future revision")     \
    X(REFUSE_NO_SPACE, 8, "etcdserver: mvcc: database space exceeded")                   \
    X(REFUSE_CORRUPT, 15, "etcdserver: corrupt cluster")                                 \
    X(REFUSE_NO_LEASE, 5, "etcdserver: requested lease not found")                       \
    X(REFUSE_LEASE_EXISTS, 9, "etcdserver: lease already exists")                        \
    X(REFUSE_LONG_TTL, 11, "etcdserver: too large lease TTL")                            \
    X(REFUSE_MEMBER_EXISTS, 9, "etcdserver: member ID already exist")                    \
    X(REFUSE_PEER_URL_EXISTS, 9, "etcdserver: Peer URLs already exists")                 \
    X(REFUSE_NO_MEMBER, 5, "etcdserver: member not found")                               \
    X(REFUSE_NOT_LEARNER, 9, "etcdserver: can only promote a learner member")            \
    X(REFUSE_LEARNERS, 9, "etcdserver: too many learner members in cluster")             \
    X(REFUSE_NO_ROOT, 9, "etcdserver: root user does not exist")                         \
    X(REFUSE_NO_ROOT_ROLE, 9, "etcdserver: root user does not have root role")           \
    X(REFUSE_USER_EXISTS, 9, "etcdserver: user name already exists")                     \
    X(REFUSE_USER_EMPTY, 3, "etcdserver: user name is empty")                            \
    X(REFUSE_NO_USER, 9, "etcdserver: user name not found")                              \
    X(REFUSE_ROLE_EXISTS, 9, "etcdserver: role name already exists")                     \
    X(REFUSE_NO_ROLE, 9, "etcdserver: role name not found")                              \
    X(REFUSE_ROLE_EMPTY, 3, "etcdserver: role name is empty")                            \
    X(REFUSE_AUTH_FAILED, 3,                                                             \
      "etcdserver: authentication failed, invalid user ID or password")                  \
    X(REFUSE_NO_PERMISSION, 3, "etcdserver: permission not given")                       \
    X(REFUSE_DENIED, 7, "etcdserver: permission denied")                                 \
    X(REFUSE_ROLE_NOT_GRANTED, 9, "etcdserver: role is not granted to the user")         \
    X(REFUSE_NOT_GRANTED, 9, "etcdserver: permission is not granted to the role")        \
    X(REFUSE_AUTH_OFF, 9, "etcdserver: authentication is not enabled")                   \
    X(REFUSE_AUTH_MANAGEMENT, 3, "etcdserver: invalid auth management")                  \
    X(REFUSE_OLD_REVISION, 3, "etcdserver: revision of auth store is old")               \
    X(REFUSE_PASSWORD, 2,                                                                \
      "auth: authentication failed, password was given for no password user")
/* clang-format on */

enum refusal {
#define X(name, code, text) name,
    REFUSAL_TABLE(X)
#undef X
};

/* Writes it down and drops a reply that was begun. */
void refuse(struct machine_outcome *o, enum refusal why);

/* For the one line that ends an operation. */
static inline enum rc refused(struct machine_outcome *o, enum refusal why)
{
    refuse(o, why);
    return RC_OK;
}

#endif
