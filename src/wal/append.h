/* A member's write-ahead log, written on as etcd does (server/storage/wal): records go to
 * the end of the newest segment, which has 64 MB of zeros to grow into and is locked as
 * long as it is open; a full one is cut to its size and the next begins. Only one at a
 * time may use it. */
#ifndef WAL_APPEND_H
#define WAL_APPEND_H

#include "util/own.h"
#include "wal/read.h"
#include "wal/record.h"

struct wal_log;

/* The first segment, in the directory `dir`, which has none: the ids, and the mark at 0
 * that every log begins with. Durable when it returns. */
enum rc wal_log_create(const char *dir, const struct wal_metadata *ids,
                       struct wal_log **out, struct err *e);

/* Goes on behind what was read. A torn tail is cut off; as etcd does, the segment as it
 * was is kept beside it as ".broken". RC_CORRUPT when the log is damaged, RC_LOCKED when
 * somebody else writes it. */
enum rc wal_log_open(const char *dir, const struct wal_summary *read,
                     struct wal_log **out, struct err *e);
void wal_log_free(struct wal_log *l);
OWN_DEFINE(wal_log)

/* One more record: `data` is a message of message.h, in memory until it is flushed. */
enum rc wal_log_add(struct wal_log *l, enum wal_type type, struct bytes data,
                    struct err *e);

/* Writes what was added, by one write; durable with `sync`. A failure is final: what is
 * on the disk cannot be known any more. */
enum rc wal_log_flush(struct wal_log *l, bool sync, struct err *e);

/* Removes the oldest segments, as long as more than `keep` are left and none with an
 * entry behind `index` goes. */
enum rc wal_log_purge(struct wal_log *l, uint64_t index, size_t keep, struct err *e);

#endif
