/* A scratch directory that disappears with the test, also when the test fails. */
#ifndef TESTS_LIB_TMPDIR_H
#define TESTS_LIB_TMPDIR_H

/* A new directory of mode 0700 below $TMPDIR or /tmp; removed when the process that made
 * it exits. The text is the caller's to read until then. */
const char *tmpdir_new(void);

/* "DIR/NAME" in one of eight rotating buffers. */
const char *path_in(const char *dir, const char *name);

/* Names in `dir`, without "." and "..", sorted, joined by blanks: what is left over. */
const char *dir_listing(const char *dir);

#endif
