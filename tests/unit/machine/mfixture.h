/* Machines in tests: put into database files, and those compared pair by pair. */
#ifndef TESTS_UNIT_MACHINE_MFIXTURE_H
#define TESTS_UNIT_MACHINE_MFIXTURE_H

#include "machine/machine.h"

/* A machine of etcd 3.`minor`, empty; of a patch release, 0: the newest. */
struct machine *machine_of(int minor);
struct machine *machine_of_patch(int minor, unsigned patch);

/* What machine_dump makes, as an open file. */
struct bolt_file *machine_file(const struct machine *m);

/* The index of the last entry of the log that a database has taken in. */
uint64_t index_in(const struct bolt_file *f);

/* Both hold the same pairs in the same buckets, but for those that `passes` names. The
 * test fails with the first that differs; `what` says where it was. */
typedef bool mf_skip(struct bytes bucket, struct bytes key);
void same_files(const struct bolt_file *ours, const struct bolt_file *theirs,
                mf_skip *skip, const char *what);

/* Applies entries 1..last of the log in `dir`. */
void replay(struct machine *m, const char *dir, uint64_t last);

#endif
