/* The SHA-256 at the end of a snapshot: etcd appends the digest of all database bytes as
 * the last 32 (server/etcdserver/api/v3rpc/maintenance.go, Snapshot, 3.4 to 3.7). A file
 * has it when its size modulo 512 is 32, since every page size is a multiple of 512. */
#ifndef SNAPSHOT_TRAILER_H
#define SNAPSHOT_TRAILER_H

#include <stdbool.h>
#include <stdint.h>

#include "filter/sink.h"
#include "util/bytes.h"
#include "util/task.h"

enum { SNAP_TRAILER_SIZE = 32 };

struct snap_trailer {
    uint64_t size;                 /* of the whole file, trailer included */
    bool present;                  /* by the size rule */
    bool matches;                  /* present, and the digest is right */
    uint8_t database[SHA256_SIZE]; /* digest of the database bytes */
    uint8_t whole[SHA256_SIZE];    /* digest of the file as it is, trailer included */
};

/* Is there a trailer in a file of this size? */
static inline bool snap_has_trailer(uint64_t size)
{
    return size % 512 == SNAP_TRAILER_SIZE;
}

/* Passes bytes on; at finish fills *out, and fails unless a trailer is there and matches:
 * RC_CORRUPT. With `optional` it only reports. */
enum rc snap_trailer_sink_new(struct sink *next, bool optional, struct snap_trailer *out,
                              struct sink **sink, struct err *e);

/* The same over bytes in memory (a mapped file), in pieces so that a stop is seen.
 * Never fails for a wrong trailer: judge it with snap_trailer_verdict. */
enum rc snap_trailer_read(struct bytes file, struct snap_trailer *out, struct err *e);

/* snap_trailer_read on a thread of its own, beside a walk over the same bytes, which must
 * stay until the join. Zero-initialise; joining one that never started does nothing. */
struct snap_hashing {
    struct bytes file;
    struct task task;
    struct snap_trailer trailer; /* after a join that is RC_OK */
};
enum rc snap_hashing_start(struct snap_hashing *h, struct bytes file, struct err *e);

/* Waits in any case. Returns `walked`, how the walk beside it ended, unless that is
 * RC_OK: then how the hashing did. */
enum rc snap_hashing_join(struct snap_hashing *h, enum rc walked, struct err *e);

/* RC_CORRUPT with the reason when absent or wrong. */
enum rc snap_trailer_verdict(const struct snap_trailer *t, struct err *e);

#endif
