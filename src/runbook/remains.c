#include "runbook/remains.h"

#include "runbook/roll.h"

static const struct mvcc_member *known(const struct recover_copy *c, uint64_t id)
{
    for (size_t i = 0; c != NULL && i < c->member_count; i++)
        if (c->members[i].id == id)
            return &c->members[i];
    return NULL;
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
