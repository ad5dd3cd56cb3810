/* Judging a place where a log stops making sense: torn by a crash, or damaged?
 * Internal to wal/. */
#ifndef WAL_DAMAGE_H
#define WAL_DAMAGE_H

#include "wal/read.h"
#include "wal/record.h"

struct wal_break {
    struct wal_file *file;
    uint64_t at;  /* the frame */
    uint32_t crc; /* the chain before it */
    bool last;    /* no segment comes after this one */
    enum wal_fault fault;
    struct wal_frame frame;
};

/* Fill `out->reason`, `out->follows`, `out->follows_at`, `out->etcd` and `out->code` and
 * say what it is. Torn only if all of this holds: it is the last segment, the record is
 * not whole behind a damaged length word, no whole record follows, and the bytes look as
 * an interrupted write leaves them (cut off, or with a sector of zeros). */
enum rc wal_judge(const struct wal_break *b, struct wal_damage *out,
                  enum wal_verdict *verdict, struct err *e);

/* The first whole frame at or after `from`. Checksums cannot be asked, because the chain
 * is broken: a canonical length word that agrees with a well-formed record is enough. */
enum rc wal_find_frame(struct wal_file *f, uint64_t from, bool *found, uint64_t *at,
                       struct err *e);

/* Whether everything from `from` to the end of the file is zero. */
enum rc wal_zero_from(struct wal_file *f, uint64_t from, bool *zero, struct err *e);

#endif
