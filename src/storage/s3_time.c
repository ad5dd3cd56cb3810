#include "storage/s3_time.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

bool s3_time_from_iso(const char *text, int64_t *out_ms)
{
    struct tm tm = { 0 };
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t ms = 0, scale = 100;

    if (rest == NULL)
        return false;
    if (*rest == '.')
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
            ms += (*rest - '0') * scale;
    if (strcmp(rest, "Z") != 0)
        return false;
    *out_ms = (int64_t)timegm(&tm) * 1000 + ms;
    return true;
}

static struct tm utc(int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm = { 0 };

    gmtime_r(&t, &tm);
    return tm;
}

void s3_time_stamp(char out[static 32], int64_t seconds)
{
    struct tm tm = utc(seconds);

    strftime(out, 32, "%Y%m%dT%H%M%SZ", &tm);
}
