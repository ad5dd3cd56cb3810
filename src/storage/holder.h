/* Who else has this file open, or holds a lock on it? For the message that refuses to
 * touch a database in use, and for the moment of a swap. Nothing here takes a lock. */
#ifndef STORAGE_HOLDER_H
#define STORAGE_HOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct holder {
    uint64_t pid; /* 0: it cannot be told, for want of permission */
    char name[64];
};

/* Another process that has the file behind `fd` open, by whatever name; else one that
 * /proc/locks shows with a lock on it. Processes of other users can be seen by root only.
 * RC_STORAGE without /proc. */
enum rc holder_find(int fd, struct holder *out, bool *found, struct err *e);

/* Only the first half: for who holds the file's flock himself, so that no lock can tell
 * more. Reading /proc/locks makes all processors wait for each other, 20 ms at a time. */
enum rc holder_find_open(int fd, struct holder *out, bool *found, struct err *e);

/* The same as holder_find, but only when somebody holds a lock: an etcd does on its
 * database (flock) and on the newest segment of its log (an open file description lock,
 * which shows even when the process does not: then the pid is 0). Who merely reads the
 * file is not in the way. */
enum rc holder_find_lock(int fd, struct holder *out, bool *found, struct err *e);

/* The cheap half of it: does somebody, whoever it is, hold an open file description lock
 * on the file, as an etcd does on its log? */
bool holder_has_file_lock(int fd);

/* RC_LOCKED: "'NAME' is in use by process 123 (etcd)"; `advice` goes on after "stop it
 * first". */
enum rc holder_refuse(int fd, const char *name, const char *advice, struct err *e);

#endif
