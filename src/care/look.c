#include "care/look.h"

#include <inttypes.h>
#include <string.h>

#include "util/clock.h"
#include "util/mem.h"
#include "util/stop.h"
#include "util/task.h"
#include "wire/kv.h"

enum { METRICS_MAX_BYTES = 4 << 20, ENDPOINTS_MAX = 64 };
enum { ELECTION_MS = 12000, POLL_MS = 300 };

/* One endpoint to ask, on one thread. */
struct question {
    const struct care_access *access;
    unsigned ask;
    bool wants_list;
    struct care_member m;
    struct wire_members list;
    struct str_list urls; /* tried in turn until one answers */
    struct task task;
};

static void question_clear(struct question *q)
{
    care_member_clear(&q->m);
    wire_members_clear(&q->list);
    str_list_clear(&q->urls);
}

static enum care_state state_of(const struct err *e, enum wire_detail detail)
{
    if (e->code == RC_AUTH)
        return CARE_BARRED;
    if (e->code == RC_REFUSED)
        return CARE_STRANGER;
    if (detail == WIRE_NO_LEADER) /* of the login: a status needs none */
        return CARE_LOCKED;
    return detail == WIRE_TIMEOUT ? CARE_SILENT : CARE_DOWN;
}

static void failed(struct care_member *m, const struct err *e, enum wire_detail detail)
{
    m->state = state_of(e, detail);
    m->failure = *e;
}

/* Any page has the clock in its head, to the second: between when we asked and when the
 * answer was there it stood somewhere in that second. */
static void take_clock(struct care_member *m, int64_t date_s, int64_t asked_ms,
                       int64_t told_ms)
{
    if (date_s <= 0)
        return;
    m->clock_known = true;
    m->clock_low_ms = date_s * 1000 - told_ms;
    m->clock_high_ms = date_s * 1000 + 1000 - asked_ms;
}

static void ask_metrics(struct wire_client *c, struct care_member *m)
{
    AT_END(buf_clear) struct buf page = { .cap_max = METRICS_MAX_BYTES };
    struct wire_page told = { 0 };
    struct err ignored = { 0 };
    int64_t asked_ms = clock_unix_ms();

    if (wire_http_page(c, 0, "/metrics", &page, &told, &ignored) != RC_OK)
        return;
    take_clock(m, told.date, asked_ms, clock_unix_ms());
    if (told.status != 200)
        return;
    care_metrics_read((struct bytes){ page.p, page.n }, &m->metrics);
    m->metrics_known = true;
}

/* Waits for a leader, knows none, or has just lost one. */
static bool without_quorum(enum wire_detail d)
{
    return d == WIRE_TIMEOUT || d == WIRE_NO_LEADER || d == WIRE_UNAVAILABLE;
}

/* A refusal for want of permission comes after the quorum has been asked: the read path
 * works. A learner does not serve such reads. */
static void ask_read(struct wire_client *c, struct care_member *m)
{
    AT_END(wire_kvs_clear) struct wire_kvs kvs = { 0 };
    struct wire_range q = { .key = bytes_str("health"), .limit = 1, .keys_only = true };
    uint64_t begun = clock_ms();
    struct err e = { 0 };

    if (m->status.is_learner)
        return;
    m->read_tried = true;
    m->read = wire_range_get(c, &q, &kvs, &e);
    m->read_ms = clock_ms() - begun;
    if (m->read == RC_AUTH && wire_last(c)->detail == WIRE_PERMISSION)
        m->read = RC_OK;
    if (m->read != RC_OK && without_quorum(wire_last(c)->detail)) {
        m->state = CARE_FROZEN;
        m->failure = e;
    }
}

static enum rc ask_status(struct wire_client *c, struct care_member *m, struct err *e)
{
    uint64_t begun = clock_ms(), expected = m->id;

    TRY(wire_status_get(c, 0, &m->status, e));
    m->took_ms = clock_ms() - begun;
    m->answered = true;
    m->id = m->status.header.member_id;
    m->learner = m->status.is_learner;
    m->state = CARE_UP;
    if (expected == 0 || expected == m->id)
        return RC_OK;
    m->answered = false;
    wire_status_clear(&m->status);
    m->id = expected;
    return err_set(e, RC_REFUSED,
                   "%s answers as member %" PRIx64 ", not as the one that advertises "
                   "it" HINT "give the members' own addresses with --endpoints",
                   m->endpoint, m->status.header.member_id);
}

static enum rc set_text(char **at, const char *text, struct err *e)
{
    mem_free(*at);
    *at = mem_str(text);
    return *at == NULL ? err_set(e, RC_NOMEM, "no memory for a member") : RC_OK;
}

/* RC_OK also for a member that does not answer. */
static enum rc ask_at(struct question *q, const char *url, struct err *e)
{
    OWNED(wire_client) c = NULL;
    struct err why = { 0 };
    struct care_member *m = &q->m;

