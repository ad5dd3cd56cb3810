#include "recover/judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recover/words.h"
#include "util/mem.h"

const char *recover_state_name(enum recover_state s)
{
    static const char *const names[] = { "has", "runs", "startable", "unknown", "lost" };

    return names[s];
}

const char *recover_presence_name(enum recover_presence p)
{
    static const char *const names[] = { "missing",  "serves",  "answers", "in-use",
                                         "doubtful", "stopped", "unsound" };

    return names[p];
}

const char *recover_standing_name(enum recover_standing s)
{
    static const char *const names[] = { "candidate", "damaged", "twin",
                                         "removed",   "foreign", "unreadable" };

    return names[s];
}

void recover_verdict_clear(struct recover_verdict *v)
{
    mem_free(v->seats);
    mem_free(v->ranked);
    mem_free(v->why);
    mem_free(v->next);
    str_list_clear(&v->notes);
    *v = (struct recover_verdict){ 0 };
}

const char *recover_called(uint64_t id, const char *name, char out[static 80])
{
    if (name != NULL && name[0] != '\0')
        str_printable(out, 80, bytes_str(name));
    else
        snprintf(out, 80, "member %" PRIx64, id);
    return out;
}

/* ---- which cluster ------------------------------------------------------------------
 */

static bool is_directory(const struct recover_copy *c)
{
    return c->kind == RECOVER_DIRECTORY && c->readable && c->cluster_id != 0;
}

/* Is an earlier copy of the list of the same cluster (and member)? */
static bool seen(const struct recover_copies *l, size_t i, bool member_too)
{
    const struct recover_copy *c = &l->items[i];

    for (size_t k = 0; k < i; k++)
        if (is_directory(&l->items[k]) && l->items[k].cluster_id == c->cluster_id &&
            (!member_too || l->items[k].member_id == c->member_id))
            return true;
    return false;
}

static size_t members_of(const struct recover_copies *l, uint64_t cluster)
{
    size_t n = 0;

    for (size_t i = 0; i < l->count; i++)
        n += is_directory(&l->items[i]) && l->items[i].cluster_id == cluster &&
             !seen(l, i, true);
    return n;
}

/* The living one when a copy is of it, else the one that most members are of. */
static void choose_cluster(const struct recover_scene *s, struct recover_verdict *v)
{
    const struct recover_copies *l = s->copies;
    uint64_t living = s->view == NULL ? 0 : s->view->cluster_id;
    size_t most = 0;

    for (size_t i = 0; i < l->count; i++) {
        size_t n;

        if (!is_directory(&l->items[i]) || seen(l, i, false))
            continue;
        v->clusters++;
        n = members_of(l, l->items[i].cluster_id);
        if (l->items[i].cluster_id == living)
            n = SIZE_MAX;
        v->tied = n == most ? true : n > most ? false : v->tied;
        if (n > most) {
            most = n;
            v->cluster_id = l->items[i].cluster_id;
        }
    }
    if (v->clusters == 0)
        v->cluster_id = living;
}

/* The look at the living, when it is at this cluster. */
static const struct care_view *living(const struct recover_scene *s,
                                      const struct recover_verdict *v)
{
    return s->view != NULL && s->view->cluster_id != 0 &&
                   s->view->cluster_id == v->cluster_id
               ? s->view
               : NULL;
}

/* ---- who belongs --------------------------------------------------------------------
 */

static bool better_reference(const struct recover_copy *c, const struct recover_copy *r)
{
    if (r == NULL || c->kind != r->kind)
        return r == NULL || c->kind == RECOVER_DIRECTORY;
    if (c->ok != r->ok)
        return c->ok;
    return recover_compare(c, r) < 0;
}

static void choose_reference(const struct recover_scene *s, struct recover_verdict *v)
{
    for (size_t i = 0; i < s->copies->count; i++) {
        const struct recover_copy *c = &s->copies->items[i];

        if (!c->readable || c->latest.voters.count == 0 ||
            (c->kind == RECOVER_DIRECTORY ? c->cluster_id != v->cluster_id
                                          : v->clusters > 0 || v->cluster_id != 0))
            continue;
        if (better_reference(c, v->reference))
            v->reference = c;
    }
}

static struct recover_seat *seat_of(struct recover_verdict *v, uint64_t id)
{
    for (size_t i = 0; i < v->seat_count; i++)
        if (v->seats[i].id == id)
            return &v->seats[i];
    return NULL;
}

