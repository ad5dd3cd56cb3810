#include "care/vote.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "snapshot/compare.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/stop.h"
#include "util/task.h"

enum { ROUNDS_MAX = 8, PAUSE_MS = 150 };

const char *care_vote_name(enum care_vote_verdict v)
{
    static const char *const names[] = { "equal", "divergent", "unknown" };

    return names[v];
}

const char *care_ballot_name(enum care_ballot_word w)
{
    static const char *const names[] = { "unknown", "agrees", "odd", "split" };

    return names[w];
}

void care_vote_clear(struct care_vote *v)
{
    mem_free(v->items);
    *v = (struct care_vote){ 0 };
}

/* ---- counting -----------------------------------------------------------------------
 */

static bool comparable(const struct care_vote *v, const struct care_ballot *a,
                       const struct care_ballot *b)
{
    int64_t at_a = a->hash.hash_revision, at_b = b->hash.hash_revision;

    if (at_a == 0) /* before 3.6 */
        at_a = v->revision;
    if (at_b == 0)
        at_b = v->revision;
    return a->told && b->told && at_a == at_b &&
           a->hash.compact_revision == b->hash.compact_revision;
}

/* How many of those that compare with ballot i say the same, and how many compare. */
static void support(const struct care_vote *v, size_t i, size_t *same, size_t *all)
{
    const struct care_ballot *b = &v->items[i];

    *same = *all = 0;
    for (size_t k = 0; k < v->count; k++) {
        if (!comparable(v, b, &v->items[k]))
            continue;
        ++*all;
        *same += v->items[k].hash.hash == b->hash.hash;
    }
}

static bool has_majority_against(const struct care_vote *v, size_t i, size_t all)
{
    for (size_t k = 0; k < v->count; k++) {
        size_t same, others;

        if (!comparable(v, &v->items[i], &v->items[k]))
            continue;
        support(v, k, &same, &others);
        if (2 * same > all)
            return true;
    }
    return false;
}

static enum care_ballot_word word(const struct care_vote *v, size_t i)
{
    size_t same, all;

    if (!v->items[i].told)
        return CARE_BALLOT_UNKNOWN;
    support(v, i, &same, &all);
    if (all == 1 && v->count > 1)
        return CARE_BALLOT_UNKNOWN;
    if (same == all || 2 * same > all)
        return CARE_BALLOT_AGREES;
    return has_majority_against(v, i, all) ? CARE_BALLOT_ODD : CARE_BALLOT_SPLIT;
}

void care_vote_count(struct care_vote *v)
{
    bool all_agree = v->count > 0, contradiction = false;

    for (size_t i = 0; i < v->count; i++) {
        size_t same, all;

        v->items[i].word = word(v, i);
        support(v, i, &same, &all);
        all_agree = all_agree && v->items[i].told && same == v->count;
        contradiction = contradiction || same != all;
    }
    v->verdict = contradiction ? CARE_VOTE_DIVERGENT
                 : all_agree   ? CARE_VOTE_EQUAL
                               : CARE_VOTE_UNKNOWN;
}

/* ---- asking -------------------------------------------------------------------------
 */

/* One voter, on its thread. */
struct booth {
    const struct care_access *access;
    struct care_ballot *ballot;
    struct wire_client *client;
    struct mvcc_hashkv at; /* for the hash; revision 0: only look how far it is */
    int64_t newest;
    bool compacted; /* the revision was gone, or is not there yet */
    struct task task;
};

struct booths {
    struct booth *items;
    size_t count;
};

static void booths_clear(struct booths *b)
{
    for (size_t i = 0; i < b->count; i++)
        wire_client_free(b->items[i].client);
    mem_free(b->items);
}

static enum rc look_how_far(struct booth *b, struct err *e)
{
    AT_END(wire_status_clear) struct wire_status s = { 0 };

    if (b->client == NULL)
        TRY(b->access->connect(b->access->arg, b->ballot->endpoint, &b->client, e));
    TRY(wire_status_get(b->client, 0, &s, e));
    b->newest = s.header.revision;
    return RC_OK;
}

static enum rc vote(void *arg, struct err *e)
{
    struct booth *b = arg;
    struct care_ballot *to = b->ballot;
    struct err why = { 0 };
    enum rc rc;

    to->told = b->compacted = false;
    if (b->at.revision == 0) {
        b->newest = 0;
        rc = look_how_far(b, &why);
    } else if (b->newest > 0) {
        rc = snap_hash_at(b->client, 0, &b->at, &to->hash, &why);
        to->told = rc == RC_OK;
        b->compacted =
            rc != RC_OK &&
            (wire_last(b->client)->detail == WIRE_COMPACTED ||
             wire_last(b->client)->detail == WIRE_FUTURE_REVISION || rc == RC_NOTFOUND);
        to->compacted = rc != RC_OK && wire_last(b->client)->detail == WIRE_COMPACTED;
    } else {
        return RC_OK; /* its failure stands already */
    }
    if (rc != RC_OK)
        to->failure = why;
    return stop_check(e);
}

