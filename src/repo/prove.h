/* Is a backup what the cluster holds? Its pages and records were checked while they
 * streamed and its bytes were read back; now every voter is asked for its HashKV at the
 * backup's revision. */
#ifndef REPO_PROVE_H
#define REPO_PROVE_H

#include "care/vote.h"
#include "catalog/manifest.h"
#include "snapshot/save.h"

struct repo_proof {
    size_t voters, agreed;
    bool overtaken; /* a compaction came between; another backup may be proved */
};

/* Fills `proved`, its sentence and the votes of the manifest. Proved means: more than
 * half of all voters agree, nobody contradicts, and everything was checked. */
enum rc repo_prove(const struct care_access *a, const struct care_view *view,
                   const struct snap_saved *saved, struct manifest *m,
                   struct repo_proof *out, struct err *e);

/* Do all voters still hold what that backup has? */
enum rc repo_prove_again(const struct care_access *a, const struct care_view *view,
                         const struct manifest *m, bool *same, struct err *e);

#endif
