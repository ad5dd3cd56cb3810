/* What looks like a running etcd: a process with a database open. */
#ifndef TESTS_UNIT_STORAGE_SQUATTER_H
#define TESTS_UNIT_STORAGE_SQUATTER_H

#include <sys/types.h>

/* "BASE/data", a data directory with an empty database; the text is good until the next
 * call. */
const char *squatter_data_dir(const char *base);

/* A child that holds `path` open until it is stopped; it has it open on return. */
pid_t squatter_start(const char *path);
void squatter_stop(pid_t child);

#endif
