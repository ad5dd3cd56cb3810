#include "repo/copy.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "repo/object.h"
#include "util/log.h"
#include "util/mem.h"

struct copying {
    struct repo *from;
    struct store *to;
    const struct chain *log; /* here */
    struct chain *there;
    struct repo_copied done;
};

static void copying_end(struct copying *c)
{
    store_free(c->to);
    chain_free(c->there);
}

/* ---- the place -------------------------------------------------------------------- */

/* The signature comes first, and may be all that a copy wrote which was cut off. */
static enum rc any_key(void *arg, const struct store_info *info, struct err *e)
{
    const char *key = info->key;

    (void)e;
    *(bool *)arg |= strchr(key, '/') != NULL || strncmp(key, "holdfast.", 9) != 0 ||
                    !str_ends(key, ".minisig");
    return RC_OK;
}

static enum rc settle(struct copying *c, struct err *e)
{
    bool taken = false;

    TRY(store_list(c->to, "", any_key, &taken, e));
    if (taken)
        return err_set(e, RC_REFUSED,
                       "'%s' is neither empty nor a copy of this repository" HINT
                       "choose another place",
                       store_name(c->to));
    c->done.fresh = true;
    return repo_identity_copy(c->from->store, c->to, false, e);
}

/* Its keys may have changed here since it was made. */
static enum rc refresh(struct copying *c, const struct repo_identity *there,
                       struct err *e)
{
    const uint64_t here = c->from->identity.changes;

    if (there->changes > here)
        return err_set(e, RC_REFUSED,
                       "'%s' knows of newer signing keys than this repository" HINT
                       "this one was rolled back, or the copy is the original",
                       store_name(c->to));
    return there->changes == here ? RC_OK
                                  : repo_identity_copy(c->from->store, c->to, true, e);
}

/* A directory has many names, any other place one. */
static bool is_same(const char *a, const char *b)
{
    char one[PATH_MAX], other[PATH_MAX];

    if (realpath(a, one) == NULL || realpath(b, other) == NULL)
        return strcmp(a, b) == 0;
    return strcmp(one, other) == 0;
}

static enum rc check_place(struct copying *c, struct err *e)
{
    AT_END(repo_identity_clear) struct repo_identity i = { 0 };
    enum rc rc;

    if (is_same(store_name(c->from->store), store_name(c->to)))
        return err_set(e, RC_REFUSED,
                       "'%s' is this repository itself" HINT
                       "a copy needs a place of its own",
                       store_name(c->to));
    rc = repo_identity_get(c->to, &c->from->trust, &i, e);
    if (rc == RC_NOTFOUND)
        return settle(c, e);
    TRY(rc);
    if (strcmp(i.id, c->from->identity.id) != 0)
        return err_set(e, RC_REFUSED,
                       "'%s' is another repository (%s)" HINT
                       "a copy needs a place of its own",
                       store_name(c->to), i.id);
    return refresh(c, &i, e);
}

/* The copy's log is a beginning of ours. */
static enum rc check_log(struct copying *c, struct err *e)
{
    for (size_t i = 0; i < c->there->count; i++) {
        const struct chain_item *x = &c->there->items[i];
        const struct chain_item *ours = chain_find(c->log, x->at.sequence);

        if (ours != NULL && !record_link_equal(&ours->at, &x->at))
            return err_set(
                e, RC_CORRUPT,
                "record %" PRIu64 " of the copy in '%s' is not the one here" HINT
                "somebody wrote to one of the two: run 'holdfast audit' on both",
                x->at.sequence, store_name(c->to));
        if (x->at.sequence > c->log->head.sequence)
            return err_set(e, RC_CORRUPT,
                           "the copy in '%s' has record %" PRIu64
                           ", and the log here ends before it" HINT
                           "this repository was rolled back, or the copy is the original",
                           store_name(c->to), x->at.sequence);
    }
    return RC_OK;
}

static enum rc read_there(struct copying *c, struct err *e)
{
    TRY(log_read(c->to, c->from->identity.id, c->from->options.cluster, &c->from->trust,
                 &c->there, e));
    TRY(chain_close(c->there, NULL, 0, e));
    return check_log(c, e);
}

