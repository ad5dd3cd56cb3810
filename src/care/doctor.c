#include "care/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "care/doctor_inside.h"
#include "util/mem.h"

const char *care_severity_name(enum care_severity s)
{
    static const char *const names[] = { "note", "warning", "critical" };

    return names[s];
}

const char *care_health_name(enum care_health h)
{
    static const char *const names[] = { "healthy", "degraded", "no-quorum",
                                         "unreachable" };

    return names[h];
}

void care_diagnosis_clear(struct care_diagnosis *d)
{
    mem_free(d->items);
    *d = (struct care_diagnosis){ 0 };
}

void chart_add(struct chart *c, enum care_severity severity, const char *code,
               const struct care_member *m, const char *fmt, ...)
{
    struct care_finding *to;
    va_list ap;

    if (c->out->count == CARE_FINDINGS_MAX)
        return;
    to = &c->out->items[c->out->count++];
    *to = (struct care_finding){ code, severity, m == NULL ? 0 : m->id, "" };
    va_start(ap, fmt);
    vsnprintf(to->message, sizeof to->message, fmt, ap);
    va_end(ap);
}

const struct care_finding *chart_has(const struct care_diagnosis *d, const char *code)
{
    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->items[i].code, code) == 0)
            return &d->items[i];
    return NULL;
}

/* Stable, for the rules come in order of weight too. */
static void sort(struct care_diagnosis *d)
{
    for (size_t i = 1; i < d->count; i++)
        for (size_t k = i; k > 0 && d->items[k].severity > d->items[k - 1].severity;
             k--) {
            struct care_finding held = d->items[k];

            d->items[k] = d->items[k - 1];
            d->items[k - 1] = held;
        }
}

static bool anybody(const struct care_view *v)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->items[i].answered)
            return true;
    return false;
}

static enum care_health health(const struct care_exam *x, const struct care_diagnosis *d)
{
    if (!anybody(x->view))
        return CARE_UNREACHABLE;
    if (chart_has(d, "quorum-lost") != NULL || chart_has(d, "no-leader") != NULL ||
        chart_has(d, "reads-hang") != NULL)
        return CARE_NO_QUORUM;
    return d->count > 0 && d->items[0].severity > CARE_NOTE ? CARE_DEGRADED
                                                            : CARE_HEALTHY;
}

enum rc care_diagnose(const struct care_exam *x, struct care_diagnosis *out,
                      struct err *e)
{
    struct care_diagnosis d = { .quorum = care_quorum(x->view) };
    struct chart c = { x, &d };

    TRY(mem_new(&d.items, CARE_FINDINGS_MAX * sizeof *d.items, "findings", e));
    judge_quorum(&c);
    judge_members(&c);
    if (anybody(x->view)) {
        judge_data(&c);
        judge_space(&c);
        judge_disk(&c);
        judge_habits(&c);
    }
    judge_time(&c);
    sort(&d);
    d.health = health(x, &d);
    choose_next(x, &d);
    *out = d;
    return RC_OK;
}

enum rc care_diagnosis_result(const struct care_diagnosis *d, struct err *e)
{
    enum rc rc = d->health == CARE_UNREACHABLE ? RC_NET : RC_DEGRADED;

    if (d->health == CARE_HEALTHY)
        return RC_OK;
    rc = err_set(e, rc, "%s", d->items[0].message);
    err_hint(e, "%s", d->next);
    return rc;
}
