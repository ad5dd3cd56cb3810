/* May a new cluster be built, and on which copy? Everything that speaks against it. */
#include <inttypes.h>
#include <string.h>

#include "recover/plan.h"

/* Is it because members may be alive that nothing is known? */
static bool doubted(const struct recover_verdict *v)
{
    for (size_t i = 0; v->state == RECOVER_UNKNOWN && i < v->seat_count; i++)
        if (v->seats[i].voter && v->seats[i].presence == RECOVER_DOUBTFUL)
            return true;
    return false;
}

static enum rc not_lost(const struct recover_verdict *v, struct err *e)
{
    bool told = v->state == RECOVER_UNKNOWN && v->notes.count > 0;

    (void)err_set(e, RC_REFUSED, "%s%s%s", v->why, told ? "; " : "",
                  told ? v->notes.items[0] : "");
    err_hint(e, "%s%s", v->next,
             doubted(v) ? "; or, when you know of each of them that it is off: "
                          "--assume-off NAME"
                        : "");
    return e->code;
}

static enum rc nothing_sound(const struct recover_verdict *v, struct err *e)
{
    (void)err_set(e, RC_CORRUPT, "%s", v->why);
    err_hint(e, "%s; what comes of it can be given to recover as --backup", v->next);
    return e->code;
}

static enum rc wanted_copy(const struct recover_verdict *v, const char *wanted,
                           const struct recover_copy **out, struct err *e)
{
    for (size_t i = 0; i < v->ranked_count; i++) {
        const struct recover_ranked *r = &v->ranked[i];

        if (strcmp(r->copy->path, wanted) != 0)
            continue;
        if (r->standing != RECOVER_CANDIDATE)
            return err_set(e, RC_REFUSED,
                           "nothing can be built on '%s': it is %s" HINT
                           "`holdfast assess` says why; leave --source out to take the "
                           "newest sound copy",
                           wanted, recover_standing_name(r->standing));
        *out = r->copy;
        return RC_OK;
    }
    return err_set(e, RC_USAGE,
                   "--source '%s' is none of the copies that were given" HINT
                   "give it as DIR, or by --backup",
                   wanted);
}

enum rc recover_choose(const struct recover_verdict *v, const char *wanted,
                       const struct recover_copy **out, struct err *e)
{
    const struct recover_copy *c = v->best;

    if (v->state != RECOVER_LOST)
        return not_lost(v, e);
    if (wanted != NULL)
        TRY(wanted_copy(v, wanted, &c, e));
    if (c == NULL)
        return nothing_sound(v, e);
    if (c->statement != NULL)
        return err_set(e, RC_USAGE,
                       "the copy to build on is '%s' on host %s, and only a statement of "
                       "it is here" HINT
                       "make the plan on that host: `holdfast recover --plan FILE %s`, "
                       "with the statements of the others",
                       c->path, c->host, c->path);
    *out = c;
    return RC_OK;
}

static bool runs(const struct recover_seat *s)
{
    return s->presence == RECOVER_SERVES || s->presence == RECOVER_ANSWERS ||
           s->presence == RECOVER_IN_USE;
}

enum rc recover_check_running(const struct recover_verdict *v,
                              const struct recover_copy *chosen, struct err *e)
{
    for (size_t i = 0; i < v->seat_count; i++) {
        const struct recover_seat *s = &v->seats[i];
        char name[80];

        if (!runs(s) || (chosen->kind == RECOVER_DIRECTORY && chosen->in_use &&
                         chosen->member_id == s->id))
            continue;
        return err_set(e, RC_REFUSED,
                       "%s of the old cluster still runs%s%s: what it has may be newer, "
                       "and its clients would go on with it" HINT
                       "stop it on its host, and give its data directory too",
                       recover_called(s->id, s->name, name),
                       s->answer == NULL ? "" : ", at ",
                       s->answer == NULL ? "" : s->answer->endpoint);
    }
    return RC_OK;
}
