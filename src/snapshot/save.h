/* Taking a snapshot: choose the member, receive, prove, store.
 *
 *   stream -> rate -> trailer -> survey -> gate -> lane -> [zstd] -> [age] -> sha256 ->
 * file
 *
 * While the bytes go by, their SHA-256 is compared with the server's trailer, every page
 * is checked and the meaning of every record is surveyed; the gate lets the file have its
 * name only when all of that is clean. What the disk holds is read back and compared
 * before that. No plaintext is stored on the way to an encrypted file. */
#ifndef SNAPSHOT_SAVE_H
#define SNAPSHOT_SAVE_H

#include "mvcc/facts.h"
#include "snapshot/choose.h"
#include "snapshot/kind.h"
#include "snapshot/store.h"
#include "snapshot/trailer.h"
#include "wire/wire.h"

/* What a save may read per second from a member on this host: beside it the disk and the
 * processor are shared, and a put's p99 stays below 5 ms at this pace. */
#define SNAP_LOCAL_RATE ((uint64_t)200 * 1000 * 1000)

struct snap_save_options {
    const char
        *file; /* ".zst" and ".age" in its name say how it is stored; "-": stdout */
    enum snap_from from;
    const char *from_endpoint; /* with SNAP_FROM_ENDPOINT, as wire_endpoint() spells it */
    const struct age_recipients *recipients; /* for ".age"; borrowed */
    bool rate_auto; /* SNAP_LOCAL_RATE for a member on this host, else unlimited */
    uint64_t rate;  /* bytes a second, 0: unlimited; when not rate_auto */
    bool allow_same_filesystem; /* as a running etcd's data, down to the usual reserve */
    const struct snap_store_end *end; /* NULL: a local file; else `file` only names it */

    /* What the checked bytes go through before they are compressed, a bundle for example;
     * *size is set when the first one comes. NULL: nothing. */
    enum rc (*wrap)(void *arg, const uint64_t *size, struct sink *next, struct sink **out,
                    struct err *e);
    void *wrap_arg;

    /* Called before the first stream: what is saved is this revision of this cluster, or
     * a later one. Its failure ends the save. NULL: nobody wants to know. */
    enum rc (*begins)(void *arg, uint64_t cluster, int64_t revision, struct err *e);
    void *begins_arg;
};

struct snap_saved {
    struct snap_kind kind;
    uint64_t size, stored_size;  /* database with trailer; the file, 0 with an `end` */
    uint8_t sha256[SHA256_SIZE]; /* of the file as stored */
    uint8_t database_sha256[SHA256_SIZE];
    struct mvcc_facts facts; /* what the snapshot holds */
    uint64_t member_id;
    char endpoint[256];
    const char *reason;   /* why this member; static text */
    const char *degraded; /* NULL, or what is wrong with the cluster; static text */
    bool checked;         /* all pages and records */
    bool proved; /* and the stored bytes were read again and compared; not by an `end` */
    uint64_t took_ms;
};

/* RC_OK: stored, durable, proved. The caller reports `degraded` as RC_DEGRADED.
 * RC_REFUSED when the file exists, or lies on the file system of a running etcd without
 * the room that etcd needs; RC_USAGE when name and recipients do not fit together. */
enum rc snap_save(struct wire_client *c, const struct snap_save_options *o,
                  struct snap_saved *out, struct err *e);
void snap_saved_clear(struct snap_saved *s);

#endif
