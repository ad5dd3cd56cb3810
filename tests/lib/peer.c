#include "tests/lib/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <criterion/criterion.h>

enum { PATH_SIZE = 4096 };

const char *peer_path(const char *name)
{
    static char paths[8][PATH_SIZE];
    static unsigned turn;
    const char *cache = getenv("HOLDFAST_PEERS"), *xdg = getenv("XDG_CACHE_HOME");
    char *path = paths[turn++ % 8];

    if (cache != NULL)
        snprintf(path, PATH_SIZE, "%s/%s", cache, name);
    else if (xdg != NULL)
        snprintf(path, PATH_SIZE, "%s/holdfast/peers/%s", xdg, name);
    else
        snprintf(path, PATH_SIZE, "%s/.cache/holdfast/peers/%s", getenv("HOME"), name);
    return path;
}

bool peer_available(const char *name)
{
    if (access(peer_path(name), R_OK) == 0)
        return true;
    fprintf(stderr, "SKIPPED: %s is not in the peers' cache (run scripts/peers)\n", name);
    cr_assert_null(getenv("HOLDFAST_REQUIRE_PEERS"), "%s is required here", name);
    return false;
}
