/* Manual pages in scdoc's language, from the tables. */
#ifndef CLI_MANUAL_H
#define CLI_MANUAL_H

#include "cli/cli.h"

/* Names of all pages, one a line: "holdfast", "holdfast-snapshot-save". */
void manual_list(struct printer *to, const struct command *const *all);

/* One page. RC_NOTFOUND. */
enum rc manual_page(struct printer *to, const struct command *const *all,
                    const char *page, struct err *e);

#endif
