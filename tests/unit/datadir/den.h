/* Data directories: what real etcd left when it was killed, and small ones made up of its
 * database and a log built record by record. */
#ifndef TESTS_UNIT_DATADIR_DEN_H
#define TESTS_UNIT_DATADIR_DEN_H

#include "datadir/read.h"
#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"

/* What is true of tests/golden/etcd-VERSION/data, as the server told just before. */
struct den_golden {
    const char *version;
    uint64_t member;
    uint32_t hashkv;
};
extern const struct den_golden den_goldens[];
enum { DEN_GOLDENS = 4, DEN_REVISION = 81, DEN_COMPACTED = 21 };

struct den {
    const char *dir; /* the data directory */
    char snap[300], wal[300], db[320], segment[360];
    struct datadir *d; /* after den_open */
    struct err e;
};

/* Only the directories. */
void den_make(struct den *den);
/* All that the server left. */
void den_golden(struct den *den, const char *version);
void den_golden_db(const struct den *den, const char *version, const char *name);

/* A bbolt file without a bucket. */
void den_empty_db(const struct den *den);

#define FIRST_SEGMENT "0000000000000000-0000000000000000.wal"

/* A log of one segment with entries `first` to `last`, empty ones but for `bad`, which no
 * etcd could apply; a mark for a snapshot at `mark` before them unless it is 0. All are
 * committed unless `commit` says how far. */
struct den_log {
    uint64_t first, last, term, mark, commit, bad;
    bool later; /* the mark is of a later term and comes after the entries */
};
void den_log(struct den *den, struct den_log log);

/* One byte of a file turned over, or the file cut. */
void den_flip(const char *path, uint64_t at);
void den_cut(const char *path, uint64_t size);
uint64_t den_size(const char *path);

enum rc den_open(struct den *den);
bool den_has(const struct den *den, const char *code, enum finding_severity severity);
void den_clear(struct den *den);
#define DEN [[gnu::cleanup(den_clear)]] struct den

#endif
