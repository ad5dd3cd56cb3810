/* Do a database and a log belong together, and what does the log add? Pure: a view of
 * both in, a verdict out, so that every rule is a row of tests/unit/datadir/test_judge.c.
 */
#ifndef DATADIR_JUDGE_H
#define DATADIR_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "wal/read.h"

/* In all but the first two something that a client was told may be missing. */
enum datadir_verdict {
    DATADIR_WHOLE, /* the log goes on where the database ends, and ends as it should */
    DATADIR_TORN,  /* the same, but its last record is unfinished, as a crash leaves it */
    DATADIR_DAMAGED, /* the log cannot be read to its end */
    DATADIR_GAP,     /* the log lacks the entry that the database needs next, or holds
                        another than the one that was committed there */
    DATADIR_BEHIND,  /* the log ends before the entry that the database has already */
    DATADIR_FOREIGN, /* the entry that the database ends with has another term in the log
                      */
    DATADIR_NO_LOG,
    DATADIR_NO_DATA, /* neither a database nor a log that begins with the cluster */
};

const char *datadir_verdict_name(enum datadir_verdict v); /* "whole" "torn-tail" ... */

struct datadir_view {
    bool has_db, has_log;
    uint64_t applied; /* consistent_index: the last entry that is in the database */
    uint64_t db_term; /* of that entry, by the database; 0: it does not say (3.4) */

    enum wal_verdict log;
    uint64_t first_index, last_index; /* wal/read.h */
    uint64_t log_term; /* of the entry `applied`, by the log; 0: it does not say */
    uint64_t snapshot; /* index of raft's newest snapshot that counts; 0: none */
    bool overtaken;    /* the log's entry there is not the one that the snapshot is of: a
                          leader's snapshot replaced entries that were never committed */
    bool from_restore; /* the mark stands behind nothing but the first members */
};

/* A log that begins with the cluster makes its whole state, without a database. One that
 * a restore wrote begins with entry 1 as well, but its keys were in the database that
 * came with it. */
bool datadir_log_is_complete(const struct datadir_view *v);

/* When the verdict lets entries be applied, they are *first to *last, none when that is
 * less. The sound part of a damaged log is among them where it goes on from the database;
 * otherwise there are none. */
enum datadir_verdict datadir_judge(const struct datadir_view *v, uint64_t *first,
                                   uint64_t *last);

#endif
