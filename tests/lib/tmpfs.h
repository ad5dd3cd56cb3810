/* A file system of its own for a test, as small as it likes. */
#ifndef TESTS_LIB_TMPFS_H
#define TESTS_LIB_TMPFS_H

#include <stdbool.h>

/* A tmpfs on `dir` that only this process and its children see, of mode 0700; `options`
 * as for mount, such as "size=200m". False, told, where that is not allowed. */
bool tmpfs_mount(const char *dir, const char *options);
void tmpfs_unmount(const char *dir);

#endif
