/* The files of a WAL directory: their names, and their bytes through a sliding window.
 *
 * Files are read with pread, not mapped: etcd truncates a segment when it starts the
 * next one, and a mapped file that shrinks kills its reader. */
#ifndef WAL_SEGMENT_H
#define WAL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"
#include "util/findings.h"

enum {
    WAL_NAME_SIZE = 38,               /* "%016x-%016x.wal" and NUL */
    WAL_SEGMENT_BYTES = 64 * 1000000, /* what etcd preallocates; not 64 MiB */
};

struct wal_segment {
    char name[WAL_NAME_SIZE];
    uint64_t sequence;    /* consecutive */
    uint64_t first_index; /* of the first entry that may be in it */
    uint64_t size;        /* of the file; 0 until it was read */
    uint64_t end;         /* where its log ends, or where reading stopped */
    uint64_t records;     /* sound ones before that */
};

/* Exactly as etcd writes it, 16 lower-case digits each. */
void wal_segment_name(char out[static WAL_NAME_SIZE], uint64_t sequence,
                      uint64_t first_index);
bool wal_segment_name_parse(const char *name, uint64_t *sequence, uint64_t *first_index);

/* The segments of the directory `dir` in order, at least one, for the caller to free
 * with mem_free. Other names become findings: preallocated "N.tmp" a note, ".broken"
 * (left by etcd's own repair) and unknown ones a warning. Fails as os_list does, and
 * with RC_NOTFOUND when there is no segment at all. */
enum rc wal_segment_list(const char *dir, struct findings *f, struct wal_segment **out,
                         size_t *count, struct err *e);

/* An open segment. Zero-initialise with fd -1, end with wal_file_close. */
struct wal_file {
    int fd;
    const char *name; /* borrowed; for messages */
    uint64_t size;
    uint64_t held_at; /* where in the file the window begins */
    struct buf held;
};

/* Read-only; RC_USAGE when it is no regular file. */
enum rc wal_file_open(const char *dir, const char *name, struct wal_file *out,
                      struct err *e);
void wal_file_close(struct wal_file *f);

/* Up to n bytes from `at` (fewer only at the end of the file), borrowed until the next
 * call. RC_CORRUPT when the file became shorter since it was opened. */
enum rc wal_file_view(struct wal_file *f, uint64_t at, size_t n, struct bytes *out,
                      struct err *e);

#endif
