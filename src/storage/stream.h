/* The end of a chain that is a descriptor somebody else opened: standard output. What
 * was written before a failure cannot be taken back; the exit status has to say so. */
#ifndef STORAGE_STREAM_H
#define STORAGE_STREAM_H

#include "filter/file.h"

/* `fd` and `result` (which may be NULL) are borrowed. RC_REFUSED when `fd` is a
 * terminal. finish makes a regular file durable and leaves pipes alone. */
enum rc stream_sink_new(int fd, const char *name, struct file_sink_result *result,
                        struct sink **out, struct err *e);

#endif
