/* Words put into a shell's command line, a unit or YAML, so that they come out as they
 * went in. */
#ifndef HOST_QUOTE_H
#define HOST_QUOTE_H

#include <stdbool.h>

#include "util/bytes.h"

/* Bare where that is safe, else between single quotes. */
enum rc quote_shell(struct buf *b, const char *text, struct err *e);

/* In double quotes, for systemd and for YAML: both know these escapes. systemd replaces
 * %x and $x besides, unless they are doubled. */
enum rc quote_double(struct buf *b, const char *text, bool for_unit, struct err *e);

/* Not quoting, but its neighbour: the variable of a flag, "ETCD_INITIAL_CLUSTER" of
 * "initial-cluster". */
void quote_variable(const char *flag, char out[static 64]);

#endif
