/* What is left of an imaginary cluster: copies made up field by field, and a look at its
 * living members. */
#ifndef TESTS_UNIT_RECOVER_ESTATE_H
#define TESTS_UNIT_RECOVER_ESTATE_H

#include "recover/judge.h"
#include "tests/lib/case.h"

enum { ESTATE_CLUSTER = 0xc1, ESTATE_OTHER = 0xc2 };

struct estate {
    struct recover_copies copies;
    struct care_view view;
    struct recover_verdict v;
};

/* The directory "d<member>" of a sound, stopped member, one of `voters` with ids from 1;
 * its last entry is `index` of `term`, all of it committed; revision index - 10. */
struct recover_copy *estate_directory(struct estate *s, uint64_t member, size_t voters,
                                      uint64_t term, uint64_t index);
/* The snapshot "b<n>", n its place among the copies. */
struct recover_copy *estate_snapshot(struct estate *s, size_t voters, uint64_t term,
                                     uint64_t index);
/* A look at a cluster of `voters`, all of which serve. */
void estate_look(struct estate *s, size_t voters);
/* None of these members answers any more; those that are left finish no read. */
void estate_freeze(struct estate *s, size_t from);

void estate_judge(struct estate *s);
/* The copy `path` as it was ranked. */
const struct recover_ranked *estate_ranked(const struct estate *s, const char *path);
void estate_says(const char *text, const char *part);
bool estate_notes(const struct estate *s, const char *part);

void estate_clear(struct estate *s);
#define ESTATE [[gnu::cleanup(estate_clear)]] struct estate

#endif
