/* One backup more: a member's database streams into the store, checked, compressed and
 * encrypted on the way; what is stored is read again; the voters are asked whether they
 * hold the same; a signed record says all of it.
 *
 *     stream -> survey -> gate -> [bundle] -> zstd -> age -> sha256 -> beat -> object
 *
 * No plaintext and no whole copy touches a disk on the way. Until the record is there the
 * object is nothing; whatever ends the run before leaves no backup, and the next run
 * removes what is left. */
#ifndef REPO_BACKUP_H
#define REPO_BACKUP_H

#include "bundle/bundle.h"
#include "care/look.h"
#include "care/vote.h"
#include "repo/job.h"
#include "snapshot/save.h"

struct repo_backup_options {
    struct repo_job_options job;
    struct wire_client *client;       /* of the members to take it from */
    const struct care_access *access; /* to all members, for the vote */

    /* Member and pace; the rest is filled in here. */
    struct snap_save_options stream;
    const struct age_recipients *recipients;
    bool allow_other_recipients; /* than the repository was made for */
    uint64_t accept_cluster; /* etcd's cluster id, when it is another one than before */
    const struct str_list *tags; /* NULL: none */
    bool skip_unchanged;  /* nothing is stored when the newest proved backup is as good */
    int64_t unless_since; /* nor when a proved one was made since then, by whomever;
                             seconds since 1970, 0: do not care */
    int64_t keep_until;   /* object lock, seconds since 1970; 0: none */
    const struct bundle_path *include; /* of this host, into the same object */
    size_t include_count;              /* 0: the database alone */
};

struct repo_backup {
    bool skipped; /* then `record` is that of the backup that is as good */
    struct record *record;
    char endpoint[256]; /* "" when skipped */
    const char *reason; /* why this member; static text */
    size_t voters, agreed;
    struct bundle_report bundled; /* zero without `include` */
    uint64_t took_ms;
};
void repo_backup_clear(struct repo_backup *b);

/* RC_OK: stored, and recorded; repo_backup_verdict() says what it is worth. Else there is
 * no new backup: RC_LOCKED (another one is running), RC_REFUSED (another cluster under
 * this name, other recipients, the file system of a running etcd), RC_NET, RC_CORRUPT,
 * RC_STORAGE. */
enum rc repo_backup(struct repo *r, const struct repo_backup_options *o,
                    struct repo_backup *out, struct err *e);

/* RC_OK when it is proved, nothing ails the cluster, and no file that a recovery needs
 * was missing; else RC_DEGRADED. */
enum rc repo_backup_verdict(const struct repo_backup *b, struct err *e);

#endif
