/* The time zone in which schedules are read: one for the process. */
#ifndef AGENT_ZONE_H
#define AGENT_ZONE_H

#include "util/err.h"

/* Does this machine know it? RC_USAGE when not: the C library would take it for UTC
 * without a word. */
enum rc zone_check(const char *name, struct err *e);

/* "Europe/Berlin", "UTC"; NULL leaves what TZ or the machine says. Before any thread is
 * started. Fails as zone_check does. */
enum rc zone_use(const char *name, struct err *e);

#endif
