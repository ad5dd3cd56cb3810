#include "cli/beside.h"

#include "cli/state.h"

void beside_end(struct beside *b)
{
    care_beside_end(&b->held);
    care_store_free(b->store);
}

enum rc beside_begins(void *arg, uint64_t cluster, int64_t revision, struct err *e)
{
    struct beside *b = arg;
    struct err why = { 0 };
    enum rc rc = cli_state_open(b->cli, &b->store, &why);

    if (rc != RC_OK)
        return care_beside_unseen(rc, &why, e);
    return care_beside_begin(&b->held, b->store, cluster, revision, e);
}
