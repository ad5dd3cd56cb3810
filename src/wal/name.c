#include "wal/name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void wal_pair_name(char *out, size_t size, uint64_t first, uint64_t second,
                   const char *suffix)
{
    snprintf(out, size, "%016" PRIx64 "-%016" PRIx64 "%s", first, second, suffix);
}

bool wal_pair_parse(const char *name, const char *suffix, uint64_t *first,
                    uint64_t *second)
{
    char again[64];
    uint64_t a, b;

    if (sscanf(name, "%16" SCNx64 "-%16" SCNx64, &a, &b) != 2)
        return false;
    wal_pair_name(again, sizeof again, a, b, suffix);
    if (strcmp(name, again) != 0)
        return false;
    *first = a;
    *second = b;
    return true;
}
