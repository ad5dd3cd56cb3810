/* A restore drill: a backup becomes a data directory in a scratch folder, a server boots
 * on it there, and what that server answers is compared with what was backed up. Then all
 * of it goes away.
 *
 *     file -> restore (verified) -> boot on 127.0.0.1 -> ask -> compare -> stop, remove
 *
 * No endpoint of a living cluster is ever contacted: the only server asked is the one
 * that the drill started, under a cluster id made for it. */
#ifndef DRILL_DRILL_H
#define DRILL_DRILL_H

#include "crypto/age_keys.h"
#include "util/err.h"
#include "util/str.h"
#include "wire/wire.h"

struct drill_request {
    const char *file;                 /* .db, .db.zst, .db.age, .db.zst.age */
    const struct age_identities *ids; /* borrowed */
    const char
        *scratch;      /* an empty directory of ours, on a disk with room for the data */
    const char *etcd;  /* the server's program; NULL: etcd in PATH, else holdfast-lab */
    uint64_t begun_ms; /* clock_ms() when the drill began, fetching included */
    uint64_t boot_timeout_ms; /* 0: 2 minutes */
    struct str_list canaries; /* keys that must be there */

    /* When the backup has authentication on: somebody with role root. */
    const char *user;
    wire_password_fn *password;
    void *password_arg;

    /* What the backup's record says; `known` false: only the file itself is believed. */
    struct drill_expected {
        bool known;
        int64_t revision;
        bool hashkv_known;
        uint32_t hashkv;
        uint64_t keys;
    } expected;
};

enum { DRILL_SERVER_SIZE = 96, DRILL_STEPS = 5 };

struct drill_step {
    const char *name; /* "fetch" "restore" "boot" "ask"; NULL: not done */
    uint64_t took_ms;
};

/* What was seen, as far as it came; filled also when the drill fails. */
struct drill_seen {
    char server[DRILL_SERVER_SIZE]; /* "etcd 3.5.30", "holdfast-lab 3.6" */
    int64_t revision;
    uint32_t hashkv;   /* that the server answered, at `revision` */
    uint64_t keys;     /* likewise */
    uint64_t canaries; /* found */
    uint64_t db_size;
    uint64_t recovery_ms; /* from begun_ms until the server had answered */
    struct drill_step steps[DRILL_STEPS];
};

/* RC_OK: it came back as it was. RC_CORRUPT: it did not, naming the first difference;
 * RC_NET: no server came up on it; RC_NOTFOUND: there is no server to boot; or as
 * restore_run fails. The server is gone and the scratch directory empty again in any
 * case, unless removing fails (RC_STORAGE). */
enum rc drill_run(const struct drill_request *q, struct drill_seen *out, struct err *e);

#endif
