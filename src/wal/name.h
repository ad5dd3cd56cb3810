/* Names that are made of two numbers, as etcd gives them to segments of its log and to
 * snapshot files. Internal to wal/. */
#ifndef WAL_NAME_H
#define WAL_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "%016x-%016x" and the suffix; `size` has room for 34 bytes and the suffix. */
void wal_pair_name(char *out, size_t size, uint64_t first, uint64_t second,
                   const char *suffix);

/* Only exactly what wal_pair_name writes is one. */
bool wal_pair_parse(const char *name, const char *suffix, uint64_t *first,
                    uint64_t *second);

#endif
