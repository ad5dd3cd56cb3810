#include "repo/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "repo/upload.h"
#include "util/log.h"
#include "util/mem.h"

void repo_job_end(struct repo_job *j)
{
    lock_free(j->lock);
    store_free(j->lock_store);
    chain_free(j->log);
    minisign_secret_wipe(&j->key);
}

struct lock_options repo_lock_options(const struct repo *r, struct store *s,
                                      const char *owner)
{
    return (struct lock_options){
        .cluster = r->options.cluster,
        .owner = owner,
        .directory = repo_directory(r),
        .store = s,
        .exclusive = r->identity.traits.exclusive,
    };
}

/* A beat that takes as long as a transfer may would come when the lock is long lost. */
static enum rc open_lock_store(struct repo_job *j, struct err *e)
{
    struct store_options o = j->repo->options.store;

    o.deadline_ms = LOCK_TERM_MS / 3;
    return store_open(&o, &j->lock_store, e);
}

static enum rc take_lock(struct repo_job *j, const struct repo_job_options *o,
                         struct err *e)
{
    char owner[128];
    struct lock_options want;

    repo_owner(owner);
    TRY(open_lock_store(j, e));
    want = repo_lock_options(j->repo, j->lock_store, owner);
    if (o->lease != NULL) {
        TRY(repo_lease_init(&j->lease, o->lease, j->repo->identity.id,
                            j->repo->options.cluster, e));
        want.lease = &j->lease.lock;
    }
    want.wait_ms = o->wait_ms;
    TRY(lock_take(&want, &j->lock, e));
    j->fence = (struct log_fence){ lock_fence, j->lock };
    return RC_OK;
}

enum rc repo_job_begin(struct repo_job *j, struct repo *r,
                       const struct repo_job_options *o, struct err *e)
{
    uint64_t swept = 0;

    j->repo = r;
    TRY(repo_signer(r, o->signing_key, &j->key, e));
    TRY(take_lock(j, o, e));
    TRY(repo_log(r, &j->log, e));
    TRY(repo_log_check(j->log, e));
    TRY(repo_uploads_sweep(r, j->log, &swept, e));
    if (swept > 0)
        log_info("removed %" PRIu64 " leftover(s) of backups that did not come to their "
                 "end",
                 swept);
    return RC_OK;
}

enum rc repo_job_append(struct repo_job *j, struct record *x, struct record_link *out,
                        struct err *e)
{
    struct repo *r = j->repo;
    const struct log_writer w = {
        .store = r->store,
        .repo = r->identity.id,
        .cluster = r->options.cluster,
        .trust = &r->trust,
        .key = &j->key,
        .fence = &j->fence,
        .known = r->index,
    };

    repo_host(x->host);
    snprintf(x->tool, sizeof x->tool, "%s", r->options.tool);
    snprintf(x->repo, sizeof x->repo, "%s", r->identity.id);
    snprintf(x->cluster, sizeof x->cluster, "%s", r->options.cluster);
    TRY(log_append_anyhow(&w, x, out, e));
    repo_remember(r, out, x->high_water);
    return RC_OK;
}

/* ---- the beat --------------------------------------------------------------------- */

struct beat_sink {
    struct sink base;
    struct lock *lock;
    uint64_t *size;
};

static enum rc beat_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    TRY(lock_check(((struct beat_sink *)s)->lock, e));
    return sink_write(s->next, p, n, e);
}

/* Who lost the lock in a long sleep may have lost the entry that announces the object. */
static enum rc beat_finish(struct sink *s, struct err *e)
{
    struct beat_sink *b = (struct beat_sink *)s;

    TRY(lock_fence(b->lock, e));
    TRY(sink_finish(s->next, e));
    *b->size = s->taken;
    return RC_OK;
}

static const struct sink_ops beat_ops = {
    .name = "beat",
    .write = beat_write,
    .finish = beat_finish,
};

enum rc repo_beat_sink_new(struct sink *next, struct lock *lock, uint64_t *size,
                           struct sink **out, struct err *e)
{
    OWNED(sink) rest = next;
    struct beat_sink *b = NULL;

    TRY(mem_new(&b, sizeof *b, "a beat", e));
    b->base = (struct sink){ .ops = &beat_ops, .next = GIVE(rest) };
    b->lock = lock;
    b->size = size;
    *out = &b->base;
    return RC_OK;
}
