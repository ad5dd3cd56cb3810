/* What this host remembers of a repository's place, beside the log in catalog.sqlite:
 * which repository it was and whose keys it believes (repo-PLACE.json), and the key it
 * signs with itself (repo-ID.key, a file of minisign). */
#ifndef REPO_MEMORY_H
#define REPO_MEMORY_H

#include "care/store.h"
#include "catalog/record.h"
#include "crypto/minisign.h"

struct repo_memory {
    bool known; /* else nothing is remembered */
    char id[RECORD_REPO_ID_SIZE];
    struct minisign_trust keys;
    uint64_t changes; /* of its keys, so far as this host has seen */
};

/* `place` is store_name(). A file that is damaged is RC_CORRUPT: it was the one that
 * tells a false repository. */
enum rc repo_memory_get(const struct care_store *s, const char *place,
                        struct repo_memory *out, struct err *e);
enum rc repo_memory_put(const struct care_store *s, const char *place,
                        const struct repo_memory *m, struct err *e);

/* Where the signing key of repository `id` lies; heap. */
enum rc repo_memory_key(const struct care_store *s, const char *id, char **out,
                        struct err *e);

/* A public key in one line, as `minisign -P` takes it. */
void repo_key_line(const struct minisign_public *k,
                   char out[static MINISIGN_PUBLIC_SIZE]);

/* Keys as a list of texts, as `minisign -P` takes them, and back. RC_CORRUPT. */
struct json;
struct json *repo_keys_json(const struct minisign_trust *t);
enum rc repo_keys_parse(const struct json *a, struct minisign_trust *out, struct err *e);

#endif
