/* What the lab commands share. */
#ifndef CLI_LABS_H
#define CLI_LABS_H

#include "cli/cli.h"
#include "lab/lab.h"

/* Where a lab is when nobody says: $XDG_RUNTIME_DIR/holdfast-lab, else
 * /tmp/holdfast-lab-UID; or `given`. The caller frees *out. */
enum rc cli_lab_dir(struct cli *c, const char *given, char **out, struct err *e);

/* The lab that is there. */
enum rc cli_lab_open(struct cli *c, const char *given, bool to_change, struct lab **out,
                     struct err *e);

/* What a shell must know to talk to it: lines to evaluate, also in JSON. */
enum rc cli_lab_exports(struct cli *c, const struct lab *l, struct err *e);

/* The option --dir, for the table of a command whose structure has the field `dir`. */
#define CLI_LAB_DIR(args)                                                  \
    OPT(STR, "dir", args, dir, .arg = "DIR",                               \
        .help = "where the lab is; else $XDG_RUNTIME_DIR/holdfast-lab or " \
                "/tmp/holdfast-lab-UID")

#endif
