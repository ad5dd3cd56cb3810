/* Everything that etcd can be asked to change, at random and as fast as one client goes,
 * until the server dies: for tests that kill it in the middle. */
#ifndef TESTS_FLOW_STORM_H
#define TESTS_FLOW_STORM_H

#include "tests/lib/cluster.h"
#include "wire/wire.h"

/* One of each kind that a storm has not: leases that expire, alarms, users, roles,
 * permissions, a learner added. Ends when the short leases, which only some turns have,
 * are gone. */
void storm_prepare(struct wire_client *c, unsigned turn);

/* Puts, rewrites, deletes, transactions with compares (nested ones too), leases with and
 * without keys, on a thread of its own. Unless it is `lazy` also revocations and
 * compactions, which make etcd write its database at once. */
struct storm;
struct storm *storm_start(const struct cluster *c, uint64_t seed, bool lazy);

/* Ends by itself when a call fails; this waits for that. How many calls succeeded. */
unsigned storm_join(struct storm *s);

#endif
