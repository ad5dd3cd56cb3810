/* Words about the revision and the version of what is restored, the same in all commands.
 */
#ifndef CLI_BUMP_H
#define CLI_BUMP_H

#include "restore/bump.h"

/* "N", "auto"; NULL leaves both as they are. RC_USAGE. */
enum rc cli_bump(const char *text, enum restore_bump_kind *kind, int64_t *by,
                 struct err *e);

/* "3.4" to "3.7" as 4 to 7; NULL leaves it. RC_USAGE. */
enum rc cli_target(const char *text, unsigned *minor, struct err *e);

#endif
