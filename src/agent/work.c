#include "agent/work.h"

#include <stdio.h>
#include <string.h>

#include "agent/order.h"
#include "agent/ping.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/stop.h"

enum {
    INFO_TIMEOUT_MS = 120 * 1000,
    HOOK_TIMEOUT_MS = 60 * 1000,
    VARIABLE_SIZE = 128,
    RESULT_MAX = 32 << 20, /* a line for each of some 100000 backups */
};

/* ---- made and ended ------------------------------------------------------------------
 */

static enum rc copy(const char *text, char **out, struct err *e)
{
    if (text == NULL)
        return RC_OK;
    *out = mem_str(text);
    return *out == NULL ? err_set(e, RC_NOMEM, "out of memory") : RC_OK;
}

enum rc agent_work_new(const char *program, const struct agent_config *f,
                       const struct agent_cluster *c, enum agent_kind k, int64_t within_s,
                       struct agent_work **out, struct err *e)
{
    OWNED(agent_work) w = NULL;
    const struct agent_job *j = agent_job_of(c, k);

    TRY(mem_new(&w, sizeof *w, "a job", e));
    w->program = program;
    w->kind = k;
    snprintf(w->cluster, sizeof w->cluster, "%s", c->name);
    if (c->repo != NULL)
        TRY(agent_order_list(f, c, &w->list, e));
    if (j != NULL) {
        TRY(agent_order(f, c, k, within_s, &w->order, e));
        TRY(copy(j->ping, &w->ping, e));
        TRY(copy(j->on_success, &w->on_success, e));
        TRY(copy(j->on_failure, &w->on_failure, e));
        w->timeout_ms = j->timeout_ms;
    }
    *out = GIVE(w);
    return RC_OK;
}

void agent_work_free(struct agent_work *w)
{
    struct err e = { 0 };

    if (w == NULL)
        return;
    (void)task_join(&w->task, &e);
    str_list_clear(&w->order);
    str_list_clear(&w->list);
    mem_free(w->ping);
    mem_free(w->on_success);
    mem_free(w->on_failure);
    mem_free(w);
}

/* ---- the command ---------------------------------------------------------------------
 */

#define RESULT AT_END(program_result_clear) struct program_result

/* argv with our own program in place of its name, ended by NULL. */
static enum rc spelled(const struct agent_work *w, const struct str_list *order,
                       const char ***out, struct err *e)
{
    TRY(mem_new(out, (order->count + 1) * sizeof **out, "a command line", e));
    for (size_t i = 0; i < order->count; i++)
        (*out)[i] = i == 0 ? w->program : order->items[i];
    return RC_OK;
}

static enum rc run(const struct agent_work *w, const struct str_list *order,
                   uint64_t timeout_ms, struct program_result *r, struct err *e)
{
    AT_END(mem_end) const char **argv = NULL;

    TRY(spelled(w, order, &argv, e));
    return program_run(
        &(struct program){
            .argv = argv, .timeout_ms = timeout_ms, .out_max = RESULT_MAX, .idle = true },
        r, e);
}

/* The sentence of an error as commands print it: "holdfast: WHAT", "  why:  WHY". */
static void sentence(const char *tail, char out[static AGENT_WHY_SIZE])
{
    static const char first[] = "holdfast: ", second[] = "\n  why:  ";
    const char *what = NULL, *why;

    for (const char *at = tail; (at = strstr(at, first)) != NULL; at++)
        if (at == tail || at[-1] == '\n')
            what = at + sizeof first - 1;
    if (what == NULL)
        what = tail;
    why = strstr(what, second);
    snprintf(out, AGENT_WHY_SIZE, "%.*s%s%.*s", (int)strcspn(what, "\n"), what,
             why == NULL ? "" : ": ",
             why == NULL ? 0 : (int)strcspn(why + sizeof second - 1, "\n"),
             why == NULL ? "" : why + sizeof second - 1);
}

static void judge(struct agent_work *w, const struct program_result *r)
{
    struct err e = { 0 };

    w->status = r->status;
    w->took_ms = r->took_ms;
    w->outcome = agent_outcome_of(r->status);
    if (r->timed_out)
        snprintf(w->why, sizeof w->why, "it took longer than its time limit");
    else if (w->outcome != AGENT_OK)
        sentence(r->tail, w->why);
    if (w->kind == AGENT_BACKUP && w->outcome == AGENT_OK &&
        agent_skipped((struct bytes){ r->out.p, r->out.n }))
        w->outcome = AGENT_ELSEWHERE;
    if (w->kind == AGENT_DRILL &&
        agent_standing_drill(&w->seen, (struct bytes){ r->out.p, r->out.n }, &e) != RC_OK)
        w->seen.drill = (struct agent_drill_fact){ .known = true, .passed = false };
}

