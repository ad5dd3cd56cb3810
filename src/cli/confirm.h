/* Asking before a living cluster is changed. */
#ifndef CLI_CONFIRM_H
#define CLI_CONFIRM_H

#include <stdint.h>

#include "cli/cli.h"

/* RC_OK with --yes, or when the cluster's id is typed on the terminal. RC_USAGE without a
 * terminal, RC_REFUSED when something else is typed. `what` ends a sentence that begins
 * with "to": "defragment 3 members". */
enum rc cli_confirm(struct cli *c, uint64_t cluster, const char *what, struct err *e);

/* The same, where a word is to be typed that says what is at stake: `word` is "the
 * member's name", `is` what it is. */
enum rc cli_confirm_word(struct cli *c, const char *word, const char *is,
                         const char *what, struct err *e);

#endif
