/* The thread that writes: see keeper.h. */
#include "raftstore/image.h"
#include "raftstore/keeper_priv.h"
#include "util/mem.h"
#include "util/os.h"

enum { SEGMENTS_KEPT = 5 }; /* etcd's --max-wals */

void keeper_put_free(struct keeper_put *p)
{
    if (p == NULL)
        return;
    buf_clear(&p->snap);
    wal_conf_clear(&p->members);
    wal_conf_clear(&p->counted);
    raft_configuration_close(&p->conf);
    os_fd_end(&p->db);
    mem_free(p);
}

void keeper_job_free(struct keeper_job *job)
{
    buf_clear(&job->records);
    keeper_put_free(job->put);
    mem_free(job);
}

/* ---- a snapshot -------------------------------------------------------------------- */

enum rc keeper_write_image(struct keeper_put *p, struct err *e)
{
    AT_END(mem_end) struct bytes *parts = NULL;

    TRY(mem_new(&parts, (p->buf_count + 1) * sizeof *parts, "a snapshot", e));
    for (unsigned i = 0; i < p->buf_count; i++)
        parts[i] = (struct bytes){ p->bufs[i].base, p->bufs[i].len };
    return home_put_image(p->k->home, p->index, parts, p->buf_count, e);
}

/* Who the members are is known of our own snapshots; of another's it is in the image. */
static enum rc look_into(struct keeper_put *p, struct err *e)
{
    const struct home *h = p->k->home;
    OWNED(bolt_file) file = NULL;
    OWNED(machine) m = NULL;
    OWNED_FD int fd = -1;

    TRY(home_open_image(h, p->index, &fd, e));
    TRY(image_load(fd, "a snapshot", h->minor, &file, &m, e));
    return home_describe(h, m, p->index, p->term, &p->snap, &p->members, e);
}

/* By one write: a mark counts only when the state says that it is committed. */
static enum rc mark(struct keeper_put *p, struct err *e)
{
    const struct wal_mark mark = { .index = p->index,
                                   .term = p->term,
                                   .conf = p->members,
                                   .has_conf = true,
                                   .counted = p->counted,
                                   .has_counted = true };
    AT_END(buf_clear) struct buf m = { 0 };
    AT_END(buf_clear) struct buf s = { 0 };
    struct wal_log *log = p->k->home->log;

    TRY(wal_mark_put(&m, &mark, e));
    TRY(wal_state_put(&s, &p->state, e));
    TRY(wal_log_add(log, WAL_SNAPSHOT, (struct bytes){ m.p, m.n }, e));
    TRY(wal_log_add(log, WAL_STATE, (struct bytes){ s.p, s.n }, e));
    return wal_log_flush(log, true, e);
}

static enum rc install(struct keeper_put *p, struct err *e)
{
    const struct home *h = p->k->home;

    if (p->received) {
        TRY(keeper_write_image(p, e));
        TRY(look_into(p, e));
    }
    TRY(wal_log_flush(h->log, true, e));
    TRY(home_put_snap(h, p->index, p->term, (struct bytes){ p->snap.p, p->snap.n }, e));
    TRY(mark(p, e));
    TRY(home_put_db(h, p->index, &p->db, e));
    home_sweep(h, p->index);
    return wal_log_purge(h->log, p->index, SEGMENTS_KEPT, e);
}

/* ---- jobs -------------------------------------------------------------------------- */

static enum rc add_records(struct wal_log *log, const struct buf *records, struct err *e)
{
    for (size_t at = 0; at < records->n;) {
        enum wal_type type = (enum wal_type)le32(records->p + at);
        size_t n = le32(records->p + at + 4);

        at += JOB_RECORD_HEAD;
        TRY(wal_log_add(log, type, (struct bytes){ records->p + at, n }, e));
        at += n;
    }
    return RC_OK;
}

static enum rc write_all(struct keeper *k, struct keeper_job *batch, struct err *e)
{
    struct wal_log *log = k->home->log;
    bool sync = false;

    for (struct keeper_job *job = batch; job != NULL; job = job->next) {
        TRY(add_records(log, &job->records, e));
        sync |= job->sync;
        if (job->put != NULL)
            TRY(install(job->put, e));
    }
    return wal_log_flush(log, sync, e);
}

/* A failed write is the end: nobody can know what is on the disk. */
static void carry_out(struct keeper *k, struct keeper_job *batch)
{
    struct err e = k->failure;

    if (e.code == RC_OK)
        (void)!write_all(k, batch, &e);
    for (struct keeper_job *job = batch; job != NULL; job = job->next)
        job->status = e.code == RC_OK ? 0 : RAFT_IOERR;
    uv_mutex_lock(&k->lock);
    k->failure = e;
    uv_mutex_unlock(&k->lock);
}

static void give_back(struct keeper *k, struct keeper_job *batch)
{
    *k->done_end = batch;
    while (*k->done_end != NULL)
        k->done_end = &(*k->done_end)->next;
}

void keeper_run(void *keeper)
{
    struct keeper *k = keeper;

    uv_mutex_lock(&k->lock);
    while (k->queue != NULL || !k->ending) {
        struct keeper_job *batch = k->queue;

        if (batch == NULL) {
            uv_cond_wait(&k->wake, &k->lock);
            continue;
        }
        k->queue = NULL;
        k->queue_end = &k->queue;
        k->busy = true;
        uv_mutex_unlock(&k->lock);
        carry_out(k, batch);
        uv_mutex_lock(&k->lock);
        give_back(k, batch);
        k->busy = false;
        uv_cond_signal(&k->rest);
        uv_async_send(&k->told);
    }
    uv_mutex_unlock(&k->lock);
}