/* ---- one record ------------------------------------------------------------------- */

static bool is_there(struct copying *c, const struct manifest *m)
{
    struct store_info info = { 0 };
    struct err e = { 0 };

    return store_stat(c->to, m->object_key, &info, &e) == RC_OK &&
           info.size == m->object_size;
}

static enum rc copy_object(struct copying *c, const struct manifest *m, struct err *e)
{
    const struct store_put put = { .replace = true, .expected_size = m->object_size };
    struct sink *to = NULL;

    if (is_there(c, m))
        return RC_OK;
    TRY(store_put_new(c->to, m->object_key, &put, &to, e));
    TRY(repo_object_read(c->from, m, to, e));
    TRY(repo_object_check(c->to, m, e));
    c->done.objects++;
    c->done.bytes += m->object_size;
    return RC_OK;
}

static enum rc put_if_absent(struct copying *c, const char *key, const struct buf *text,
                             struct err *e)
{
    const struct store_put again = { .replace = true };

    if (text->n == 0)
        return RC_OK;
    return store_put_bytes(c->to, key, &again, (struct bytes){ text->p, text->n }, e);
}

/* The signature first, as when it was written. */
static enum rc copy_record(struct copying *c, const struct chain_item *x, struct err *e)
{
    AT_END(log_record_clear) struct log_record one = { 0 };
    const char *cluster = c->from->options.cluster;
    char key[RECORD_KEY_SIZE];

    if (chain_find(c->there, x->at.sequence) != NULL)
        return RC_OK;
    TRY(log_read_one(c->from->store, cluster, x->at.sequence, &one, e));
    record_signature_key(cluster, &x->at, key);
    TRY(put_if_absent(c, key, &one.signature, e));
    record_key(cluster, x->at.sequence, key);
    TRY(put_if_absent(c, key, &one.record, e));
    c->done.records++;
    return RC_OK;
}

static enum rc copy_one(struct copying *c, const struct chain_item *x, struct err *e)
{
    struct err why = { 0 };
    enum rc rc = RC_OK;

    if (x->state != CHAIN_GOOD)
        return RC_OK;
    if (x->record->kind == RECORD_BACKUP)
        rc = copy_object(c, x->record->backup, &why);
    if (rc != RC_OK && rc != RC_CORRUPT) {
        *e = why;
        return repo_object_wrap(x->record, "copying", e);
    }
    if (rc == RC_CORRUPT) {
        log_warn("backup %" PRIu64 " is bad here, and is not copied: %s", x->at.sequence,
                 why.why);
        c->done.bad++;
    }
    return copy_record(c, x, e);
}

/* ---- together --------------------------------------------------------------------- */

static enum rc remove_there(struct copying *c, struct err *e)
{
    chain_free(c->there);
    c->there = NULL;
    TRY(read_there(c, e));
    for (size_t i = 0; i < c->there->count; i++) {
        if (c->there->items[i].state != CHAIN_REMOVED)
            continue;
        TRY(log_sweep(c->to, c->there, &c->there->items[i], e));
        c->done.removed++;
    }
    return RC_OK;
}

static enum rc copy_all(struct copying *c, bool remove, struct err *e)
{
    TRY(check_place(c, e));
    TRY(read_there(c, e));
    for (size_t i = 0; i < c->log->count; i++)
        TRY(copy_one(c, &c->log->items[i], e));
    return remove ? remove_there(c, e) : RC_OK;
}

enum rc repo_copy(struct repo *r, const struct repo_copy_options *o,
                  struct repo_copied *out, struct err *e)
{
    AT_END(copying_end) struct copying c = { .from = r };
    OWNED(chain) log = NULL;

    TRY(repo_log_whole(r, &log, e));
    TRY(repo_log_check(log, e));
    c.log = log;
    TRY(store_open(&o->to, &c.to, e));
    if (copy_all(&c, o->remove, e) != RC_OK)
        return err_wrap(e, "copying '%s' to '%s'", r->options.cluster, store_name(c.to));
    *out = c.done;
    return RC_OK;
}
