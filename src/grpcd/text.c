#include "grpcd/text.h"

#include <stdio.h>

static bool unit_in_us(char unit, uint64_t *us, uint64_t *per_us)
{
    *per_us = 1;
    switch (unit) {
    case 'H':
        *us = 3600000000;
        return true;
    case 'M':
        *us = 60000000;
        return true;
    case 'S':
        *us = 1000000;
        return true;
    case 'm':
        *us = 1000;
        return true;
    case 'u':
        *us = 1;
        return true;
    case 'n':
        *us = 1;
        *per_us = 1000;
        return true;
    default:
        return false;
    }
}

bool text_timeout(const char *value, uint64_t *ms)
{
    uint64_t n = 0, us, per_us;
    unsigned digits = 0;

    while (value[digits] >= '0' && value[digits] <= '9') {
        if (digits == 8)
            return false;
        n = n * 10 + (uint64_t)(value[digits++] - '0');
    }
    if (digits == 0 || value[digits] == '\0' || value[digits + 1] != '\0' ||
        !unit_in_us(value[digits], &us, &per_us))
        return false;
    *ms = (n * us + 1000 * per_us - 1) / (1000 * per_us);
    return true;
}

enum rc text_percent(struct buf *out, const char *text, struct err *e)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        char hex[4];

        if (byte >= ' ' && byte <= '~' && byte != '%') {
            TRY(buf_add(out, text, 1, e));
            continue;
        }
        snprintf(hex, sizeof hex, "%%%02X", byte);
        TRY(buf_add(out, hex, 3, e));
    }
    return RC_OK;
}
