/* A member's database as a stream, into a sink. */
#ifndef WIRE_SNAPSHOT_H
#define WIRE_SNAPSHOT_H

#include "filter/sink.h"
#include "wire/wire.h"

enum { WIRE_TRAILER_SIZE = 32 };

struct wire_snapshot_options {
    uint64_t max_bytes;  /* 0: half more than the db size the member tells, and 64 MiB */
    uint64_t rate_min;   /* bytes a second, on average; 0: 16 KiB */
    uint64_t *announced; /* before the first byte goes into the sink: how many it will get
                          * when all goes well; may be NULL */
};

struct wire_snapshot {
    uint64_t bytes;   /* all that went into the sink: the database and the trailer */
    uint64_t db_size; /* the database alone */
    uint64_t messages;
    char version[32];                   /* the storage version, since 3.6; else "" */
    uint8_t trailer[WIRE_TRAILER_SIZE]; /* SHA-256 of the database, as the server says */
};

/* Pushes database and trailer into `to`, in order, as they arrive, and neither finishes
 * nor frees it: RC_OK says that the stream was whole by its own account (lengths that
 * add up, a trailer of 32 bytes, gRPC status 0), not yet that its SHA-256 is right; that
 * is for the chain to compute and compare before it finishes.
 *
 * RC_CORRUPT (WIRE_BAD_STREAM, WIRE_READ_ERROR), RC_NET (cut, stalled, too slow),
 * RC_AUTH, RC_INTERRUPTED, or what the sink returned. Bytes that reached the sink before
 * a failure are worthless: a second try needs a new sink. Needs role root. */
enum rc wire_snapshot_take(struct wire_client *c, size_t endpoint,
                           const struct wire_snapshot_options *o, struct sink *to,
                           struct wire_snapshot *out, struct err *e);

#endif