static enum rc vote_all(struct booths *b, struct mvcc_hashkv at, struct err *e)
{
    enum rc rc = RC_OK, one;
    struct err why = { 0 };

    for (size_t i = 0; i < b->count && rc == RC_OK; i++) {
        b->items[i].at = at;
        rc = task_start(&b->items[i].task, vote, &b->items[i], e);
    }
    for (size_t i = 0; i < b->count; i++) {
        one = task_join(&b->items[i].task, &why);
        if (one != RC_OK && rc == RC_OK) {
            *e = why;
            rc = one;
        }
    }
    return rc;
}

/* A revision that every voter has, and whether all are exactly there. */
static bool common(const struct booths *b, int64_t *revision)
{
    bool all_there = true;

    *revision = 0;
    for (size_t i = 0; i < b->count; i++) {
        int64_t has = b->items[i].newest;

        if (has == 0)
            continue;
        all_there = all_there && (*revision == 0 || has == *revision);
        if (*revision == 0 || has < *revision)
            *revision = has;
    }
    return all_there;
}

static bool raced(const struct care_vote *v, const struct booths *b)
{
    const struct care_ballot *first = NULL;

    for (size_t i = 0; i < b->count; i++) {
        const struct care_ballot *is = b->items[i].ballot;

        if (b->items[i].compacted)
            return true;
        if (!is->told)
            continue;
        if (first != NULL && !comparable(v, first, is))
            return true;
        first = is;
    }
    return false;
}

/* Everybody at the common revision; when that turned out to be compacted, and nobody has
 * anything newer, at the head, where no cache answers. */
static enum rc take_round(struct booths *b, struct care_vote *v, bool *again,
                          struct err *e)
{
    struct mvcc_hashkv at = { .revision = 0 };
    bool all_there;

    TRY(vote_all(b, at, e));
    all_there = common(b, &v->revision);
    if (v->revision == 0)
        return RC_OK;
    at.revision = v->revision;
    if (*again && all_there)
        at.compact_revision = v->revision;
    TRY(vote_all(b, at, e));
    care_vote_count(v);
    *again = raced(v, b);
    return RC_OK;
}

static enum rc take_rounds(struct booths *b, struct care_vote *v, struct err *e)
{
    bool again = false;
    unsigned contradictions = 0;

    for (v->rounds = 1; v->rounds <= ROUNDS_MAX; v->rounds++) {
        TRY(take_round(b, v, &again, e));
        if (v->verdict == CARE_VOTE_DIVERGENT) {
            if (++contradictions == 2)
                return RC_OK;
        } else if (v->verdict == CARE_VOTE_EQUAL || !again) {
            return RC_OK;
        }
        clock_sleep_ms(PAUSE_MS);
    }
    v->verdict = CARE_VOTE_UNKNOWN;
    return RC_OK;
}

static enum rc hand_out(const struct care_access *a, const struct care_view *view,
                        struct care_vote *v, struct booths *b, struct err *e)
{
    TRY(mem_new(&v->items, (view->count + 1) * sizeof *v->items, "a vote", e));
    TRY(mem_new(&b->items, (view->count + 1) * sizeof *b->items, "a vote", e));
    for (size_t i = 0; i < view->count; i++) {
        const struct care_member *m = &view->items[i];
        struct care_ballot *to = &v->items[v->count];

        if (!care_is_voter(m))
            continue;
        *to = (struct care_ballot){ m->id, m->endpoint, m->name, .failure = m->failure };
        v->count++;
        if (m->answered)
            b->items[b->count++] = (struct booth){ .access = a, .ballot = to };
    }
    return RC_OK;
}

static bool anybody_told(const struct care_vote *v)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->items[i].told)
            return true;
    return false;
}

enum rc care_vote_take(const struct care_access *a, const struct care_view *view,
                       struct care_vote *out, struct err *e)
{
    AT_END(booths_clear) struct booths b = { 0 };
    AT_END(care_vote_clear) struct care_vote v = { .verdict = CARE_VOTE_UNKNOWN };

    TRY(hand_out(a, view, &v, &b, e));
    if (b.count == 0) {
        TRY(care_view_verdict(view, e));
        return err_set(e, RC_NET, "no voter could be asked");
    }
    TRY(take_rounds(&b, &v, e));
    if (!anybody_told(&v) && !b.items[0].compacted) {
        *e = b.items[0].ballot->failure;
        return e->code;
    }
    *out = v;
    v = (struct care_vote){ 0 };
    return RC_OK;
}

