/* For those who write a driver of store.h. A driver embeds `struct store` as its first
 * member, and its functions are only called with keys, prefixes and options that store.c
 * has checked; the two that push bytes never finish the sink. Add the way to open it to
 * the table in store.c.
 *
 * `exclusive` and the like stand in store_traits and are tried, not declared. */
#ifndef STORAGE_DRIVER_H
#define STORAGE_DRIVER_H

#include "storage/store.h"

struct store_ops {
    bool locks; /* else a put with keep_until is refused before the driver sees it */

    enum rc (*put_new)(struct store *s, const char *key, const struct store_put *o,
                       struct sink **out, struct err *e);

    /* All bytes of the object, in order; the caller finishes `to`. */
    enum rc (*get)(struct store *s, const char *key, struct sink *to, struct err *e);

    enum rc (*stat)(struct store *s, const char *key, struct store_info *out,
                    struct err *e);
    enum rc (*list)(struct store *s, const char *prefix, store_list_fn *fn, void *arg,
                    struct err *e);
    enum rc (*remove)(struct store *s, const char *key, struct err *e);
    enum rc (*sweep)(struct store *s, const char *prefix, uint64_t *swept, struct err *e);

    /* `scratch` is a key of its own below the prefix, free to use. Whatever was put there
     * is removed by the caller again. */
    enum rc (*probe)(struct store *s, const char *scratch, struct store_traits *out,
                     struct err *e);

    /* Drop private state; `s` itself and its name are freed by the caller. */
    void (*release)(struct store *s);
};

struct store {
    const struct store_ops *ops;
    char *name; /* for messages; heap */
};

/* Looks at `o` only as far as store_open says. The URL begins as the table says. */
typedef enum rc store_open_fn(const struct store_options *o, struct store **out,
                              struct err *e);
store_open_fn store_open_directory, store_open_sftp, store_open_s3, store_open_memory;

/* What that says of a URL alone. */
typedef enum rc store_check_fn(const char *url, struct err *e);
store_check_fn store_check_directory, store_check_sftp, store_check_s3,
    store_check_memory;

/* A driver's beginning: zeroed memory of `size` bytes with `ops` and a copy of `name`. On
 * a later failure of the driver's own store_free ends it. */
enum rc store_new(const struct store_ops *ops, size_t size, const char *name, void *out,
                  struct err *e);

/* Is this part of a listed name a key, or the end of one? For names the other side says.
 */
bool store_is_key(const char *key);

/* The limits of store_options, filled in. */
uint64_t store_deadline_ms(const struct store_options *o);
uint64_t store_stall_ms(const struct store_options *o);

/* The sentences that all drivers share. RC_NOTFOUND; RC_REFUSED. */
enum rc store_missing(const struct store *s, const char *key, struct err *e);
enum rc store_taken(const struct store *s, const char *key, struct err *e);

/* The first half of a probe: is a key that is taken refused, and is what was put first
 * still there? Puts `scratch`. */
enum rc store_try_exclusive(struct store *s, const char *scratch, bool *exclusive,
                            struct err *e);

#endif
