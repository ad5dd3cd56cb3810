/* What a file that is no bbolt database looks like, for the error that says so. */
#ifndef BOLTDB_SNIFF_H
#define BOLTDB_SNIFF_H

#include "util/bytes.h"

/* A noun phrase, "gzip data", or NULL for bytes we do not recognise; *advice is what to
 * do about it, or NULL. */
const char *sniff_file(struct bytes head, const char **advice);

#endif
