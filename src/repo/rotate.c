#include "repo/rotate.h"

#include <stdlib.h>

#include "util/mem.h"

enum { RUNS_MAX = 100000 };

struct turn {
    const struct chain_item *item;
    int64_t looked; /* seconds since 1970; 0: never */
};

struct turns {
    struct turn *items;
    size_t count;
};

/* Runs come the newest first. */
static enum rc take_run(void *arg, const struct index_run *run, struct err *e)
{
    struct turns *t = arg;

    (void)e;
    for (size_t i = 0; i < t->count; i++)
        if (t->items[i].item->at.sequence == run->sequence &&
            t->items[i].looked < run->ended)
            t->items[i].looked = run->ended;
    return RC_OK;
}

static int by_turn(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;

    if (x->looked != y->looked)
        return x->looked < y->looked ? -1 : 1;
    return x->item->at.sequence < y->item->at.sequence ? -1 : 1;
}

static void list_backups(const struct chain *log, struct turns *t)
{
    for (size_t i = 0; i < log->count; i++)
        if (chain_is_backup(&log->items[i]))
            t->items[t->count++].item = &log->items[i];
}

enum rc repo_rotate(struct repo *r, const struct chain *log, size_t most,
                    const struct chain_item ***out, size_t *count, struct err *e)
{
    AT_END(mem_end) struct turn *items = NULL;
    struct turns t = { 0 };

    if (r->index == NULL)
        return err_set(e, RC_USAGE,
                       "which backups were looked at last is kept in the "
                       "state directory, and there is none");
    TRY(mem_new(&items, (log->count + 1) * sizeof *items, "a rotation", e));
    t.items = items;
    list_backups(log, &t);
    TRY(index_runs(r->index, r->identity.id, r->options.cluster, "verify", RUNS_MAX,
                   take_run, &t, e));
    qsort(t.items, t.count, sizeof *t.items, by_turn);
    *count = t.count < most ? t.count : most;
    TRY(mem_new(out, (*count + 1) * sizeof **out, "a rotation", e));
    for (size_t i = 0; i < *count; i++)
        (*out)[i] = t.items[i].item;
    return RC_OK;
}
