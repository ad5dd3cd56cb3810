#include "raftstore/keeper.h"

#include <stdio.h>

#include "raftstore/entry.h"
#include "raftstore/keeper_priv.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"

/* libraft knows nothing of us: one member a process. */
static struct keeper *the_keeper;

/* ---- terms ------------------------------------------------------------------------- */

uint64_t keeper_term(const struct keeper *k, uint64_t index)
{
    uint64_t term = 0;

    for (size_t i = 0; i < k->span_count && k->spans[i].index <= index; i++)
        term = k->spans[i].term;
    return term;
}

enum rc keeper_note_term(struct keeper *k, uint64_t index, uint64_t term, struct err *e)
{
    struct keeper_span *more;

    if (k->span_count > 0 && k->spans[k->span_count - 1].term == term)
        return RC_OK;
    more = mem_resize(k->spans, k->span_count + 1, sizeof *more);
    if (more == NULL)
        return err_set(e, RC_NOMEM, "no memory for the terms of the log");
    k->spans = more;
    k->spans[k->span_count++] = (struct keeper_span){ index, term };
    return RC_OK;
}

static void forget_terms_from(struct keeper *k, uint64_t index)
{
    while (k->span_count > 0 && k->spans[k->span_count - 1].index >= index)
        k->span_count--;
}

static void forget_terms_before(struct keeper *k, uint64_t index)
{
    size_t n = 0;

    while (n + 1 < k->span_count && k->spans[n + 1].index <= index)
        n++;
    k->span_count -= n;
    memmove(k->spans, k->spans + n, k->span_count * sizeof *k->spans);
}

/* ---- jobs -------------------------------------------------------------------------- */

enum rc keeper_record(struct keeper_job *job, enum wal_type type, size_t *begun,
                      struct err *e)
{
    uint8_t head[JOB_RECORD_HEAD] = { 0 };

    job->records.cap_max = SIZE_MAX;
    put_le32(head, type);
    TRY(buf_add(&job->records, head, sizeof head, e));
    *begun = job->records.n;
    return RC_OK;
}

void keeper_record_end(struct keeper_job *job, size_t begun)
{
    put_le32(job->records.p + begun - 4, (uint32_t)(job->records.n - begun));
}

static enum rc state_record(struct keeper_job *job, const struct wal_state *s,
                            struct err *e)
{
    size_t begun;

    TRY(keeper_record(job, WAL_STATE, &begun, e));
    TRY(wal_state_put(&job->records, s, e));
    keeper_record_end(job, begun);
    return RC_OK;
}

void keeper_submit(struct keeper *k, struct keeper_job *job)
{
    uv_mutex_lock(&k->lock);
    *k->queue_end = job;
    k->queue_end = &job->next;
    uv_cond_signal(&k->wake);
    uv_mutex_unlock(&k->lock);
}

int keeper_settle(struct keeper *k)
{
    int status;

    uv_mutex_lock(&k->lock);
    while (k->queue != NULL || k->busy)
        uv_cond_wait(&k->rest, &k->lock);
    status = k->failure.code == RC_OK ? 0 : RAFT_IOERR;
    uv_mutex_unlock(&k->lock);
    return status;
}

/* The database that is there now, and what raft knows of it. */
static void take_over(struct keeper *k, struct keeper_put *p)
{
    struct raft_configuration was = k->conf;

    os_fd_end(&k->home->db);
    k->home->db = os_fd_give(&p->db);
    k->home->index = p->index;
    k->home->term = p->term;
    k->conf = p->conf;
    k->conf_index = p->conf_index;
    p->conf = was;
    forget_terms_before(k, p->index);
}

static void tell_put(struct keeper *k, struct keeper_job *job)
{
    struct keeper_put *p = job->put;

    if (job->status == 0)
        take_over(k, p);
    p->cb(p->req, job->status);
}

/* libraft does not survive two writes that fail one after the other: it learns of them
 * when it is closed, of the last one first. */
static void tell(struct keeper *k, struct keeper_job *job)
{
    if (job->append != NULL && job->status != 0) {
        job->next = k->lost;
        k->lost = job;
        return;
    }
    if (job->append != NULL)
        job->appended(job->append, 0);
    else if (job->put != NULL)
        tell_put(k, job);
    keeper_job_free(job);
}

