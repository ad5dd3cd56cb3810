#include "recover/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

const char *recover_shape_name(enum recover_shape s)
{
    return s == RECOVER_ALL_AT_ONCE ? "all-at-once" : "re-bootstrap";
}

void recover_source_clear(struct recover_source *s)
{
    mem_free(s->file);
    mem_free(s->path);
    mem_free(s->member_name);
    *s = (struct recover_source){ 0 };
}

void recover_plan_clear(struct recover_plan *p)
{
    for (size_t i = 0; i < p->old_count; i++)
        mvcc_member_clear(&p->old[i]);
    mem_free(p->old);
    mem_free(p->known);
    mem_free(p->token);
    restore_members_clear(&p->members);
    recover_source_clear(&p->source);
    mem_free(p->bump_reason);
    str_list_clear(&p->lost);
    str_list_clear(&p->assumed);
    mem_free(p->data_dir);
    mem_free(p->wal_dir);
    *p = (struct recover_plan){ 0 };
}

/* ---- looking ------------------------------------------------------------------------
 */

const struct restore_member *recover_plan_member(const struct recover_plan *p,
                                                 const char *name)
{
    return restore_members_find(&p->members, name);
}

const struct restore_member *recover_plan_first(const struct recover_plan *p)
{
    return &p->members.items[p->order[0]];
}

bool recover_plan_builds(const struct recover_plan *p, const char *name)
{
    return p->shape == RECOVER_ALL_AT_ONCE ||
           strcmp(recover_plan_first(p)->name, name) == 0;
}

static enum rc add_pairs(struct buf *b, const struct restore_member *m, struct err *e)
{
    for (size_t i = 0; i < m->peer_urls.count; i++) {
        const char *url = m->peer_urls.items[i];

        if (b->n > 0)
            TRY(buf_add(b, ",", 1, e));
        TRY(buf_add(b, m->name, strlen(m->name), e));
        TRY(buf_add(b, "=", 1, e));
        TRY(buf_add(b, url, strlen(url), e));
    }
    return RC_OK;
}

enum rc recover_plan_initial(const struct recover_plan *p, const char *only, char **out,
                             struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = 1 << 20 };

    for (size_t i = 0; i < p->members.count; i++) {
        const struct restore_member *m = &p->members.items[p->order[i]];

        if (only == NULL || strcmp(only, m->name) == 0)
            TRY(add_pairs(&b, m, e));
    }
    TRY(buf_add(&b, "", 1, e));
    *out = (char *)GIVE(b.p);
    return RC_OK;
}

/* ---- who belonged, who will ---------------------------------------------------------
 */

/* Names and URLs are whatever somebody wrote there; the plan is a text. */
static enum rc copy_list(const struct str_list *from, struct str_list *to, struct err *e)
{
    for (size_t i = 0; i < from->count; i++) {
        char text[1024];

        str_printable(text, sizeof text, bytes_str(from->items[i]));
        TRY(str_list_add(to, text, e));
    }
    return RC_OK;
}

static enum rc copy_text(const char *from, char **to, struct err *e)
{
    char text[4200];

    str_printable(text, sizeof text, bytes_str(from));
    return str_format(to, e, "%s", text);
}

static enum rc take_old(const struct recover_verdict *v, struct recover_plan *p,
                        struct err *e)
{
    TRY(mem_new(&p->old, (v->seat_count + 1) * sizeof *p->old, "members", e));
    for (size_t i = 0; i < v->seat_count; i++) {
        const struct recover_seat *s = &v->seats[i];
        const struct mvcc_member *m = recover_verdict_member(v, s->id);
        struct mvcc_member *to = &p->old[p->old_count++];

        to->id = s->id;
        to->learner = !s->voter;
        TRY(copy_text(s->name, &to->name, e));
        if (m == NULL)
            continue;
        TRY(copy_list(&m->peer_urls, &to->peer_urls, e));
        TRY(copy_list(&m->client_urls, &to->client_urls, e));
    }
    return RC_OK;
}

static enum rc take_known(const struct recover_verdict *v, struct recover_plan *p,
                          struct err *e)
{
    TRY(mem_new(&p->known, (v->ranked_count + 1) * sizeof *p->known, "copies", e));
    for (size_t i = 0; i < v->ranked_count; i++) {
        const struct recover_copy *c = v->ranked[i].copy;

        if (c->readable && c->kind == RECOVER_DIRECTORY && c->cluster_id == v->cluster_id)
            p->known[p->known_count++] =
                (struct recover_known){ c->member_id, c->term, c->index };
    }
    return RC_OK;
}

