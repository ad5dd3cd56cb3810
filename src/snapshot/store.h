/* The end of a chain that stores a snapshot, whoever makes it: compressed and encrypted
 * as its name says, whole under that name or not there at all, read back from the disk.
 *
 *     ... -> [zstd -> [age] -> sha256] -> file
 *
 * Next to the data of a running etcd a tenth of the file system stays free. Whoever
 * stores elsewhere than in a local file brings the last sink, and its promises. */
#ifndef SNAPSHOT_STORE_H
#define SNAPSHOT_STORE_H

#include "filter/file.h"
#include "filter/seal.h"
#include "snapshot/kind.h"
#include "snapshot/trailer.h"

/* Instead of a local file: `make` gives the last sink of one attempt. `size` is that of
 * the database, 0 when it is not known or is no measure of what will be stored. */
struct snap_store_end {
    enum rc (*make)(void *arg, uint64_t size, struct sink **out, struct err *e);
    void *arg;
};

struct snap_store_options {
    const char *file; /* ".zst" and ".age" in its name say how; "-": standard output */
    const struct age_recipients *recipients; /* for ".age"; borrowed */
    bool allow_same_filesystem; /* as a running etcd's data, down to the usual reserve */
    const struct snap_store_end *end; /* NULL: a local file; else `file` only names it */
};

struct snap_store_result {
    struct file_sink_result file; /* zero where `end` took the bytes */
    uint8_t sha256[SHA256_SIZE];  /* of the file as stored; see snap_store_settle */
};

/* RC_USAGE when name and recipients do not fit together; RC_REFUSED when the file exists
 * already, and what else posix_put_check says. Asked before anybody is contacted. */
enum rc snap_store_check(const struct snap_store_options *o, struct err *e);

/* How much of the file system must stay free; warns of an etcd that lives there. */
enum rc snap_store_reserve(const struct snap_store_options *o, uint64_t *reserve,
                           struct err *e);

/* `size` is that of the database, 0 when it is not known. *result is set when the chain
 * is finished. Fails as posix_put_new does. */
enum rc snap_store_new(const struct snap_store_options *o, uint64_t reserve,
                       uint64_t size, struct snap_store_result *result, struct sink **out,
                       struct err *e);

/* To be called then. What is neither compressed nor encrypted has been hashed once, for
 * its trailer: that digest is the file's as well. */
void snap_store_settle(const struct snap_store_options *o, const struct snap_trailer *t,
                       struct snap_store_result *result);

#endif
