/* Metrics for node_exporter's textfile collector: replaced in one step, mode 0644. */
#ifndef AGENT_TEXTFILE_H
#define AGENT_TEXTFILE_H

#include "util/bytes.h"
#include "util/err.h"

enum rc textfile_write(const char *path, struct bytes text, struct err *e);

#endif
