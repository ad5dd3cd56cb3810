#include "recover/scene.h"

#include <inttypes.h>
#include <string.h>

#include "recover/site.h"
#include "recover/survey.h"
#include "util/log.h"

#define AGAIN "make the plan again: `holdfast recover --plan FILE`"

/* Against what the plan was made from. */
static int compare(const struct recover_copy *c, const struct recover_source *s)
{
    if (c->term_known && s->term_known && c->term != s->term)
        return c->term < s->term ? -1 : 1;
    if (c->index != s->index)
        return c->index < s->index ? -1 : 1;
    return 0;
}

static enum rc changed(const struct recover_copy *c, const struct recover_source *s,
                       struct err *e)
{
    return err_set(e, RC_REFUSED,
                   "the plan is stale: '%s' ended at entry %" PRIu64 " of term %" PRIu64
                   ", revision %" PRId64 ", and ends at %" PRIu64 " of term %" PRIu64
                   ", revision %" PRId64 " now" HINT AGAIN,
                   c->path, s->index, s->term, s->revision, c->index, c->term,
                   recover_revision(c));
}

/* Was it among the copies when the plan was made, and has not grown since? */
static bool is_known(const struct recover_plan *p, const struct recover_copy *c)
{
    for (size_t i = 0; i < p->known_count; i++)
        if (p->known[i].member_id == c->member_id && p->known[i].term == c->term &&
            p->known[i].index == c->index)
            return true;
    return false;
}

/* It is the copy that the plan builds on. */
static enum rc check_source(const struct recover_plan *p, const struct recover_copy *c,
                            bool stopped, struct err *e)
{
    const struct recover_source *s = &p->source;
    int order = compare(c, s);

    if (s->live)
        return order < 0 ? changed(c, s, e) : RC_OK;
    if (order != 0 || (stopped && recover_revision(c) != s->revision))
        return changed(c, s, e);
    return RC_OK;
}

/* A host that got a new name is fine; one that is another of the plan's is not. */
static enum rc check_whose(const struct recover_plan *p, const char *member,
                           const struct recover_copy *c, struct err *e)
{
    for (size_t i = 0; i < p->old_count; i++)
        if (p->old[i].id == c->member_id && strcmp(p->old[i].name, member) != 0 &&
            recover_plan_member(p, p->old[i].name) != NULL)
            return err_set(e, RC_REFUSED,
                           "'%s' is the directory of '%s', and not of '%s'" HINT
                           "is this the right host, and the right --member?",
                           c->path, p->old[i].name, member);
    return RC_OK;
}

enum rc recover_check_copy(const struct recover_plan *p, const char *member,
                           const struct recover_copy *c, bool stopped, struct err *e)
{
    const struct recover_source *s = &p->source;

    if (!c->readable || c->cluster_id == 0)
        return RC_OK;
    if (p->old_cluster != 0 && c->cluster_id != p->old_cluster)
        return err_set(e, RC_REFUSED,
                       "'%s' is of cluster %" PRIx64 ", and the plan is for %" PRIx64 HINT
                       "is this the right host, and the right --data-dir?",
                       c->path, c->cluster_id, p->old_cluster);
    TRY(check_whose(p, member, c, e));
    if (s->kind == RECOVER_DIRECTORY && c->member_id == s->member_id)
        return check_source(p, c, stopped, e);
    if (compare(c, s) > 0 && !is_known(p, c))
        return err_set(e, RC_REFUSED,
                       "'%s' ends at entry %" PRIu64 " of term %" PRIu64
                       ", which is newer than the copy that the plan builds on (%" PRIu64
                       " of term %" PRIu64 ")" HINT
                       "make the plan again, with this directory among the copies; or "
                       "move it away, if it is not wanted",
                       c->path, c->index, c->term, s->index, s->term);
    return RC_OK;
}

enum rc recover_check_directory(const struct recover_plan *p, const char *member,
                                const char *data_dir, const char *wal_dir, bool stopped,
                                struct err *e)
{
    AT_END(recover_copies_clear) struct recover_copies l = { 0 };

    if (!recover_exists(data_dir))
        return RC_OK;
    TRY(recover_survey_directory(&l, data_dir, wal_dir, e));
    if (!l.items[0].readable)
        log_info("'%s' cannot be read as a data directory; it will be moved aside as it "
                 "is",
                 data_dir);
    return recover_check_copy(p, member, &l.items[0], stopped, e);
}