static void add_seats(struct recover_verdict *v, const struct mvcc_ids *ids, bool voter)
{
    for (size_t i = 0; i < ids->count; i++)
        if (seat_of(v, ids->items[i]) == NULL)
            v->seats[v->seat_count++] =
                (struct recover_seat){ .id = ids->items[i], .name = "", .voter = voter };
}

static bool serves(const struct care_member *m)
{
    return m->state == CARE_UP && m->read_tried && m->read == RC_OK;
}

static bool any_serves(const struct care_view *view)
{
    for (size_t i = 0; view != NULL && i < view->count; i++)
        if (view->items[i].id != 0 && serves(&view->items[i]))
            return true;
    return false;
}

const struct mvcc_member *recover_verdict_member(const struct recover_verdict *v,
                                                 uint64_t id)
{
    const struct mvcc_member *m =
        v->reference == NULL ? NULL : recover_member_of(v->reference, id);

    for (size_t i = 0; i < v->ranked_count && m == NULL; i++)
        if (v->ranked[i].standing < RECOVER_FOREIGN)
            m = recover_member_of(v->ranked[i].copy, id);
    return m;
}

static void name_seats(struct recover_verdict *v, const struct recover_copies *l)
{
    for (size_t i = 0; i < v->seat_count; i++) {
        struct recover_seat *seat = &v->seats[i];
        const struct mvcc_member *m = recover_verdict_member(v, seat->id);

        if (m != NULL)
            seat->name = m->name;
        for (size_t k = 0; k < l->count && seat->name[0] == '\0'; k++)
            if (is_directory(&l->items[k]) && l->items[k].member_id == seat->id)
                seat->name = l->items[k].name;
    }
}

/* The living tell best, when a quorum of them does; else the newest copy. */
static enum rc set_seats(const struct recover_scene *s, struct recover_verdict *v,
                         struct err *e)
{
    const struct care_view *view = living(s, v);
    const struct recover_copy *r = v->reference;
    size_t most = view == NULL ? 0 : view->count;

    if (r != NULL)
        most += r->latest.voters.count + r->latest.learners.count +
                r->decided.voters.count + r->decided.learners.count;
    TRY(mem_new(&v->seats, (most + 1) * sizeof *v->seats, "members", e));
    if (r != NULL && !any_serves(view)) {
        add_seats(v, &r->latest.voters, true);
        add_seats(v, &r->latest.learners, false);
        add_seats(v, &r->decided.voters, true);
    } else {
        for (size_t i = 0; view != NULL && i < view->count; i++)
            if (view->items[i].id != 0 &&
                (view->items[i].listed || view->items[i].answered))
                v->seats[v->seat_count++] =
                    (struct recover_seat){ .id = view->items[i].id,
                                           .name = view->items[i].name,
                                           .voter = !view->items[i].learner };
    }
    return RC_OK;
}

/* ---- how the copies stand -----------------------------------------------------------
 */

/* A snapshot, and a database without its log, do not say of which cluster they are. */
static bool is_of_cluster(const struct recover_copy *c, struct recover_verdict *v)
{
    if (c->cluster_id != 0)
        return c->cluster_id == v->cluster_id;
    if (v->seat_count == 0)
        return true;
    for (size_t i = 0; i < c->member_count; i++)
        if (seat_of(v, c->members[i].id) != NULL)
            return true;
    for (size_t i = 0; i < c->latest.voters.count; i++)
        if (seat_of(v, c->latest.voters.items[i]) != NULL)
            return true;
    return false;
}

/* Of two copies of one member the newer counts; of equal ones the first. */
static bool has_newer_twin(const struct recover_copies *l, size_t i)
{
    const struct recover_copy *c = &l->items[i];

    for (size_t k = 0; k < l->count; k++) {
        const struct recover_copy *other = &l->items[k];
        int order;

        if (k == i || !is_directory(other) || other->member_id != c->member_id ||
            other->cluster_id != c->cluster_id)
            continue;
        order = recover_compare(other, c);
        if (order < 0 || (order == 0 && k < i))
            return true;
    }
    return false;
}

static enum recover_standing standing_of(const struct recover_copies *l, size_t i,
                                         struct recover_verdict *v)
{
    const struct recover_copy *c = &l->items[i];

    if (!c->readable)
        return RECOVER_UNREADABLE;
    if (!is_of_cluster(c, v))
        return RECOVER_FOREIGN;
    if (c->member_id != 0 && v->seat_count > 0 && seat_of(v, c->member_id) == NULL)
        return RECOVER_REMOVED;
    if (!c->ok && !c->in_use)
        return RECOVER_DAMAGED;
    return c->member_id != 0 && has_newer_twin(l, i) ? RECOVER_TWIN : RECOVER_CANDIDATE;
}

