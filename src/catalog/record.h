/* The log of a cluster in a repository: signed records, each of which names the one
 * before it by number and hash. A record says that a backup was stored, that backups were
 * removed, or that tags were added. Records are the truth; whatever else exists (the
 * index in the state directory) is made from them.
 *
 *     CLUSTER/records/SEQUENCE.json                  the record, SEQUENCE in 12 digits
 *     CLUSTER/records/SEQUENCE.HASH16.minisig        its signature
 *     CLUSTER/backups/ID/snapshot.db.zst.age         the object of a backup; ID is random
 *
 * A record becomes visible at once and whole: its signature, whose name contains the
 * first digits of the record's SHA-256, is stored first and means nothing alone. The
 * record's own key has no hash, so of two writers that want the same number one loses.
 *
 * The bytes are canonical JSON: one line, one order of fields, one spelling of each
 * value, a line end. A text is only accepted when encoding what was read gives the same
 * bytes again; that refuses duplicate keys, fields of a later version, floats and numbers
 * that somebody rounded. Ids are hexadecimal texts, so that no other reader rounds them.
 */
#ifndef CATALOG_RECORD_H
#define CATALOG_RECORD_H

#include "catalog/manifest.h"
#include "util/bytes.h"

enum {
    RECORD_FORMAT = 1,
    RECORD_MAX = 1 << 20, /* bytes of a record */
    RECORD_SIGNATURE_MAX = 1024,
    RECORD_REMOVED_MAX = 2048,  /* in one record; prune in several when there are more */
    RECORD_NAME_SIZE = 65,      /* a cluster's name in the repository, or a host's */
    RECORD_REPO_ID_SIZE = 33,   /* 32 hex digits */
    RECORD_KEY_SIZE = 192,      /* of records_key and such */
    RECORD_OBJECT_ID_SIZE = 17, /* 16 hex digits */
};
#define RECORD_SEQUENCE_MAX UINT64_C(999999999999)

enum record_kind { RECORD_BACKUP, RECORD_PRUNE, RECORD_TAG };
const char *record_kind_name(enum record_kind k); /* "backup" "prune" "tag" */

/* A place in the chain; all zero is the place before the first record. */
struct record_link {
    uint64_t sequence;
    uint8_t sha256[SHA256_SIZE]; /* of the record's bytes */
};
bool record_link_equal(const struct record_link *a, const struct record_link *b);

/* A record that a prune took away: enough to follow the chain across it. */
struct record_removed {
    struct record_link was, previous;
};

struct record {
    enum record_kind kind;
    char repo[RECORD_REPO_ID_SIZE];
    char cluster[RECORD_NAME_SIZE];
    uint64_t sequence; /* from 1 */
    struct record_link previous;
    int64_t high_water; /* the highest revision that any backup so far was seen to have */
    int64_t created;    /* seconds since 1970: a label, orders nothing */
    char host[RECORD_NAME_SIZE]; /* who wrote it */
    char tool[MANIFEST_VERSION_SIZE];

    struct manifest *backup;        /* RECORD_BACKUP */
    struct record_removed *removed; /* RECORD_PRUNE, rising by sequence */
    size_t removed_count;
    uint64_t target;      /* RECORD_TAG: the backup's sequence */
    struct str_list tags; /* RECORD_TAG: to add */
};

enum rc record_new(enum record_kind kind, struct record **out, struct err *e);
void record_free(struct record *r); /* NULL is fine */
OWN_DEFINE(record)

enum rc record_add_removed(struct record *r, const struct record_removed *x,
                           struct err *e);

/* RC_USAGE for a field out of bounds, naming it: nothing is written that could not be
 * read. */
enum rc record_encode(const struct record *r, struct buf *out, struct err *e);

/* RC_CORRUPT for anything but canonical bytes within all bounds; RC_REFUSED for a newer
 * format. `name` is for messages. Believe what it says only when the signature holds. */
enum rc record_decode(struct bytes text, const char *name, struct record **out,
                      struct err *e);

/* The names of clusters and hosts: 1 to 64 of [A-Za-z0-9._-], not beginning with '.' or
 * '-'. */
bool record_name_valid(const char *name);

/* Keys in the store. record_object_new makes a random id; `file` is the object's name
 * ("snapshot.db.zst.age"). */
void record_prefix(const char *cluster, char out[static RECORD_KEY_SIZE]);
void record_key(const char *cluster, uint64_t sequence, char out[static RECORD_KEY_SIZE]);
void record_signature_key(const char *cluster, const struct record_link *at,
                          char out[static RECORD_KEY_SIZE]);
enum rc record_object_new(const char *cluster, const char *file,
                          char out[static RECORD_KEY_SIZE], struct err *e);
/* "CLUSTER/backups/": where objects lie and nothing else is ever followed to. */
void record_objects(const char *cluster, char out[static RECORD_KEY_SIZE]);
bool record_object_key_valid(const char *cluster, const char *key);

/* What lies under this key of record_prefix()? */
enum record_file { RECORD_FILE_RECORD, RECORD_FILE_SIGNATURE, RECORD_FILE_OTHER };
enum record_file record_key_parse(const char *cluster, const char *key,
                                  uint64_t *sequence);

#endif
