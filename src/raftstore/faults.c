#include "raftstore/faults.h"

#include <stddef.h>

bool faults_pass(const struct faults *f, uint64_t peer, enum fault_way way)
{
    for (size_t i = 0; i < FAULTS_LINKS; i++)
        if (f->links[i].peer == peer && (f->links[i].cut & way) != 0)
            return false;
    return true;
}

bool faults_cut(struct faults *f, uint64_t peer, unsigned ways)
{
    struct fault_link *spare = NULL;

    for (size_t i = 0; i < FAULTS_LINKS; i++) {
        struct fault_link *link = &f->links[i];

        if (link->peer == peer && link->cut != 0) {
            link->cut = ways;
            return true;
        }
        if (link->cut == 0 && spare == NULL)
            spare = link;
    }
    if (spare == NULL)
        return false;
    *spare = (struct fault_link){ .peer = peer, .cut = ways };
    return true;
}
