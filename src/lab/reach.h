/* How a lab's members are reached. */
#ifndef LAB_REACH_H
#define LAB_REACH_H

#include "lab/lab.h"
#include "wire/wire.h"

/* A client of the members in `which` (NULL: all), logged in where that is needed. Waits
 * at most `patience_ms` for each answer. */
enum rc lab_client(const struct lab *l, const bool *which, uint64_t patience_ms,
                   struct wire_client **out, struct err *e);

/* "http://127.0.0.1:2379,..." of those; the caller frees. */
enum rc lab_endpoints(const struct lab *l, const bool *which, char **out, struct err *e);

/* "m1=http://127.0.0.1:2380,..." of all; the caller frees. */
enum rc lab_initial_cluster(const struct lab *l, char **out, struct err *e);

#endif
