#include "care/beside.h"

#include "care/hold.h"
#include "care/lock.h"
#include "util/log.h"

void care_beside_end(struct care_beside *b)
{
    os_fd_end(&b->stream);
    os_fd_end(&b->revision);
}

enum rc care_beside_unseen(enum rc rc, const struct err *why, struct err *e)
{
    if (rc == RC_LOCKED || rc == RC_NOMEM) {
        *e = *why;
        return rc;
    }
    if (rc != RC_OK)
        log_warn("other jobs on this host do not see this one: %s", why->why);
    return RC_OK;
}

enum rc care_beside_begin(struct care_beside *b, const struct care_store *s,
                          uint64_t cluster, int64_t revision, struct err *e)
{
    struct err why = { 0 };
    enum rc rc = care_lock_take(s, cluster, CARE_LOCK_STREAM, &b->stream, &why);

    if (rc == RC_OK)
        rc = care_hold(s, cluster, revision, &b->revision, &why);
    return care_beside_unseen(rc, &why, e);
}
