/* What the members of a bundle may be called. */
#ifndef BUNDLE_NAMES_H
#define BUNDLE_NAMES_H

#include <stdbool.h>

#define BUNDLE_FILES "files/"
enum { BUNDLE_NAME_MAX = 1024 };

/* "files/" and a relative path of plain parts: no "." or "..", nothing empty; printable
 * UTF-8 without backslashes, so that sha256sum writes it as it is. */
bool bundle_name_is_file(const char *name);

#endif
