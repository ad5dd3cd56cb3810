/* Reading a stored snapshot: whatever wraps the database, age, zstd, both or nothing, is
 * recognised by its first bytes and taken off while the bytes go by. */
#ifndef SNAPSHOT_DECODE_H
#define SNAPSHOT_DECODE_H

#include "filter/seal.h"
#include "snapshot/kind.h"

/* No database of etcd comes near it; a compressed bomb ends here. */
#define SNAP_SIZE_MAX ((uint64_t)256 << 30)

/* Passes the database bytes on to `next`. `ids` (NULL: none) is borrowed until the chain
 * is freed; an encrypted file without an identity is RC_NOKEY. *kind, when not NULL, is
 * filled as soon as it is known. */
enum rc snap_decode_sink_new(struct sink *next, const struct age_identities *ids,
                             struct snap_kind *kind, struct sink **out, struct err *e);

/* Opens `file` ("-" is standard input) and pumps it, decoded, through `chain`, which it
 * owns and finishes. `stored`, when not NULL, gets the SHA-256 of the file as it lies
 * there and its size. Errors are wrapped with the file's name. */
struct snap_stored {
    uint64_t size;
    uint8_t sha256[SHA256_SIZE];
};
enum rc snap_decode_file(const char *file, const struct age_identities *ids,
                         struct sink *chain, struct snap_kind *kind,
                         struct snap_stored *stored, struct err *e);

/* What kind of file it is, by its first bytes; RC_USAGE for standard input. */
enum rc snap_probe(const char *file, struct snap_kind *out, struct err *e);

#endif
