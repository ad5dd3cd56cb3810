#include "repo/tag.h"

enum rc repo_tag(struct repo *r, const struct repo_job_options *o, uint64_t *sequence,
                 const struct str_list *tags, struct err *e)
{
    AT_END(repo_job_end) struct repo_job j = { 0 };
    const struct chain_item *item;
    struct record_link at;
    OWNED(record) x = NULL;

    TRY(repo_job_begin(&j, r, o, e));
    TRY(repo_find(j.log, *sequence, &item, e));
    TRY(record_new(RECORD_TAG, &x, e));
    x->target = *sequence = item->at.sequence;
    for (size_t i = 0; i < tags->count; i++)
        TRY(manifest_add_tag(&x->tags, tags->items[i], e));
    return repo_job_append(&j, x, &at, e);
}