static int by_rank(const void *a, const void *b)
{
    const struct recover_ranked *x = a, *y = b;

    if (x->standing != y->standing)
        return x->standing < y->standing ? -1 : 1;
    return recover_compare(x->copy, y->copy);
}

/* A newer copy of the same member that is damaged does not make the older one useless. */
static void forgive_twins(struct recover_verdict *v)
{
    for (size_t i = 0; i < v->ranked_count; i++) {
        struct recover_ranked *r = &v->ranked[i];
        bool has = false;

        if (r->standing != RECOVER_TWIN)
            continue;
        for (size_t k = 0; k < v->ranked_count; k++)
            has |= v->ranked[k].standing == RECOVER_CANDIDATE &&
                   v->ranked[k].copy->kind == RECOVER_DIRECTORY &&
                   v->ranked[k].copy->member_id == r->copy->member_id;
        if (!has)
            r->standing = RECOVER_CANDIDATE;
    }
}

static void measure(struct recover_verdict *v)
{
    for (size_t i = 0; v->best != NULL && i < v->ranked_count; i++) {
        struct recover_ranked *r = &v->ranked[i];
        int64_t most = recover_revision(v->best), has = recover_revision(r->copy);

        if (r->standing == RECOVER_FOREIGN || r->standing == RECOVER_UNREADABLE)
            continue;
        r->loss_known = (v->best->tail_known || v->best->kind == RECOVER_SNAPSHOT) &&
                        (r->copy->tail_known || r->copy->kind == RECOVER_SNAPSHOT);
        r->loses = r->loss_known && most > has ? most - has : 0;
        r->behind = v->best->index > r->copy->index ? v->best->index - r->copy->index : 0;
    }
}

static enum rc rank(const struct recover_scene *s, struct recover_verdict *v,
                    struct err *e)
{
    const struct recover_copies *l = s->copies;

    TRY(mem_new(&v->ranked, (l->count + 1) * sizeof *v->ranked, "copies", e));
    for (size_t i = 0; i < l->count; i++)
        v->ranked[v->ranked_count++] =
            (struct recover_ranked){ .copy = &l->items[i],
                                     .standing = standing_of(l, i, v) };
    qsort(v->ranked, v->ranked_count, sizeof *v->ranked, by_rank);
    forgive_twins(v);
    qsort(v->ranked, v->ranked_count, sizeof *v->ranked, by_rank);
    if (v->ranked_count > 0 && v->ranked[0].standing == RECOVER_CANDIDATE && !v->tied)
        v->best = v->ranked[0].copy;
    measure(v);
    return RC_OK;
}

/* ---- who is left --------------------------------------------------------------------
 */

static const struct recover_copy *newest_of(const struct recover_scene *s,
                                            const struct recover_verdict *v, uint64_t id)
{
    const struct recover_copy *newest = NULL;

    for (size_t i = 0; i < s->copies->count; i++) {
        const struct recover_copy *c = &s->copies->items[i];

        if (is_directory(c) && c->cluster_id == v->cluster_id && c->member_id == id &&
            (newest == NULL || recover_compare(c, newest) < 0))
            newest = c;
    }
    return newest;
}

static enum recover_presence presence_of(const struct recover_scene *s,
                                         const struct recover_seat *seat)
{
    bool assumed = s->assumed != NULL && str_list_has(s->assumed, seat->name);
    const struct care_member *m = seat->answer;
    const struct recover_copy *c = seat->copy;

    if (m != NULL && serves(m))
        return RECOVER_SERVES;
    if (m != NULL && (m->answered || m->state == CARE_LOCKED))
        return RECOVER_ANSWERS;
    if (c != NULL && c->in_use)
        return RECOVER_IN_USE;
    if (m != NULL && (m->state == CARE_SILENT || m->state == CARE_BARRED) && !assumed)
        return RECOVER_DOUBTFUL;
    if (c == NULL)
        return RECOVER_MISSING;
    return c->startable ? RECOVER_STOPPED : RECOVER_UNSOUND;
}

/* Whoever runs and says no more, is silent, or keeps us out, at an address of the member.
 */
static const struct care_member *stranger_at(const struct care_view *view,
                                             const struct mvcc_member *m)
{
    for (size_t i = 0; view != NULL && m != NULL && i < view->count; i++) {
        const struct care_member *who = &view->items[i];

        if (who->id == 0 &&
            (who->state == CARE_LOCKED || who->state == CARE_SILENT ||
             who->state == CARE_BARRED) &&
            str_list_has(&m->client_urls, who->endpoint))
            return who;
    }
    return NULL;
}

