/* A bbolt database file, read in place.
 *
 * The file is mapped read-only and never locked, so that inspecting cannot change it
 * or wait for a running etcd. Nothing here trusts it: each accessor checks what it is
 * about to read against the file and the page's own extent. A file that is truncated
 * while it is mapped reads as zeros from there on (no SIGBUS) and is reported as
 * RC_CORRUPT by bolt_file_intact().
 *
 * Format: bbolt 1.3 to 1.5 (page.go, bucket.go, meta), little-endian only. A snapshot's
 * 32-byte SHA-256 trailer lies beyond the last page and is simply not looked at. */
#ifndef BOLTDB_FILE_H
#define BOLTDB_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"
#include "util/findings.h"
#include "util/own.h"

enum {
    BOLT_PAGE_HEADER = 16,
    BOLT_ELEMENT = 16,   /* bytes of one branch or leaf element */
    BOLT_META_SIZE = 64, /* of which the last 8 are the checksum */
    BOLT_BUCKET_HEADER = 16,
    BOLT_PAGE_SIZE_MIN = 512,
    BOLT_PAGE_SIZE_MAX = 65536,
    BOLT_DEPTH_MAX = 64, /* levels of a B+tree we follow */
};

#define BOLT_MAGIC UINT32_C(0xED0CDAED)
#define BOLT_VERSION UINT32_C(2)
#define BOLT_NO_FREELIST UINT64_MAX

enum bolt_page_kind {
    BOLT_PAGE_BRANCH = 0x01,
    BOLT_PAGE_LEAF = 0x02,
    BOLT_PAGE_META = 0x04,
    BOLT_PAGE_FREELIST = 0x10,
};

/* The meta page that is in force: the valid one with the higher txid (page 0 on a tie).
 */
struct bolt_meta {
    uint64_t root;       /* page of the root bucket */
    uint64_t freelist;   /* page, or BOLT_NO_FREELIST: etcd never writes one */
    uint64_t high_water; /* pages in use: the first page id never allocated */
    uint64_t txid;
    uint32_t page_size;
    unsigned page; /* 0 or 1: where it was found */
};

/* Read a meta page from `page` bytes that start at a page boundary (at least 80 of
 * them). RC_CORRUPT says what is wrong: magic, version, checksum, page size. */
enum rc bolt_meta_read(struct bytes page, struct bolt_meta *out, struct err *e);

/* The most bytes from the start of a file that bolt_meta_choose may want to see. */
#define BOLT_META_HEAD ((size_t)BOLT_PAGE_SIZE_MAX + 80)

/* Choose as bbolt does: the valid meta page with the higher txid, page 0 on a tie; when
 * page 0 is bad, page 1 is searched for at every page size. `head` is the start of the
 * file. RC_CORRUPT when neither is good. To `f` (may be NULL) go "meta-bad" (WARN) for
 * the one that is bad and "meta-txid" (NOTE) when the two are not consecutive. */
enum rc bolt_meta_choose(struct bytes head, struct findings *f, struct bolt_meta *out,
                         struct err *e);

struct bolt_file;

/* Map `path`, or the open descriptor `fd` (borrowed only during the call) named `name`.
 * RC_CORRUPT when it is no bbolt database (says what it looks like instead: empty, text,
 * gzip, zstd, age file), when no meta is valid, or when it is shorter than its
 * high-water mark ("truncated: 40960 bytes, the meta page needs 65536"). When one of two
 * metas is bad, a finding of severity WARN is added. `f` may be NULL. */
enum rc bolt_file_open(const char *path, struct findings *f, struct bolt_file **out,
                       struct err *e);
enum rc bolt_file_open_fd(int fd, const char *name, struct findings *f,
                          struct bolt_file **out, struct err *e);

/* Map whatever regular file `fd` is, damaged or truncated: no meta is looked for, and
 * bolt_file_meta, bolt_file_from and bolt_file_get know nothing of it. */
enum rc bolt_file_map_fd(int fd, const char *name, struct bolt_file **out, struct err *e);
void bolt_file_free(struct bolt_file *file);
OWN_DEFINE(bolt_file)

const struct bolt_meta *bolt_file_meta(const struct bolt_file *file);
const char *bolt_file_name(const struct bolt_file *file);
uint64_t
bolt_file_size(const struct bolt_file *file); /* bytes on disk, trailer included */

/* The mapped bytes, trailer included; for a hash over the whole file. */
struct bytes bolt_file_bytes(const struct bolt_file *file);

/* RC_CORRUPT when the file lost bytes while it was mapped, or could not be read to its
 * end (the disk failed). Call after reading and before believing. */
enum rc bolt_file_intact(const struct bolt_file *file, struct err *e);

/* Wait until `n` bytes from `at` on are in memory. Never fails: it only warms. The kernel
 * reads ahead of that by itself, and in larger pieces than when it is asked to. See
 * ahead.h. */
void bolt_file_populate(const struct bolt_file *file, uint64_t at, size_t n);

/* The same, unless all of them, at most 8 MiB, are in memory already: mapping what a walk
 * will not look at takes longer than the walk. Only for a file that we may write to: of
 * others the kernel does not tell. */
void bolt_file_fetch(const struct bolt_file *file, uint64_t at, size_t n);

/* The opposite: `n` bytes from `at` on will not be read again. They stay in memory. */
void bolt_file_unmap(const struct bolt_file *file, uint64_t at, size_t n);

/* The bytes from page `id` on, up to the high-water mark; none when it lies beyond. */
struct bytes bolt_file_from(const struct bolt_file *file, uint64_t id);

/* The value of one key in a top-level bucket, borrowed from the file; *found says
 * whether it is there. RC_CORRUPT when the path to it is damaged. */
enum rc bolt_file_get(const struct bolt_file *file, const char *bucket, struct bytes key,
                      struct bytes *value, bool *found, struct err *e);

#endif
