/* Small things put aside as they come and read again in any order: in memory up to a
 * bound, and beyond it in a file without a name below $TMPDIR, else /var/tmp, which goes
 * with the process however that ends.
 *
 * What goes to the file is sealed (ChaCha20-Poly1305) with a key that never leaves the
 * process: what a disk keeps of it says nothing, and what comes back changed is noticed.
 * Where no such file can be had, or its file system is nearly full, more memory is used,
 * up to a second bound. What passes that as well is dropped, and spool_lost says so. */
#ifndef FILTER_SPOOL_H
#define FILTER_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/own.h"

struct spool;

struct spool_options {
    size_t resident;   /* bytes held in memory before a file is begun */
    size_t memory_max; /* and where there can be none; 0: no limit */
};

enum rc spool_new(const struct spool_options *o, struct spool **out, struct err *e);
void spool_free(struct spool *s); /* NULL is fine */
OWN_DEFINE(spool)

/* Puts n bytes aside. *place is where, in units of SPOOL_UNIT bytes: the next thing
 * begins at the next whole unit. RC_NOMEM only: whether they are there, says spool_lost.
 */
enum { SPOOL_UNIT = 8 };
enum rc spool_add(struct spool *s, const void *p, size_t n, uint32_t *place,
                  struct err *e);

/* n bytes of what was put there, from `skip` on. RC_INTERNAL when that is not there;
 * RC_STORAGE when it cannot be read, or has changed. */
enum rc spool_read(struct spool *s, uint32_t place, size_t skip, void *to, size_t n,
                   struct err *e);

/* Was anything dropped? *why, which may be NULL, tells the reason. */
bool spool_lost(const struct spool *s, struct err *why);

/* Bytes in memory; in the file. */
size_t spool_memory(const struct spool *s);
uint64_t spool_filed(const struct spool *s);

#endif
