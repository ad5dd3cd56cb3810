#include "restore/bump.h"

#include <inttypes.h>

static int64_t automatic(const struct restore_bump_input *in)
{
    int64_t past = in->high_water - in->last_revision;

    return (past > 0 ? past : 0) + RESTORE_BUMP_STEP;
}

static enum rc check(const struct restore_bump_input *in, int64_t by, struct err *e)
{
    if (by < 0 || in->last_revision > RESTORE_REVISION_MAX - by)
        return err_set(e, RC_USAGE,
                       "a bump of %" PRId64 " takes revision %" PRId64
                       " out of bounds" HINT "the revision must stay below 2^62",
                       by, in->last_revision);
    if (by > 0 && in->last_revision + by <= in->high_water)
        return err_set(e, RC_USAGE,
                       "a bump of %" PRId64 " leads to revision %" PRId64
                       ", not past the high-water mark %" PRId64 HINT
                       "use --bump-revision auto",
                       by, in->last_revision + by, in->high_water);
    if (by == 0 && in->mark_compacted)
        return err_set(e, RC_USAGE,
                       "--mark-compacted needs a bumped revision to compact at" HINT
                       "add --bump-revision auto");
    return RC_OK;
}

enum rc restore_bump_decide(const struct restore_bump_input *in, struct restore_bump *out,
                            struct err *e)
{
    struct restore_bump b = { .mark_compacted = in->mark_compacted };

    if (in->high_water < 0 || in->high_water > RESTORE_REVISION_MAX)
        return err_set(e, RC_USAGE, "the high-water mark %" PRId64 " is out of bounds",
                       in->high_water);
    if (in->kind == RESTORE_BUMP_BY) {
        b.by = in->by;
        b.reason = b.by == 0 ? "you turned it off" : "you asked for it";
    } else if (in->kind == RESTORE_BUMP_AUTO) {
        b.by = automatic(in);
        b.reason = "you asked for it";
    } else if (in->kubernetes || in->high_water > in->last_revision) {
        b.by = automatic(in);
        b.mark_compacted = true;
        b.reason = in->kubernetes
                       ? "the snapshot holds Kubernetes keys, whose controllers cache by "
                         "revision"
                       : "a newer revision than the snapshot's was seen";
    } else {
        b.reason = "the snapshot holds no Kubernetes keys";
    }
    TRY(check(in, b.by, e));
    b.revision = in->last_revision + b.by;
    *out = b;
    return RC_OK;
}
