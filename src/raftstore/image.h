/* The machine's state as a bbolt file: what a raft snapshot carries, what Maintenance's
 * Snapshot streams, what a member starts from. */
#ifndef RAFTSTORE_IMAGE_H
#define RAFTSTORE_IMAGE_H

#include "boltdb/file.h"
#include "machine/machine.h"

/* Write the file to `fd` from its start. Needs no memory but a few pages. */
enum rc image_write(const struct machine *m, int fd, const char *name, uint64_t *size,
                    struct err *e);

/* A machine filled from the file, whose records borrow from it: free the machine first.
 */
enum rc image_load(int fd, const char *name, int minor, struct bolt_file **file,
                   struct machine **out, struct err *e);

/* An unnamed file in the directory `dir`, gone when it is closed. */
enum rc image_scratch(const char *dir, int *fd, struct err *e);

#endif
