/* What a person types: commands as the tool or a document prints them, run by a shell
 * that finds `holdfast`, `etcd` and `etcdctl` of the backend by their names. */
#ifndef TESTS_FLOW_SHELL_H
#define TESTS_FLOW_SHELL_H

#include "tests/lib/cluster.h"

/* Starts a member in the background as the tool says, and takes it for member i. */
void shell_start_member(struct cluster *c, unsigned i, const char *commands);

/* An argument list that runs `commands` so; in static storage. */
const char *const *shell_argv(const struct cluster *c, const char *commands);

#endif
