/* What must hold in any history a real etcd wrote. A finding is an error only where no
 * version of etcd, no interrupted compaction and no restore leaves such a thing. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "mvcc/history_state.h"

enum { TOLD_MAX = 10 };

static const char *const codes[HISTORY_RULE_COUNT] = {
#define X(rule, code) [rule] = code,
    HISTORY_RULES(X)
#undef X
};

enum rc history_tell(struct mvcc_history *h, enum history_rule rule,
                     enum finding_severity severity, uint64_t page, struct err *e,
                     const char *fmt, ...)
{
    char text[200];
    va_list ap;

    if (h->quiet)
        return RC_OK;
    if (h->told[rule].severity < severity)
        h->told[rule].severity = severity;
    if (++h->told[rule].count > TOLD_MAX || (h->f == NULL && severity != FINDING_ERROR))
        return RC_OK;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (h->f == NULL)
        return err_set(e, RC_CORRUPT, "page %" PRIu64 ": %s", page, text);
    return findings_add(h->f, severity, codes[rule], page, e, "%s", text);
}

/* "revision 12/3" in every message, as etcd's logs write it {12 3}. */
#define REV "revision %" PRId64 "/%" PRId64
#define REV_OF(r) (r)->main, (r)->sub

/* Above the compaction mains follow each other, and each one's subs count from 0. */
static enum rc check_new_main(struct mvcc_history *h, const struct mvcc_record *r,
                              uint64_t page, struct err *e)
{
    int64_t before = h->result.last_main;

    if (before < h->compacted)
        before = h->compacted;
    if (before < 1)
        before = 1;
    if (r->main > before + 1 && !r->bump)
        TRY(history_tell(h, RULE_GAP, FINDING_ERROR, page, e,
                         REV ": %" PRId64 " revisions before it are missing", REV_OF(r),
                         r->main - before - 1));
    if (r->sub != 0)
        TRY(history_tell(h, RULE_SUB, FINDING_ERROR, page, e,
                         REV ": the changes before it in its transaction are missing",
                         REV_OF(r)));
    return RC_OK;
}

enum rc history_check_sequence(struct mvcc_history *h, const struct mvcc_record *r,
                               uint64_t page, struct err *e)
{
    if (r->main < 2)
        TRY(history_tell(h, RULE_LOW, FINDING_ERROR, page, e,
                         REV ": the first change of a store is revision 2", REV_OF(r)));
    if (r->main != h->result.last_main)
        return r->main > h->compacted ? check_new_main(h, r, page, e) : RC_OK;
    if (r->sub == h->last_sub)
        return history_tell(h, RULE_ORDER, FINDING_ERROR, page, e,
                            REV " is there as a put and as a tombstone", REV_OF(r));
    if (r->main > h->compacted && r->sub != h->last_sub + 1)
        return history_tell(h, RULE_SUB, FINDING_ERROR, page, e,
                            REV ": the change before it is %" PRId64, REV_OF(r),
                            h->last_sub);
    return RC_OK;
}

static enum rc check_create(struct mvcc_history *h, const struct mvcc_record *r,
                            uint64_t page, struct err *e)
{
    /* `etcdctl migrate` of 3.0 to 3.4 gave every v2 key version 1 and its old create
     * index; a key not written since still looks so, under any compaction. */
    enum finding_severity severity =
        r->main > h->compacted ? FINDING_ERROR : FINDING_WARN;

    if (r->create < 1 || r->create > r->main)
        return history_tell(h, RULE_CREATE, FINDING_ERROR, page, e,
                            REV ": created at revision %" PRId64, REV_OF(r), r->create);
    if ((r->create == r->main) != (r->version == 1))
        return history_tell(h, RULE_CREATE, severity, page, e,
                            REV ": version %" PRId64 " of a key created at %" PRId64,
                            REV_OF(r), r->version, r->create);
    return RC_OK;
}

/* The record's place in its key's generation. Compaction removes a generation's oldest
 * records, never one in between. */
static enum rc check_generation(struct mvcc_history *h, const struct mvcc_key *k,
                                const struct mvcc_record *r, uint64_t page, struct err *e)
{
    bool whole = mvcc_key_is(k, MVCC_KEY_SEEN) || r->main > h->compacted;

    if (!mvcc_key_is(k, MVCC_KEY_ALIVE)) {
        if (r->version > 1 && whole)
            return history_tell(h, RULE_START, FINDING_ERROR, page, e,
                                REV ": version %" PRId64 " of a key without a record "
                                    "of version %" PRId64,
                                REV_OF(r), r->version, r->version - 1);
        return RC_OK;
    }
    if (r->version != mvcc_key_version(k) + 1)
        TRY(history_tell(h, RULE_VERSION, FINDING_ERROR, page, e,
                         REV ": version %" PRId64 " follows version %" PRId64, REV_OF(r),
                         r->version, mvcc_key_version(k)));
    if (r->create != k->create)
        TRY(history_tell(h, RULE_CREATE, FINDING_ERROR, page, e,
                         REV ": created at revision %" PRId64
                             ", the version before says %" PRId64,
                         REV_OF(r), r->create, k->create));
    return RC_OK;
}