/* The voters that had a name; one that never started has no place to come back to. */
static enum rc same_members(const struct recover_plan *p, char **out, struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = 1 << 20 };

    for (size_t i = 0; i < p->old_count; i++) {
        const struct restore_member m = { p->old[i].name, p->old[i].peer_urls, 0 };

        if (p->old[i].learner || m.name[0] == '\0')
            continue;
        if (m.peer_urls.count == 0)
            return err_set(e, RC_USAGE,
                           "the copies do not tell the peer URL of '%s'" HINT
                           "say who shall belong to the new cluster: --members "
                           "NAME=URL,...",
                           m.name);
        TRY(add_pairs(&b, &m, e));
    }
    if (b.n == 0)
        return err_set(e, RC_USAGE,
                       "the copies do not tell who belonged to the cluster" HINT
                       "say who shall: --members NAME=URL,...");
    TRY(buf_add(&b, "", 1, e));
    *out = (char *)GIVE(b.p);
    return RC_OK;
}

static enum rc take_members(const struct recover_wish *w, struct recover_plan *p,
                            struct err *e)
{
    AT_END(mem_end) char *text = NULL;

    if (w->members != NULL)
        return restore_members_parse(w->members, &p->members, e);
    TRY(same_members(p, &text, e));
    return restore_members_parse(text, &p->members, e);
}

static int by_name(const void *a, const void *b, void *members)
{
    const struct restore_member *items = members;

    return strcmp(items[*(const size_t *)a].name, items[*(const size_t *)b].name);
}

/* Where the plan is made, since it and the source lie there; else the survivor's host. A
 * survivor that runs is read by its own host only. */
static const char *beginner(const struct recover_wish *w, const struct recover_plan *p)
{
    if (w->first != NULL)
        return w->first;
    if (w->here != NULL && !p->source.live && recover_plan_member(p, w->here) != NULL)
        return w->here;
    return p->source.member_name;
}

/* The others come by name. */
static enum rc set_order(const struct recover_wish *w, struct recover_plan *p,
                         struct err *e)
{
    const char *first = beginner(w, p);
    size_t at = 0, front;

    for (size_t i = 0; i < p->members.count; i++)
        p->order[i] = i;
    qsort_r(p->order, p->members.count, sizeof *p->order, by_name, p->members.items);
    while (at < p->members.count &&
           strcmp(first, p->members.items[p->order[at]].name) != 0)
        at++;
    if (at == p->members.count && w->first != NULL)
        return err_set(e, RC_USAGE, "--first '%s' is no member of the new cluster",
                       w->first);
    if (at == p->members.count && p->source.live)
        return err_set(e, RC_USAGE,
                       "the copy to build on is that of '%s', which still runs and is "
                       "not in --members" HINT "stop it, and make the plan again",
                       first);
    if (at == p->members.count)
        return RC_OK;
    front = p->order[at];
    memmove(&p->order[1], &p->order[0], at * sizeof *p->order);
    p->order[0] = front;
    return RC_OK;
}

static enum rc identify_first(struct recover_plan *p, struct err *e)
{
    AT_END(restore_members_clear) struct restore_members one = { 0 };
    AT_END(mem_end) char *text = NULL;
    const char *name = recover_plan_first(p)->name;

    TRY(recover_plan_initial(p, name, &text, e));
    TRY(restore_members_parse(text, &one, e));
    TRY(restore_members_identify(&one, p->token, &p->cluster_id, e));
    for (size_t i = 0; i < p->members.count; i++)
        p->members.items[i].id = i == p->order[0] ? one.items[0].id : 0;
    return RC_OK;
}

/* The members are sorted by id in between, so the order is found again by name. */
static enum rc identify_all(struct recover_plan *p, struct err *e)
{
    AT_END(str_list_clear) struct str_list names = { 0 };

    for (size_t i = 0; i < p->members.count; i++)
        TRY(str_list_add(&names, p->members.items[p->order[i]].name, e));
    TRY(restore_members_identify(&p->members, p->token, &p->cluster_id, e));
    for (size_t i = 0; i < names.count; i++)
        for (size_t k = 0; k < p->members.count; k++)
            if (strcmp(names.items[i], p->members.items[k].name) == 0)
                p->order[i] = k;
    return RC_OK;
}

enum rc recover_plan_identify(struct recover_plan *p, struct err *e)
{
    return p->shape == RECOVER_RE_BOOTSTRAP ? identify_first(p, e) : identify_all(p, e);
}

/* ---- the revision, and what is lost -------------------------------------------------
 */

static void raise_to(int64_t *to, int64_t revision)
{
    if (revision > *to)
        *to = revision;
}

/* The newest that anybody of this cluster may have been told. */
static int64_t highest(const struct recover_wish *w)
{
    const struct recover_verdict *v = w->verdict;
    int64_t high = w->high_water;

    for (size_t i = 0; i < v->ranked_count; i++)
        if (v->ranked[i].standing != RECOVER_FOREIGN &&
            v->ranked[i].standing != RECOVER_UNREADABLE)
            raise_to(&high, recover_revision(v->ranked[i].copy));
    for (size_t i = 0; i < v->seat_count; i++)
        if (v->seats[i].answer != NULL && v->seats[i].answer->answered)
            raise_to(&high, v->seats[i].answer->status.header.revision);
    return high;
}

static enum rc decide_bump(const struct recover_wish *w, struct recover_plan *p,
                           struct err *e)
{
    const struct restore_bump_input in = { .kind = w->bump,
                                           .by = w->bump_by,
                                           .last_revision = p->source.revision,
                                           .high_water = p->high_water,
                                           .kubernetes = p->source.kubernetes,
                                           .mark_compacted = w->mark_compacted };