/* ---- about a copy -------------------------------------------------------------------
 */

static enum care_ballot_word word_on(const struct mvcc_hashkv *copy,
                                     const struct care_ballot *b)
{
    bool elsewhere =
        b->hash.hash_revision != 0 && b->hash.hash_revision != copy->revision;

    if (!b->told || elsewhere || b->hash.compact_revision != copy->compact_revision)
        return CARE_BALLOT_UNKNOWN;
    return b->hash.hash == copy->hash ? CARE_BALLOT_AGREES : CARE_BALLOT_ODD;
}

void care_vote_count_on(const struct mvcc_hashkv *copy, struct care_vote *v)
{
    size_t agree = 0, odd = 0;

    for (size_t i = 0; i < v->count; i++) {
        v->items[i].word = word_on(copy, &v->items[i]);
        agree += v->items[i].word == CARE_BALLOT_AGREES;
        odd += v->items[i].word == CARE_BALLOT_ODD;
    }
    v->verdict = odd > 0                ? CARE_VOTE_DIVERGENT
                 : 2 * agree > v->count ? CARE_VOTE_EQUAL
                                        : CARE_VOTE_UNKNOWN;
}

/* Does waiting help: is somebody not there yet, or is a contradiction to be seen twice?
 */
static bool waits(const struct care_vote *v, const struct booths *b)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].client != NULL && !b->items[i].ballot->told &&
            wire_last(b->items[i].client)->detail == WIRE_FUTURE_REVISION)
            return true;
    return v->verdict == CARE_VOTE_DIVERGENT && v->rounds == 1;
}

enum rc care_vote_on(const struct care_access *a, const struct care_view *view,
                     const struct mvcc_hashkv *copy, struct care_vote *out, struct err *e)
{
    AT_END(booths_clear) struct booths b = { 0 };
    AT_END(care_vote_clear) struct care_vote v = { .revision = copy->revision };
    const struct mvcc_hashkv nowhere = { .revision = 0 };

    TRY(hand_out(a, view, &v, &b, e));
    TRY(vote_all(&b, nowhere, e));
    for (v.rounds = 1; v.rounds <= ROUNDS_MAX; v.rounds++) {
        TRY(vote_all(&b, *copy, e));
        care_vote_count_on(copy, &v);
        if (!waits(&v, &b))
            break;
        clock_sleep_ms(PAUSE_MS);
    }
    *out = v;
    v = (struct care_vote){ 0 };
    return RC_OK;
}

bool care_vote_overtaken(const struct care_vote *v, const struct mvcc_hashkv *copy)
{
    size_t would = 0;

    for (size_t i = 0; i < v->count; i++) {
        const struct care_ballot *b = &v->items[i];
        bool later = b->told && b->hash.compact_revision > copy->compact_revision;

        would += b->word == CARE_BALLOT_AGREES || b->compacted || later;
    }
    return v->verdict == CARE_VOTE_UNKNOWN && 2 * would > v->count;
}

/* "m1, m2" */
static void names_of(const struct care_vote *v, enum care_ballot_word w, char *out,
                     size_t n)
{
    out[0] = '\0';
    for (size_t i = 0; i < v->count; i++) {
        const struct care_ballot *b = &v->items[i];
        size_t used = strlen(out);

        if (b->word == w)
            snprintf(out + used, n - used, "%s%s", used > 0 ? ", " : "",
                     b->name != NULL && *b->name != '\0' ? b->name : b->endpoint);
    }
}

enum rc care_vote_result(const struct care_vote *v, struct err *e)
{
    char names[300];

    if (v->verdict == CARE_VOTE_EQUAL)
        return RC_OK;
    if (v->verdict == CARE_VOTE_DIVERGENT) {
        names_of(v, CARE_BALLOT_ODD, names, sizeof names);
        if (names[0] != '\0')
            return err_set(e, RC_DEGRADED,
                           "the data of %s differs from the other voters' at revision "
                           "%" PRId64 HINT
                           "take a snapshot of a member that agrees; then remove the odd "
                           "one and add it anew with an empty data directory",
                           names, v->revision);
        return err_set(e, RC_DEGRADED,
                       "the voters hold different data at revision %" PRId64
                       ", and no side is more than half" HINT
                       "take a snapshot of each of them before anything else",
                       v->revision);
    }
    names_of(v, CARE_BALLOT_UNKNOWN, names, sizeof names);
    return err_set(e, RC_NET,
                   "whether the voters agree is unknown: no comparable answer from "
                   "%s" HINT "run it again when all of them answer",
                   names[0] == '\0' ? "all at once" : names);
}
