/* A snapshot of a member that is down, from its data directory, without an etcd: the
 * state of datadir/tail.h written as the database that a server with that state would
 * send.
 *
 *     machine -> builder -> survey -> gate -> [zstd] -> [age] -> sha256 -> file
 *
 * The metas stand at the front of a database and are known last, so it is built twice:
 * once to learn them, and once for good. Nothing is stored that is not wanted, and no
 * plaintext on the way to an encrypted file. */
#ifndef DATADIR_SAVE_H
#define DATADIR_SAVE_H

#include "datadir/tail.h"
#include "snapshot/store.h"

struct datadir_save_options {
    struct datadir_request from;
    struct datadir_tail_options tail;
    struct snap_store_options store;
};

struct datadir_saved {
    struct datadir *from; /* with its findings and figures */
    int minor;
    uint64_t first, last, beyond_commit; /* as in struct datadir_tail */
    int64_t db_revision;
    uint64_t size, stored_size;  /* database with trailer; the file */
    uint8_t sha256[SHA256_SIZE]; /* of the file as stored */
    struct mvcc_facts facts;     /* what the snapshot holds */
    const char *member_name;     /* "" when it is not known; borrowed from facts */
    struct str_list lost;        /* what cannot be known: datadir_lost */
    bool proved; /* the stored bytes were read again, and their pages, records and HashKV
                    are those of the state */
    uint64_t took_ms;
};

/* RC_OK: stored, durable, proved; the caller reports a `lost` that is not empty as
 * RC_DEGRADED. Before anything is stored it fails as datadir_open, datadir_apply and
 * snap_store_new do; RC_LOCKED when an etcd was started on the directory meanwhile. */
enum rc datadir_save(const struct datadir_save_options *o, struct datadir_saved *out,
                     struct err *e);
void datadir_saved_clear(struct datadir_saved *s);

#endif
