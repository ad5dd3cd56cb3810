/* A repository in a scratch directory, with backups that no cluster has made. */
#ifndef TESTS_UNIT_REPO_DEN_H
#define TESTS_UNIT_REPO_DEN_H

#include "repo/job.h"
#include "repo/repo.h"
#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"

struct den {
    const char *place, *home; /* the repository, the state directory */
    struct care_store *state;
    struct repo *repo;
};

/* Made and opened. */
void den_make(struct den *d);
void den_end(struct den *d);
#define DEN(d)                                       \
    AT_END(den_end) struct den d = { .repo = NULL }; \
    den_make(&d)

/* A second look, by a host that remembers `state` (NULL: nothing) and was given `trust`.
 */
enum rc den_open(const struct den *d, struct care_store *state,
                 const struct minisign_trust *trust, struct repo **out, struct err *e);

/* One backup more, of these bytes; its sequence. */
uint64_t den_back_up(struct den *d, const char *content, int64_t revision, bool proved);

/* The same, proved and signed by the key in that file. */
uint64_t den_back_up_as(struct den *d, const char *signing_key, const char *content,
                        int64_t revision);

/* A record of a backup that nobody stored. */
uint64_t den_append(struct repo_job *j, const char *content, int64_t revision);

/* The file of the key that the repository was made with, in `home`. */
const char *den_key_name(const struct den *d);

/* The log as it is now; fails the test. */
struct chain *den_log(struct den *d);

bool den_has(const struct den *d, const char *key);
void den_put(struct den *d, const char *key, const char *content);

#endif
