/* Inside of a history, shared by history.c and history_check.c only. */
#ifndef MVCC_HISTORY_STATE_H
#define MVCC_HISTORY_STATE_H

#include "mvcc/history.h"
#include "mvcc/keys.h"

/* clang-format off */
#define HISTORY_RULES(X)                           \
    X(RULE_REVISION_KEY,    "revision-key")        \
    X(RULE_KEY_VALUE,       "key-value")           \
    X(RULE_ORDER,           "revision-order")      \
    X(RULE_LOW,             "revision-low")        \
    X(RULE_GAP,             "revision-gap")        \
    X(RULE_SUB,             "revision-sub")        \
    X(RULE_BUMP,            "revision-bump")       \
    X(RULE_MOD,             "mod-revision")        \
    X(RULE_CREATE,          "create-revision")     \
    X(RULE_VERSION,         "version")             \
    X(RULE_START,           "history-start")       \
    X(RULE_TOMBSTONE,       "tombstone")           \
    X(RULE_TOMBSTONE_VALUE, "tombstone-value")     \
    X(RULE_LEFTOVER,        "compaction-leftover") \
    X(RULE_LEASE,           "lease-missing")       \
    X(RULE_MARKS,           "compaction-marks")    \
    X(RULE_UNFINISHED,      "compaction-unfinished") \
    X(RULE_FROM_MARKS,      "revision-from-compaction")
/* clang-format on */

enum history_rule {
#define X(rule, code) rule,
    HISTORY_RULES(X)
#undef X
        HISTORY_RULE_COUNT,
};

/* A record waits until some more are there, while the table's slot for its key is being
 * loaded: a tenth of the whole time with large values, half of it with small ones. */
enum { HISTORY_QUEUE = 4 };

/* A record at or below the compaction revision. Whether HashKV counts it is settled at
 * the end. */
struct history_kept {
    uint32_t crc, length;
    bool counted;
};

enum history_pass {
    HISTORY_FIRST,  /* counts all records, and looks at the keys of part 0 */
    HISTORY_LATER,  /* looks at the keys of another part */
    HISTORY_HASH,   /* hashes the records up to the compaction that count */
    HISTORY_PASSED, /* nothing more is needed */
};

enum { HISTORY_SHIFT_MAX = 16 };

struct mvcc_history {
    struct mvcc_history_options options;
    struct findings *f; /* or NULL */
    uint8_t seed[SIPHASH_KEY_SIZE];
    int64_t compacted;     /* records up to here may be missing: the larger mark */
    int64_t hash_revision; /* options.revision, or all */
    struct mvcc_keys keys;
    size_t keep_keys;          /* entries with MVCC_KEY_KEEP */
    struct history_kept *kept; /* of the first `kept_count` places; not with `counted` */
    size_t kept_count, kept_capacity;
    uint64_t places, places_all; /* records up to the compaction: so far, in a pass */
    bool by_bits;                /* they are too many to keep their CRCs */
    uint8_t *counted; /* then: one bit a place, from the end of the first pass on */
    struct mvcc_chain below; /* what the last pass hashes */

    /* Keys that do not fit: parts, of which every halving lets go of some. */
    enum history_pass pass;
    size_t keys_max;                    /* 0: no bound */
    unsigned shift;                     /* there are 2^shift parts */
    uint32_t part;                      /* the one at hand */
    uint64_t ordinal, records_all;      /* readable records: so far, in a pass */
    uint64_t let_go[HISTORY_SHIFT_MAX]; /* ordinals: up to there they were looked at */
    bool quiet;                         /* what is found now was told in the first pass */
    struct mvcc_chain above;
    struct mvcc_powers powers;
    struct mvcc_history_result result; /* counters so far */
    int64_t last_sub;
    struct mvcc_record next[HISTORY_QUEUE]; /* given, and not yet taken in */
    uint64_t next_page[HISTORY_QUEUE];
    size_t queued, first;
    bool bump_alive;
    struct {
        uint64_t count;
        enum finding_severity severity;
    } told[HISTORY_RULE_COUNT];
};

/* A finding, as history.h promises them. */
enum rc history_tell(struct mvcc_history *h, enum history_rule rule,
                     enum finding_severity severity, uint64_t page, struct err *e,
                     const char *fmt, ...) PRINTF_LIKE(6, 7);

/* At the end: how many more there were of each kind. */
enum rc history_tell_rest(struct mvcc_history *h, struct err *e);

/* Checks of a record before it is taken in: of its place among all, and in its key's
 * history. */
enum rc history_check_sequence(struct mvcc_history *h, const struct mvcc_record *r,
                               uint64_t page, struct err *e);
enum rc history_check_record(struct mvcc_history *h, const struct mvcc_key *k,
                             const struct mvcc_record *r, uint64_t page, struct err *e);

/* At the end, of the keys at hand and of the marks. */
enum rc history_check_leases(struct mvcc_history *h, const struct mvcc_lease_ids *leases,
                             struct err *e);
enum rc history_check_marks(struct mvcc_history *h, struct err *e);

#endif