    TRY(set_text(&m->endpoint, url, e));
    if (q->access->connect(q->access->arg, url, &c, &why) != RC_OK) {
        failed(m, &why, WIRE_OTHER);
        return why.code == RC_NOMEM ? err_set(e, RC_NOMEM, "%s", why.why) : RC_OK;
    }
    TRY(set_text(&m->endpoint, wire_endpoint(c, 0), e));
    if (ask_status(c, m, &why) != RC_OK) {
        failed(m, &why, wire_last(c)->detail);
        return stop_check(e);
    }
    if (q->wants_list && wire_member_list(c, 0, false, &q->list, &why) != RC_OK)
        wire_members_clear(&q->list); /* a learner has none to give */
    if ((q->ask & CARE_ASK_METRICS) != 0 || m->status.db_size_quota == 0)
        ask_metrics(c, m);
    if ((q->ask & CARE_ASK_READ) != 0)
        ask_read(c, m);
    return stop_check(e);
}

static enum rc ask(void *arg, struct err *e)
{
    struct question *q = arg;

    for (size_t i = 0; i < q->urls.count && !q->m.answered; i++)
        TRY(ask_at(q, q->urls.items[i], e));
    return RC_OK;
}

/* All at once; every thread has ended when it returns. */
static enum rc ask_all(struct question *q, size_t n, struct err *e)
{
    enum rc rc = RC_OK, one;
    struct err why = { 0 };

    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = task_start(&q[i].task, ask, &q[i], e);
    for (size_t i = 0; i < n; i++) {
        one = task_join(&q[i].task, &why);
        if (one != RC_OK && rc == RC_OK) {
            *e = why;
            rc = one;
        }
    }
    return rc;
}

/* ---- who is who ---------------------------------------------------------------------
 */

struct round {
    struct question *items;
    size_t count;
};

static void round_clear(struct round *r)
{
    for (size_t i = 0; i < r->count; i++)
        question_clear(&r->items[i]);
    mem_free(r->items);
}

static enum rc round_add(struct round *r, const struct care_access *a, unsigned ask_for,
                         struct question **out, struct err *e)
{
    struct question *items = mem_resize(r->items, r->count + 1, sizeof *items);

    if (items == NULL)
        return err_set(e, RC_NOMEM, "no memory for a question");
    r->items = items;
    items[r->count] = (struct question){ .access = a, .ask = ask_for };
    items[r->count].m.failure.code = RC_NET;
    items[r->count].m.state = CARE_DOWN;
    *out = &items[r->count++];
    return RC_OK;
}

static enum rc begin(const struct care_access *a, unsigned ask_for, struct round *r,
                     struct err *e)
{
    AT_END(str_list_clear) struct str_list seen = { 0 };

    for (size_t i = 0; i < a->endpoints->count; i++) {
        const char *url = a->endpoints->items[i];
        struct question *q;

        if (str_list_has(&seen, url))
            continue;
        if (r->count == ENDPOINTS_MAX)
            return err_set(e, RC_USAGE, "more than %d endpoints", ENDPOINTS_MAX);
        TRY(str_list_add(&seen, url, e));
        TRY(round_add(r, a, ask_for, &q, e));
        q->wants_list = true;
        TRY(str_list_add(&q->urls, url, e));
    }
    return RC_OK;
}

/* The list of the member that has applied most, of this cluster. */
static const struct wire_members *best_list(const struct round *r, uint64_t cluster_id)
{
    const struct wire_members *best = NULL;
    uint64_t applied = 0;

    for (size_t i = 0; i < r->count; i++) {
        const struct question *q = &r->items[i];

        if (!q->m.answered || q->list.count == 0 ||
            q->m.status.header.cluster_id != cluster_id)
            continue;
        if (best == NULL || q->m.status.raft_applied_index > applied) {
            best = &q->list;
            applied = q->m.status.raft_applied_index;
        }
    }
    return best;
}

static size_t answers_of(const struct round *r, uint64_t cluster_id)
{
    size_t n = 0;

    for (size_t i = 0; i < r->count; i++)
        n += r->items[i].m.answered &&
             r->items[i].m.status.header.cluster_id == cluster_id;
    return n;
}

/* Of several clusters the one that most answers are of; of equal ones the first:
 * addresses may be old, and one of them another's by now. */
static uint64_t cluster_of_most(const struct round *r)
{
    uint64_t cluster_id = 0;
    size_t most = 0;

    for (size_t i = 0; i < r->count; i++) {
        const struct care_member *m = &r->items[i].m;
        size_t n = m->answered ? answers_of(r, m->status.header.cluster_id) : 0;

        if (n > most) {
            most = n;
            cluster_id = m->status.header.cluster_id;
        }
    }
    return cluster_id;
}