/* Versions and creation are compared only when they make sense on their own. */
static enum rc check_put(struct mvcc_history *h, const struct mvcc_key *k,
                         const struct mvcc_record *r, uint64_t page, struct err *e)
{
    if (r->mod != r->main)
        TRY(history_tell(h, RULE_MOD, FINDING_ERROR, page, e,
                         REV ": the record says it was modified at %" PRId64, REV_OF(r),
                         r->mod));
    if (r->version < 1 || r->version > MVCC_KEY_VERSION_MAX)
        return history_tell(h, RULE_VERSION, FINDING_ERROR, page, e,
                            REV ": version %" PRId64, REV_OF(r), r->version);
    TRY(check_create(h, r, page, e));
    return check_generation(h, k, r, page, e);
}

/* etcd never deletes what is not there. Up to the compaction the put may be gone: 3.4.34
 * and 3.5.16 keep a tombstone that lies exactly at it. */
static enum rc check_tombstone(struct mvcc_history *h, const struct mvcc_key *k,
                               const struct mvcc_record *r, uint64_t page, struct err *e)
{
    bool known = mvcc_key_is(k, MVCC_KEY_SEEN) || r->main > h->compacted;

    if (r->padded)
        TRY(history_tell(h, RULE_TOMBSTONE_VALUE, FINDING_ERROR, page, e,
                         REV ": a tombstone holds more than its key", REV_OF(r)));
    if (known && !mvcc_key_is(k, MVCC_KEY_ALIVE))
        TRY(history_tell(h, RULE_TOMBSTONE, FINDING_ERROR, page, e,
                         REV ": a tombstone for a key that does not exist", REV_OF(r)));
    return RC_OK;
}

/* Up to a finished compaction one record a key is left, and a tombstone only at it. */
static enum rc check_leftover(struct mvcc_history *h, const struct mvcc_key *k,
                              const struct mvcc_record *r, uint64_t page, struct err *e)
{
    int64_t finished = h->options.finished;

    if (h->options.scheduled > finished || r->main > finished)
        return RC_OK;
    if (!mvcc_key_is(k, MVCC_KEY_SEEN) && !(r->tombstone && r->main < finished))
        return RC_OK;
    return history_tell(h, RULE_LEFTOVER, FINDING_WARN, page, e,
                        REV ": the compaction at %" PRId64
                            " left more of its key than the newest record",
                        REV_OF(r), finished);
}

enum rc history_check_record(struct mvcc_history *h, const struct mvcc_key *k,
                             const struct mvcc_record *r, uint64_t page, struct err *e)
{
    TRY(check_leftover(h, k, r, page, e));
    if (r->bump)
        return history_tell(h, RULE_BUMP, FINDING_NOTE, page, e,
                            REV ": a restore raised the revision to this", REV_OF(r));
    if (r->tombstone)
        return check_tombstone(h, k, r, page, e);
    return check_put(h, k, r, page, e);
}

/* ---- at the end ------------------------------------------------------------------- */

/* Only the newest put of a live key binds; older ones may name leases revoked since. */
static bool lease_exists(const struct mvcc_lease_ids *leases, int64_t id)
{
    size_t from = 0, to = leases->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (leases->items[middle] == id)
            return true;
        if ((uint64_t)leases->items[middle] < (uint64_t)id)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

enum rc history_check_leases(struct mvcc_history *h, const struct mvcc_lease_ids *leases,
                             struct err *e)
{
    for (size_t i = 0; i < h->keys.count; i++) {
        const struct mvcc_key *k = &h->keys.items[i];

        if (!mvcc_key_is(k, MVCC_KEY_ALIVE) || k->lease == 0 ||
            lease_exists(leases, k->lease))
            continue;
        TRY(history_tell(h, RULE_LEASE, FINDING_WARN, FINDING_NO_PAGE, e,
                         "a key created at revision %" PRId64 " has the lease %016" PRIx64
                         ", which does not exist",
                         k->create, (uint64_t)k->lease));
    }
    return RC_OK;
}

enum rc history_check_marks(struct mvcc_history *h, struct err *e)
{
    int64_t finished = h->options.finished, scheduled = h->options.scheduled;

    if (finished > scheduled)
        TRY(history_tell(h, RULE_MARKS, FINDING_WARN, FINDING_NO_PAGE, e,
                         "a compaction at %" PRId64
                         " is finished, but the last one scheduled is %" PRId64,
                         finished, scheduled));
    if (scheduled > finished)
        TRY(history_tell(h, RULE_UNFINISHED, FINDING_NOTE, FINDING_NO_PAGE, e,
                         "the compaction at %" PRId64
                         " has not finished, the next boot goes on with it",
                         scheduled));
    /* Versions before 3.4.34 and 3.5.16 remove a tombstone at the compaction revision. */
    if (h->result.revision > h->result.last_main && h->compacted > 0)
        TRY(history_tell(h, RULE_FROM_MARKS, FINDING_NOTE, FINDING_NO_PAGE, e,
                         "revision %" PRId64
                         " is known from the compaction mark, the newest record is of "
                         "%" PRId64,
                         h->result.revision, h->result.last_main));
    return RC_OK;
}

enum rc history_tell_rest(struct mvcc_history *h, struct err *e)
{
    for (enum history_rule rule = 0; h->f != NULL && rule < HISTORY_RULE_COUNT; rule++)
        if (h->told[rule].count > TOLD_MAX)
            TRY(findings_add(h->f, h->told[rule].severity, codes[rule], FINDING_NO_PAGE,
                             e, "%" PRIu64 " more of this kind",
                             h->told[rule].count - TOLD_MAX));
    return RC_OK;
}
