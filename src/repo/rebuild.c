#include "repo/rebuild.h"

#include "util/mem.h"

struct texts {
    struct log_record *records;
    struct index_record *items;
    size_t count;
};

static void texts_clear(struct texts *t)
{
    for (size_t i = 0; i < t->count; i++)
        log_record_clear(&t->records[i]);
    mem_free(t->records);
    mem_free(t->items);
}

static enum rc read_all(struct repo *r, const struct chain *log, struct texts *t,
                        struct err *e)
{
    TRY(mem_new(&t->records, (log->count + 1) * sizeof *t->records, "records", e));
    TRY(mem_new(&t->items, (log->count + 1) * sizeof *t->items, "records", e));
    for (size_t i = 0; i < log->count; i++) {
        struct log_record *one = &t->records[t->count];

        TRY(log_read_one(r->store, r->options.cluster, log->items[i].at.sequence, one,
                         e));
        t->items[t->count++] = (struct index_record){
            .sequence = log->items[i].at.sequence,
            .record = { one->record.p, one->record.n },
            .signature = { one->signature.p, one->signature.n },
        };
    }
    return RC_OK;
}

enum rc repo_rebuild(struct repo *r, size_t *records, struct err *e)
{
    AT_END(texts_clear) struct texts t = { 0 };
    OWNED(chain) log = NULL;

    if (r->index == NULL)
        return err_set(e, RC_USAGE,
                       "there is no state directory with an index" HINT
                       "name one with --state-dir");
    TRY(log_read(r->store, r->identity.id, r->options.cluster, &r->trust, &log, e));
    TRY(chain_close(log, NULL, 0, e));
    TRY(repo_log_check(log, e));
    TRY(read_all(r, log, &t, e));
    *records = t.count;
    return index_rebuild(r->index, r->identity.id, r->options.cluster, t.items, t.count,
                         e);
}
