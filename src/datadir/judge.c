#include "datadir/judge.h"

const char *datadir_verdict_name(enum datadir_verdict v)
{
    static const char *const names[] = {
        [DATADIR_WHOLE] = "whole",     [DATADIR_TORN] = "torn-tail",
        [DATADIR_DAMAGED] = "damaged", [DATADIR_GAP] = "gap",
        [DATADIR_BEHIND] = "behind",   [DATADIR_FOREIGN] = "foreign",
        [DATADIR_NO_LOG] = "no-log",   [DATADIR_NO_DATA] = "no-data",
    };

    return names[v];
}

bool datadir_log_is_complete(const struct datadir_view *v)
{
    return v->has_log && v->first_index == 1 && v->last_index > 0 && !v->from_restore;
}

static enum datadir_verdict connect(const struct datadir_view *v)
{
    if (!v->has_db && !datadir_log_is_complete(v))
        return DATADIR_NO_DATA;
    if (!v->has_log)
        return DATADIR_NO_LOG;
    if (v->applied > v->last_index)
        return DATADIR_BEHIND;
    if (v->db_term > v->log_term && v->log_term != 0)
        return DATADIR_FOREIGN;
    if (v->applied < v->last_index && v->first_index > v->applied + 1)
        return DATADIR_GAP;
    if (v->applied < v->snapshot && v->overtaken)
        return DATADIR_GAP;
    return DATADIR_WHOLE;
}

enum datadir_verdict datadir_judge(const struct datadir_view *v, uint64_t *first,
                                   uint64_t *last)
{
    enum datadir_verdict verdict = connect(v);

    /* A hostile index has nothing behind it. */
    *first = v->applied == UINT64_MAX ? v->applied : v->applied + 1;
    *last = verdict == DATADIR_WHOLE ? v->last_index : *first - 1;
    if (verdict == DATADIR_NO_DATA || !v->has_log)
        return verdict;
    if (v->log == WAL_DAMAGED)
        return DATADIR_DAMAGED;
    return verdict == DATADIR_WHOLE && v->log == WAL_TORN_TAIL ? DATADIR_TORN : verdict;
}
