#include "mvcc/assemble.h"

#include "util/mem.h"

int64_t mvcc_mark_read(bool found, struct bytes value, bool *bad)
{
    int64_t mark = MVCC_NEVER_COMPACTED;
    struct err why = { 0 };

    if (found && mvcc_compact_rev_read(value, &mark, &why) != RC_OK)
        *bad = true;
    return mark;
}

enum rc mvcc_assemble_init(struct mvcc_assemble *a,
                           const struct mvcc_assemble_options *options,
                           struct findings *f, struct err *e)
{
    *a = (struct mvcc_assemble){ .options = *options };
    a->collect.facts = &a->facts;
    a->collect.f = f;
    a->facts.compact_revision = options->history.finished;
    a->facts.scheduled_revision = options->history.scheduled;
    mvcc_powers_init(&a->powers);
    return mvcc_history_new(&options->history, f, &a->history, e);
}

void mvcc_assemble_clear(struct mvcc_assemble *a)
{
    mvcc_history_free(a->history);
    mvcc_collect_clear(&a->collect);
    mvcc_facts_clear(&a->facts);
    a->history = NULL;
}

/* ---- the two hashes --------------------------------------------------------------- */

/* Maintenance.Hash leaves out of meta what members differ in: consistent_index always,
 * term since 3.5, storageVersion since 3.6. Each version lacks what it does not know, so
 * leaving out all three is right for the version that wrote the file. */
static bool members_differ(struct bytes key)
{
    return bytes_is(key, MVCC_CONSISTENT_INDEX) || bytes_is(key, MVCC_TERM) ||
           bytes_is(key, MVCC_STORAGE_VERSION);
}

/* Up to bucket meta, the last one of etcd's, both hashes are one. */
static void hash_bucket(struct mvcc_assemble *a, struct bytes name)
{
    mvcc_chain_bytes(&a->status, name);
    if (a->diverged)
        mvcc_chain_bytes(&a->maintenance, name);
    else if (a->collect.bucket == MVCC_META)
        a->maintenance = a->status;
    a->diverged |= a->collect.bucket == MVCC_META;
}

static void hash_pair(struct mvcc_assemble *a, struct bytes key, struct bytes value)
{
    mvcc_chain_bytes(&a->status, key);
    mvcc_chain_bytes(&a->status, value);
    if (!a->diverged || (a->collect.bucket == MVCC_META && members_differ(key)))
        return;
    mvcc_chain_bytes(&a->maintenance, key);
    mvcc_chain_bytes(&a->maintenance, value);
}

static void hash_piece(struct mvcc_assemble *a, uint32_t crc, uint64_t length)
{
    mvcc_chain_add(&a->status, &a->powers, crc, length);
    if (a->diverged)
        mvcc_chain_add(&a->maintenance, &a->powers, crc, length);
}

/* ---- in file order ---------------------------------------------------------------- */

enum rc mvcc_assemble_bucket(struct mvcc_assemble *a, struct bytes name, struct err *e)
{
    TRY(mvcc_collect_bucket(&a->collect, name, e));
    if (a->options.status_hash)
        hash_bucket(a, name);
    return RC_OK;
}

/* A large value is read once: its CRC serves HashKV and the other hashes alike. */
static enum rc key_pair(struct mvcc_assemble *a, struct bytes key, struct bytes value,
                        uint64_t page, struct err *e)
{
    uint32_t crc = 0;

    if (a->options.history.hash) {
        crc = mvcc_pair_crc(key, value);
        if (a->options.status_hash)
            hash_piece(a, crc, (uint64_t)key.n + value.n);
    } else if (a->options.status_hash) {
        hash_pair(a, key, value);
    }
    return mvcc_history_pair(a->history, key, value, crc, page, e);
}

enum rc mvcc_assemble_pair(struct mvcc_assemble *a, struct bytes key, struct bytes value,
                           uint64_t page, struct err *e)
{
    a->facts.records++;
    if (a->collect.bucket == MVCC_KEY)
        return key_pair(a, key, value, page, e);
    if (a->options.status_hash)
        hash_pair(a, key, value);
    return mvcc_collect_pair(&a->collect, key, value, page, e);
}

enum rc mvcc_assemble_record(struct mvcc_assemble *a, const struct mvcc_record *r,
                             uint64_t page, struct err *e)
{
    a->facts.records++;
    if (a->options.status_hash)
        hash_piece(a, r->crc, r->length);
    return mvcc_history_add(a->history, r, page, e);
}

/* ---- the end ---------------------------------------------------------------------- */

/* Damage above all: what was not seen is not said. */
static void conclude(struct mvcc_assemble *a, const struct mvcc_history_result *h,
                     bool complete)
{
    struct mvcc_facts *facts = &a->facts;

    facts->pages_complete = complete;
    facts->history_complete = complete && !a->options.marks_bad && h->rejected == 0;
    facts->revision = h->revision;
    facts->last_main = h->last_main;
    facts->key_records = h->records + h->rejected;
    facts->tombstones = h->tombstones;
    facts->live_keys = h->live_keys;
    facts->indexed_keys = h->indexed_keys;
    facts->kubernetes = h->kubernetes_keys > 0;
    facts->hashkv_known = facts->history_complete && h->hash_known;
    if (facts->hashkv_known)
        facts->hashkv = h->hashkv;
    facts->status_hash_known = complete && a->options.status_hash;
    if (facts->status_hash_known) {
        facts->status_hash = a->status.crc;
        facts->maintenance_hash = a->diverged ? a->maintenance.crc : a->status.crc;
    }
}

struct mvcc_lease_ids mvcc_assemble_leases(const struct mvcc_assemble *a)
{
    return (struct mvcc_lease_ids){ a->collect.lease_ids, (size_t)a->facts.leases };
}

enum rc mvcc_assemble_finish(struct mvcc_assemble *a, bool complete,
                             struct mvcc_facts *out, struct err *e)
{
    const struct mvcc_lease_ids leases = mvcc_assemble_leases(a);
    struct mvcc_history_result result;

    /* With pages missing, leases would seem to be. */
    TRY(mvcc_history_finish(a->history, complete ? &leases : NULL, &result, e));
    TRY(mvcc_collect_finish(&a->collect, e));
    conclude(a, &result, complete);
    *out = a->facts;
    a->facts = (struct mvcc_facts){ 0 };
    return RC_OK;
}
