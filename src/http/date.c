#include "http/date.h"

#include <time.h>

bool http_date(const char *text, int64_t *out)
{
    struct tm tm = { 0 };
    const char *rest = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);

    if (rest == NULL || *rest != '\0')
        return false;
    *out = timegm(&tm);
    return true;
}
