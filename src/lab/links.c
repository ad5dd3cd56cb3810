#include "lab/links.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lab/place.h"
#include "util/mem.h"

static bool chosen(const bool *which, size_t i)
{
    return which == NULL || which[i];
}

static enum rc tell(const struct lab *l, size_t i, const char *line,
                    char answer[static LAB_ANSWER_MAX], struct err *e)
{
    AT_END(mem_end) char *path = NULL;
    char name[16];

    snprintf(name, sizeof name, "%s.sock", l->members[i].name);
    TRY(lab_path(l, name, &path, e));
    if (lab_control(path, line, answer, e) != RC_OK)
        return err_wrap(e, "telling %s '%s'", l->members[i].name, line);
    return RC_OK;
}

enum rc lab_facts_get(const struct lab *l, size_t i, struct lab_facts *out, struct err *e)
{
    char answer[LAB_ANSWER_MAX];

    TRY(tell(l, i, "status", answer, e));
    return lab_facts_parse(answer, out, e);
}

static enum rc store_only(const struct lab *l, struct err *e)
{
    if (l->kind == LAB_STORE)
        return RC_OK;
    return err_set(e, RC_USAGE,
                   "a real etcd takes no faults" HINT
                   "it can be killed, and stopped with SIGSTOP");
}

static bool runs(const struct lab *l, size_t i)
{
    return lab_child_state(&l->members[i].child) == LAB_CHILD_RUNS;
}

/* ---- cuts ----------------------------------------------------------------------------
 */

enum rc lab_links_tell(const struct lab *l, size_t i, struct err *e)
{
    char line[64], answer[LAB_ANSWER_MAX];

    for (size_t k = 0; k < l->count; k++) {
        bool out = l->cut[i][k], in = l->cut[k][i];

        if (!in && !out)
            continue;
        snprintf(line, sizeof line, "cut %s %s", l->members[k].name,
                 in && out ? "both"
                 : in      ? "in"
                           : "out");
        TRY(tell(l, i, line, answer, e));
    }
    return RC_OK;
}

static enum rc tell_all(const struct lab *l, struct err *e)
{
    for (size_t i = 0; i < l->count; i++)
        if (runs(l, i))
            TRY(lab_links_tell(l, i, e));
    return RC_OK;
}

enum rc lab_partition(struct lab *l, const bool *group, enum lab_way way, struct err *e)
{
    TRY(store_only(l, e));
    for (size_t a = 0; a < l->count; a++)
        for (size_t b = 0; b < l->count; b++) {
            if (!group[a] || group[b])
                continue;
            if ((way & LAB_OUT) != 0)
                l->cut[a][b] = true;
            if ((way & LAB_IN) != 0)
                l->cut[b][a] = true;
        }
    TRY(lab_place_save(l, e));
    return tell_all(l, e);
}

/* ---- and their end -------------------------------------------------------------------
 */

/* "heal" is about everything, so what stays cut is told again afterwards. */
static enum rc mend(const struct lab *l, size_t i, const bool *which, struct err *e)
{
    char line[32], answer[LAB_ANSWER_MAX];

    if (chosen(which, i))
        return tell(l, i, "heal", answer, e);
    for (size_t k = 0; k < l->count; k++) {
        snprintf(line, sizeof line, "heal %s", l->members[k].name);
        if (chosen(which, k))
            TRY(tell(l, i, line, answer, e));
    }
    return RC_OK;
}

enum rc lab_heal(struct lab *l, const bool *which, struct err *e)
{
    for (size_t a = 0; a < l->count; a++)
        for (size_t b = 0; b < l->count; b++)
            if (chosen(which, a) || chosen(which, b))
                l->cut[a][b] = false;
    TRY(lab_place_save(l, e));
    for (size_t i = 0; i < l->count; i++)
        if (chosen(which, i))
            TRY(lab_child_signal(&l->members[i].child, SIGCONT, e));
    if (l->kind == LAB_ETCD)
        return RC_OK;
    for (size_t i = 0; i < l->count; i++)
        if (runs(l, i))
            TRY(mend(l, i, which, e));
    return tell_all(l, e);
}

enum rc lab_fault(const struct lab *l, size_t i, const char *line, struct err *e)
{
    char answer[LAB_ANSWER_MAX];

    TRY(store_only(l, e));
    return tell(l, i, line, answer, e);
}

/* ---- who leads -----------------------------------------------------------------------
 */

static bool find_leader(const struct lab *l, size_t *i)
{
    uint64_t term = 0;
    bool found = false;

    for (size_t k = 0; k < l->count; k++) {
        struct lab_facts f;
        struct err e = { 0 };

        if (!runs(l, k) || lab_facts_get(l, k, &f, &e) != RC_OK ||
            strcmp(f.state, "leader") != 0 || f.term < term)
            continue;
        term = f.term;
        *i = k;
        found = true;
    }
    return found;
}

enum rc lab_find(const struct lab *l, const char *name, size_t *i, struct err *e)
{
    if (strcmp(name, "leader") == 0) {
        if (l->kind == LAB_STORE && find_leader(l, i))
            return RC_OK;
        return err_set(e, RC_NOTFOUND, "no member leads now");
    }
    for (*i = 0; *i < l->count; (*i)++)
        if (strcmp(l->members[*i].name, name) == 0)
            return RC_OK;
    return err_set(e, RC_NOTFOUND, "there is no member '%s', only m1 to m%zu", name,
                   l->count);
}
