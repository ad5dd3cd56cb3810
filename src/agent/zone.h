/* The time zone in which schedules are read: one for the process. */
#ifndef AGENT_ZONE_H
#define AGENT_ZONE_H

#include "util/err.h"

/* "Europe/Berlin", "UTC"; NULL leaves what TZ or the machine says. Before any thread is
 * started. RC_USAGE for a zone that this machine does not know: the C library would take
 * it for UTC without a word. */
enum rc zone_use(const char *name, struct err *e);

#endif
