/* An object on its way into the repository. Before its first byte an entry says so, and
 * the entry goes when a record names the object; whatever a crash leaves between is found
 * by the entry, and only by it: an object that nobody announced is never deleted. */
#ifndef REPO_UPLOAD_H
#define REPO_UPLOAD_H

#include "repo/repo.h"

struct repo_upload {
    char object[RECORD_KEY_SIZE], entry[RECORD_KEY_SIZE];
};

/* A new object called `file` ("snapshot.db.zst.age"), announced. */
enum rc repo_upload_begin(struct repo *r, const char *file, struct repo_upload *out,
                          struct err *e);

/* A record names it, or it is not there: the entry goes. */
enum rc repo_upload_end(struct repo *r, const struct repo_upload *u, struct err *e);

/* Removes what uploads that broke off left: parts of objects, and whole ones that no
 * record names. The caller holds the cluster's lock, and `log` hangs together. */
enum rc repo_uploads_sweep(struct repo *r, const struct chain *log, uint64_t *swept,
                           struct err *e);

/* The entry that announces "CLUSTER/backups/ID/FILE": "CLUSTER/uploads/ID.json". */
void repo_upload_entry(const char *cluster, const char *object,
                       char out[static RECORD_KEY_SIZE]);

#endif
