/* Views of clusters that are made up. */
#ifndef TESTS_UNIT_CARE_SAMPLE_H
#define TESTS_UNIT_CARE_SAMPLE_H

#include "care/view.h"

/* A healthy cluster of `voters` members m0, m1, ... with ids 1, 2, ...; m0 leads. Cleared
 * by care_view_clear. */
struct care_view sample_view(size_t voters);

/* Member i has failed, and does not answer. */
void sample_fail(struct care_view *v, size_t i, enum care_state state, const char *why);

#endif
