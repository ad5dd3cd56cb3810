/* One record of etcd's write-ahead log in its frame.
 *
 *     u64 length word, little-endian: bits 0..55 size L of the record; when the frame
 *         needs P > 0 bytes of padding, bit 63 and bits 56..58 = P
 *     walpb.Record { 1 type, 2 crc, 3 data }   L bytes
 *     zeros                                    P bytes, up to a multiple of 8
 *
 * The CRC of a record covers the data of all records before it and its own data, but
 * neither type nor length: a damaged length word must be recognised by other means. A
 * record says its own size a second time, in its data field, so both are compared, and
 * the size by content is reported even when the length word is nonsense.
 *
 * All functions work on borrowed memory and allocate nothing, except wal_frame_add. */
#ifndef WAL_RECORD_H
#define WAL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"

enum wal_type {
    WAL_METADATA = 1, /* whose log this is; the same in every segment */
    WAL_ENTRY = 2,    /* a raft log entry */
    WAL_STATE = 3,    /* raft's HardState; the last one counts */
    WAL_CRC = 4,      /* head of a segment: the chain so far */
    WAL_SNAPSHOT = 5, /* a raft snapshot was taken or received at this index */
};

enum {
    WAL_WORD = 8,              /* bytes of the length word */
    WAL_HEAD_MAX = 32,         /* enough to see everything in front of the data */
    WAL_RECORD_MAX = 64 << 20, /* etcd 3.4 refuses 10 MiB, later ones a whole segment */
};

/* Why a frame was refused. WAL_AT_END is the end of the log: a length word of zero
 * (preallocated space), or the end of the file between two frames. */
/* clang-format off */
#define WAL_FAULT_TABLE(X)                                                            \
    X(WAL_AT_END,        "wal-end",         "the log ends here")                      \
    X(WAL_FAULT_SHORT,   "wal-short",       "the file ends inside a length word")     \
    X(WAL_FAULT_WORD,    "wal-length-word", "the length word is malformed")           \
    X(WAL_FAULT_BEYOND,  "wal-beyond-end",  "the record passes the end of the file")  \
    X(WAL_FAULT_CONTENT, "wal-content",     "it does not decode as a record")         \
    X(WAL_FAULT_LENGTH,  "wal-length",      "the length word disagrees with the record") \
    X(WAL_FAULT_HUGE,    "wal-huge",        "the record is larger than 64 MiB")       \
    X(WAL_FAULT_TYPE,    "wal-type",        "the record type is unknown")             \
    X(WAL_FAULT_CRC,     "wal-crc",         "the checksum does not match")            \
    X(WAL_FAULT_CHAIN,   "wal-crc-chain",   "the checksum chain does not continue")
/* clang-format on */

enum wal_fault {
    WAL_SOUND,
#define X(name, code, text) name,
    WAL_FAULT_TABLE(X)
#undef X
};

const char *wal_fault_code(enum wal_fault fault); /* "wal-crc"; static text */
const char *wal_fault_text(enum wal_fault fault); /* "the checksum does not match" */

/* What the head of a frame says. Filled as far as it can be whatever the fault. */
struct wal_frame {
    uint64_t length;    /* size of the record by the length word */
    uint64_t claimed;   /* size of the frame by the length word; 0 when it is zero */
    uint64_t size;      /* size of the frame by its content; 0 when that is no record */
    uint64_t data_size; /* of the record's data */
    uint32_t data_at;   /* where in the frame the data begins */
    uint32_t crc;       /* as recorded */
    uint64_t type;      /* as recorded, perhaps no enum wal_type */
};

/* A record whose type, size and checksum hold. */
struct wal_record {
    enum wal_type type;
    struct bytes data; /* borrowed from the frame */
    uint32_t crc;      /* the chain after this record */
    bool padded_clean; /* the padding is zero, as etcd writes it */
};

/* Judge the frame that begins with `head`, of which at least the first
 * min(left, WAL_HEAD_MAX) bytes are given; `left` bytes of file remain from there.
 * On WAL_SOUND the whole frame lies within `left` and `out->size` is its size. */
enum wal_fault wal_frame_parse(struct bytes head, uint64_t left, struct wal_frame *out);

/* The size of the record behind the length word whatever that word says; false when the
 * bytes there are not the head of a record. For frames whose length word is damaged. */
bool wal_frame_guess(struct bytes head, uint64_t left, struct wal_frame *out);

/* Check the checksum of a parsed or guessed frame, given all its `out->size` bytes and
 * the chain before it. Only WAL_FAULT_TYPE, _CONTENT, _CRC and _CHAIN can come of it. */
enum wal_fault wal_frame_check(const struct wal_frame *f, struct bytes frame,
                               uint32_t crc, struct wal_record *out);

/* Append a record in its frame and advance the chain `crc`. A WAL_CRC record carries
 * the chain and no data. */
enum rc wal_frame_add(struct buf *to, uint32_t *crc, enum wal_type type,
                      struct bytes data, struct err *e);

#endif
