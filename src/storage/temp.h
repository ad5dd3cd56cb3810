/* A file under way to its name: made without one, or with a temporary one, then
 * published without overwriting. Everything happens below a directory that is held
 * open, so that nobody can swap it. */
#ifndef STORAGE_TEMP_H
#define STORAGE_TEMP_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct temp {
    int dir, fd;      /* dir is borrowed */
    const char *name; /* the final one, borrowed */
    char part[256];   /* the temporary one; empty when there is none */
};

/* An empty file of mode 0600 whatever the umask, open for reading and writing. With
 * `named`, or where the file system has no O_TMPFILE, it has a temporary name and is
 * locked. */
enum rc temp_open(struct temp *t, int dir, const char *name, bool named, struct err *e);

/* Gives it its final name; RC_REFUSED when that is taken. An answer that got lost on the
 * way from a file server, so that the name seems taken by our own file, is no refusal. */
enum rc temp_publish(struct temp *t, struct err *e);

/* Gives it its final name in place of whatever has it. Only for one made `named`. */
enum rc temp_replace(struct temp *t, struct err *e);

/* Takes back the final name, if it still is this file's. */
void temp_unpublish(const struct temp *t);

/* Closes it, and removes it unless it was published. */
void temp_close(struct temp *t);

/* A new temporary name for `name`, as it would be made here; and is this one? For places
 * that are no local directory. */
enum rc temp_name(const char *name, char out[static 256], struct err *e);
bool temp_is_name(const char *entry);

/* Removes what crashed puts of `name` left behind: our own regular files under its
 * temporary names that nobody holds locked. Says so in the log. */
enum rc temp_sweep(int dir, const char *name, struct err *e);

/* The same for all names in `dir`; adds how many to *swept. */
enum rc temp_sweep_all(int dir, uint64_t *swept, struct err *e);

/* Removes the directory `name` below `parent` with all that is in it, when it is ours and
 * nobody holds a lock on it (flock): what a crash left behind. Was it removed? */
bool temp_sweep_directory(int parent, const char *name);

#endif
