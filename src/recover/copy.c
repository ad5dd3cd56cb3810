#include "recover/copy.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/mem.h"

const char *recover_kind_name(enum recover_kind k)
{
    return k == RECOVER_DIRECTORY ? "directory" : "snapshot";
}

static bool same_ids(const struct mvcc_ids *a, const struct mvcc_ids *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!mvcc_ids_has(b, a->items[i]))
            return false;
    return true;
}

bool recover_conf_same(const struct recover_conf *a, const struct recover_conf *b)
{
    return same_ids(&a->voters, &b->voters) && same_ids(&a->learners, &b->learners);
}

void recover_conf_clear(struct recover_conf *c)
{
    mvcc_ids_clear(&c->voters);
    mvcc_ids_clear(&c->learners);
    *c = (struct recover_conf){ 0 };
}

static void clear_members(struct recover_copy *c)
{
    for (size_t i = 0; i < c->member_count; i++)
        mvcc_member_clear(&c->members[i]);
    mem_free(c->members);
    c->members = NULL;
    c->member_count = 0;
}

static void copy_clear(struct recover_copy *c)
{
    mem_free(c->path);
    mem_free(c->wal_dir);
    mem_free(c->statement);
    mem_free(c->host);
    mem_free(c->name);
    recover_conf_clear(&c->latest);
    recover_conf_clear(&c->decided);
    clear_members(c);
    mem_free(c->notes);
}

void recover_copies_clear(struct recover_copies *l)
{
    for (size_t i = 0; i < l->count; i++)
        copy_clear(&l->items[i]);
    mem_free(l->items);
    *l = (struct recover_copies){ 0 };
}

enum rc recover_copies_add(struct recover_copies *l, enum recover_kind kind,
                           const char *path, struct recover_copy **out, struct err *e)
{
    struct recover_copy *more = mem_resize(l->items, l->count + 1, sizeof *more);
    struct recover_copy *c;

    if (more == NULL)
        return err_set(e, RC_NOMEM, "no memory for a copy");
    l->items = more;
    c = &l->items[l->count++];
    *c = (struct recover_copy){ .kind = kind };
    c->path = mem_str(path);
    c->host = mem_str("");
    c->name = mem_str("");
    if (c->path == NULL || c->host == NULL || c->name == NULL)
        return err_set(e, RC_NOMEM, "no memory for a copy");
    *out = c;
    return RC_OK;
}

enum rc recover_note_add(struct recover_copy *c, enum finding_severity severity,
                         const char *code, struct err *e, const char *fmt, ...)
{
    struct recover_note *more, *n;
    va_list ap;

    if (c->note_count == FINDINGS_KEPT)
        return RC_OK;
    more = mem_resize(c->notes, c->note_count + 1, sizeof *more);
    if (more == NULL)
        return err_set(e, RC_NOMEM, "no memory for a finding");
    c->notes = more;
    n = &c->notes[c->note_count++];
    *n = (struct recover_note){ .severity = severity };
    snprintf(n->code, sizeof n->code, "%s", code);
    va_start(ap, fmt);
    vsnprintf(n->message, sizeof n->message, fmt, ap);
    va_end(ap);
    return RC_OK;
}

static enum rc copy_urls(const struct str_list *from, struct str_list *to, struct err *e)
{
    for (size_t i = 0; i < from->count; i++)
        TRY(str_list_add(to, from->items[i], e));
    return RC_OK;
}

enum rc recover_members_set(struct recover_copy *c, const struct mvcc_member *members,
                            size_t count, struct err *e)
{
    clear_members(c);
    TRY(mem_new(&c->members, (count + 1) * sizeof *c->members, "members", e));
    for (size_t i = 0; i < count; i++) {
        struct mvcc_member *m = &c->members[c->member_count++];

        m->id = members[i].id;
        m->learner = members[i].learner;
        m->name = mem_str(members[i].name == NULL ? "" : members[i].name);
        if (m->name == NULL)
            return err_set(e, RC_NOMEM, "no memory for a member");
        TRY(copy_urls(&members[i].peer_urls, &m->peer_urls, e));
        TRY(copy_urls(&members[i].client_urls, &m->client_urls, e));
    }
    return RC_OK;
}

const struct mvcc_member *recover_member_of(const struct recover_copy *c, uint64_t id)
{
    for (size_t i = 0; i < c->member_count; i++)
        if (c->members[i].id == id)
            return &c->members[i];
    return NULL;
}

int64_t recover_revision(const struct recover_copy *c)
{
    return c->tail_known ? c->revision_with_tail : c->revision;
}

static int by(uint64_t a, uint64_t b)
{
    return a > b ? -1 : a < b;
}

/* A snapshot of 3.4 does not say of which term its last entry is. */
int recover_compare(const struct recover_copy *a, const struct recover_copy *b)
{
    int order = 0;

    if (a->readable != b->readable)
        return a->readable ? -1 : 1;
    if (a->term_known && b->term_known)
        order = by(a->term, b->term);
    if (order == 0)
        order = by(a->index, b->index);
    if (order == 0)
        order = by((uint64_t)recover_revision(a), (uint64_t)recover_revision(b));
    return order;
}
