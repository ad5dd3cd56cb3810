#include "membership/look.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A member that is this many entries behind is not in sync. Few enough to be applied in a
 * moment, and more than a loaded cluster writes between two answers. etcd's own rule for
 * a learner is nine tenths of the leader's index, and holds here too: in a small log a
 * thousand entries are all of it. */
enum { IN_SYNC_ENTRIES = 1000 };

void membership_look_clear(struct membership_look *l)
{
    care_view_clear(&l->view);
    wire_members_clear(&l->list);
    l->table = (struct member_table){ 0 };
}

static bool in_sync(const struct care_view *v, const struct care_member *m)
{
    return m->answered && care_lag(v, m) <= IN_SYNC_ENTRIES &&
           m->status.raft_applied_index >= v->index / 10 * 9;
}

/* Says how it is, and takes part in what the cluster decides. */
static bool takes_part(const struct care_view *v, const struct care_member *m)
{
    if (m->state != CARE_UP)
        return false;
    return m->id == v->leader || m->learner || (m->read_tried && m->read == RC_OK);
}

/* Of "3.6.1"; 0 when it does not say. */
static unsigned minor_of(const struct care_member *m)
{
    unsigned minor = 0;

    return m != NULL && m->answered && sscanf(m->status.version, "3.%u", &minor) == 1
               ? minor
               : 0;
}

static void name_seat(struct membership_look *l, size_t i)
{
    const struct wire_member *m = &l->list.items[i];

    if (m->name[0] == '\0')
        snprintf(l->names[i], sizeof l->names[i], "%" PRIx64, m->id);
    else
        str_printable(l->names[i], sizeof l->names[i], bytes_str(m->name));
    l->table.seats[i].name = l->names[i];
}

enum rc membership_tabulate(struct membership_look *l, struct err *e)
{
    const struct care_view *v = &l->view;

    l->table.count = 0;
    if (l->list.count > MEMBER_SEATS_MAX)
        return err_set(e, RC_REFUSED, "the cluster tells of %zu members", l->list.count);
    for (size_t i = 0; i < l->list.count; i++) {
        const struct wire_member *m = &l->list.items[i];
        const struct care_member *seen = care_member_of(v, m->id);

        l->table.seats[i] = (struct member_seat){
            .id = m->id,
            .learner = m->is_learner,
            .started = m->name[0] != '\0',
            .alive = seen != NULL && takes_part(v, seen),
            .in_sync = seen != NULL && in_sync(v, seen),
            .leader = m->id == v->leader,
            .minor = minor_of(seen),
        };
        name_seat(l, i);
    }
    l->table.count = l->list.count;
    return RC_OK;
}

/* ---- connections --------------------------------------------------------- */

/* "http://a:2379,http://b:2379" */
static enum rc append(struct buf *to, const char *endpoint, struct err *e)
{
    if (to->n > 0)
        TRY(buf_add(to, ",", 1, e));
    return buf_add(to, endpoint, strlen(endpoint), e);
}

static bool serves(const struct care_view *v, const struct care_member *m, uint64_t but)
{
    return m->answered && !m->learner && m->id != but && m->id != v->leader;
}

static enum rc gather(const struct care_view *v, uint64_t but, struct buf *out,
                      struct err *e)
{
    const struct care_member *leader = care_leader(v);

    if (leader != NULL && leader->answered && leader->id != but)
        TRY(append(out, leader->endpoint, e));
    for (size_t i = 0; i < v->count; i++)
        if (serves(v, &v->items[i], but) && v->items[i].state == CARE_UP)
            TRY(append(out, v->items[i].endpoint, e));
    for (size_t i = 0; i < v->count; i++)
        if (serves(v, &v->items[i], but) && v->items[i].state != CARE_UP)
            TRY(append(out, v->items[i].endpoint, e));
    return RC_OK;
}

enum rc membership_connect(const struct care_access *a, const struct membership_look *l,
                           uint64_t but, struct wire_client **out, struct err *e)
{
    AT_END(buf_clear) struct buf endpoints = { .cap_max = 1 << 16 };

    TRY(gather(&l->view, but, &endpoints, e));
    if (endpoints.n == 0)
        TRY(gather(&l->view, 0, &endpoints, e));
    if (endpoints.n == 0)
        return err_set(e, RC_NET, "no voting member answers");
    TRY(buf_add(&endpoints, "", 1, e));
    return a->connect(a->arg, (const char *)endpoints.p, out, e);
}

