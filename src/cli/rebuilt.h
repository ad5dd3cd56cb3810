/* A database that was written again, as `defrag` and `compact` show it. */
#ifndef CLI_REBUILT_H
#define CLI_REBUILT_H

#include "cli/cli.h"
#include "defrag/defrag.h"

/* RC_USAGE unless exactly one of the two is named. `command` is for the hint. */
enum rc rebuilt_check(const struct defrag_place_request *q, const char *command,
                      struct err *e);

/* Runs the request with the command line's --dry-run and shows what came of it.
 * RC_DEGRADED when the history that was copied has errors. */
enum rc rebuilt_run(struct cli *c, const struct defrag_request *q, struct err *e);

#endif
