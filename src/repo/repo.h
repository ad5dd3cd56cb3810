/* A repository: backups of clusters in a store, whatever serves it. The front door of the
 * folder.
 *
 *     holdfast.json                  which repository it is (identity.h)
 *     CLUSTER/records/...            the signed log of a cluster (catalog/record.h)
 *     CLUSTER/backups/ID/...         objects: encrypted and compressed, under random
 * names CLUSTER/uploads/ID.json        an upload under way, or one that a crash ended
 *     CLUSTER/locks/..., lock        one writer at a time (catalog/lock.h)
 *
 *     init.h    make one                     verify.h  is what is stored what was stored?
 *     backup.h  one backup more              fetch.h   one backup out of it
 *     prune.h   backups that may go          copy.h    the same repository elsewhere
 *     tag.h     a word more to a backup      rebuild.h this host's index, made again
 *
 * The log says what there is; everything else is found by it. An object that no record
 * names is no backup, a record whose signature does not hold is no record. What this host
 * remembers, in its state directory, is a copy of the log, whose keys it believes, and
 * how far the log was: a store that hides its newest records is found out by that. */
#ifndef REPO_REPO_H
#define REPO_REPO_H

#include "care/store.h"
#include "catalog/index.h"
#include "catalog/log.h"
#include "repo/identity.h"

struct repo_options {
    struct store_options store;
    const char *cluster;                /* its name in the repository */
    struct care_store *state;           /* borrowed; NULL: nothing is remembered */
    const struct minisign_trust *trust; /* keys that the user gave; copied; may be NULL */
    const char *tool;                   /* "holdfast 1.2.3", for records */
};

struct repo {
    struct repo_options options; /* `store.url`, `cluster` and `state` stay borrowed */
    struct store *store;
    struct repo_identity identity;
    struct minisign_trust trust; /* whose records count */
    bool pinned;         /* by the user or this host, not only by the repository itself */
    struct index *index; /* NULL without a state directory */
};

/* Opens a repository that exists, and checks who signed holdfast.json: a key that the
 * user gave, else one that this host remembers; on a host that sees it for the first time
 * one of its own, which the host then remembers. RC_NOTFOUND, RC_CORRUPT, RC_USAGE for a
 * cluster's name that is none. */
enum rc repo_open(const struct repo_options *o, struct repo **out, struct err *e);
void repo_free(struct repo *r); /* NULL is fine */
OWN_DEFINE(repo)

/* The directory of a repository that lies in one; else NULL. */
const char *repo_directory(const struct repo *r);

/* The log of the cluster, judged with what this host remembers of it: the store is asked
 * what there is, and only for records that this host does not have yet. When it hangs
 * together, this host remembers it from now on. */
enum rc repo_log(struct repo *r, struct chain **out, struct err *e);

/* The same with every record read again: for whoever wants to know whether the store
 * still has what it was given. */
enum rc repo_log_whole(struct repo *r, struct chain **out, struct err *e);

/* The same as this host remembers it, without asking the store. RC_NOTFOUND without a
 * state directory. */
enum rc repo_log_remembered(struct repo *r, struct chain **out, struct err *e);

/* A record was added to it: this host remembers that. Failing to is a warning. */
void repo_remember(struct repo *r, const struct record_link *at, int64_t high_water);

/* RC_CORRUPT when the log does not hang together: whoever adds to it or takes from it
 * stops here. */
enum rc repo_log_check(const struct chain *log, struct err *e);

/* The backup of that sequence. 0: the newest proved one, or, when none is proved, the
 * newest; says so when a newer one is passed over. RC_NOTFOUND; RC_CORRUPT when it is not
 * there and the log does not hang together. */
enum rc repo_find(const struct chain *log, uint64_t sequence,
                  const struct chain_item **out, struct err *e);

/* The backup before that one, of those that repo_find would take; NULL: none. */
const struct chain_item *repo_before(const struct chain *log,
                                     const struct chain_item *item);

/* The newest revision that anybody is known to have seen of the cluster. */
int64_t repo_high_water(const struct repo *r, const struct chain *log);

/* Into this host's history of jobs: what ran since `begun` (seconds since 1970), how it
 * ended, which record it wrote (0: none). Failing to is a warning. */
void repo_note_run(struct repo *r, const char *kind, int64_t begun, uint64_t sequence,
                   enum rc rc, const struct err *e);

/* The key that signs: from `path`, else the one that init left in the state directory.
 * RC_NOKEY when there is none, RC_REFUSED when the repository does not believe it. */
enum rc repo_signer(const struct repo *r, const char *path, struct minisign_secret *out,
                    struct err *e);

/* Of records and locks: the host's name as a name, and that with the process's number. */
void repo_host(char out[static RECORD_NAME_SIZE]);
void repo_owner(char out[static 128]);

#endif