/* A member alone may tell an old list: where there is a quorum, it is asked. */
static enum rc read_list(const struct care_access *a, struct membership_look *l,
                         struct err *e)
{
    OWNED(wire_client) c = NULL;
    struct err ignored = { 0 };

    TRY(membership_connect(a, l, 0, &c, e));
    if (care_quorum(&l->view).has && !l->view.reads_hang &&
        wire_member_list(c, WIRE_ANY, true, &l->list, &ignored) == RC_OK)
        return RC_OK;
    return wire_member_list(c, WIRE_ANY, false, &l->list, e);
}

typedef enum rc look_fn(const struct care_access *a, unsigned ask, struct care_view *out,
                        struct err *e);

static enum rc take(look_fn *look, const struct care_access *a,
                    struct membership_look *out, struct err *e)
{
    enum rc rc = RC_OK;

    *out = (struct membership_look){ 0 };
    TRY(look(a, CARE_ASK_READ, &out->view, e));
    if (out->view.cluster_id == 0)
        rc = care_view_verdict(&out->view, e);
    if (rc == RC_OK)
        rc = read_list(a, out, e);
    if (rc == RC_OK)
        rc = membership_tabulate(out, e);
    if (rc != RC_OK)
        membership_look_clear(out);
    return rc;
}

enum rc membership_look_take(const struct care_access *a, struct membership_look *out,
                             struct err *e)
{
    return take(care_look, a, out, e);
}

enum rc membership_look_settled(const struct care_access *a, struct membership_look *out,
                                struct err *e)
{
    return take(care_look_settled, a, out, e);
}

/* ---- finding ------------------------------------------------------------- */

const struct wire_member *membership_of(const struct membership_look *l, uint64_t id)
{
    for (size_t i = 0; i < l->list.count; i++)
        if (l->list.items[i].id == id)
            return &l->list.items[i];
    return NULL;
}

const struct wire_member *membership_at(const struct membership_look *l,
                                        const struct str_list *peer_urls)
{
    for (size_t i = 0; i < l->list.count; i++)
        for (size_t k = 0; k < peer_urls->count; k++)
            if (str_list_has(&l->list.items[i].peer_urls, peer_urls->items[k]))
                return &l->list.items[i];
    return NULL;
}

static bool is_called(const struct wire_member *m, const char *name_or_id)
{
    char hex[24];

    snprintf(hex, sizeof hex, "%" PRIx64, m->id);
    return strcmp(hex, name_or_id) == 0 ||
           (m->name[0] != '\0' && strcmp(m->name, name_or_id) == 0);
}

enum rc membership_find(const struct membership_look *l, const char *name_or_id,
                        uint64_t *id, struct err *e)
{
    const struct wire_member *found = NULL;

    for (size_t i = 0; i < l->list.count; i++) {
        const struct wire_member *m = &l->list.items[i];

        if (!is_called(m, name_or_id))
            continue;
        if (found != NULL)
            return err_set(e, RC_USAGE,
                           "two members are called '%s': %" PRIx64 " and %" PRIx64 HINT
                           "name it by its id",
                           name_or_id, found->id, m->id);
        found = m;
    }
    if (found == NULL)
        return err_set(e, RC_NOTFOUND,
                       "the cluster has no member '%s'" HINT
                       "`holdfast member list` shows their names and ids",
                       name_or_id);
    *id = found->id;
    return RC_OK;
}

/* ---- what etcd wants besides --------------------------------------------- */

enum rc membership_may_add(const struct membership_look *l, uint64_t leaving,
                           struct err *e)
{
    for (size_t i = 0; i < l->table.count; i++) {
        const struct member_seat *s = &l->table.seats[i];

        if (s->id == leaving || !s->started)
            continue; /* the planner has its own word for the unstarted */
        if (s->learner || s->alive)
            continue;
        if (leaving != 0)
            return err_set(
                e, RC_REFUSED,
                "'%s' is down too, and etcd adds no member while a voter is" HINT
                "bring it back, or first `holdfast member remove %s`, and "
                "`holdfast member add` another when this one is replaced",
                s->name, s->name);
        return err_set(e, RC_REFUSED,
                       "'%s' is down, and etcd adds no member while a voter is" HINT
                       "bring it back, or put another in its place: `holdfast member "
                       "replace %s`; to do without it, `holdfast member remove %s`",
                       s->name, s->name, s->name);
    }
    return RC_OK;
}
