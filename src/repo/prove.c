#include "repo/prove.h"

#include <inttypes.h>

#include "util/str.h"

static enum manifest_word word_of(const struct care_ballot *b)
{
    switch (b->word) {
    case CARE_BALLOT_AGREES:
        return MANIFEST_AGREES;
    case CARE_BALLOT_ODD:
    case CARE_BALLOT_SPLIT:
        return MANIFEST_DIFFERS;
    case CARE_BALLOT_UNKNOWN:
        break;
    }
    return MANIFEST_UNKNOWN;
}

static size_t count(const struct care_vote *v, enum care_ballot_word w)
{
    size_t n = 0;

    for (size_t i = 0; i < v->count; i++)
        n += v->items[i].word == w;
    return n;
}

static enum rc say(const struct snap_saved *saved, const struct care_vote *v,
                   struct manifest *m, struct err *e)
{
    size_t agreed = count(v, CARE_BALLOT_AGREES), odd = count(v, CARE_BALLOT_ODD);

    if (!saved->checked || !m->hashkv_known)
        return str_format(&m->proved_why, e,
                          "it holds too many records to check them all while they "
                          "stream; a full verify with its key can still prove it");
    if (odd > 0)
        return str_format(&m->proved_why, e,
                          "%zu of %zu voters hold other data at revision %" PRId64, odd,
                          v->count, m->revision);
    if (!m->proved)
        return str_format(&m->proved_why, e,
                          "only %zu of %zu voters could confirm it at revision %" PRId64
                          "; the others did not answer, or have compacted since",
                          agreed, v->count, m->revision);
    return str_format(&m->proved_why, e,
                      "%zu of %zu voters hold the same at revision %" PRId64
                      ", and the stored bytes were read back",
                      agreed, v->count, m->revision);
}

enum rc repo_prove(const struct care_access *a, const struct care_view *view,
                   const struct snap_saved *saved, struct manifest *m,
                   struct repo_proof *out, struct err *e)
{
    AT_END(care_vote_clear) struct care_vote v = { 0 };

    if (m->hashkv_known)
        TRY(care_vote_on(a, view, &saved->facts.hashkv, &v, e));
    for (size_t i = 0; i < v.count; i++)
        TRY(manifest_add_vote(
            m, (struct manifest_vote){ v.items[i].id, word_of(&v.items[i]) }, e));
    m->proved = m->hashkv_known && saved->checked && v.verdict == CARE_VOTE_EQUAL;
    *out =
        (struct repo_proof){ .voters = v.count,
                             .agreed = count(&v, CARE_BALLOT_AGREES),
                             .overtaken = m->hashkv_known && saved->checked &&
                                          care_vote_overtaken(&v, &saved->facts.hashkv) };
    return say(saved, &v, m, e);
}

enum rc repo_prove_again(const struct care_access *a, const struct care_view *view,
                         const struct manifest *m, bool *same, struct err *e)
{
    const struct mvcc_hashkv copy = { m->hashkv, m->revision, m->compact_revision };
    AT_END(care_vote_clear) struct care_vote v = { 0 };

    TRY(care_vote_on(a, view, &copy, &v, e));
    *same = v.count > 0 && count(&v, CARE_BALLOT_AGREES) == v.count;
    return RC_OK;
}
