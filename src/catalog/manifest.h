/* What is known of one stored backup: the body of a record of kind RECORD_BACKUP
 * (catalog/record.h has the envelope and the bytes).
 *
 * In clear and in the hands of whoever holds the store: no key name, no endpoint and no
 * member name is in it. */
#ifndef CATALOG_MANIFEST_H
#define CATALOG_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/sha256.h"
#include "util/err.h"
#include "util/own.h"
#include "util/str.h"

enum {
    MANIFEST_TAGS_MAX = 32,
    MANIFEST_TAG_SIZE = 65,       /* with the NUL */
    MANIFEST_RECIPIENTS_MAX = 64, /* as in an age header */
    MANIFEST_FINGERPRINT_DIGITS = 32,
    MANIFEST_VOTES_MAX = 64,
    MANIFEST_VERSION_SIZE = 32,
    MANIFEST_WHY_MAX = 500, /* bytes of a sentence */
};

enum manifest_content {
    MANIFEST_SNAPSHOT, /* "snapshot": a database as `snapshot save` writes it */
    MANIFEST_BUNDLE,   /* "bundle": a tar of the database and of files beside it */
};

/* What one voter said to the backup's HashKV. */
enum manifest_word {
    MANIFEST_AGREES,  /* "agrees" */
    MANIFEST_DIFFERS, /* "differs" */
    MANIFEST_UNKNOWN, /* "unknown": no answer, or none that compares */
};
struct manifest_vote {
    uint64_t member_id;
    enum manifest_word word;
};

struct manifest {
    uint64_t etcd_cluster_id;
    uint64_t member_id;                          /* that streamed it */
    char etcd_version[MANIFEST_VERSION_SIZE];    /* of that member */
    char storage_version[MANIFEST_VERSION_SIZE]; /* "" before 3.6 */
    bool kubernetes;

    int64_t revision;
    int64_t compact_revision; /* -1: never compacted */
    bool hashkv_known;
    uint32_t hashkv; /* at `revision` */
    uint64_t live_keys;
    uint64_t db_size; /* of the database with its trailer */
    uint8_t db_sha256[SHA256_SIZE];

    enum manifest_content content;
    char *object_key; /* below record_objects(); its suffixes say .zst and .age */
    uint64_t object_size;
    uint8_t object_sha256[SHA256_SIZE];
    struct str_list recipients; /* manifest_fingerprint() of each; none: not encrypted */

    bool proved;
    char *proved_why; /* the sentence, for a yes and for a no; may be NULL for a yes */
    struct manifest_vote *votes;
    size_t vote_count;
    char *degraded; /* NULL, or what was wrong with the cluster */
    bool alarm_nospace, alarm_corrupt;
    uint64_t auth_revision; /* of users and roles; 0: not known */

    struct str_list
        tags; /* given when it was made; later ones are records of their own */
};

enum rc manifest_new(struct manifest **out, struct err *e);
void manifest_free(struct manifest *m); /* NULL is fine */
OWN_DEFINE(manifest)

enum rc manifest_add_vote(struct manifest *m, struct manifest_vote vote, struct err *e);
/* RC_USAGE unless it is 1 to 64 characters of [A-Za-z0-9._:=/+@-]; one that is there is
 * not added again. */
enum rc manifest_add_tag(struct str_list *tags, const char *tag, struct err *e);

/* Sets a sentence (`proved_why`, `degraded`): a copy that is safe to print, cut where it
 * is too long; NULL for NULL or "". */
enum rc manifest_sentence(char **field, const char *text, struct err *e);

/* For `recipients`: the first 16 bytes of SHA-256 of the text "age1...", in hex. */
enum rc manifest_fingerprint(const char *recipient,
                             char out[static MANIFEST_FINGERPRINT_DIGITS + 1],
                             struct err *e);

#endif
