/* Which backups stay: pure, from what the chain says and what the clock says.
 *
 * The rules are named as restic's are and mean the same (docs/retention.md): of the
 * backups in one hour, day, week (ISO), month or year the newest counts; with `last` each
 * counts; `within` is measured back from the newest backup; calendar times are UTC. A
 * backup stays when any rule wants it. Order is the order of sequences.
 *
 * Time is believed only as far as it makes sense: the heaviest row of backups whose times
 * do not fall, none before this program existed, none in the future. A backup outside of
 * it takes nobody's place in a rule; it stays for RETAIN_DOUBT_S after the first one
 * whose time is believed again.
 *
 * Above all rules: the newest `protect` proved backups stay, what the store has locked
 * stays, one run takes at most `cap_percent` of what is there (at least one), the oldest
 * first, and nothing goes while the clock is not to be trusted. */
#ifndef CATALOG_RETAIN_H
#define CATALOG_RETAIN_H

#include "catalog/chain.h"

enum {
    RETAIN_PROTECT = 3,
    RETAIN_CAP_PERCENT = 30,
    RETAIN_DOUBT_S = 30 * 24 * 3600,
};
#define RETAIN_ALL UINT64_MAX /* a rule without end */

struct retain_policy {
    uint64_t last, hourly, daily, weekly, monthly, yearly;
    uint64_t within_s;
    struct str_list tags; /* a backup with one of these stays */
    uint64_t protect;     /* retain_policy_default: RETAIN_PROTECT */
    unsigned cap_percent; /* 1 to 100 */
};
struct retain_policy retain_policy_default(void);
void retain_policy_clear(struct retain_policy *p);

/* "1y6m10d12h" as restic writes it: years (365 days), months (30 days), days, hours; each
 * at most once and in this order. */
bool retain_span(const char *text, uint64_t *seconds);

/* Was that made since then? A time that lies ahead is not believed: a clock that once
 * leapt must not pass for a fresh backup for years. */
bool retain_made_since(int64_t created, int64_t since, int64_t now);

/* What is known of the time besides the backups' own; 0: not known. */
struct retain_clock {
    int64_t now;       /* seconds since 1970 by this host */
    int64_t last_seen; /* by this host when it last looked */
    int64_t store_now; /* by the store, at the same moment as `now` */
    bool accepted;     /* somebody has looked at the clock: do not freeze */
};

struct retain_item {
    uint64_t sequence;
    int64_t created;
    bool proved;
    int64_t locked_until;        /* seconds since 1970, by the store; 0: no lock */
    const struct str_list *tags; /* may be NULL */

    /* filled in */
    bool keep;
    bool held;     /* no rule wants it; something above the rules does */
    bool doubtful; /* its time is not believed */
    char why[200]; /* "daily 2026-11-20, weekly 2026-W47"; "no rule wants it" */
};

struct retain_plan {
    size_t keep, remove, held;
    bool frozen;
    char why_frozen[200];
};

/* Judges `items`, by rising sequence. RC_USAGE when the policy has no rule at all (that
 * would be "delete everything") or bounds that make no sense. */
enum rc retain_judge(const struct retain_policy *p, const struct retain_clock *clock,
                     struct retain_item *items, size_t count, struct retain_plan *out,
                     struct err *e);

/* The backups of a chain as items; the caller sets locked_until where it knows.
 * RC_REFUSED when the chain's findings have errors: what does not hang together is not
 * pruned. The chain must outlive *items, which is freed with mem_free. */
enum rc retain_items(const struct chain *c, struct retain_item **items, size_t *count,
                     struct err *e);

#endif
