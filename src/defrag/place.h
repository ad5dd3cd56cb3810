/* Where the database is that will be written again, and how the new one takes its place.
 *
 * The old file is locked as etcd locks it (flock), and so are the segments of the log
 * beside it (OFD locks), from before it is read until after the swap. The new one is a
 * file without a name in the same directory. At the end:
 *
 *     link db -> db.bak        the old one has two names
 *     rename new -> db         the new one is there, in one step
 *     fsync of the directory
 *     unlink db.bak
 *
 * so that `db` is at every moment one of the two, whole. */
#ifndef DEFRAG_PLACE_H
#define DEFRAG_PLACE_H

#include <stdbool.h>

#include "util/err.h"
#include "util/own.h"

struct defrag_place_request {
    const char *data_dir; /* either this one */
    const char *snapshot; /* or this one */
    const char *output;   /* with a snapshot: a new file instead of a swap; may be NULL */
    bool keep_backup;     /* db.bak stays */
    bool look_only;       /* change nothing, not even leftovers of earlier runs */
};

struct defrag_place;

/* Locks the old database. What killed runs of ours left is swept: a temporary file, a
 * second name of the old database; and a database that is there only as .bak gets its
 * name back. RC_LOCKED names the process that uses it; RC_REFUSED when a .bak of another
 * run is there, when `output` exists, or when the file is a symbolic link; RC_NOTFOUND;
 * RC_USAGE for a member's database given as a snapshot that is to be swapped. */
enum rc defrag_place_open(const struct defrag_place_request *q, struct defrag_place **out,
                          struct err *e);
void defrag_place_free(struct defrag_place *p);
OWN_DEFINE(defrag_place)

const char *defrag_place_source_name(const struct defrag_place *p);
int defrag_place_source(const struct defrag_place *p); /* open for reading */

/* What will be written, by name. */
const char *defrag_place_target_name(const struct defrag_place *p);

/* An empty file for the new database, with the old one's mode and owner (of mode 0600
 * when it is a new file), on the file system where it will be. It is gone when the place
 * ends unless it was published. *fd stays the place's. */
enum rc defrag_place_begin(struct defrag_place *p, int *fd, struct err *e);

/* The new database is complete, proved and durable: gives it its name. After a failure
 * the old one is in place, or, when only the directory could not be made durable, the new
 * one with the old one beside it as .bak. */
enum rc defrag_place_publish(struct defrag_place *p, struct err *e);

#endif
