/* Logs to read: real ones from tests/golden, and small ones built record by record. */
#ifndef TESTS_UNIT_WAL_LAB_H
#define TESTS_UNIT_WAL_LAB_H

#include "util/bytes.h"
#include "wal/read.h"
#include "wal/record.h"
#include "wal/write.h"

/* One golden file, decompressed: golden_file("etcd-3.5/data/....wal.zst"). Static text
 * "0000...0000.wal" for the first segment of each. */
#define FIRST_SEGMENT "0000000000000000-0000000000000000.wal"
void golden_file(const char *path, struct buf *out);

/* What is true of tests/golden/etcd-VERSION/KIND, by an independent decoder. */
struct golden_log {
    const char *path;
    uint64_t records, end, node_id, cluster_id;
    struct wal_state state;
    uint64_t last_index, last_term, marks;
};
extern const struct golden_log golden_logs[];
extern const size_t golden_log_count;

void put_file(const char *dir, const char *name, const void *p, size_t n);

/* A log in the making. */
struct draft {
    struct buf b;
    uint32_t crc;
    size_t frame; /* where the last record begins */
};
void draft_add(struct draft *d, enum wal_type type, struct bytes data);
void draft_head(struct draft *d); /* CRC and METADATA{7, 9} */
void draft_entry(struct draft *d, uint64_t index, uint64_t term, const char *data);
void draft_state(struct draft *d, uint64_t term, uint64_t commit);
void draft_mark(struct draft *d, uint64_t index, uint64_t term);
/* Head, mark 0, then `entries` entries of term 2, each with a STATE that commits it. */
void draft_small(struct draft *d, unsigned entries);
void draft_clear(struct draft *d);

/* A read log with its findings. */
struct reading {
    struct wal *w;
    const struct wal_summary *s;
    struct findings f;
    struct err e;
    enum rc rc;
};
void reading_of(struct reading *r, const char *dir);
/* The same of a directory with this one segment. */
void reading_of_bytes(struct reading *r, const void *p, size_t n);
void reading_clear(struct reading *r);
bool reading_has(const struct reading *r, const char *code);

#endif
