/* holdfast.json, the first object of a repository: which one it is, for whom its backups
 * are encrypted, whose signatures count, and what its place was found to be able to.
 *
 *     holdfast.json      one line of JSON
 *     holdfast.minisig   its signature; stored first, and nothing without the other
 *
 * When its keys change (rekey.h) it is replaced, and the signature of what is new lies
 * under a name with the first digits of its SHA-256, holdfast.HASH16.minisig, so that
 * each of the two is found with its own. A place without it is no repository: a mount
 * point whose disk is missing is not filled by mistake. */
#ifndef REPO_IDENTITY_H
#define REPO_IDENTITY_H

#include "catalog/record.h"
#include "crypto/minisign.h"
#include "storage/store.h"

enum { REPO_LAYOUT = 1, REPO_RETIRED_MAX = 1024 };
#define REPO_IDENTITY_KEY "holdfast.json"
#define REPO_SIGNATURE_KEY "holdfast.minisig"

/* A key that signs no more: in that cluster's log its records count up to `last`. In the
 * others, of which there is no entry, none does. */
struct repo_retired {
    struct minisign_public key;
    char cluster[RECORD_NAME_SIZE];
    uint64_t last;
};

struct repo_identity {
    char id[RECORD_REPO_ID_SIZE];
    char created[21];           /* a label */
    struct str_list recipients; /* manifest_fingerprint() of each */
    struct minisign_trust
        keys; /* as the repository says; believe them only when pinned */
    struct repo_retired *retired;
    size_t retired_count;
    uint64_t changes; /* how often the keys have changed */
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

/* The same in the place of an older one. Whatever ends it between leaves one of the two
 * whole. */
enum rc repo_identity_replace(struct store *s, const struct repo_identity *i,
                              const struct minisign_secret *key, struct err *e);

enum rc repo_identity_retire(struct repo_identity *i, const struct repo_retired *x,
                             struct err *e);

/* The two objects as they are, for a copy of the repository elsewhere; with `replace`
 * over older ones. */
enum rc repo_identity_copy(struct store *from, struct store *to, bool replace,
                           struct err *e);

#endif
