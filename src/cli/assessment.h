/* Looking at all that is left of a cluster, for the commands that judge it. */
#ifndef CLI_ASSESSMENT_H
#define CLI_ASSESSMENT_H

#include "cli/cli.h"
#include "cli/keys.h"
#include "recover/judge.h"

struct assessment_args {
    struct str_list copies, backups; /* directories and statements; stored snapshots */
    const char *wal_dir;             /* of the only directory; NULL */
    struct open_args open;
    struct str_list assumed; /* names of members that are taken for off */
};

#define ASSESSMENT_OPERANDS(args, field)                                            \
    OPERANDS("DIR|STATEMENT", args, field.copies,                                   \
             .help = "a member's data directory, or a copy of it, or what `assess " \
                     "--export` wrote about one on another host")

/* All that was looked at; the verdict borrows from it. */
struct assessment {
    struct recover_copies copies;
    struct care_view view;
    struct recover_verdict verdict;
};
void assessment_clear(struct assessment *a);

/* Only the directories and statements. */
enum rc assessment_survey(const struct assessment_args *args, struct assessment *out,
                          struct err *e);

/* Everything, and the verdict. The members that the copies name are asked as well as the
 * given endpoints: a quorum may be running of which only the copies know the addresses.
 * `strangers_count`: as in struct recover_scene. *out must not move afterwards. */
enum rc assessment_make(struct cli *c, const struct assessment_args *args,
                        bool strangers_count, struct assessment *out, struct err *e);

#endif
