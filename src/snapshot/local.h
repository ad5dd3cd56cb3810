/* Does an endpoint live on this host? Then a snapshot shares its disk and processors. */
#ifndef SNAPSHOT_LOCAL_H
#define SNAPSHOT_LOCAL_H

#include <stdbool.h>

/* `endpoint` is a URL or host:port. False when the name does not resolve. */
bool snap_endpoint_is_local(const char *endpoint);

#endif