static void could_not(struct agent_work *w, const struct err *e)
{
    w->outcome = AGENT_FAILED;
    w->status = rc_exit_status(e->code);
    snprintf(w->why, sizeof w->why, "%.*s", AGENT_WHY_SIZE - 1, e->why);
}

/* ---- what surrounds it ---------------------------------------------------------------
 */

/* Of what a program complained about; its end is cut off. */
static const char *last_line(char *tail)
{
    size_t n = strlen(tail);
    const char *before;

    while (n > 0 && tail[n - 1] == '\n')
        tail[--n] = '\0';
    before = strrchr(tail, '\n');
    return before == NULL ? tail : before + 1;
}

static void hook(const struct agent_work *w, const char *command)
{
    RESULT r = { 0 };
    char cluster[VARIABLE_SIZE], job[VARIABLE_SIZE], status[VARIABLE_SIZE];
    char why[AGENT_WHY_SIZE + VARIABLE_SIZE];
    struct err e = { 0 };

    if (command == NULL)
        return;
    snprintf(cluster, sizeof cluster, "HOLDFAST_CLUSTER=%s", w->cluster);
    snprintf(job, sizeof job, "HOLDFAST_JOB=%s", agent_kind_name(w->kind));
    snprintf(status, sizeof status, "HOLDFAST_STATUS=%d", w->status);
    snprintf(why, sizeof why, "HOLDFAST_WHY=%s", w->why);
    const struct program p = {
        .argv = (const char *const[]){ "/bin/sh", "-c", command, NULL },
        .env = (const char *const[]){ cluster, job, status, why, NULL },
        .timeout_ms = HOOK_TIMEOUT_MS,
        .unheard = true,
    };

    if (program_run(&p, &r, &e) != RC_OK)
        log_warn("%s: the hook of %s did not run: %s", w->cluster,
                 agent_kind_name(w->kind), e.why);
    else if (r.timed_out)
        log_warn("%s: the hook of %s was ended after %d s", w->cluster,
                 agent_kind_name(w->kind), HOOK_TIMEOUT_MS / 1000);
    else if (r.status != 0)
        log_warn("%s: the hook of %s ended with %d: %s", w->cluster,
                 agent_kind_name(w->kind), r.status, last_line(r.tail));
}

/* What there is. */
static void look(struct agent_work *w)
{
    RESULT r = { 0 };
    struct err e = { 0 };

    w->seen.listed = false;
    if (w->list.count == 0)
        return;
    if (run(w, &w->list, INFO_TIMEOUT_MS, &r, &e) == RC_OK && r.status == 0)
        w->seen.listed = agent_standing_list(&w->seen, (struct bytes){ r.out.p, r.out.n },
                                             &e) == RC_OK;
}

/* A backup that nobody could prove is stored, and somebody must know: only what needs no
 * look counts as well done. A job that ended because the agent does is nobody's alarm: it
 * is due again. */
static void tell_the_end(struct agent_work *w, const char *said)
{
    const bool well = w->outcome == AGENT_OK || w->outcome == AGENT_ELSEWHERE;

    if (stop_wanted())
        return;
    look(w);
    ping_end(w->ping, well ? 0 : w->status, said);
    hook(w, well ? w->on_success : w->on_failure);
}

static void do_job(struct agent_work *w, struct err *e)
{
    RESULT r = { 0 };

    ping_start(w->ping);
    if (run(w, &w->order, w->timeout_ms, &r, e) == RC_OK)
        judge(w, &r);
    else
        could_not(w, e);
    tell_the_end(w, r.tail);
}

static enum rc work(void *arg, struct err *e)
{
    struct agent_work *w = arg;

    if (w->looks)
        look(w);
    else
        do_job(w, e);
    __atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
    return RC_OK;
}

enum rc agent_work_start(struct agent_work *w, struct err *e)
{
    return task_start(&w->task, work, w, e);
}

bool agent_work_done(const struct agent_work *w)
{
    return __atomic_load_n(&w->done, __ATOMIC_ACQUIRE);
}
