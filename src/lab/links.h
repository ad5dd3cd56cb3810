/* Links between members, and other faults of the store. */
#ifndef LAB_LINKS_H
#define LAB_LINKS_H

#include "lab/control.h"
#include "lab/lab.h"

/* Tells member i, which has just started, what is cut. */
enum rc lab_links_tell(const struct lab *l, size_t i, struct err *e);

/* What member i says of itself. RC_NET when it does not answer. */
enum rc lab_facts_get(const struct lab *l, size_t i, struct lab_facts *out,
                      struct err *e);

#endif
