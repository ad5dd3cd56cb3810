/* Looks at clusters that are made up. */
#ifndef TESTS_UNIT_MEMBERSHIP_SAMPLE_H
#define TESTS_UNIT_MEMBERSHIP_SAMPLE_H

#include "membership/look.h"

/* A healthy cluster of m0, m1, ... with ids 1, 2, ..., peers at 10.0.0.1:2380 and on; m0
 * leads. Tabulated; ends with membership_look_clear. */
void sample_look(struct membership_look *l, size_t voters);

/* Calls one of them otherwise. */
void sample_name(struct membership_look *l, size_t i, const char *name);

/* After a change of the view or the list. */
void sample_tabulate(struct membership_look *l);

#endif
