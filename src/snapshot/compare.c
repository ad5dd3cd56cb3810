#include "snapshot/compare.h"

#include <inttypes.h>

#include "util/mem.h"

const char *snap_vote_name(enum snap_vote_verdict v)
{
    static const char *const names[] = { "equal", "differs", "unknown" };

    return names[v];
}

void snap_votes_clear(struct snap_votes *v)
{
    mem_free(v->items);
    *v = (struct snap_votes){ 0 };
}

static enum snap_vote_verdict judge(const struct mvcc_facts *facts,
                                    const struct wire_hashkv *h)
{
    if (!facts->hashkv_known || h->compact_revision != facts->hashkv.compact_revision)
        return SNAP_VOTE_UNKNOWN;
    return h->hash == facts->hashkv.hash ? SNAP_VOTE_EQUAL : SNAP_VOTE_DIFFERS;
}

/* The newest, if that is still `revision`: the hash is of a moment between the two looks
 * at the member's head (before 3.6 the answer does not say of which). */
static enum rc hash_of_head(struct wire_client *c, size_t i, int64_t revision,
                            struct wire_hashkv *out, struct err *e)
{
    AT_END(wire_status_clear) struct wire_status before = { 0 };

    TRY(wire_status_get(c, i, &before, e));
    TRY(wire_hashkv_get(c, i, 0, out, e));
    if (before.header.revision == revision && out->header.revision == revision)
        return RC_OK;
    return err_set(e, RC_NOTFOUND, "revision %" PRId64 " has been compacted", revision);
}

/* At the compacted revision itself 3.4 refuses, and later ones repeat what they hashed
 * while compacting, so the question must be for the newest. */
enum rc snap_hash_at(struct wire_client *c, size_t i, const struct mvcc_hashkv *at,
                     struct wire_hashkv *out, struct err *e)
{
    if (at->revision == at->compact_revision)
        return hash_of_head(c, i, at->revision, out, e);
    return wire_hashkv_get(c, i, at->revision, out, e);
}

static enum rc ask(struct wire_client *c, size_t i, const struct mvcc_facts *facts,
                   struct snap_vote *vote, struct findings *f, struct err *e)
{
    struct wire_hashkv h = { 0 };
    struct err why = { 0 };

    *vote = (struct snap_vote){ .endpoint = wire_endpoint(c, i),
                                .verdict = SNAP_VOTE_UNKNOWN };
    if (snap_hash_at(c, i, &facts->hashkv, &h, &why) != RC_OK)
        return findings_add(f, FINDING_NOTE, "cluster-unknown", FINDING_NO_PAGE, e,
                            "%s: %.180s", vote->endpoint, why.why);
    vote->hash = h.hash;
    vote->compact = h.compact_revision;
    vote->verdict = judge(facts, &h);
    if (vote->verdict == SNAP_VOTE_DIFFERS)
        return findings_add(
            f, FINDING_ERROR, "cluster-differs", FINDING_NO_PAGE, e,
            "%s has HashKV %" PRIu32 " at revision %" PRId64 ", the snapshot %" PRIu32,
            vote->endpoint, h.hash, facts->hashkv.revision, facts->hashkv.hash);
    return RC_OK;
}

enum rc snap_compare(struct wire_client *c, const struct mvcc_facts *facts,
                     struct snap_votes *out, struct findings *f, struct err *e)
{
    size_t told = 0;

    out->count = wire_endpoint_count(c);
    TRY(mem_new(&out->items, out->count * sizeof *out->items, "the members' votes", e));
    for (size_t i = 0; i < out->count; i++) {
        TRY(ask(c, i, facts, &out->items[i], f, e));
        told += out->items[i].verdict != SNAP_VOTE_UNKNOWN;
    }
    if (told > 0)
        return RC_OK;
    return findings_add(f, FINDING_WARN, "cluster-unknown", FINDING_NO_PAGE, e,
                        "no member could tell its HashKV at revision %" PRId64
                        " and compact revision %" PRId64,
                        facts->hashkv.revision, facts->hashkv.compact_revision);
}