static void on_told(uv_async_t *told)
{
    struct keeper *k = told->data;
    struct keeper_job *done;
    struct err failure;

    uv_mutex_lock(&k->lock);
    done = k->done;
    k->done = NULL;
    k->done_end = &k->done;
    failure = k->failure;
    uv_mutex_unlock(&k->lock);
    if (failure.code != RC_OK)
        k->failed(k->arg, failure.why);
    while (done != NULL) {
        struct keeper_job *job = done;

        done = job->next;
        tell(k, job);
    }
}

/* ---- appending --------------------------------------------------------------------- */

/* What libraft holds for committed, as far as it is in this log. */
static uint64_t committed(const struct keeper *k)
{
    const struct raft *raft = k->io->data;
    uint64_t last = k->next - 1, commit = raft == NULL ? 0 : raft->commit_index;

    commit = commit < last ? commit : last;
    return commit > k->state.commit ? commit : k->state.commit;
}

static enum rc add_entry(struct keeper *k, struct keeper_job *job,
                         const struct raft_entry *entry, struct err *e)
{
    size_t begun;

    TRY(keeper_record(job, WAL_ENTRY, &begun, e));
    TRY(entry_write(entry, k->next, &job->records, e));
    keeper_record_end(job, begun);
    TRY(keeper_note_term(k, k->next, entry->term, e));
    k->next++;
    return RC_OK;
}

static enum rc add_state(struct keeper *k, struct keeper_job *job, struct err *e)
{
    uint64_t commit = committed(k);

    if (commit == k->state.commit)
        return RC_OK;
    k->state.commit = commit;
    return state_record(job, &k->state, e);
}

static enum rc add_entries(struct keeper *k, struct keeper_job *job,
                           const struct raft_entry entries[], unsigned n, struct err *e)
{
    for (unsigned i = 0; i < n; i++)
        TRY(add_entry(k, job, &entries[i], e));
    return add_state(k, job, e);
}

static int append(struct raft_io *io, struct raft_io_append *req,
                  const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct keeper *k = the_keeper;
    struct keeper_job *job = mem_zero(sizeof *job);
    uint64_t first = k->next;
    struct err e;

    if (job == NULL)
        return RAFT_NOMEM;
    *job = (struct keeper_job){ .sync = true, .append = req, .appended = cb };
    if (add_entries(k, job, entries, n, &e) != RC_OK) {
        k->next = first;
        forget_terms_from(k, first);
        keeper_job_free(job);
        snprintf(io->errmsg, sizeof io->errmsg, "%.200s", e.why);
        return e.code == RC_NOMEM ? RAFT_NOMEM : RAFT_MALFORMED;
    }
    keeper_submit(k, job);
    return 0;
}

static int cut_off(struct raft_io *io, raft_index index)
{
    (void)io;
    the_keeper->next = index;
    forget_terms_from(the_keeper, index);
    return 0;
}

static int write_state(struct keeper *k, struct raft_io *io)
{
    struct keeper_job *job = mem_zero(sizeof *job);
    struct err e;

    if (job == NULL || state_record(job, &k->state, &e) != RC_OK) {
        if (job != NULL)
            keeper_job_free(job);
        return RAFT_NOMEM;
    }
    job->sync = true;
    keeper_submit(k, job);
    if (keeper_settle(k) == 0)
        return 0;
    snprintf(io->errmsg, sizeof io->errmsg, "%.200s", k->failure.why);
    return RAFT_IOERR;
}

static int set_term(struct raft_io *io, raft_term term)
{
    the_keeper->state.term = term;
    the_keeper->state.vote = 0;
    return write_state(the_keeper, io);
}

static int set_vote(struct raft_io *io, raft_id id)
{
    the_keeper->state.vote = id;
    return write_state(the_keeper, io);
}

void keeper_tick(struct keeper *k)
{
    struct keeper_job *job;
    struct err e;

    if (k->closing || committed(k) == k->state.commit)
        return;
    job = mem_zero(sizeof *job);
    if (job == NULL)
        return;
    if (add_state(k, job, &e) == RC_OK)
        keeper_submit(k, job);
    else
        keeper_job_free(job);
}

/* ---- snapshots --------------------------------------------------------------------- */

