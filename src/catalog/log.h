/* A cluster's log in a store: read whole, and one record more. */
#ifndef CATALOG_LOG_H
#define CATALOG_LOG_H

#include "catalog/chain.h"
#include "catalog/index.h"
#include "storage/store.h"

/* Reads every record and signature below CLUSTER/records/ into a chain that is not yet
 * closed. An object that cannot be a record is passed over with a warning in the log. */
enum rc log_read(struct store *s, const char *repo, const char *cluster,
                 const struct minisign_trust *trust, struct chain **out, struct err *e);

/* The same, but what `known` (NULL: nothing) has of a record whose signature the store
 * still lists is not fetched again: one listing, and only what is new. That a record was
 * altered in the store since is for whoever verifies; it changes nothing of what is
 * believed. */
enum rc log_read_known(struct store *s, const char *repo, const char *cluster,
                       const struct minisign_trust *trust, struct index *known,
                       struct chain **out, struct err *e);

/* One record whole: its bytes, and its signature's when there is one. An object that is
 * too large to be a record has no bytes, and is a stray of its number. RC_NOTFOUND. */
struct log_record {
    struct buf record, signature;
};
void log_record_clear(struct log_record *r);
enum rc log_read_one(struct store *s, const char *cluster, uint64_t sequence,
                     struct log_record *out, struct err *e);

/* Whoever holds a lock on the repository is asked before anything becomes visible; NULL
 * fn: there is no lock. */
struct log_fence {
    enum rc (*check)(void *arg, struct err *e);
    void *arg;
};

/* Sets sequence, previous and created of `r`, raises its high_water to the closed chain's
 * (and the backup's revision), signs and stores it. `key` NULL: unsigned, only for a
 * repository that has no keys. RC_LOCKED when somebody else wrote meanwhile, or the fence
 * says that the lock was lost: read again and decide again. After any other failure the
 * record may have been stored nevertheless: what it speaks of is not to be deleted before
 * the log was read again. *out is the new head. */
enum rc log_append(struct store *s, const struct chain *c,
                   const struct minisign_secret *key, const struct log_fence *fence,
                   struct record *r, struct record_link *out, struct err *e);

/* The same for a record that does not depend on what the others wrote (a backup, a tag):
 * reads the log again, and tries again when the number was taken. RC_CORRUPT when the log
 * does not hang together any more, also by what `known` remembers of it. */
struct log_writer {
    struct store *store;
    const char *repo, *cluster;
    const struct minisign_trust *trust;
    const struct minisign_secret *key; /* as above, like `fence` */
    const struct log_fence *fence;
    struct index *known; /* may be NULL */
};
enum rc log_append_anyhow(const struct log_writer *w, struct record *r,
                          struct record_link *out, struct err *e);

/* Deletes a removed record's object, then record and signature; what is gone already is
 * no failure. RC_REFUSED when the object is locked against deletion: nothing of it was
 * deleted then. Only for items of state CHAIN_REMOVED. */
enum rc log_sweep(struct store *s, const struct chain *c, const struct chain_item *item,
                  struct err *e);

#endif
