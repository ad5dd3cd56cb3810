#include "tests/unit/lab/fixture.h"

#include "lab/place.h"
#include "tests/lib/case.h"
#include "util/mem.h"

struct lab *fixture_lab(const char *dir, size_t members)
{
    struct lab *l = mem_zero(sizeof *l);
    struct err e = { 0 };

    cr_assert_not_null(l);
    l->fd = -1;
    OK(str_format(&l->dir, &e, "%s/lab", dir), &e);
    OK(str_format(&l->server, &e, "/bin/true"), &e);
    l->minor = 6;
    l->heartbeat_ms = 100;
    l->election_ms = 1000;
    l->count = members;
    for (size_t i = 0; i < members; i++) {
        lab_place_name(&l->members[i], i);
        l->members[i].client_port = (uint16_t)(20001 + 2 * i);
        l->members[i].peer_port = (uint16_t)(20002 + 2 * i);
    }
    return l;
}