static enum rc count_servers(const struct raft_configuration *c, struct wal_conf *out,
                             struct err *e)
{
    TRY(mem_new(&out->voters, (c->n + 1) * sizeof *out->voters, "member ids", e));
    TRY(mem_new(&out->learners, (c->n + 1) * sizeof *out->learners, "member ids", e));
    for (unsigned i = 0; i < c->n; i++)
        if (c->servers[i].role == RAFT_VOTER)
            out->voters[out->voter_count++] = c->servers[i].id;
        else if (c->servers[i].role == RAFT_STANDBY)
            out->learners[out->learner_count++] = c->servers[i].id;
    return RC_OK;
}

enum rc keeper_draw(struct keeper *k, const struct machine *m, uint64_t index,
                    struct err *e)
{
    struct keeper_put *p;

    keeper_put_free(k->drawn);
    k->drawn = NULL;
    TRY(mem_new(&p, sizeof *p, "a snapshot", e));
    *p = (struct keeper_put){ .index = index, .term = keeper_term(k, index), .db = -1 };
    p->snap.cap_max = SIZE_MAX;
    if (home_describe(k->home, m, index, p->term, &p->snap, &p->members, e) != RC_OK) {
        keeper_put_free(p);
        return e->code;
    }
    k->drawn = p;
    return RC_OK;
}

/* From here on libraft's entries come behind the snapshot. */
static void submit_put(struct keeper *k, struct keeper_put *p, struct keeper_job *job)
{
    if (p->received) {
        struct err ignored;

        k->next = p->index + 1;
        k->span_count = 0;
        (void)!keeper_note_term(k, p->index, p->term, &ignored);
    }
    if (k->state.commit < p->index)
        k->state.commit = p->index;
    p->state = k->state;
    job->put = p;
    keeper_submit(k, job);
}

static void put_work(uv_work_t *work)
{
    struct keeper_put *p = work->data;

    (void)!keeper_write_image(p, &p->failure);
}

static void give_up(struct keeper_put *p, int status)
{
    p->cb(p->req, status);
    keeper_put_free(p);
}

static void put_done(uv_work_t *work, int status)
{
    struct keeper_put *p = work->data;
    struct keeper *k = p->k;
    struct keeper_job *job = mem_zero(sizeof *job);

    (void)status;
    if (p->failure.code != RC_OK)
        log_warn("a snapshot cannot be stored: %s", p->failure.why);
    if (job == NULL || p->failure.code != RC_OK || k->closing) {
        mem_free(job);
        give_up(p, k->closing ? RAFT_CANCELED : RAFT_IOERR);
    } else {
        submit_put(k, p, job);
    }
    keeper_work_ended(k);
}

/* Ours is written in the pool first: it may be large, and the log goes on meanwhile.
 * Behind a leader's nothing can be written before it is there. */
static int start_put(struct keeper *k, struct keeper_put *p)
{
    struct keeper_job *job;

    if (!p->received) {
        if (uv_queue_work(k->loop, &p->work, put_work, put_done) != 0)
            return RAFT_NOMEM;
        k->works++;
        return 0;
    }
    job = mem_zero(sizeof *job);
    if (job == NULL)
        return RAFT_NOMEM;
    submit_put(k, p, job);
    return 0;
}

static struct keeper_put *new_put(struct keeper *k, bool received, uint64_t index)
{
    struct keeper_put *p;

    if (received) {
        p = mem_zero(sizeof *p);
        if (p != NULL)
            *p = (struct keeper_put){ .received = true, .db = -1 };
        return p;
    }
    p = k->drawn != NULL && k->drawn->index == index ? k->drawn : NULL;
    if (p != NULL)
        k->drawn = NULL;
    return p;
}

static int snapshot_put(struct raft_io *io, unsigned trailing,
                        struct raft_io_snapshot_put *req,
                        const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    struct keeper *k = the_keeper;
    struct keeper_put *p = k->closing ? NULL : new_put(k, trailing == 0, snapshot->index);
    struct err e;
    int status;

    (void)io;
    if (p == NULL)
        return RAFT_CANCELED;
    p->work.data = p;
    p->k = k;
    p->req = req;
    p->cb = cb;
    p->index = snapshot->index;
    p->term = snapshot->term;
    p->bufs = snapshot->bufs;
    p->buf_count = snapshot->n_bufs;
    p->conf_index = snapshot->configuration_index;
    status = keeper_copy_conf(&snapshot->configuration, &p->conf);
    if (status == 0 && count_servers(&p->conf, &p->counted, &e) != RC_OK)
        status = RAFT_NOMEM;
    if (status == 0)
        status = start_put(k, p);
    if (status != 0)
        keeper_put_free(p);
    return status;
}

