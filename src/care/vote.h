/* Do the voters hold the same data? Each is asked for its HashKV at one revision, and the
 * answers are counted.
 *
 * etcd hashes what compaction has left, and since 3.5.5 it repeats for a compacted
 * revision what it hashed before that compaction: two hashes compare only when both the
 * revision and the compact revision are the same. Whatever else is no contradiction, and
 * the vote is taken again. A contradiction counts when it is found twice. */
#ifndef CARE_VOTE_H
#define CARE_VOTE_H

#include "care/look.h"
#include "mvcc/history.h"

enum care_vote_verdict {
    CARE_VOTE_EQUAL,     /* all voters answered, and all the same */
    CARE_VOTE_DIVERGENT, /* two comparable answers differ */
    CARE_VOTE_UNKNOWN,   /* some did not answer, or compactions were faster than we */
};
const char *care_vote_name(enum care_vote_verdict v);

enum care_ballot_word {
    CARE_BALLOT_UNKNOWN, /* no answer, or none that compares */
    CARE_BALLOT_AGREES,
    CARE_BALLOT_ODD,   /* more than half of those that compare say otherwise */
    CARE_BALLOT_SPLIT, /* they differ, and no side is more than half */
};
const char *care_ballot_name(enum care_ballot_word w);

struct care_ballot {
    uint64_t id;
    const char *endpoint; /* borrowed from the view, like the name */
    const char *name;
    bool told;
    struct wire_hashkv hash;
    struct err failure; /* unless told */
    bool compacted;     /* it said that the revision is gone */
    enum care_ballot_word word;
};

struct care_vote {
    struct care_ballot *items; /* the voters, in the view's order */
    size_t count;
    int64_t revision; /* at which they were asked */
    unsigned rounds;
    enum care_vote_verdict verdict;
};
void care_vote_clear(struct care_vote *v);

/* Pure: fills each word and the verdict from what was told; the second as care_vote_on
 * says. */
void care_vote_count(struct care_vote *v);
void care_vote_count_on(const struct mvcc_hashkv *copy, struct care_vote *v);

/* `view` must outlive *out. Fails when no voter could be asked at all: with the first
 * one's reason. Needs role root when authentication is on. */
enum rc care_vote_take(const struct care_access *a, const struct care_view *view,
                       struct care_vote *out, struct err *e);

/* Do the voters hold what a copy has, whose HashKV this is? The words are about the copy:
 * AGREES, ODD for a comparable answer that differs, UNKNOWN. The verdict is DIVERGENT
 * with an odd one, EQUAL when more than half of all voters agree and nobody is odd: so
 * many cannot have lost or invented anything together that a client was told. Whoever is
 * behind is waited for, a second at most. Fails for want of memory, or when a stop is
 * wanted. */
enum rc care_vote_on(const struct care_access *a, const struct care_view *view,
                     const struct mvcc_hashkv *copy, struct care_vote *out,
                     struct err *e);

/* After that: is the copy unproved because voters have compacted since, and nobody
 * contradicts? Then one that is made now has a chance. */
bool care_vote_overtaken(const struct care_vote *v, const struct mvcc_hashkv *copy);

/* RC_OK, RC_DEGRADED naming the odd ones, or RC_NET when it is unknown. */
enum rc care_vote_result(const struct care_vote *v, struct err *e);

#endif
