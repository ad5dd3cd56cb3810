/* Reading ahead of a walk. Key order is random order on the disk, and a cold file costs a
 * seek a page; so a thread reads it in file order, and maps what is in memory already,
 * until the walk is done. Where another thread reads the whole file anyway, for its
 * digest, this is not needed. */
#ifndef BOLTDB_AHEAD_H
#define BOLTDB_AHEAD_H

#include <stdatomic.h>

#include "boltdb/file.h"
#include "util/task.h"

typedef void bolt_ahead_step(const struct bolt_file *file, uint64_t at, size_t n);

/* Zero-initialise; end with bolt_ahead_stop, before the file is freed. */
struct bolt_ahead {
    const struct bolt_file *file;
    bolt_ahead_step *step;
    atomic_bool enough;
    struct task task;
};

enum rc bolt_ahead_start(struct bolt_ahead *a, const struct bolt_file *file,
                         struct err *e);
void bolt_ahead_stop(struct bolt_ahead *a); /* prompt; nothing when it never started */

/* The same of a file that we may write to: what is in memory is not mapped, since of a
 * database with much free space the walk wants little. */
enum rc bolt_ahead_start_own(struct bolt_ahead *a, const struct bolt_file *file,
                             struct err *e);

/* The file will not be read again: unmaps it on a thread, which takes as long as mapping
 * it did. Nothing may be running. */
enum rc bolt_behind_start(struct bolt_ahead *a, const struct bolt_file *file,
                          struct err *e);

#endif