static int snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req,
                        raft_io_snapshot_get_cb cb)
{
    (void)io;
    return the_keeper->closing ? RAFT_CANCELED : keeper_get(the_keeper, req, cb);
}

/* ---- starting and ending ----------------------------------------------------------- */

static int load(struct raft_io *io, raft_term *term, raft_id *vote,
                struct raft_snapshot **snapshot, raft_index *start,
                struct raft_entry *entries[], size_t *count)
{
    struct keeper *k = the_keeper;
    struct err e = { 0 };

    *term = k->state.term;
    *vote = k->state.vote;
    *start = k->home->index + 1;
    if (keeper_load(k, snapshot, entries, count, &e) == RC_OK)
        return 0;
    snprintf(io->errmsg, sizeof io->errmsg, "%.200s", e.why);
    return e.code == RC_NOMEM ? RAFT_NOMEM : RAFT_CORRUPT;
}

/* There is always a log already: home.h. */
static int bootstrap(struct raft_io *io, const struct raft_configuration *conf)
{
    (void)io;
    (void)conf;
    return RAFT_CANTBOOTSTRAP;
}

static int recover(struct raft_io *io, const struct raft_configuration *conf)
{
    (void)io;
    return raft_configuration_encode(conf, &the_keeper->forced);
}

static void end_thread(struct keeper *k)
{
    uv_mutex_lock(&k->lock);
    k->ending = true;
    uv_cond_signal(&k->wake);
    uv_mutex_unlock(&k->lock);
    uv_thread_join(&k->thread);
    k->started = false;
}

static void finish_close(struct keeper *k)
{
    end_thread(k);
    on_told(&k->told);
    while (k->lost != NULL) {
        struct keeper_job *job = k->lost;

        k->lost = job->next;
        job->appended(job->append, RAFT_IOERR);
        keeper_job_free(job);
    }
    k->close_inner(k->io, k->closed);
}

void keeper_work_ended(struct keeper *k)
{
    k->works--;
    if (k->closing && k->works == 0)
        finish_close(k);
}

static void close_io(struct raft_io *io, raft_io_close_cb cb)
{
    struct keeper *k = the_keeper;

    (void)io;
    k->closing = true;
    k->closed = cb;
    if (k->works == 0)
        finish_close(k);
}

static enum rc start_thread(struct keeper *k, struct err *e)
{
    uv_mutex_init(&k->lock);
    uv_cond_init(&k->wake);
    uv_cond_init(&k->rest);
    k->queue_end = &k->queue;
    k->done_end = &k->done;
    uv_async_init(k->loop, &k->told, on_told);
    k->told.data = k;
    if (uv_thread_create(&k->thread, keeper_run, k) != 0)
        return err_set(e, RC_NOMEM, "no thread for the log");
    k->started = true;
    return RC_OK;
}

static void stand_in(struct keeper *k, struct raft_io *io)
{
    k->close_inner = io->close;
    io->close = close_io;
    io->load = load;
    io->bootstrap = bootstrap;
    io->recover = recover;
    io->set_term = set_term;
    io->set_vote = set_vote;
    io->append = append;
    io->truncate = cut_off;
    io->snapshot_put = snapshot_put;
    io->snapshot_get = snapshot_get;
}

enum rc keeper_init(struct keeper *k, struct raft_io *io, uv_loop_t *loop, struct home *h,
                    const struct machine *m, struct err *e)
{
    *k = (struct keeper){
        .io = io,
        .home = h,
        .loop = loop,
        .next = h->index + 1,
        .state = h->found->log->state,
    };
    raft_configuration_init(&k->conf);
    TRY(keeper_note_term(k, h->index, h->term, e));
    TRY(keeper_first_conf(k, m, e));
    TRY(start_thread(k, e));
    the_keeper = k;
    stand_in(k, io);
    return RC_OK;
}

void keeper_close(struct keeper *k)
{
    uv_close((uv_handle_t *)&k->told, NULL);
}

void keeper_clear(struct keeper *k)
{
    if (k->started)
        end_thread(k);
    raft_configuration_close(&k->conf);
    keeper_put_free(k->drawn);
    raft_free(k->forced.base);
    mem_free(k->spans);
    *k = (struct keeper){ 0 };
}
