#include "defrag/goal.h"

#include <inttypes.h>
#include <string.h>

#include "util/str.h"

static enum rc check_past(const struct defrag_marks *m, int64_t revision, struct err *e)
{
    if (revision <= m->finished)
        return err_set(e, RC_REFUSED,
                       "revision %" PRId64 " is gone already: the database was compacted "
                       "at %" PRId64 HINT "name a later revision, or `holdfast defrag` "
                       "to give back free pages",
                       revision, m->finished);
    if (revision < m->scheduled)
        return err_set(e, RC_REFUSED,
                       "a compaction at revision %" PRId64 " was begun and not finished, "
                       "so %" PRId64 " is gone already" HINT
                       "compact at that revision or a later one",
                       m->scheduled, revision);
    return RC_OK;
}

static enum rc of_newest(int64_t count, int64_t head, int64_t *out, struct err *e)
{
    if (count < 0)
        return err_set(e, RC_USAGE, "%" PRId64 " revisions cannot be kept", count);
    if (count >= head)
        return err_set(e, RC_REFUSED,
                       "the database is at revision %" PRId64 ": to keep %" PRId64
                       " revisions nothing can be dropped" HINT "keep fewer",
                       head, count);
    *out = head - count;
    return RC_OK;
}

enum rc defrag_goal_revision(const struct defrag_goal *g, const struct defrag_marks *m,
                             int64_t head, int64_t *out, struct err *e)
{
    int64_t revision = g->number;

    if (g->kind == DEFRAG_NEWEST)
        TRY(of_newest(g->number, head, &revision, e));
    if (revision < 1)
        return err_set(e, RC_USAGE, "there is no revision %" PRId64, revision);
    if (revision > head)
        return err_set(e, RC_USAGE,
                       "revision %" PRId64 " lies in the future: the database is at "
                       "%" PRId64 HINT "name that one at most",
                       revision, head);
    TRY(check_past(m, revision, e));
    *out = revision;
    return RC_OK;
}

enum rc defrag_goal_version(const char *version, bool *drops_tombstone, struct err *e)
{
    char minor = strncmp(version, "3.", 2) == 0 ? version[2] : '\0';
    uint64_t patch = UINT64_MAX;

    if (minor < '4' || minor > '7' ||
        (version[3] != '\0' && (version[3] != '.' || !str_to_u64(version + 4, &patch))))
        return err_set(e, RC_USAGE,
                       "--target-version '%s' is no version from 3.4 to 3.7" HINT
                       "such as 3.6, or 3.5.12 when the patch level matters",
                       version);
    *drops_tombstone = (minor == '4' && patch < 34) || (minor == '5' && patch < 16);
    return RC_OK;
}