static void cast_out_strangers(struct round *r, uint64_t cluster_id)
{
    for (size_t i = 0; i < r->count; i++) {
        struct care_member *m = &r->items[i].m;
        struct err why = { 0 };

        if (!m->answered || m->status.header.cluster_id == cluster_id)
            continue;
        why.code =
            err_set(&why, RC_REFUSED,
                    "%s belongs to cluster %" PRIx64 ", not to cluster %" PRIx64 HINT
                    "check the endpoints: an address may have been given to another "
                    "cluster",
                    m->endpoint, m->status.header.cluster_id, cluster_id);
        m->answered = false;
        m->id = 0;
        wire_status_clear(&m->status);
        failed(m, &why, WIRE_OTHER_CLUSTER);
    }
}

static bool advertises(const struct wire_member *m, const char *endpoint)
{
    for (size_t i = 0; i < m->client_urls.count; i++)
        if (strcmp(m->client_urls.items[i], endpoint) == 0)
            return true;
    return false;
}

static bool is(const struct question *q, const struct wire_member *m)
{
    if (q->m.answered)
        return q->m.id == m->id;
    return q->m.endpoint != NULL && advertises(m, q->m.endpoint);
}

/* The member's name and role go to the first question that reached it, or would have. */
static struct question *find(struct round *r, const struct wire_member *m)
{
    struct question *silent = NULL;

    for (size_t i = 0; i < r->count; i++) {
        if (!is(&r->items[i], m))
            continue;
        if (r->items[i].m.answered)
            return &r->items[i];
        if (silent == NULL)
            silent = &r->items[i];
    }
    return silent;
}

static enum rc enlist(struct question *q, const struct wire_member *m, struct err *e)
{
    q->m.id = m->id;
    q->m.listed = true;
    q->m.learner = m->is_learner;
    return set_text(&q->m.name, m->name, e);
}

/* Those of the list whom no given endpoint has reached. */
static enum rc others(const struct care_access *a, unsigned ask_for, struct round *given,
                      const struct wire_members *list, struct round *out, struct err *e)
{
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        const struct wire_member *m = &list->items[i];
        struct question *q = find(given, m);

        if (q != NULL) {
            TRY(enlist(q, m, e));
            continue;
        }
        TRY(round_add(out, a, ask_for, &q, e));
        TRY(enlist(q, m, e));
        TRY(set_text(&q->m.endpoint, "", e));
        for (size_t k = 0; k < m->client_urls.count; k++)
            TRY(str_list_add(&q->urls, m->client_urls.items[k], e));
        if (m->client_urls.count == 0)
            q->m.failure.code = err_set(&q->m.failure, RC_NET,
                                        "it has not told an address for clients yet" HINT
                                        "start it, or remove it if it will never come");
    }
    return RC_OK;
}

static bool is_double(const struct care_view *v, const struct question *q)
{
    return q->m.id != 0 && care_member_of(v, q->m.id) != NULL;
}

static void hand_over(struct care_view *v, struct round *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (is_double(v, &r->items[i]))
            continue;
        v->items[v->count++] = r->items[i].m;
        r->items[i].m = (struct care_member){ 0 };
    }
}

enum rc care_look(const struct care_access *a, unsigned ask_for, struct care_view *out,
                  struct err *e)
{
    AT_END(round_clear) struct round given = { 0 }, more = { 0 };
    struct care_view v = { 0 };

    TRY(begin(a, ask_for, &given, e));
    TRY(ask_all(given.items, given.count, e));
    v.cluster_id = cluster_of_most(&given);
    cast_out_strangers(&given, v.cluster_id);
    TRY(others(a, ask_for, &given, best_list(&given, v.cluster_id), &more, e));
    TRY(ask_all(more.items, more.count, e));
    cast_out_strangers(&more, v.cluster_id);
    TRY(mem_new(&v.items, (given.count + more.count) * sizeof *v.items, "members", e));
    hand_over(&v, &given);
    hand_over(&v, &more);
    care_view_derive(&v);
    *out = v;
    return RC_OK;
}

enum rc care_look_settled(const struct care_access *a, unsigned ask_for,
                          struct care_view *out, struct err *e)
{
    uint64_t until = clock_ms() + ELECTION_MS;

    for (;;) {
        TRY(care_look(a, ask_for, out, e));
        if (!care_is_electing(out) || clock_ms() >= until || stop_wanted())
            return RC_OK;
        care_view_clear(out);
        clock_sleep_ms(POLL_MS);
    }
}

enum rc care_look_at(const struct care_access *a, unsigned ask_for, struct care_member *m,
                     struct err *e)
{
    AT_END(question_clear) struct question q = { .access = a, .ask = ask_for };

    TRY(str_list_add(&q.urls, m->endpoint, e));
    q.m.id = m->id;
    q.m.state = CARE_DOWN;
    TRY(ask(&q, e));
    wire_status_clear(&m->status);
    m->status = q.m.status;
    q.m.status = (struct wire_status){ 0 };
    m->answered = q.m.answered;
    m->state = q.m.state;
    m->failure = q.m.failure;
    m->read_tried = q.m.read_tried;
    m->read = q.m.read;
    m->read_ms = q.m.read_ms;
    m->metrics_known = q.m.metrics_known;
    m->metrics = q.m.metrics;
    return RC_OK;
}
