#include "repo/fetch.h"

#include <inttypes.h>

#include "repo/object.h"
#include "snapshot/kind.h"
#include "storage/posix.h"
#include "util/log.h"

static enum rc file_sink(const char *file, uint64_t size, struct sink **out,
                         struct err *e)
{
    const struct posix_put_options put = {
        .file = { .expected_size = size, .read_back = true },
    };

    return posix_put_new(file, &put, out, e);
}

static enum rc fetch_stored(struct repo *r, const struct manifest *m, const char *file,
                            struct err *e)
{
    struct sink *to = NULL;

    TRY(file_sink(file, m->object_size, &to, e));
    return repo_object_read(r, m, to, e);
}

static enum rc fetch_opened(struct repo *r, const struct manifest *m, const char *file,
                            const struct age_identities *ids, struct err *e)
{
    AT_END(repo_content_clear) struct repo_content c = { .m = m };
    OWNED(sink) chain = NULL;

    TRY(file_sink(file, m->db_size, &chain, e));
    TRY(repo_content_sink_new(GIVE(chain), ids, &c, &chain, e));
    return repo_object_read(r, m, GIVE(chain), e);
}

static enum rc fetch_as(struct repo *r, const struct manifest *m, const char *file,
                        const struct age_identities *ids, struct err *e)
{
    struct snap_kind want = snap_kind_of_name(file),
                     is = snap_kind_of_name(m->object_key);

    if (want.age == is.age && want.zstd == is.zstd)
        return fetch_stored(r, m, file, e);
    if (!want.age && !want.zstd)
        return fetch_opened(r, m, file, ids, e);
    return err_set(e, RC_USAGE,
                   "a backup is written as it is stored, %s%s, or opened, .db, and the "
                   "name '%s' says neither",
                   is.zstd ? ".db.zst" : ".db", is.age ? ".age" : "", file);
}

enum rc repo_fetch(struct repo *r, const struct record *x, const char *file,
                   const struct age_identities *ids, struct err *e)
{
    if (fetch_as(r, x->backup, file, ids, e) != RC_OK)
        return repo_object_wrap(x, "fetching", e);
    return RC_OK;
}

enum rc repo_fetch_newest(struct repo *r, const struct chain *log, const char *file,
                          const struct age_identities *ids,
                          const struct chain_item **item, struct err *e)
{
    for (;;) {
        const struct chain_item *before = repo_before(log, *item);
        enum rc rc = repo_fetch(r, (*item)->record, file, ids, e);

        if (rc != RC_CORRUPT || before == NULL)
            return rc;
        log_warn("%s: %s; going back to backup %" PRIu64 ", which lacks %" PRId64
                 " revisions and %" PRId64 " seconds",
                 e->what, e->why, before->at.sequence,
                 (*item)->record->backup->revision - before->record->backup->revision,
                 (*item)->record->created - before->record->created);
        *item = before;
    }
}
