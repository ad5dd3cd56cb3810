/* A disaster bundle: one tar of a snapshot and of the files of a host without which it is
 * of no use (PKI, manifests, keys, tokens). Any tar reads it:
 *
 *     files/etc/kubernetes/pki/ca.crt ...     as on the host, below files/
 *     snapshot.db
 *     SHA256SUMS                              the last member: `sha256sum -c` checks all
 *
 * Written and read as a part of a chain. What is read may come from anybody: only regular
 * files of such names are taken, into a directory of its own that appears whole, or not
 * at all, once SHA256SUMS has agreed. */
#ifndef BUNDLE_BUNDLE_H
#define BUNDLE_BUNDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "filter/sink.h"
#include "util/str.h"

#define BUNDLE_SNAPSHOT "snapshot.db"
#define BUNDLE_SUMS "SHA256SUMS"

enum {
    BUNDLE_FILES_MAX = 4096,
    BUNDLE_FILE_MAX = 16 << 20,   /* bytes of one file of the host */
    BUNDLE_TOTAL_MAX = 256 << 20, /* of all of them */
};

/* ---- writing
 * ---------------------------------------------------------------------------- */

struct bundle_path {
    const char *path; /* absolute; a directory stands for all below it */
    bool required;
};

struct bundle_options {
    const struct bundle_path *paths;
    size_t count;
    const char *root;              /* paths are below it; NULL: "/" */
    const uint64_t *snapshot_size; /* read when the first byte of the snapshot comes;
                                    * borrowed (wire_snapshot_options.announced) */
};

/* What became of the paths; end with bundle_report_clear. */
struct bundle_report {
    struct str_list packed;      /* files, as on the host */
    struct str_list missing;     /* listed, and not there */
    struct str_list passed_over; /* neither file nor directory, or a link inside one */
    size_t missing_required;
    uint64_t bytes;
};
void bundle_report_clear(struct bundle_report *r);

/* Takes the snapshot. The files of the host are read and written to `next`, which it
 * owns, before this returns. RC_USAGE for a path that is not absolute or has ".." in it;
 * RC_REFUSED when there are more or larger files than a bundle takes; RC_AUTH. What is
 * missing is in the report and no failure. finish fails with RC_CORRUPT when the snapshot
 * has another size than was said. */
enum rc bundle_pack_new(struct sink *next, const struct bundle_options *o,
                        struct bundle_report *report, struct sink **out, struct err *e);

/* ---- reading
 * ---------------------------------------------------------------------------- */

struct bundle_target {
    const char *dir; /* made, 0700 with files of 0600; NULL: the files are only checked */
    struct sink *snapshot; /* takes the snapshot instead of DIR/snapshot.db, and is
                            * finished when all of the bundle is good; owned from the call
                            * on; NULL without `dir`: dropped */
    uint64_t snapshot_max; /* bytes; 0: no limit */
};

/* The last sink of a chain. RC_REFUSED when `dir` exists, RC_NOTFOUND when its parent
 * does not. Writing or finishing fails with RC_CORRUPT for whatever is no bundle of ours.
 * After any failure, and when dropped before finish, there is no `dir`. */
enum rc bundle_unpack_new(const struct bundle_target *target, struct sink **out,
                          struct err *e);

#endif
