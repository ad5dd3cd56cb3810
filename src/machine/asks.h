/* What an entry of the log asks for, told without doing it: for a log on which no state
 * can be built, because it begins behind the cluster's start and the database is gone.
 *
 * Of a transaction it cannot be said which branch was taken, for that depended on the
 * state: the writes of both are told. What only reads is passed over. */
#ifndef MACHINE_ASKS_H
#define MACHINE_ASKS_H

#include "util/bytes.h"
#include "util/err.h"
#include "wal/message.h"

/* One thing that is asked for. Fields that do not belong to it are zero. */
struct machine_ask {
    const char *what; /* "put" "delete_range" "compaction" "lease_grant" "user_add" ... by
                         etcd's names; "member_add" "member_remove" "member_update"
                         "member_add_learner"; "v2": of 3.4 and 3.5, about members */
    const char *branch; /* "" or, inside a transaction, "then", "else", "then/else" ... */
    struct bytes key;   /* borrowed from the entry's message, for the call */
    struct bytes range_end; /* of a deletion; empty: of the one key */
    struct bytes value;
    int64_t lease;    /* that a put attaches to; of a request about a lease */
    int64_t revision; /* of a compaction */
    uint64_t member;
};

typedef enum rc machine_ask_fn(void *arg, const struct machine_ask *ask, struct err *e);

/* Calls `tell` for each, in the order of the request; never for an entry without a
 * request, which a new leader writes. RC_CORRUPT for what no etcd writes. */
enum rc machine_asks(const struct wal_entry *entry, machine_ask_fn *tell, void *arg,
                     struct err *e);

#endif
