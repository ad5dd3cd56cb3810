/* The snapshot that a restore reads: mapped where it lies when it is a raw database, else
 * decoded first into a scratch file that the caller names. Its SHA-256 runs on a thread
 * of its own while the pages are walked. */
#ifndef RESTORE_SOURCE_H
#define RESTORE_SOURCE_H

#include "boltdb/file.h"
#include "crypto/age.h"
#include "snapshot/decode.h"
#include "snapshot/trailer.h"

struct restore_source;

/* `scratch` is where a decoded copy may lie; it is the caller's to remove. */
enum rc restore_source_open(const char *file, const struct age_identities *ids,
                            const char *scratch, struct findings *f,
                            struct restore_source **out, struct err *e);
void restore_source_free(struct restore_source *s); /* waits for the thread */
OWN_DEFINE(restore_source)

const struct bolt_file *restore_source_database(const struct restore_source *s);

/* Waits for the digest. With `skip` a missing or wrong trailer is only told: RC_OK, and
 * out->matches says it. Else RC_CORRUPT. Also RC_CORRUPT when the file shrank. */
enum rc restore_source_verdict(struct restore_source *s, bool skip,
                               struct snap_trailer *out, struct err *e);

#endif
