/* Objects by key: the place of a repository, whatever serves it. A put is all of an
 * object under its key or nothing at all; what is stored is never changed in place.
 *
 *     /srv/backups | file:///srv/backups      a directory (store_posix.c)
 *     s3://BUCKET[/PREFIX]?endpoint=URL&...   S3 and what speaks like it (s3.c)
 *     sftp://[USER@]HOST[:PORT]/PATH          (sftp.c)
 *     memory:                                 for tests, gone with the object
 *
 * Keys are relative paths of [A-Za-z0-9._-] parts joined by single '/', at most 512
 * bytes, no part longer than 200 or with a dot in front; anything else is RC_USAGE,
 * whoever asks. One object per thread; it outlives the sinks it made. */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "filter/sink.h"
#include "storage/neighbor.h"
#include "util/bytes.h"

struct store;

/* Strings are copied; NULL where it does not apply. Nothing secret stands in a URL. */
struct store_options {
    const char *url;
    const char *cacert;           /* S3: PEM, instead of the system's */
    const char *credentials_file; /* S3: as the AWS tools write it; read again per use */
    const char *profile;          /* S3: its section; NULL: "default" */
    const char *identity_file;    /* SFTP: private key */
    const char *known_hosts;    /* SFTP: mandatory; a host that is not in it is refused */
    bool allow_same_filesystem; /* directory: as an etcd's data */
    neighbor_fn *neighbor;      /* directory: finds such an etcd; NULL: neighbor_find */
    uint64_t deadline_ms;       /* one call with all its retries, from its last progress
                                 * when it moves an object; 0: 15 minutes */
    uint64_t stall_ms;          /* without progress; 0: 60 s */
};

/* RC_USAGE for a URL that says nothing. Only looks at the URL and local files: the first
 * call that needs the other side makes the connection. */
enum rc store_open(const struct store_options *o, struct store **out, struct err *e);

/* Could store_open mean something by it? RC_USAGE. Looks at the text alone. */
enum rc store_check_url(const char *url, struct err *e);
void store_free(struct store *s); /* NULL is fine */
OWN_DEFINE(store)

/* For messages and records: without anything secret. Lives as long as the store. */
const char *store_name(const struct store *s);

struct store_put {
    bool replace;           /* else RC_REFUSED when the key is taken, for certain where
                             * store_traits.exclusive, else as far as can be seen */
    uint64_t expected_size; /* room is checked first where it can be; 0: unknown */
    int64_t keep_until; /* seconds since 1970: locked against deletion until then; only
                         * where store_traits.lockable, else RC_REFUSED. 0: no lock */
};

/* The last sink of a chain that makes the object. finish returns RC_OK when the whole of
 * it is stored and, where it can be, durable; when the answer got lost it looks before it
 * says. After a failure, or when dropped before finish, no object is there (parts of an
 * upload that a crash leaves are swept by store_sweep). NULL options are all zero. */
enum rc store_put_new(struct store *s, const char *key, const struct store_put *o,
                      struct sink **out, struct err *e);

/* A small object at once. */
enum rc store_put_bytes(struct store *s, const char *key, const struct store_put *o,
                        struct bytes content, struct err *e);

/* Pushes the object's bytes into `to`, borrowed, and finishes it. RC_NOTFOUND. A
 * connection that breaks is taken up where it broke, as long as the object is the same.
 */
enum rc store_get(struct store *s, const char *key, struct sink *to, struct err *e);

/* The whole of a small one; RC_CORRUPT when it is larger than `max`. */
enum rc store_get_bytes(struct store *s, const char *key, uint64_t max, struct buf *out,
                        struct err *e);

struct store_info {
    const char *key; /* borrowed for the call of store_list; in store_stat the argument */
    uint64_t size;
    int64_t modified_ms;  /* since 1970, by the other side's clock; 0: unknown */
    int64_t locked_until; /* seconds since 1970; 0: no lock, or not told (store_list) */
};

/* RC_NOTFOUND. Reads a lock back where there are any. */
enum rc store_stat(struct store *s, const char *key, struct store_info *out,
                   struct err *e);

/* Every whole object below `prefix` ("" or ending in '/'), in order of its key's bytes. A
 * name in the place that is no key is passed over. A failing `fn` ends it. */
typedef enum rc store_list_fn(void *arg, const struct store_info *info, struct err *e);
enum rc store_list(struct store *s, const char *prefix, store_list_fn *fn, void *arg,
                   struct err *e);

/* RC_OK also when it is gone already; RC_REFUSED when it is locked against deletion. */
enum rc store_remove(struct store *s, const char *key, struct err *e);

/* What crashed puts below `prefix` left behind and nobody works on: removed, counted. */
enum rc store_sweep(struct store *s, const char *prefix, uint64_t *swept, struct err *e);

/* What the other side really does, found by trying with an object of its own below
 * `prefix`, never believed from an answer alone. Leaves nothing, except a locked object
 * that the other side keeps for a minute when `lockable` is tried and true. */
struct store_traits {
    bool
        exclusive; /* a key that is taken is never taken again by a put without replace */
    bool lockable; /* keep_until is in force */
    bool versioned; /* deleted objects stay as versions */
};
enum rc store_probe(struct store *s, const char *prefix, struct store_traits *out,
                    struct err *e);

/* Is a listed object one that a probe left which was cut off? */
bool store_is_scratch(const struct store_info *info);

#endif