    TRY(restore_bump_decide(&in, &p->bump, e));
    TRY(str_format(&p->bump_reason, e, "%s", p->bump.reason));
    p->bump.reason = p->bump_reason;
    return RC_OK;
}

/* Its copy is all that it has: nothing runs there that could have gone on, or it is the
 * copy of what runs. Sound is not the same as startable. */
static bool is_compared(const struct recover_seat *s)
{
    if (!s->voter || s->copy == NULL)
        return false;
    return s->copy->in_use || s->presence == RECOVER_STOPPED ||
           (s->presence == RECOVER_UNSOUND && s->copy->ok);
}

/* Voters whose sound directories were compared; the best of them has all they have. */
static size_t compared(const struct recover_verdict *v)
{
    size_t n = 0;

    for (size_t i = 0; i < v->seat_count; i++)
        n += is_compared(&v->seats[i]);
    return n;
}

static enum rc lost_beyond(struct recover_plan *p, struct err *e)
{
    AT_END(mem_end) char *text = NULL;

    if (p->high_water <= p->source.revision)
        return RC_OK;
    TRY(str_format(&text, e,
                   "revisions %" PRId64 " to %" PRId64
                   " are known to have been, and are not in it",
                   p->source.revision + 1, p->high_water));
    return str_list_add(&p->lost, text, e);
}

/* A learner has no vote to keep, and is added again in a minute. */
static enum rc tell_learners(struct recover_plan *p, struct err *e)
{
    for (size_t i = 0; i < p->old_count; i++) {
        AT_END(mem_end) char *text = NULL;

        if (!p->old[i].learner || recover_plan_member(p, p->old[i].name) != NULL)
            continue;
        TRY(str_format(&text, e, "the learner '%s': add it again when the cluster runs",
                       p->old[i].name));
        TRY(str_list_add(&p->lost, text, e));
    }
    return RC_OK;
}

static enum rc tell_lost(const struct recover_wish *w, struct recover_plan *p,
                         struct err *e)
{
    const struct recover_verdict *v = w->verdict;
    size_t seen = compared(v);
    AT_END(mem_end) char *text = NULL;

    TRY(lost_beyond(p, e));
    if (p->source.kind == RECOVER_SNAPSHOT)
        return str_list_add(&p->lost,
                            "everything that was written after the snapshot was taken, "
                            "and is in no copy that was given",
                            e);
    if (seen + v->now.needed > v->now.voters)
        return RC_OK;
    TRY(str_format(&text, e,
                   "writes that only members without a copy here (%zu of %zu voters) had "
                   "acknowledged in their last moments: whether there were any cannot be "
                   "known",
                   v->now.voters - seen, v->now.voters));
    return str_list_add(&p->lost, text, e);
}

/* ---- the whole ----------------------------------------------------------------------
 */

static enum rc check_live(const struct recover_wish *w, struct err *e)
{
    if (!w->source->live || w->shape == RECOVER_RE_BOOTSTRAP)
        return RC_OK;
    return err_set(e, RC_REFUSED,
                   "the etcd of '%s' still runs, and all hosts can be given the same "
                   "copy only when it is stopped" HINT
                   "stop it and make the plan again, or give --shape re-bootstrap: then "
                   "the plan stops it",
                   w->source->member_name);
}

static enum rc copy_texts(const struct recover_wish *w, struct recover_plan *p,
                          struct err *e)
{
    snprintf(p->id, sizeof p->id, "%s", w->id);
    TRY(str_format(&p->token, e, "%s", w->token));
    TRY(copy_text(w->data_dir, &p->data_dir, e));
    if (w->wal_dir != NULL)
        TRY(copy_text(w->wal_dir, &p->wal_dir, e));
    return w->assumed == NULL ? RC_OK : copy_list(w->assumed, &p->assumed, e);
}

enum rc recover_plan_make(const struct recover_wish *w, struct recover_plan *out,
                          struct err *e)
{
    AT_END(recover_plan_clear)
    struct recover_plan p = { .shape = w->shape,
                              .layout = w->layout,
                              .made_ms = w->now_ms,
                              .old_cluster = w->verdict->cluster_id,
                              .target_minor = w->target_minor };

    TRY(check_live(w, e));
    p.source = *w->source;
    *w->source = (struct recover_source){ 0 };
    p.high_water = highest(w);
    TRY(copy_texts(w, &p, e));
    TRY(take_old(w->verdict, &p, e));
    TRY(take_known(w->verdict, &p, e));
    TRY(take_members(w, &p, e));
    TRY(set_order(w, &p, e));
    TRY(recover_plan_identify(&p, e));
    TRY(decide_bump(w, &p, e));
    TRY(tell_lost(w, &p, e));
    TRY(tell_learners(&p, e));
    *out = p;
    out->bump.reason = out->bump_reason;
    p = (struct recover_plan){ 0 };
    return RC_OK;
}
