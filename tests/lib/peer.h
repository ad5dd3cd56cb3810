/* Programs of others that tests run, from the cache that scripts/peers fills. */
#ifndef TESTS_LIB_PEER_H
#define TESTS_LIB_PEER_H

#include <stdbool.h>

/* Where `name`, such as "3.5/etcd" or "tools/sshd", is or would be; in one of eight
 * rotating buffers. */
const char *peer_path(const char *name);

/* Is it there? A missing one is told loudly, and fails the test when
 * HOLDFAST_REQUIRE_PEERS is set (CI). */
bool peer_available(const char *name);

#endif
