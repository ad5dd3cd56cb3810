#include "recover/conf.h"

#include <string.h>

#include "util/mem.h"
#include "wal/snapfile.h"

static enum rc add_all(struct mvcc_ids *to, const uint64_t *ids, size_t count,
                       struct err *e)
{
    for (size_t i = 0; i < count; i++)
        if (!mvcc_ids_has(to, ids[i]))
            TRY(mvcc_ids_add(to, ids[i], e));
    return RC_OK;
}

static void drop(struct mvcc_ids *l, uint64_t id)
{
    size_t kept = 0;

    for (size_t i = 0; i < l->count; i++)
        if (l->items[i] != id)
            l->items[kept++] = l->items[i];
    l->count = kept;
}

static enum rc change(struct recover_conf *c, const struct wal_change *what,
                      struct err *e)
{
    if (what->type == WAL_CHANGE_UPDATE)
        return RC_OK;
    drop(&c->voters, what->node_id);
    drop(&c->learners, what->node_id);
    if (what->type == WAL_CHANGE_ADD)
        return mvcc_ids_add(&c->voters, what->node_id, e);
    if (what->type == WAL_CHANGE_ADD_LEARNER)
        return mvcc_ids_add(&c->learners, what->node_id, e);
    return RC_OK;
}

static enum rc take(struct recover_conf *c, const struct wal_conf *from, struct err *e)
{
    TRY(add_all(&c->voters, from->voters, from->voter_count, e));
    return add_all(&c->learners, from->learners, from->learner_count, e);
}

/* Up to 3.4 a mark has no configuration, and the .snap file beside it has. */
static enum rc take_file(struct datadir *d, uint64_t until, struct recover_conf *c,
                         uint64_t *at, struct err *e)
{
    AT_END(findings_clear) struct findings told = { 0 };
    AT_END(mem_end) char *dir = mem_str(d->db_path);
    OWNED(snapfile) newest = NULL;
    struct err why = { 0 };
    enum rc rc;

    if (dir == NULL)
        return err_set(e, RC_NOMEM, "no memory for a path");
    if (strrchr(dir, '/') == NULL)
        return RC_OK;
    *strrchr(dir, '/') = '\0';
    rc = snapfile_newest(dir, d->log, &told, &newest, &why);
    if (rc == RC_NOMEM)
        return err_set(e, RC_NOMEM, "%s", why.why);
    if (rc != RC_OK || newest->snapshot.index > until || newest->snapshot.index <= *at)
        return RC_OK;
    *at = newest->snapshot.index;
    recover_conf_clear(c);
    return take(c, &newest->snapshot.conf, e);
}

/* The newest configuration that is written down as a whole; *at is the entry it is of. */
static enum rc begin(struct datadir *d, uint64_t until, struct recover_conf *c,
                     uint64_t *at, struct err *e)
{
    const struct wal_mark *best = NULL;

    for (size_t i = 0; i < d->log->mark_count; i++) {
        const struct wal_mark *m = &d->log->marks[i];

        if (m->has_conf && m->conf.voter_count > 0 && m->index <= until &&
            wal_mark_valid(d->log, m) && (best == NULL || m->index >= best->index))
            best = m;
    }
    *at = best == NULL ? 0 : best->index;
    if (best != NULL)
        TRY(take(c, &best->conf, e));
    return take_file(d, until, c, at, e);
}

static enum rc walk(struct datadir *d, uint64_t from, uint64_t until,
                    struct recover_conf *c, struct err *e)
{
    const struct wal_summary *log = d->log;

    if (from < log->first_index)
        from = log->first_index;
    for (uint64_t i = from; i <= until && i - log->first_index < log->entry_count; i++) {
        struct wal_entry entry;
        struct wal_change what;

        TRY(wal_entry_at(d->wal, i, &entry, e));
        if (entry.type != WAL_ENTRY_CONF_CHANGE)
            continue;
        TRY(wal_change_parse(entry.data, &what, e));
        TRY(change(c, &what, e));
    }
    return RC_OK;
}

enum rc recover_conf_at(struct datadir *d, uint64_t index, struct recover_conf *out,
                        bool *known, struct err *e)
{
    AT_END(recover_conf_clear) struct recover_conf c = { 0 };
    struct err why = { 0 };
    uint64_t at;
    enum rc rc;

    *known = false;
    if (d->log == NULL)
        return RC_OK;
    TRY(begin(d, index, &c, &at, e));
    if (d->log->first_index > at + 1)
        return RC_OK;
    rc = walk(d, at + 1, index, &c, &why);
    if (rc == RC_NOMEM)
        return err_set(e, RC_NOMEM, "%s", why.why);
    if (rc != RC_OK || c.voters.count == 0)
        return RC_OK;
    *known = true;
    *out = c;
    c = (struct recover_conf){ 0 };
    return RC_OK;
}
