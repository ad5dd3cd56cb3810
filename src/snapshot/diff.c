#include "snapshot/diff.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/mem.h"
#include "util/str.h"

const char *snap_change_name(enum snap_change_kind k)
{
    static const char *const names[] = { "added", "removed", "changed" };

    return names[k];
}

const char *snap_subject_name(enum snap_subject s)
{
    static const char *const names[SNAP_SUBJECTS] = {
        "key",    "history",        "lease", "user", "role",
        "member", "removed member", "alarm", "auth"
    };

    return names[s];
}

/* ---- leases ----------------------------------------------------------------------- */

static void lease_text(char out[static 64], const struct mvcc_lease *lease)
{
    out[0] = '\0';
    if (lease == NULL)
        return;
    if (lease->remaining_ttl == 0)
        snprintf(out, 64, "ttl %" PRId64 "s", lease->ttl);
    else
        snprintf(out, 64, "ttl %" PRId64 "s, %" PRId64 "s left", lease->ttl,
                 lease->remaining_ttl);
}

static enum rc lease_change(const struct mvcc_lease *before,
                            const struct mvcc_lease *after, snap_change_fn *change,
                            void *arg, struct err *e)
{
    const struct mvcc_lease *either = before != NULL ? before : after;
    char name[20], was[64], is[64];

    if (either == NULL)
        return RC_OK;
    snprintf(name, sizeof name, "%" PRIx64, (uint64_t)either->id);
    lease_text(was, before);
    lease_text(is, after);
    if (strcmp(was, is) == 0)
        return RC_OK;
    return change(arg,
                  &(struct snap_change){ .kind = before == NULL  ? SNAP_ADDED
                                                 : after == NULL ? SNAP_REMOVED
                                                                 : SNAP_CHANGED,
                                         .subject = SNAP_LEASE,
                                         .name = bytes_str(name),
                                         .was = was,
                                         .is = is },
                  e);
}

static enum rc diff_leases(const struct snap_look *before, const struct snap_look *after,
                           snap_change_fn *change, void *arg, struct err *e)
{
    size_t i = 0, k = 0;

    while (i < before->lease_count || k < after->lease_count) {
        const struct mvcc_lease *a = i < before->lease_count ? &before->leases[i] : NULL;
        const struct mvcc_lease *b = k < after->lease_count ? &after->leases[k] : NULL;

        if (a != NULL && b != NULL && a->id != b->id) {
            if ((uint64_t)a->id < (uint64_t)b->id)
                b = NULL;
            else
                a = NULL;
        }
        TRY(lease_change(a, b, change, arg, e));
        i += a != NULL;
        k += b != NULL;
    }
    return RC_OK;
}

/* ---- the small buckets ------------------------------------------------------------ */

/* Everything else is few and small: each item gets a name and a text that says all of
 * it, and the texts are compared. */
struct item {
    char *name, *text;
};
struct items {
    struct item *items;
    size_t count;
};

static void items_end(struct items *l)
{
    for (size_t i = 0; i < l->count; i++) {
        mem_free(l->items[i].name);
        mem_free(l->items[i].text);
    }
    mem_free(l->items);
}

/* Owns neither text. */
static enum rc items_add(struct items *l, const char *name, const char *text,
                         struct err *e)
{
    struct item *items = mem_resize(l->items, l->count + 1, sizeof *items);
    struct item *added;

    if (items == NULL)
        return err_set(e, RC_NOMEM, "no memory for a list");
    l->items = items;
    added = &items[l->count++];
    *added = (struct item){ 0 };
    added->name = mem_str(name);
    added->text = mem_str(text);
    if (added->name == NULL || added->text == NULL)
        return err_set(e, RC_NOMEM, "no memory for a list");
    return RC_OK;
}

static enum rc add_text(struct buf *b, const char *text, struct err *e)
{
    return buf_add(b, text, strlen(text), e);
}

static enum rc add_printable(struct buf *b, struct bytes text, struct err *e)
{
    size_t size = 4 * text.n + 16;
    AT_END(mem_end) char *shown = NULL;

    TRY(mem_new(&shown, size, "a text", e));
    str_printable(shown, size, text);
    return add_text(b, shown, e);
}

static enum rc add_list(struct buf *b, const char *label, const struct str_list *l,
                        struct err *e)
{
    if (l->count > 0)
        TRY(add_text(b, label, e));
    for (size_t i = 0; i < l->count; i++) {
        TRY(add_text(b, i == 0 ? " " : ",", e));
        TRY(add_text(b, l->items[i], e));
    }
    return RC_OK;
}

static enum rc add_item(struct items *l, const char *name, struct buf *text,
                        struct err *e)
{
    TRY(buf_add(text, "", 1, e));
    return items_add(l, name, (const char *)text->p, e);
}

static enum rc list_users(const struct mvcc_facts *facts, struct items *l, struct err *e)
{
    for (size_t i = 0; i < facts->user_count; i++) {
        const struct mvcc_user *u = &facts->users[i];
        AT_END(buf_clear) struct buf text = { 0 };

        TRY(add_text(&text, u->has_password ? "with a password" : "without a password",
                     e));
        TRY(add_list(&text, ", roles", &u->roles, e));
        TRY(add_item(l, u->name, &text, e));
    }
    return RC_OK;
}

/* Range ends as etcd keeps them: none for one key, a NUL byte for all that follow. */
static enum rc add_permission(struct buf *b, const struct mvcc_permission *p,
                              struct err *e)
{
    static const char *const kinds[] = { "read", "write", "readwrite" };

