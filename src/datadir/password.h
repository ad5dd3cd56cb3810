/* Passwords as etcd keeps them: bcrypt, with a salt of each member's own. Entries of 3.4
 * carry them in the clear, and every member hashes them when it applies the entry. */
#ifndef DATADIR_PASSWORD_H
#define DATADIR_PASSWORD_H

#include "util/bytes.h"
#include "util/err.h"

/* Appends the bcrypt text, at etcd's default cost; a tenth of a second. For
 * machine_options; `arg` is not used. */
enum rc datadir_hash_password(void *arg, const char *password, struct buf *out,
                              struct err *e);

#endif
