#include "agent/zone.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool known(const char *name)
{
    static const char *const places[] = { "/usr/share/zoneinfo", "/usr/lib/zoneinfo" };
    char path[512];

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const int n = snprintf(path, sizeof path, "%s/%s", places[i], name);

        if (n > 0 && (size_t)n < sizeof path && access(path, R_OK) == 0)
            return true;
    }
    return false;
}

enum rc zone_check(const char *name, struct err *e)
{
    if (strcmp(name, "UTC") != 0 &&
        (name[0] == '\0' || name[0] == '/' || strstr(name, "..") != NULL || !known(name)))
        return err_set(e, RC_USAGE,
                       "this machine knows no time zone '%.60s'" HINT
                       "names are as in /usr/share/zoneinfo (package tzdata), such as "
                       "Europe/Berlin; UTC is always known",
                       name);
    return RC_OK;
}

enum rc zone_use(const char *name, struct err *e)
{
    if (name == NULL)
        return RC_OK;
    TRY(zone_check(name, e));
    if (setenv("TZ", name, 1) != 0)
        return err_sys(e, RC_NOMEM, "the time zone cannot be set");
    tzset();
    return RC_OK;
}
