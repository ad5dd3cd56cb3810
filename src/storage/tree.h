/* Directories below one that is held open, found by a key: never through a link, made as
 * they are needed and removed when nothing is left in them, by several processes at once.
 *
 * Whoever is about to put something into a directory holds a shared lock on it; whoever
 * removes an empty one must have it alone. Where the file system has no locks on
 * directories (NFS), empty ones stay. */
#ifndef STORAGE_TREE_H
#define STORAGE_TREE_H

#include "util/err.h"

/* The directory of `key`, opened below `root`; *base is the last part inside `key`.
 * RC_NOTFOUND; RC_REFUSED for a link. */
enum rc tree_open(int root, const char *key, int *dir, const char **base, struct err *e);

/* The same, making what is missing, mode 0700 and durable, and holding the lock as long
 * as *dir is open. RC_REFUSED when anybody may write to one of them. */
enum rc tree_make(int root, const char *key, int *dir, const char **base, struct err *e);

/* Removes the directories of `key` that are empty, from the last one upwards. What cannot
 * be removed stays. */
void tree_prune(int root, const char *key);

#endif
