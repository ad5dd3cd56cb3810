/* Is what is stored what was stored, and is it good? Level stored: the object is there,
 * with the size and SHA-256 that its signed record names. Level full: it opens, every
 * page and record is whole, and HashKV, revision and keys are those of the record. */
#ifndef REPO_VERIFY_H
#define REPO_VERIFY_H

#include "crypto/age_keys.h"
#include "repo/repo.h"
#include "snapshot/verify.h"

enum repo_level { REPO_LEVEL_STORED, REPO_LEVEL_FULL };

struct repo_verdict {
    uint64_t sequence;
    struct err failure; /* code RC_OK: it is good */
};

/* Examines one backup; this host's history of jobs has it as "verify". RC_OK, RC_CORRUPT
 * (altered, lost, damaged, or not what the record says), RC_NOKEY; what hinders the
 * examination itself: RC_NET, RC_STORAGE, RC_AUTH. */
enum rc repo_verify(struct repo *r, const struct record *x, enum repo_level level,
                    const struct age_identities *ids, struct err *e);

/* What a chain for a backup's content ends with: takes the stored bytes as they are,
 * decodes them, examines the database, and finishes `next`, which gets the database's
 * bytes, only when all is as the record says. `c` must live as long as the chain. */
struct repo_content {
    const struct manifest *m;
    struct snap_verdict verdict;
};
void repo_content_clear(struct repo_content *c);
enum rc repo_content_sink_new(struct sink *next, const struct age_identities *ids,
                              struct repo_content *c, struct sink **out, struct err *e);

#endif
