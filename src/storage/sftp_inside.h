/* An SFTP store, shared by sftp.c and sftp_put.c. */
#ifndef STORAGE_SFTP_INSIDE_H
#define STORAGE_SFTP_INSIDE_H

#include "http/sftp.h"
#include "storage/driver.h"
#include "storage/retry.h"
#include "util/str.h"

struct remote {
    struct store base;
    struct sftp *sftp;
    char *root; /* without a '/' at its end; "" is the root of all */
    uint64_t deadline_ms;
    bool root_seen;
    struct retry retry;     /* of the call under way */
    struct str_list *parts; /* of a sweep under way: paths of temporary names */
};

/* Calls `attempt` until it went well or failed for good. */
typedef enum rc attempt_fn(struct remote *r, void *arg, struct err *e);
enum rc remote_persist(struct remote *r, attempt_fn *attempt, void *arg, struct err *e);

enum rc remote_path(const struct remote *r, const char *key, char **out, struct err *e);

/* A missing root may be a disk that is not mounted: it is not made. */
enum rc remote_check_root(struct remote *r, struct err *e);

/* Removes the directories of `key` that are empty, from the last one upwards. */
void remote_prune(struct remote *r, const char *key);

/* The same after the file `path` in the last one is removed: tidying up after a failure,
 * as far as a few seconds go. */
void remote_drop(struct remote *r, char *path, const char *key);

enum rc remote_put_new(struct store *s, const char *key, const struct store_put *o,
                       struct sink **out, struct err *e);

#endif
