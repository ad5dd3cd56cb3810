#include "cli/beside.h"

#include "care/hold.h"
#include "care/lock.h"
#include "cli/state.h"
#include "util/log.h"
#include "util/os.h"

void beside_end(struct beside *b)
{
    os_fd_end(&b->stream);
    os_fd_end(&b->revision);
    care_store_free(b->store);
}

static enum rc announce(struct beside *b, uint64_t cluster, int64_t revision,
                        struct err *e)
{
    TRY(cli_state_open(b->cli, &b->store, e));
    TRY(care_lock_take(b->store, cluster, CARE_LOCK_STREAM, &b->stream, e));
    return care_hold(b->store, cluster, revision, &b->revision, e);
}

enum rc beside_begins(void *arg, uint64_t cluster, int64_t revision, struct err *e)
{
    struct err why = { 0 };
    enum rc rc = announce(arg, cluster, revision, &why);

    if (rc == RC_LOCKED || rc == RC_NOMEM) {
        *e = why;
        return rc;
    }
    if (rc != RC_OK)
        log_warn("other jobs on this host do not see this one: %s", why.why);
    return RC_OK;
}
