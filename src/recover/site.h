/* The places beside a data directory that a recovery uses, and the moves between them.
 *
 *     DATA-DIR.recovery-ID    work: journal, source.db, new (what is being built)
 *     DATA-DIR.before-ID      the old directory, moved aside
 *     DATA-DIR.recovered-ID   the new one, when it was rolled back
 *
 * all of one file system, so that every change is a rename: a directory is there whole
 * under one name or the other. A data directory that is a mount point cannot be renamed;
 * then the same happens inside of it, with `member`. Nothing that anybody wrote is ever
 * deleted, but what this plan built and did not publish. */
#ifndef RECOVER_SITE_H
#define RECOVER_SITE_H

#include <stdbool.h>

#include "util/err.h"
#include "util/os.h"

/* One directory that is replaced. */
struct recover_slot {
    char *at;   /* where etcd looks */
    char *made; /* the new one, until it is published */
    char *old;  /* the old one, aside */
    char *kept; /* the new one after a rollback */
};

struct recover_site {
    char *data_dir, *wal_dir; /* wal_dir NULL: inside the data directory */
    bool inside;              /* the data directory is a mount point */
    char *work, *journal, *export;
    char *build, *build_wal; /* the data and WAL directory as a restore is told them */
    struct recover_slot data, wal;
    char *lock_file;
    int lock; /* -1: not held */
};

/* Works out the names, makes nothing. RC_NOTFOUND when there is no directory to hold the
 * data directory, or the log's, with the command that makes it; RC_REFUSED for a WAL
 * directory that is a mount point. */
enum rc recover_site_name(const char *data_dir, const char *wal_dir, const char *id,
                          struct recover_site *out, struct err *e);
void recover_site_clear(struct recover_site *s); /* and gives the lock back */

/* One recovery at a time, whatever its plan, until the site is cleared: by a lock on
 * DATA-DIR.recovery-lock, which is gone then. RC_LOCKED when another process is at it. */
enum rc recover_site_lock(struct recover_site *s, struct err *e);

/* Makes the work directory unless it is there; *is_new: it was not. */
enum rc recover_site_begin(struct recover_site *s, bool *is_new, struct err *e);

/* Is there something under this name? */
bool recover_exists(const char *path);

/* Makes `from` be called `to`, durably. Done already when only `to` is there, nothing to
 * do when neither is. RC_REFUSED when both are: somebody put it there. */
enum rc recover_move(const char *from, const char *to, struct err *e);

/* The data directory and then the log: without data a log starts nothing. */
enum rc recover_site_put_aside(const struct recover_site *s, struct err *e);
/* The log and then the data directory: data without its log would start, and be wrong. */
enum rc recover_site_publish(const struct recover_site *s, struct err *e);
/* The new ones are kept aside, the old ones come back. `published`: it was begun. */
enum rc recover_site_put_back(const struct recover_site *s, bool published,
                              struct err *e);
/* Once publishing was begun: is it the new directory that has etcd's name? */
bool recover_slot_is_new(const struct recover_slot *s);

/* Gives all of what was built to the owner of the old directory, when it is another and
 * we may. */
enum rc recover_site_own(const struct recover_site *s, struct err *e);

#endif
