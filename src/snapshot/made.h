/* A database that is made while it is stored, from records that lie elsewhere: whole,
 * proved and named at the end, or not there at all, and never plaintext on the way to an
 * encrypted file.
 *
 *     builder -> SHA-256 trailer -> survey -> gate -> [zstd] -> [age] -> sha256 -> file
 *
 * The metas stand at the front of a database and are known last, so it is built twice:
 * once to learn them, and once for good. */
#ifndef SNAPSHOT_MADE_H
#define SNAPSHOT_MADE_H

#include "boltdb/build.h"
#include "mvcc/facts.h"
#include "snapshot/gate.h"
#include "snapshot/store.h"
#include "snapshot/trailer.h"

/* Zero-initialise, end with snap_made_clear. */
struct snap_made {
    struct findings findings; /* of what was written, as mvcc_stream_sink_new tells */
    struct mvcc_facts facts;
    struct snap_trailer trailer; /* its size: of the database with the trailer */
    struct snap_store_result stored;
};
void snap_made_clear(struct snap_made *m);

/* Called twice with the same outcome. */
typedef enum rc snap_build_fn(void *arg, const struct bolt_target *to, struct err *e);

/* `judge` is asked when findings and facts in *out are known and before the file gets its
 * name: whatever it returns but RC_OK ends it without one. Fails as snap_store_new,
 * `build` and `judge` do. */
enum rc snap_made_store(const struct snap_store_options *o, snap_build_fn *build,
                        gate_fn *judge, void *arg, struct snap_made *out, struct err *e);

#endif