static void look_for_each(const struct recover_scene *s, struct recover_verdict *v)
{
    const struct care_view *view = living(s, v);

    for (size_t i = 0; i < v->seat_count; i++) {
        struct recover_seat *seat = &v->seats[i];

        if (view != NULL)
            seat->answer = care_member_of(view, seat->id);
        if (seat->answer == NULL && s->strangers_count)
            seat->answer = stranger_at(s->view, recover_verdict_member(v, seat->id));
        seat->copy = newest_of(s, v, seat->id);
        seat->presence = presence_of(s, seat);
    }
}

/* ---- quorum -------------------------------------------------------------------------
 */

struct tally {
    size_t voters, running, stopped, doubtful;
};

static void count(struct tally *t, const struct recover_seat *seat)
{
    t->voters++;
    switch (seat->presence) {
    case RECOVER_SERVES:
    case RECOVER_ANSWERS:
    case RECOVER_IN_USE:
        t->running++;
        break;
    case RECOVER_STOPPED:
        t->stopped++;
        break;
    case RECOVER_DOUBTFUL:
        t->doubtful++;
        break;
    case RECOVER_MISSING:
    case RECOVER_UNSOUND:
        break;
    }
}

static enum recover_state state_of(const struct tally *t)
{
    size_t needed = quorum_of(t->voters, 0).needed;

    if (t->voters == 0)
        return RECOVER_UNKNOWN;
    if (t->running >= needed)
        return RECOVER_RUNS;
    if (t->running + t->stopped >= needed)
        return RECOVER_STARTABLE;
    return t->running + t->stopped + t->doubtful >= needed ? RECOVER_UNKNOWN
                                                           : RECOVER_LOST;
}

/* A change of members that may or may not have been decided: both must allow it. */
static enum recover_state state_of_decided(struct recover_verdict *v)
{
    struct tally t = { 0 };

    for (size_t i = 0; i < v->reference->decided.voters.count; i++)
        count(&t, seat_of(v, v->reference->decided.voters.items[i]));
    return state_of(&t);
}

static bool has_copies(const struct recover_verdict *v)
{
    for (size_t i = 0; i < v->ranked_count; i++)
        if (v->ranked[i].standing <= RECOVER_REMOVED)
            return true;
    return false;
}

static void judge_quorum(const struct recover_scene *s, struct recover_verdict *v)
{
    const struct recover_copy *r = v->reference;
    bool by_copy = r != NULL && !any_serves(living(s, v));
    struct tally t = { 0 };

    for (size_t i = 0; i < v->seat_count; i++)
        if (by_copy ? mvcc_ids_has(&r->latest.voters, v->seats[i].id) : v->seats[i].voter)
            count(&t, &v->seats[i]);
    v->now = quorum_of(t.voters, t.running);
    v->startable = t.stopped;
    v->state = state_of(&t);
    if (by_copy && r->decided.voters.count > 0 &&
        !recover_conf_same(&r->latest, &r->decided)) {
        enum recover_state other = state_of_decided(v);

        v->state = other > v->state ? other : v->state;
    }
    if (any_serves(living(s, v)))
        v->state = RECOVER_HAS;
    else if (v->tied || (v->state == RECOVER_LOST && !has_copies(v)))
        v->state = RECOVER_UNKNOWN;
}

enum rc recover_judge(const struct recover_scene *s, struct recover_verdict *out,
                      struct err *e)
{
    AT_END(recover_verdict_clear) struct recover_verdict v = { 0 };

    choose_cluster(s, &v);
    choose_reference(s, &v);
    TRY(set_seats(s, &v, e));
    TRY(rank(s, &v, e));
    name_seats(&v, s->copies);
    look_for_each(s, &v);
    judge_quorum(s, &v);
    TRY(recover_words(s, &v, e));
    *out = v;
    v = (struct recover_verdict){ 0 };
    return RC_OK;
}

enum rc recover_verdict_result(const struct recover_verdict *v, struct err *e)
{
    switch (v->state) {
    case RECOVER_HAS:
    case RECOVER_STARTABLE:
        return RC_OK;
    case RECOVER_RUNS:
    case RECOVER_UNKNOWN:
        return err_set(e, RC_DEGRADED, "%s" HINT "%s", v->why, v->next);
    case RECOVER_LOST:
        break;
    }
    return err_set(e, v->best == NULL ? RC_CORRUPT : RC_DEGRADED, "%s" HINT "%s", v->why,
                   v->next);
}
