/* holdfast.json, the first object of a repository: which one it is, for whom its backups
 * are encrypted, whose signatures count, and what its place was found to be able to.
 *
 *     holdfast.json      one line of JSON
 *     holdfast.minisig   its signature; stored first, and nothing without the other
 *
 * It is written once. A place without it is no repository: a mount point whose disk is
 * missing is not filled by mistake. */
#ifndef REPO_IDENTITY_H
#define REPO_IDENTITY_H

#include "catalog/record.h"
#include "crypto/minisign.h"
#include "storage/store.h"

enum { REPO_LAYOUT = 1 };
#define REPO_IDENTITY_KEY "holdfast.json"
#define REPO_SIGNATURE_KEY "holdfast.minisig"

struct repo_identity {
    char id[RECORD_REPO_ID_SIZE];
    char created[21];           /* a label */
    struct str_list recipients; /* manifest_fingerprint() of each */
    struct minisign_trust
        keys; /* as the repository says; believe them only when pinned */
    struct store_traits traits;
};
void repo_identity_clear(struct repo_identity *i);

/* Signs and stores it; RC_REFUSED when there is one. */
enum rc repo_identity_put(struct store *s, const struct repo_identity *i,
                          const struct minisign_secret *key, struct err *e);

/* RC_NOTFOUND when there is none, RC_CORRUPT for anything else than what was put,
 * RC_REFUSED for a layout of a newer version. The signature must be by a key of `trust`;
 * without any key in it, by one that the identity names itself. */
enum rc repo_identity_get(struct store *s, const struct minisign_trust *trust,
                          struct repo_identity *out, struct err *e);

/* The two objects as they are, for a copy of the repository elsewhere. */
enum rc repo_identity_copy(struct store *from, struct store *to, struct err *e);

#endif
