#include "repo/prune.h"

#include <inttypes.h>
#include <string.h>

#include "repo/upload.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

void repo_pruned_clear(struct repo_pruned *p)
{
    chain_free(p->log);
    mem_free(p->items);
    *p = (struct repo_pruned){ 0 };
}

/* ---- what the judge needs to know ------------------------------------------------- */

static enum rc take_end(void *arg, const struct index_run *run, struct err *e)
{
    (void)e;
    *(int64_t *)arg = run->ended;
    return RC_OK;
}

/* The store's clock, by something that is put there. */
static enum rc ask_store(struct repo *r, int64_t *now, struct err *e)
{
    struct repo_upload u = { 0 };
    struct store_info info = { 0 };
    enum rc rc;

    TRY(repo_upload_begin(r, "clock", &u, e));
    rc = store_stat(r->store, u.entry, &info, e);
    *now = info.modified_ms / 1000;
    if (rc != RC_OK)
        return rc;
    return repo_upload_end(r, &u, e);
}

static enum rc look_at_clocks(struct repo *r, const struct repo_prune_options *o,
                              struct retain_clock *clock, struct err *e)
{
    *clock = (struct retain_clock){ .now = clock_unix_ms() / 1000,
                                    .accepted = o->accept_clock };
    if (r->index != NULL)
        TRY(index_runs(r->index, r->identity.id, r->options.cluster, NULL, 1, take_end,
                       &clock->last_seen, e));
    return o->carry_out ? ask_store(r, &clock->store_now, e) : RC_OK;
}

static enum rc look_at_locks(struct repo *r, struct repo_pruned *p, struct err *e)
{
    for (size_t i = 0; r->identity.traits.lockable && i < p->count; i++) {
        const struct chain_item *x = chain_find(p->log, p->items[i].sequence);
        struct store_info info = { 0 };
        enum rc rc = store_stat(r->store, x->record->backup->object_key, &info, e);

        if (rc != RC_OK && rc != RC_NOTFOUND)
            return rc;
        p->items[i].locked_until = info.locked_until;
    }
    return RC_OK;
}

static enum rc judge(struct repo *r, const struct repo_prune_options *o,
                     struct repo_pruned *p, struct err *e)
{
    struct retain_clock clock;

    TRY(retain_items(p->log, &p->items, &p->count, e));
    TRY(look_at_locks(r, p, e));
    TRY(look_at_clocks(r, o, &clock, e));
    TRY(retain_judge(o->policy, &clock, p->items, p->count, &p->plan, e));
    for (size_t i = 0; i < p->count; i++)
        if (!p->items[i].keep)
            p->bytes +=
                chain_find(p->log, p->items[i].sequence)->record->backup->object_size;
    return RC_OK;
}

/* ---- doing it --------------------------------------------------------------------- */

static bool goes(const struct repo_pruned *p, uint64_t sequence)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->items[i].sequence == sequence)
            return !p->items[i].keep;
    return false;
}

/* A backup, or a tag of one. */
static bool item_goes(const struct repo_pruned *p, const struct chain_item *i)
{
    if (i->state != CHAIN_GOOD)
        return false;
    if (i->record->kind == RECORD_TAG)
        return goes(p, i->record->target);
    return i->record->kind == RECORD_BACKUP && goes(p, i->at.sequence);
}

static enum rc fill_record(const struct repo_pruned *p, struct record *x, struct err *e)
{
    for (size_t i = 0; i < p->log->count; i++)
        if (item_goes(p, &p->log->items[i]) && x->removed_count < RECORD_REMOVED_MAX)
            TRY(chain_remove(p->log, p->log->items[i].at.sequence, x, e));
    return RC_OK;
}

static enum rc write_record(struct repo_job *j, const struct repo_pruned *p,
                            struct err *e)
{
    OWNED(record) x = NULL;
    struct record_link at;

    if (p->plan.remove == 0)
        return RC_OK;
    TRY(record_new(RECORD_PRUNE, &x, e));
    TRY(fill_record(p, x, e));
    return repo_job_append(j, x, &at, e);
}

/* Also what an earlier run did not come to. */
static enum rc delete_removed(struct repo_job *j, size_t *locked, struct err *e)
{
    OWNED(chain) log = NULL;
    struct err why = { 0 };

    TRY(repo_log(j->repo, &log, e));
    TRY(repo_log_check(log, e));
    for (size_t i = 0; i < log->count; i++) {
        enum rc rc = RC_OK;

        if (log->items[i].state != CHAIN_REMOVED)
            continue;
        TRY(lock_fence(j->lock, e));
        rc = log_sweep(j->repo->store, log, &log->items[i], &why);
        if (rc == RC_REFUSED) {
            log_info("backup %" PRIu64 " stays until its lock ends: %s",
                     log->items[i].at.sequence, why.why);
            ++*locked;
        } else if (rc != RC_OK) {
            *e = why;
            return rc;
        }
    }
    return RC_OK;
}

/* This host's index forgets what is gone. */
static enum rc look_again(struct repo *r, struct err *e)
{
    OWNED(chain) log = NULL;

    return repo_log(r, &log, e);
}

static enum rc carry_out(struct repo *r, const struct repo_prune_options *o,
                         struct repo_pruned *p, struct err *e)
{
    AT_END(repo_job_end) struct repo_job j = { 0 };

    TRY(repo_job_begin(&j, r, &o->job, e));
    p->log = GIVE(j.log);
    TRY(judge(r, o, p, e));
    if (p->plan.frozen)
        return err_set(e, RC_REFUSED,
                       "nothing is removed: %s" HINT
                       "look at the clock of this host; when it is right, say "
                       "--accept-clock",
                       p->plan.why_frozen);
    TRY(write_record(&j, p, e));
    TRY(delete_removed(&j, &p->locked, e));
    return look_again(r, e);
}

static enum rc only_judge(struct repo *r, const struct repo_prune_options *o,
                          struct repo_pruned *p, struct err *e)
{
    TRY(repo_log(r, &p->log, e));
    TRY(repo_log_check(p->log, e));
    return judge(r, o, p, e);
}

enum rc repo_prune(struct repo *r, const struct repo_prune_options *o,
                   struct repo_pruned *out, struct err *e)
{
    AT_END(repo_pruned_clear) struct repo_pruned p = { 0 };
    int64_t begun = clock_unix_ms() / 1000;
    enum rc rc = o->carry_out ? carry_out(r, o, &p, e) : only_judge(r, o, &p, e);

    if (o->carry_out)
        repo_note_run(r, "prune", begun, 0, rc, e);
    if (rc != RC_OK)
        return err_wrap(e, "pruning the backups of '%s'", r->options.cluster);
    *out = p;
    p = (struct repo_pruned){ 0 };
    return RC_OK;
}
