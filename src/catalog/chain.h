/* What a pile of records is worth: which of them are genuine and hang together, which
 * backups there are, and what does not fit. Pure; records come from the store (log.h) or
 * from the index (index.h) and give the same answers.
 *
 *     chain_new, chain_add for each record, chain_close, then look.
 *
 * The chain is walked from the genuine record with the highest sequence downwards, by
 * number and hash. A record that is gone is in order when a record on the chain above it
 * says that it was removed. Everything else is a finding. */
#ifndef CATALOG_CHAIN_H
#define CATALOG_CHAIN_H

#include "catalog/record.h"
#include "crypto/minisign.h"
#include "util/findings.h"

enum chain_state {
    CHAIN_GOOD,    /* genuine, on the chain */
    CHAIN_REMOVED, /* on the chain, removed by a later record; its deletion is unfinished
                    */
    CHAIN_STRAY,   /* unsigned, forged, damaged or off the chain: never used, counted or
                    * deleted */
};

struct chain_item {
    struct record_link at; /* `sequence` from its key, the hash of its bytes */
    enum chain_state state;
    const char *why; /* a stray: "unsigned" "stranger" "forged" "retired" "unreadable"
                      * "misplaced" "off-chain" */
    char *detail;    /* a stray: the sentence */
    struct record *record; /* NULL when it could not be read */
    uint64_t key_id;       /* who signed; 0: nobody whom we know */
    struct str_list tags;  /* CHAIN_GOOD backups: with those added later */
    bool linked;           /* the walk came by */
};

struct chain {
    char repo[RECORD_REPO_ID_SIZE];
    char cluster[RECORD_NAME_SIZE];
    const struct minisign_trust *trust; /* borrowed */
    struct chain_item *items;           /* by sequence, after chain_close */
    size_t count, room;
    struct record_link head; /* of the chain; all zero when there is none */
    uint64_t next; /* that the next record takes: the first free one behind it */
    int64_t high_water;
    struct findings findings;
    bool closed;
};

/* A record from the bound of its key on is a stray: the key was retired before it.
 * A `trust` without keys checks no signatures: the chain is then held together by hashes
 * alone, and chain_close says what that leaves open. */
enum rc chain_new(const char *repo, const char *cluster,
                  const struct minisign_trust *trust, struct chain **out, struct err *e);
void chain_free(struct chain *c);
OWN_DEFINE(chain)

/* `sequence` is what the record's key says; no bytes of a signature: there is none. What
 * is wrong with a record makes it a stray and is no failure: RC_NOMEM, RC_INTERNAL only.
 */
enum rc chain_add(struct chain *c, uint64_t sequence, struct bytes record,
                  struct bytes signature, struct err *e);

/* What some place remembers of this cluster's log: this host's index, a note in a job's
 * log, another host. */
struct chain_mark {
    struct record_link head;
    int64_t high_water;
    const char *whence; /* "this host's index"; for messages */
};

/* Sorts, walks, and finds: codes "log-missing" (a record is gone and no prune says so),
 * "log-altered" (its hash is not the one that the next one names, or it is and the
 * signature is gone or false), "log-fork" (two
 * records follow the same one), "log-stray" (unsigned or forged: a warning), "log-order"
 * (revisions or sequences that cannot be), "log-rolled-back" (the head is older than a
 * mark), "log-mark" (a marked record is now another one), "log-unfinished" (a removed one
 * is still there: a note), "log-clock" (time went backwards between records: a warning),
 * and as notes what nobody can know from here: "unknown-authors" (no keys),
 * "unknown-head" (no mark: whether newer records are hidden). */
enum rc chain_close(struct chain *c, const struct chain_mark *marks, size_t mark_count,
                    struct err *e);

/* The item of that sequence, or NULL. */
const struct chain_item *chain_find(const struct chain *c, uint64_t sequence);

/* A backup that is there: good and not removed. */
static inline bool chain_is_backup(const struct chain_item *i)
{
    return i->state == CHAIN_GOOD && i->record->kind == RECORD_BACKUP;
}

/* The newest backup, or NULL; with `proved` the newest proved one. */
const struct chain_item *chain_newest(const struct chain *c, bool proved);

/* Adds the removal of a record on the chain to a prune record. RC_REFUSED for a stray, a
 * prune record, or one that is not there. */
enum rc chain_remove(const struct chain *c, uint64_t sequence, struct record *prune,
                     struct err *e);

/* What to remember after looking. */
struct chain_mark chain_mark_of(const struct chain *c, const char *whence);

#endif
