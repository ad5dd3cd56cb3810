/* A put of one local file: all of it under its name, or nothing at all.
 *
 * The bytes go to a file without a name (O_TMPFILE), which the kernel removes by itself
 * whatever happens to us, and which gets its name only when it is durable. A file
 * system that has no such files gets `.NAME.holdfast-XXXXXXXX.part` beside the target;
 * it stays locked while somebody writes it, so that the next put of the same file can
 * tell a leftover of a crash from work under way and sweep it.
 *
 * Nothing that exists is ever overwritten or followed: not a file, not a link. (Unless
 * `replace` says so, and then only a file.) */
#ifndef STORAGE_POSIX_H
#define STORAGE_POSIX_H

#include <stdbool.h>

#include "filter/file.h"

struct posix_put_options {
    struct file_sink_options file; /* its result is set once the file has its name */
    bool named_temp;               /* as if the file system had no O_TMPFILE */
    bool replace; /* a regular file that has the name makes way, in one step */
};

/* The last sink of a chain that makes `path`, a file of mode 0600; "-" is standard
 * output, which takes the same bytes without any of these promises. NULL options are
 * all zero.
 *
 * Fails at once with RC_REFUSED when `path` exists in any form, when others may write
 * to its directory (without the sticky bit), or when standard output is a terminal;
 * RC_USAGE when it names no file; RC_NOTFOUND when the directory does not exist; and
 * as file_sink_new does. finish makes the file durable, gives it its name (RC_REFUSED
 * when somebody else took the name meanwhile) and makes the directory durable. After
 * any failure, and when dropped before finish, nothing is left of it. */
enum rc posix_put_new(const char *path, const struct posix_put_options *options,
                      struct sink **out, struct err *e);

/* The same below an open directory, which is the sink's from the call on, even when this
 * fails. `path` is for messages, but for its last component. */
enum rc posix_put_at(int dir, const char *path, const struct posix_put_options *options,
                     struct sink **out, struct err *e);

/* RC_REFUSED when anybody may write to the open directory of `path`. */
enum rc posix_check_directory(int dir, const char *path, struct err *e);

/* RC_REFUSED when the open directory has the name, in any form; a link is not followed.
 * `path` is for messages. */
enum rc posix_check_absent(int dir, const char *name, const char *path, struct err *e);

/* Would posix_put_new take this name now? Only what the name itself tells: RC_REFUSED,
 * RC_USAGE, RC_NOTFOUND as above. For whoever has long work to do before the first byte.
 */
enum rc posix_put_check(const char *path, struct err *e);

/* A small file from a text, by the same promises. */
enum rc posix_put_text(const char *path, const char *text, struct err *e);

#endif
