/* A backup that a restore reads, fetched from a repository into a scratch file beside the
 * data directory: as it is stored, encrypted; out of a bundle the database alone. The
 * file goes with the restore. */
#ifndef CLI_FETCHED_H
#define CLI_FETCHED_H

#include "cli/keys.h"
#include "cli/repos.h"

struct fetched {
    struct cli_repo from;
    struct chain *log;
    char *file;
    char *called; /* "backup 12 of 'prod'" */
    char *words;  /* the options that name it: "--repo ... --cluster ... --sequence 12" */
    int64_t high_water;
};

/* `sequence` as cli_sequence takes it. `beside` is the data directory that will be made;
 * what an earlier run left there under the same name is removed. */
enum rc fetched_begin(struct cli *c, const struct repo_args *a, const char *sequence,
                      const char *beside, const struct age_identities *ids,
                      struct fetched *out, struct err *e);
void fetched_end(struct fetched *f);

#endif
