/* Makes a repository in a place that is empty. */
#ifndef REPO_INIT_H
#define REPO_INIT_H

#include "care/store.h"
#include "crypto/age_keys.h"
#include "repo/identity.h"

struct repo_init_options {
    struct store_options store;
    const struct age_recipients *recipients; /* for whom backups will be encrypted */
    bool one_key;             /* a single recipient is enough: --i-have-one-key */
    const char *signing_key;  /* an existing file; NULL: one is made in the state dir */
    struct care_store *state; /* may be NULL when there is a signing key */
};

struct repo_made {
    struct repo_identity identity;
    char key_id[MINISIGN_ID_SIZE];
    char public_key[MINISIGN_PUBLIC_SIZE]; /* as `minisign -P` takes it */
    char *signing_key;                     /* the file */
    bool minted;                           /* it was made now */
};
void repo_made_clear(struct repo_made *m);

/* Tries what the place can do, and puts holdfast.json last: before it there is no
 * repository, and the next try begins anew. RC_REFUSED for a place that is not empty, for
 * one that shares its file system with a running etcd, and for a single recipient;
 * RC_USAGE without any. */
enum rc repo_init(const struct repo_init_options *o, struct repo_made *out,
                  struct err *e);

#endif
