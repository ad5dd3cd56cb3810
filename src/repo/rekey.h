/* Keys come and go, and the log stays: whose records count, and for whom backups are
 * encrypted, can change while a repository lives. A new key is believed first, beside the
 * old one; later the old one is retired: its records so far count, later ones do not. */
#ifndef REPO_REKEY_H
#define REPO_REKEY_H

#include "crypto/age_keys.h"
#include "repo/repo.h"

struct repo_rekey_options {
    struct repo_options repo; /* any cluster of it */
    const char *signing_key;  /* of a key that stays; NULL: the one in the state dir */
    const struct minisign_trust *believe;    /* may be empty */
    const struct str_list *retire;           /* ids, as minisign prints them */
    const struct age_recipients *recipients; /* from now on; NULL: as before */
    bool one_key;                            /* a single recipient is enough */
};

struct repo_rekeyed {
    size_t keys, retired, recipients; /* there are now */
};

/* RC_USAGE when nothing is to change, for an id that is none; RC_NOTFOUND for a key that
 * is not believed; RC_REFUSED when the key that signs would not stay; RC_CORRUPT when the
 * log of some cluster does not hang together: what a retired key may have signed is read
 * from there. */
enum rc repo_rekey(const struct repo_rekey_options *o, struct repo_rekeyed *out,
                   struct err *e);

/* For repo.c: bounds a retired key in the list, adding it where it is missing; and those
 * of the list that are not bounded. */
enum rc repo_bound(struct minisign_trust *t, const char *cluster,
                   const struct repo_retired *x, struct err *e);
enum rc repo_active_keys(const struct minisign_trust *from, struct minisign_trust *out,
                         struct err *e);

#endif
