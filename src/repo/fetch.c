#include "repo/fetch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "bundle/bundle.h"
#include "repo/object.h"
#include "snapshot/kind.h"
#include "storage/posix.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

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

/* ".db.zst.age" of "CLUSTER/backups/ID/snapshot.db.zst.age". */
static const char *suffix_of(const struct manifest *m)
{
    const char *name = strrchr(m->object_key, '/');

    return strchr(name == NULL ? m->object_key : name, '.');
}

static enum rc fetch_as(struct repo *r, const struct manifest *m, const char *file,
                        const struct age_identities *ids, struct err *e)
{
    struct snap_kind want = snap_kind_of_name(file);
    const char *suffix = suffix_of(m);

    if (suffix != NULL && str_ends(file, suffix))
        return fetch_stored(r, m, file, e);
    if (!want.age && !want.zstd)
        return fetch_opened(r, m, file, ids, e);
    return err_set(
        e, RC_USAGE,
        "a backup is written as it is stored, %s, or opened, .db, and the name "
        "'%s' says neither",
        suffix == NULL ? "" : suffix, file);
}

enum rc repo_fetch(struct repo *r, const struct record *x, const char *file,
                   const struct age_identities *ids, struct err *e)
{
    if (fetch_as(r, x->backup, file, ids, e) != RC_OK)
        return repo_object_wrap(x, "fetching", e);
    return RC_OK;
}

static enum rc extract(struct repo *r, const struct manifest *m, const char *dir,
                       const struct age_identities *ids, struct err *e)
{
    const struct bundle_target target = { .dir = dir, .snapshot_max = SNAP_SIZE_MAX };
    OWNED(sink) chain = NULL;

    if (m->content != MANIFEST_BUNDLE)
        return err_set(e, RC_USAGE,
                       "it is a snapshot alone, with no files of a host" HINT
                       "fetch it with --output FILE");
    TRY(bundle_unpack_new(&target, &chain, e));
    TRY(snap_decode_sink_new(GIVE(chain), ids, NULL, &chain, e));
    return repo_object_read(r, m, GIVE(chain), e);
}

enum rc repo_extract(struct repo *r, const struct record *x, const char *dir,
                     const struct age_identities *ids, struct err *e)
{
    if (extract(r, x->backup, dir, ids, e) != RC_OK)
        return repo_object_wrap(x, "extracting", e);
    return RC_OK;
}

/* Fetches one backup in the way that `arg` describes. */
typedef enum rc take_fn(struct repo *r, const struct record *x, void *arg, struct err *e);

static enum rc take_newest(struct repo *r, const struct chain *log, take_fn *take,
                           void *arg, const struct chain_item **item, struct err *e)
{
    for (;;) {
        const struct chain_item *before = repo_before(log, *item);
        enum rc rc = take(r, (*item)->record, arg, e);

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

struct file_wanted {
    const char *file;
    const struct age_identities *ids;
};

static enum rc take_file(struct repo *r, const struct record *x, void *arg, struct err *e)
{
    const struct file_wanted *w = arg;

    return repo_fetch(r, x, w->file, w->ids, e);
}

enum rc repo_fetch_newest(struct repo *r, const struct chain *log, const char *file,
                          const struct age_identities *ids,
                          const struct chain_item **item, struct err *e)
{
    struct file_wanted w = { file, ids };

    return take_newest(r, log, take_file, &w, item, e);
}

/* ---- for a restore ----------------------------------------------------------------- */

struct database_wanted {
    const char *stem;
    const struct age_identities *ids;
    char *file;
};

static void database_wanted_clear(struct database_wanted *w)
{
    mem_free(w->file);
}

static enum rc take_database(struct repo *r, const struct record *x, void *arg,
                             struct err *e)
{
    struct database_wanted *w = arg;
    const bool bundle = x->backup->content == MANIFEST_BUNDLE;

    mem_free(GIVE(w->file));
    TRY(str_format(&w->file, e, "%s%s", w->stem, bundle ? ".db" : suffix_of(x->backup)));
    TRY(os_remove_tree(AT_FDCWD, w->file, e));
    return repo_fetch(r, x, w->file, w->ids, e);
}

enum rc repo_fetch_database(struct repo *r, const struct chain *log, uint64_t sequence,
                            const char *stem, const struct age_identities *ids,
                            const struct chain_item **item, char **file, struct err *e)
{
    AT_END(database_wanted_clear)
    struct database_wanted w = { .stem = stem, .ids = ids };

    TRY(repo_find(log, sequence, item, e));
    if (sequence == 0)
        TRY(take_newest(r, log, take_database, &w, item, e));
    else
        TRY(take_database(r, (*item)->record, &w, e));
    *file = GIVE(w.file);
    return RC_OK;
}
