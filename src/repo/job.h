/* A job that writes to a cluster's part of a repository: alone, on a log that hangs
 * together, after whatever a crash left is gone. */
#ifndef REPO_JOB_H
#define REPO_JOB_H

#include "catalog/lock.h"
#include "repo/lease.h"
#include "repo/repo.h"

struct repo_job_options {
    const char *signing_key;   /* NULL: the one in the state directory */
    uint64_t wait_ms;          /* for another job's end */
    struct wire_client *lease; /* of the cluster, used for nothing else: where the store
                                * cannot lock; may be NULL */
};

struct repo_job {
    struct repo *repo;
    struct store *lock_store; /* of its own: the beat comes from the chain's thread */
    struct repo_lease lease;
    struct lock *lock;
    struct chain *log;
    struct minisign_secret key;
    struct log_fence fence;
};
void repo_job_end(struct repo_job *j);

/* Zero-initialised, AT_END(repo_job_end); must not move. RC_LOCKED when another job
 * works on this cluster, RC_CORRUPT when the log does not hang together. */
enum rc repo_job_begin(struct repo_job *j, struct repo *r,
                       const struct repo_job_options *o, struct err *e);

/* One record more; this host remembers it. `host` and `tool` are filled in. */
enum rc repo_job_append(struct repo_job *j, struct record *x, struct record_link *out,
                        struct err *e);

/* Passes bytes on, and keeps the lock alive meanwhile; fails when it was lost. At finish
 * *size is how many they were. */
enum rc repo_beat_sink_new(struct sink *next, struct lock *lock, uint64_t *size,
                           struct sink **out, struct err *e);

/* The lock of the repository's cluster as lock_take and lock_break want it. */
struct lock_options repo_lock_options(const struct repo *r, struct store *s,
                                      const char *owner);

#endif
