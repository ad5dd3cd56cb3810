/* The end of a chain that is an open file, written so that an etcd on the same disk
 * hardly notices. What hurts etcd is one fsync of a large dirty file: its write-ahead
 * log waits behind it for as long as the disk takes. So the bytes go out in aligned
 * blocks past the page cache (O_DIRECT), or, where the file system cannot, in slices
 * that are pushed out as they fill; the fsync at the end then finds nothing to do.
 *
 * The name and the directory of the file are not its business: see storage/posix.h. */
#ifndef FILTER_FILE_H
#define FILTER_FILE_H

#include <stdbool.h>

#include "filter/readback.h"
#include "filter/sink.h"

/* Pieces of this size that are aligned to a page are written from where they lie. */
enum { FILE_BLOCK = READBACK_BLOCK };

enum file_mode {
    FILE_DIRECT,   /* whole blocks went past the page cache */
    FILE_BUFFERED, /* through the page cache, in slices */
    FILE_STREAM,   /* not a file that can be synced: a pipe */
};

struct file_sink_result {
    uint64_t size;
    enum file_mode mode;
    bool read_back; /* the stored bytes were read again and compared */
};

/* For `reserve`: keep a twentieth of the file system free, at least 64 MiB and at most
 * 8 GiB; or keep nothing. */
#define FILE_RESERVE_DEFAULT UINT64_C(0)
#define FILE_RESERVE_NONE UINT64_MAX

struct file_sink_options {
    uint64_t
        expected_size; /* room is checked and taken before the first byte; 0: unknown */
    uint64_t reserve;  /* bytes of the file system that must stay free */
    bool buffered;     /* do not try O_DIRECT */
    bool read_back;    /* prove the stored copy; `fd` must be readable through /proc */
    struct readback_observer observer; /* of what is read back; only with read_back */
    struct file_sink_result *result;   /* set when finish succeeds; may be NULL */
};

/* `fd`, borrowed, is an empty regular file open for writing; `name` is for messages;
 * NULL options are all zero.
 *
 * Fails with RC_STORAGE when there is not enough room, counting the reserve. Later
 * RC_STORAGE also ends a file that grows into the reserve, and any failed write or
 * sync; such a file is not to be trusted, and every later call fails too. finish
 * makes the file durable with one fsync and, with read_back, waits until each block
 * has been read from the disk; RC_CORRUPT names the offset of one that differs. */
enum rc file_sink_new(int fd, const char *name, const struct file_sink_options *options,
                      struct sink **out, struct err *e);

#endif
