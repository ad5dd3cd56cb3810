/* A log being read: where reading is, and what the records so far have said. Internal to
 * wal/: read.c moves the cursor, take.c believes the records or objects to them. */
#ifndef WAL_CURSOR_H
#define WAL_CURSOR_H

#include "wal/read.h"
#include "wal/record.h"

/* Where an entry lies. Frames begin at multiples of 8. */
struct wal_place {
    uint64_t term;
    uint32_t segment, slot;
};

struct wal {
    struct wal_summary s;
    struct findings *findings; /* the caller's, during wal_open only */
    struct wal_segment *segments;
    struct wal_mark *marks;
    struct wal_place *places; /* of entries first_index.. */
    size_t place_cap;
    char *dir;
    struct wal_file file;
    size_t open; /* the segment that `file` is, or SIZE_MAX */
};

/* Reading in progress. */
struct wal_cursor {
    struct wal *w;
    size_t segment;
    uint64_t at;
    uint32_t crc;
    uint64_t floor; /* the log is known to reach back to the entry after this one */
    bool has_metadata;
    struct buf metadata; /* as first seen */
    const char *code;    /* NULL until a record cannot be believed */
    char reason[160];
    enum wal_etcd etcd;
};

/* Learn from the sound record at the cursor. When it cannot be what etcd wrote there,
 * nothing is learnt and code, reason and etcd of the cursor say why. RC_NOMEM. */
enum rc wal_take(struct wal_cursor *c, const struct wal_record *r, struct err *e);

/* Index of the last entry so far. */
uint64_t wal_last_entry(const struct wal_cursor *c);

/* Term of the entry or newest mark at `index`, 0 when it is not known. */
uint64_t wal_term_at(const struct wal *w, uint64_t index);

#endif
