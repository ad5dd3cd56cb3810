#include "tests/flow/linear.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/case.h"
#include "util/mem.h"

/* A call or a return, in the order of time. */
struct event {
    uint64_t at;
    size_t op;
    bool returns;
    struct event *before, *after, *other; /* `other`: of a call, its return or NULL */
};

struct step {
    struct event *call;
    int64_t state; /* before it */
};

/* States that led nowhere: which calls were placed, and what the register held. */
struct memory {
    uint64_t *rows; /* each: words of the set, the state, 1 */
    size_t words, count, room;
};

struct search {
    const struct linear_op *ops;
    struct event head, *events;
    struct step *steps;
    size_t depth, deepest, open, stuck; /* open: known calls that are not placed */
    uint64_t *placed;
    int64_t state;
    struct memory memory;
};

static void *need(size_t size)
{
    void *p = mem_zero(size == 0 ? 1 : size);

    cr_assert_not_null(p);
    return p;
}

/* ---- memory -------------------------------------------------------------------------
 */

static uint64_t *row(const struct memory *m, size_t i)
{
    return m->rows + i * (m->words + 2);
}

static uint64_t *slot(const struct memory *m, const uint64_t *set, uint64_t state)
{
    uint64_t hash = 1469598103934665603u;
    uint64_t *at;

    for (size_t i = 0; i < m->words; i++)
        hash = (hash ^ set[i]) * 0x9e3779b97f4a7c15u, hash ^= hash >> 29;
    hash = (hash ^ state) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
    for (size_t i = hash & (m->room - 1);; i = (i + 1) & (m->room - 1)) {
        at = row(m, i);
        if (at[m->words + 1] == 0 ||
            (at[m->words] == state && memcmp(at, set, m->words * sizeof *set) == 0))
            return at;
    }
}

static void memory_grow(struct memory *m)
{
    struct memory bigger = { .words = m->words,
                             .count = m->count,
                             .room = m->room == 0 ? 1024 : 2 * m->room };

    bigger.rows = need(bigger.room * (m->words + 2) * sizeof *m->rows);
    for (size_t i = 0; i < m->room; i++)
        if (row(m, i)[m->words + 1] != 0)
            memcpy(slot(&bigger, row(m, i), row(m, i)[m->words]), row(m, i),
                   (m->words + 2) * sizeof *m->rows);
    mem_free(m->rows);
    *m = bigger;
}

/* False when it was there already. */
static bool remember(struct memory *m, const uint64_t *set, int64_t state)
{
    uint64_t *at;

    if (2 * m->count >= m->room)
        memory_grow(m);
    at = slot(m, set, (uint64_t)state);
    if (at[m->words + 1] != 0)
        return false;
    memcpy(at, set, m->words * sizeof *set);
    at[m->words] = (uint64_t)state;
    at[m->words + 1] = 1;
    m->count++;
    return true;
}

/* ---- the list of events -------------------------------------------------------------
 */

static void unlink_event(struct event *v)
{
    v->before->after = v->after;
    if (v->after != NULL)
        v->after->before = v->before;
}

static void link_again(struct event *v)
{
    v->before->after = v;
    if (v->after != NULL)
        v->after->before = v;
}

static void place(struct search *s, struct event *call, int64_t next)
{
    s->steps[s->depth++] = (struct step){ call, s->state };
    s->state = next;
    unlink_event(call);
    if (call->other != NULL) {
        unlink_event(call->other);
        s->open--;
    }
}

/* The last one placed; the search goes on behind it. */
static struct event *take_back(struct search *s)
{
    struct step last = s->steps[--s->depth];

    s->state = last.state;
    s->placed[last.call->op / 64] &= ~(UINT64_C(1) << last.call->op % 64);
    if (last.call->other != NULL) {
        link_again(last.call->other);
        s->open++;
    }
    link_again(last.call);
    return last.call->after;
}

static int by_time(const void *a, const void *b)
{
    const struct event *x = a, *y = b;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return (int)x->returns - (int)y->returns; /* what meets in an instant overlaps */
}

static void make_events(struct search *s, size_t n, unsigned key)
{
    struct event **calls = need(n * sizeof *calls);
    size_t count = 0;

    s->events = need(2 * n * sizeof *s->events);
    for (size_t i = 0; i < n; i++) {
        if (s->ops[i].key != key)
            continue;
        s->events[count++] = (struct event){ .at = s->ops[i].called, .op = i };
        if (s->ops[i].returned == LINEAR_UNKNOWN)
            continue;
        s->events[count++] =
            (struct event){ .at = s->ops[i].returned, .op = i, .returns = true };
        s->open++;
    }
    qsort(s->events, count, sizeof *s->events, by_time);
    for (size_t i = 0; i < count; i++) {
        struct event *v = &s->events[i];

        v->before = i == 0 ? &s->head : v - 1;
        v->before->after = v;
        if (v->returns)
            calls[v->op]->other = v;
        else
            calls[v->op] = v;
    }
    mem_free(calls);
}

/* ---- the search ---------------------------------------------------------------------
 */

/* What the register holds after it; false when it would not have answered so. */
static bool answers(const struct linear_op *op, int64_t state, int64_t *next)
{
    bool known = op->returned != LINEAR_UNKNOWN;

    *next = state;
    switch (op->kind) {
    case LINEAR_READ:
        return !known || op->value == state;
    case LINEAR_WRITE:
        *next = op->value;
        return true;
    case LINEAR_SWAP:
        if (state == op->expected)
            *next = op->value;
        return !known || op->swapped == (state == op->expected);
    }
    return false;
}

static bool try(struct search *s, struct event *call)
{
    uint64_t bit = UINT64_C(1) << call->op % 64;
    int64_t next;

    if (!answers(&s->ops[call->op], s->state, &next))
        return false;
    s->placed[call->op / 64] |= bit;
    if (remember(&s->memory, s->placed, next)) {
        place(s, call, next);
        return true;
    }
    s->placed[call->op / 64] &= ~bit;
    return false;
}

static bool find_order(struct search *s)
{
    struct event *at = s->head.after;

    while (s->open > 0) {
        if (at != NULL && !at->returns) {
            at = try(s, at) ? s->head.after : at->after;
            continue;
        }
        /* A call must be placed before it returns. */
        if (at != NULL && s->depth >= s->deepest) {
            s->deepest = s->depth;
            s->stuck = at->op;
        }
        if (s->depth == 0)
            return false;
        at = take_back(s);
    }
    return true;
}

bool linear_check(const struct linear_op *ops, size_t n, unsigned key, size_t *stuck)
{
    struct search s = { .ops = ops, .memory.words = n / 64 + 1 };
    bool ok;

    make_events(&s, n, key);
    s.steps = need(n * sizeof *s.steps);
    s.placed = need(s.memory.words * sizeof *s.placed);
    ok = find_order(&s);
    *stuck = s.stuck;
    mem_free(s.events);
    mem_free(s.steps);
    mem_free(s.placed);
    mem_free(s.memory.rows);
    return ok;
}
