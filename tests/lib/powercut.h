/* Disks as they may be found after the power went. What goes through the system call seam
 * below some directories is recorded, in whichever thread; afterwards these directories
 * can be made again as they may be after a cut behind any of the calls.
 *
 * What was synced is there: a file's bytes after an fsync of the file, a name after one
 * of its directory. All else is there, or not, or in part, each for itself and in any
 * order; only a rename is one. That is less than any file system promises. */
#ifndef TESTS_LIB_POWERCUT_H
#define TESTS_LIB_POWERCUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct powercut;

/* `roots` are borrowed until the end, ended by NULL; nothing is written into them by
 * other ways, but for files of SQLite (*.sqlite*), which are noted as they are at each
 * call. */
struct powercut *powercut_begin(const char *const *roots);

/* The calls are the real ones again; what was recorded stays. */
void powercut_stop(struct powercut *p);
void powercut_free(struct powercut *p); /* NULL is fine */
static inline void powercut_end(struct powercut **p)
{
    powercut_free(*p);
}
#define POWERCUT [[gnu::cleanup(powercut_end)]] struct powercut *

/* A disk that says it has synced and has not, to see whether the tests would notice. */
void powercut_lies(struct powercut *p, bool lies);

size_t powercut_calls(const struct powercut *p);
/* "link 000000000001.json", for messages. */
const char *powercut_call(const struct powercut *p, size_t i);

/* What became of that which was not synced. */
enum powercut_luck {
    POWERCUT_NOTHING, /* all of it is lost */
    POWERCUT_ALL,     /* nothing is: what a kill leaves */
    POWERCUT_NAMES,   /* names are there, bytes are not */
    POWERCUT_BYTES,   /* bytes are there, names are not */
    POWERCUT_ZEROS,   /* names are there, and zeros for bytes */
    POWERCUT_ANY,     /* by the seed: each for itself, and writes torn */
};

/* Makes the roots again as they may be when the power went after the first `calls` calls.
 * False, and nothing is done, when the same disk was made before. */
bool powercut_disk(struct powercut *p, size_t calls, enum powercut_luck luck,
                   uint64_t seed);

#endif
