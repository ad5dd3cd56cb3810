#include "runbook/remains.h"

#include <string.h>

#include "runbook/roll.h"

static const struct mvcc_member *known(const struct recover_copy *c, uint64_t id)
{
    for (size_t i = 0; c != NULL && i < c->member_count; i++)
        if (c->members[i].id == id)
            return &c->members[i];
    return NULL;
}

/* Where clients reached them; the new cluster will be reached there, too. */
static enum rc know_endpoints(const struct recover_copy *c, struct runbook_facts *f,
                              struct err *e)
{
    AT_END(buf_clear) struct buf all = { .cap_max = 1 << 16 };

    for (size_t i = 0; c != NULL && i < c->member_count; i++) {
        const struct str_list *urls = &c->members[i].client_urls;

        if (urls->count == 0)
            continue;
        TRY(buf_add(&all, ",", all.n == 0 ? 0 : 1, e));
        TRY(buf_add(&all, urls->items[0], strlen(urls->items[0]), e));
    }
    if (all.n == 0)
        return RC_OK;
    TRY(buf_add(&all, "", 1, e));
    return runbook_know(f, "endpoints", (const char *)all.p, e);
}

static enum rc enrol_voters(const struct recover_verdict *v, struct runbook_facts *f,
                            struct err *e)
{
    AT_END(roll_end) struct roll r = ROLL(f);

    for (size_t i = 0; i < v->seat_count; i++) {
        const struct mvcc_member *m = known(v->reference, v->seats[i].id);

        if (v->seats[i].voter && m != NULL)
            TRY(roll_add(&r, m->name, &m->peer_urls, e));
    }
    return roll_close(&r, e);
}

enum rc runbook_remains(const struct recover_verdict *v, struct runbook_facts *f,
                        struct err *e)
{
    const struct recover_copy *best = v->best;

    TRY(str_list_add(&f->situation, v->why, e));
    for (size_t i = 0; i < v->notes.count; i++)
        TRY(str_list_add(&f->situation, v->notes.items[i], e));
    if (best != NULL && best->kind == RECOVER_DIRECTORY && best->statement == NULL)
        TRY(runbook_know(f, "data-dir", best->path, e));
    TRY(know_endpoints(v->reference, f, e));
    return enrol_voters(v, f, e);
}

enum rc runbook_planned(const struct recover_plan *p, const char *file,
                        struct runbook_facts *f, struct err *e)
{
    AT_END(roll_end) struct roll r = ROLL(f);

    TRY(runbook_know(f, "plan", file, e));
    if (p->data_dir != NULL)
        TRY(runbook_know(f, "data-dir", p->data_dir, e));
    for (size_t i = 0; i < p->members.count; i++) {
        const struct restore_member *m = &p->members.items[p->order[i]];

        TRY(roll_add(&r, m->name, &m->peer_urls, e));
    }
    return roll_close(&r, e);
}
