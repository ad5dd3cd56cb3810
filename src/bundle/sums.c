#include "bundle/sums.h"

#include <stdio.h>

#include "bundle/names.h"
#include "util/str.h"

enum { LINE = 2 * SHA256_SIZE + 2 + BUNDLE_NAME_MAX + 2 };

enum rc bundle_sums_add(struct buf *text, const char *name, struct sha256 *sum,
                        struct err *e)
{
    char line[LINE], hex[2 * SHA256_SIZE + 1];
    uint8_t digest[SHA256_SIZE];
    int n;

    TRY(sha256_end(sum, digest, e));
    str_hex(hex, digest, sizeof digest);
    n = snprintf(line, sizeof line, "%s  %s\n", hex, name);
    return buf_add(text, line, (size_t)n, e);
}