    TRY(add_text(b, b->n == 0 ? "" : ", ", e));
    TRY(add_text(b, p->kind < 3 ? kinds[p->kind] : "unknown", e));
    TRY(add_text(b, " ", e));
    TRY(add_printable(b, p->key, e));
    if (p->range_end.n == 0)
        return RC_OK;
    TRY(add_text(b, " to ", e));
    return add_printable(b, p->range_end, e);
}

static enum rc list_roles(const struct mvcc_facts *facts, struct items *l, struct err *e)
{
    for (size_t i = 0; i < facts->role_count; i++) {
        const struct mvcc_role *r = &facts->roles[i];
        AT_END(buf_clear) struct buf text = { 0 };

        for (size_t k = 0; k < r->count; k++)
            TRY(add_permission(&text, &r->permissions[k], e));
        if (r->count == 0)
            TRY(add_text(&text, "no permission", e));
        TRY(add_item(l, r->name, &text, e));
    }
    return RC_OK;
}

static enum rc list_members(const struct mvcc_facts *facts, struct items *l,
                            struct err *e)
{
    char id[MVCC_MEMBER_KEY_MAX];

    for (size_t i = 0; i < facts->member_count; i++) {
        const struct mvcc_member *m = &facts->members[i];
        AT_END(buf_clear) struct buf text = { 0 };

        mvcc_member_key_write(id, m->id);
        TRY(add_text(&text, m->name == NULL ? "not started" : m->name, e));
        TRY(add_list(&text, ", peers", &m->peer_urls, e));
        TRY(add_list(&text, ", clients", &m->client_urls, e));
        TRY(add_text(&text, m->learner ? ", learner" : "", e));
        TRY(add_item(l, id, &text, e));
    }
    return RC_OK;
}

static enum rc list_removed(const struct mvcc_facts *facts, struct items *l,
                            struct err *e)
{
    char id[MVCC_MEMBER_KEY_MAX];

    for (size_t i = 0; i < facts->removed_members.count; i++) {
        mvcc_member_key_write(id, facts->removed_members.items[i]);
        TRY(items_add(l, id, "removed", e));
    }
    return RC_OK;
}

static enum rc list_alarms(const struct mvcc_facts *facts, struct items *l, struct err *e)
{
    static const char *const types[] = { "NONE", "NOSPACE", "CORRUPT" };
    char name[48];

    for (size_t i = 0; i < facts->alarm_count; i++) {
        const struct mvcc_alarm *a = &facts->alarms[i];

        snprintf(name, sizeof name, "%s of %" PRIx64,
                 a->type < 3 ? types[a->type] : "unknown", a->member);
        TRY(items_add(l, name, "active", e));
    }
    return RC_OK;
}

static enum rc list_auth(const struct mvcc_facts *facts, struct items *l, struct err *e)
{
    char revision[24];

    snprintf(revision, sizeof revision, "%" PRIu64, facts->auth_revision);
    TRY(items_add(l, "authentication", facts->auth_enabled ? "on" : "off", e));
    return items_add(l, "revision", revision, e);
}

static int by_name(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static enum rc item_change(const struct item *before, const struct item *after,
                           struct snap_change c, snap_change_fn *change, void *arg,
                           struct err *e)
{
    if (before != NULL && after != NULL && strcmp(before->text, after->text) == 0)
        return RC_OK;
    c.kind = before == NULL ? SNAP_ADDED : after == NULL ? SNAP_REMOVED : SNAP_CHANGED;
    c.name = bytes_str(before != NULL ? before->name : after->name);
    c.was = before == NULL ? "" : before->text;
    c.is = after == NULL ? "" : after->text;
    return change(arg, &c, e);
}

static enum rc diff_items(const struct items *before, const struct items *after,
                          enum snap_subject subject, snap_change_fn *change, void *arg,
                          struct err *e)
{
    const struct snap_change c = { .subject = subject };
    size_t i = 0, k = 0;

    while (i < before->count || k < after->count) {
        const struct item *a = i < before->count ? &before->items[i] : NULL;
        const struct item *b = k < after->count ? &after->items[k] : NULL;
        int next = a == NULL ? 1 : b == NULL ? -1 : by_name(a, b);

        TRY(item_change(next <= 0 ? a : NULL, next >= 0 ? b : NULL, c, change, arg, e));
        i += next <= 0;
        k += next >= 0;
    }
    return RC_OK;
}

typedef enum rc list_fn(const struct mvcc_facts *facts, struct items *l, struct err *e);

static enum rc list_sorted(const struct snap_look *look, list_fn *list, struct items *l,
                           struct err *e)
{
    TRY(list(&look->facts, l, e));
    if (l->count > 0)
        qsort(l->items, l->count, sizeof *l->items, by_name);
    return RC_OK;
}

enum rc snap_diff_rest(const struct snap_look *before, const struct snap_look *after,
                       snap_change_fn *change, void *arg, struct err *e)
{
    static const struct {
        enum snap_subject subject;
        list_fn *list;
    } lists[] = {
        { SNAP_USER, list_users },     { SNAP_ROLE, list_roles },
        { SNAP_MEMBER, list_members }, { SNAP_REMOVED_MEMBER, list_removed },
        { SNAP_ALARM, list_alarms },   { SNAP_AUTH, list_auth },
    };

    TRY(diff_leases(before, after, change, arg, e));
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        AT_END(items_end) struct items a = { 0 };
        AT_END(items_end) struct items b = { 0 };

        TRY(list_sorted(before, lists[i].list, &a, e));
        TRY(list_sorted(after, lists[i].list, &b, e));
        TRY(diff_items(&a, &b, lists[i].subject, change, arg, e));
    }
    return RC_OK;
}
