/* The state directory of the shared option --state-dir. */
#ifndef CLI_STATE_H
#define CLI_STATE_H

#include "care/store.h"
#include "care/view.h"
#include "cli/cli.h"

/* --state-dir, else $XDG_STATE_HOME/holdfast, else ~/.local/state/holdfast. */
enum rc cli_state_open(struct cli *c, struct care_store **out, struct err *e);

/* The same as a path, which need not exist; heap. */
enum rc cli_state_path(struct cli *c, char **out, struct err *e);

/* For commands that go on without it: *out is NULL after a warning. */
void cli_state_try(struct cli *c, struct care_store **out);

/* Adds a sample of what was seen; `s` may be NULL. Failing to is a warning. */
void cli_state_sample(struct care_store *s, const struct care_view *v);

#endif
