#include "catalog/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

enum { TRIES = 16 };

void log_record_clear(struct log_record *r)
{
    buf_clear(&r->record);
    buf_clear(&r->signature);
}

static struct bytes bytes_of(const struct buf *b)
{
    return (struct bytes){ b->p, b->n };
}

static enum rc link_of(uint64_t sequence, struct bytes record, struct record_link *out,
                       struct err *e)
{
    OWNED(sha256) h = NULL;
    struct record_link at = { .sequence = sequence };

    TRY(sha256_new(&h, e));
    TRY(sha256_add(h, record.p, record.n, e));
    TRY(sha256_end(h, at.sha256, e));
    *out = at;
    return RC_OK;
}

/* ---- reading --------------------------------------------------------------------------
 */

/* What is larger than it may be reads as nothing. */
static enum rc get_bounded(struct store *s, const char *key, uint64_t max,
                           struct buf *out, struct err *e)
{
    struct err why = { 0 };
    enum rc rc = store_get_bytes(s, key, max, out, &why);

    if (rc == RC_OK)
        return RC_OK;
    buf_clear(out);
    if (rc == RC_CORRUPT)
        return RC_OK;
    *e = why;
    return rc;
}

static enum rc read_signature(struct store *s, const char *cluster,
                              const struct record_link *at, struct buf *out,
                              struct err *e)
{
    char key[RECORD_KEY_SIZE];
    struct err why = { 0 };
    enum rc rc;

    record_signature_key(cluster, at, key);
    rc = get_bounded(s, key, RECORD_SIGNATURE_MAX, out, &why);
    if (rc == RC_OK || rc == RC_NOTFOUND)
        return RC_OK;
    *e = why;
    return rc;
}

enum rc log_read_one(struct store *s, const char *cluster, uint64_t sequence,
                     struct log_record *out, struct err *e)
{
    char key[RECORD_KEY_SIZE];
    struct record_link at;

    *out = (struct log_record){ .record.cap_max = RECORD_MAX,
                                .signature.cap_max = RECORD_SIGNATURE_MAX };
    record_key(cluster, sequence, key);
    TRY(get_bounded(s, key, RECORD_MAX, &out->record, e));
    TRY(link_of(sequence, bytes_of(&out->record), &at, e));
    return read_signature(s, cluster, &at, &out->signature, e);
}

/* What is gone since it was listed is gone. */
static enum rc read_into(struct store *s, struct chain *c, uint64_t sequence,
                         struct err *e)
{
    AT_END(log_record_clear) struct log_record r = { 0 };
    struct err why = { 0 };
    enum rc rc = log_read_one(s, c->cluster, sequence, &r, &why);

    if (rc == RC_NOTFOUND)
        return RC_OK;
    if (rc != RC_OK) {
        *e = why;
        return rc;
    }
    return chain_add(c, sequence, bytes_of(&r.record), bytes_of(&r.signature), e);
}

/* One object of the log, as the listing names it. */
struct listed {
    uint64_t sequence;
    char name[RECORD_KEY_SIZE]; /* "" for a record; a signature's key */
};

struct listing {
    const char *cluster;
    struct listed *items;
    size_t count, room;
};

static void listing_end(struct listing *l)
{
    mem_free(l->items);
}

static enum rc grow(struct listing *l, struct err *e)
{
    struct listed *more;

    if (l->count < l->room)
        return RC_OK;
    l->room = l->room == 0 ? 256 : l->room * 2;
    more = mem_resize(l->items, l->room, sizeof *more);
    if (more == NULL)
        return err_set(e, RC_NOMEM, "no memory for %zu records", l->room);
    l->items = more;
    return RC_OK;
}

static enum rc take_key(void *arg, const struct store_info *info, struct err *e)
{
    struct listing *l = arg;
    struct listed one = { 0 };

    switch (record_key_parse(l->cluster, info->key, &one.sequence)) {
    case RECORD_FILE_OTHER:
        log_warn("'%s' is no record of a repository and is passed over", info->key);
        return RC_OK;
    case RECORD_FILE_SIGNATURE:
        snprintf(one.name, sizeof one.name, "%s", info->key);
        break;
    case RECORD_FILE_RECORD:
        break;
    }
    TRY(grow(l, e));
    l->items[l->count++] = one;
    return RC_OK;
}

static enum rc list(struct store *s, const char *cluster, struct listing *out,
                    struct err *e)
{
    char prefix[RECORD_KEY_SIZE];

    out->cluster = cluster;
    record_prefix(cluster, prefix);
    return store_list(s, prefix, take_key, out, e);
}

/* Are the record's own signature and it still there side by side? Signatures come before
 * the record in the order of keys. */
static bool signature_listed(const struct listing *l, size_t record,
                             const struct record_link *at)
{
    char key[RECORD_KEY_SIZE];

    record_signature_key(l->cluster, at, key);
    while (record-- > 0 && l->items[record].sequence == at->sequence)
        if (strcmp(l->items[record].name, key) == 0)
            return true;
    return false;
}

/* From the index, when it has the record that the listing speaks of. */
static enum rc recall(struct index *known, struct chain *c, const struct listing *l,
                      size_t n, bool *found, struct err *e)
{
    AT_END(log_record_clear) struct log_record r = { 0 };
    uint64_t sequence = l->items[n].sequence;
    struct record_link at;

    *found = false;
    if (known == NULL)
        return RC_OK;
    TRY(index_get(known, c->repo, c->cluster, sequence, &r.record, &r.signature, found,
                  e));
    if (!*found)
        return RC_OK;
    TRY(link_of(sequence, bytes_of(&r.record), &at, e));
    *found = signature_listed(l, n, &at);
    if (!*found)
        return RC_OK;
    return chain_add(c, sequence, bytes_of(&r.record), bytes_of(&r.signature), e);
}

static enum rc read_all(struct store *s, struct index *known, struct chain *c,
                        const struct listing *l, struct err *e)
{
    for (size_t i = 0; i < l->count; i++) {
        bool found = false;

        if (l->items[i].name[0] != '\0')
            continue;
        progress("records", i, l->count);
        TRY(recall(known, c, l, i, &found, e));
        if (!found)
            TRY(read_into(s, c, l->items[i].sequence, e));
    }
    return RC_OK;
}

enum rc log_read_known(struct store *s, const char *repo, const char *cluster,
                       const struct minisign_trust *trust, struct index *known,
                       struct chain **out, struct err *e)
{
    AT_END(listing_end) struct listing l = { 0 };
    OWNED(chain) c = NULL;

    TRY(chain_new(repo, cluster, trust, &c, e));
    if (list(s, cluster, &l, e) != RC_OK || read_all(s, known, c, &l, e) != RC_OK)
        return err_wrap(e, "reading the log of '%s' in '%s'", cluster, store_name(s));
    *out = GIVE(c);
    return RC_OK;
}

enum rc log_read(struct store *s, const char *repo, const char *cluster,
                 const struct minisign_trust *trust, struct chain **out, struct err *e)
{
    return log_read_known(s, repo, cluster, trust, NULL, out, e);
}

/* ---- writing --------------------------------------------------------------------------
 */

static enum rc ask_fence(const struct log_fence *fence, struct err *e)
{
    return fence == NULL || fence->check == NULL ? RC_OK : fence->check(fence->arg, e);
}

static enum rc put_signature(struct store *s, const struct record *r,
                             const struct minisign_secret *key, struct bytes text,
                             const struct record_link *at, struct err *e)
{
    char signature[MINISIGN_SIGNATURE_SIZE], name[RECORD_KEY_SIZE], comment[160];

    if (key == NULL)
        return RC_OK;
    snprintf(comment, sizeof comment, "holdfast %s, record %" PRIu64 " of %s",
             record_kind_name(r->kind), r->sequence, r->cluster);
    TRY(minisign_sign(key, text, comment, signature, e));
    record_signature_key(r->cluster, at, name);
    /* Whatever lies there already can only be what an earlier try left. */
    return store_put_bytes(s, name, &(struct store_put){ .replace = true },
                           bytes_str(signature), e);
}

static enum rc forget_signature(struct store *s, const char *cluster,
                                const struct record_link *at, struct err *e)
{
    char name[RECORD_KEY_SIZE];

    record_signature_key(cluster, at, name);
    return store_remove(s, name, e);
}

/* An answer that got lost on the way may have made the store refuse our own record. */
static enum rc is_ours(struct store *s, const struct record *r, struct bytes text,
                       bool *out, struct err *e)
{
    AT_END(log_record_clear) struct log_record there = { 0 };

    TRY(log_read_one(s, r->cluster, r->sequence, &there, e));
    *out = bytes_equal(bytes_of(&there.record), text);
    return RC_OK;
}

/* The moment in which it becomes visible. */
static enum rc put_record(struct store *s, const struct record *r, struct bytes text,
                          const struct record_link *at, bool *taken, struct err *e)
{
    char name[RECORD_KEY_SIZE];
    struct err ignored = { 0 };
    bool ours = false;
    enum rc rc;

    record_key(r->cluster, r->sequence, name);
    rc = store_put_bytes(s, name, NULL, text, e);
    if (rc != RC_REFUSED)
        return rc;
    if (is_ours(s, r, text, &ours, &ignored) == RC_OK && ours)
        return RC_OK;
    *taken = true;
    if (forget_signature(s, r->cluster, at, &ignored) != RC_OK)
        log_warn("a signature without its record is left in '%s'", store_name(s));
    return err_set(e, RC_LOCKED,
                   "somebody else wrote record %" PRIu64 " of '%s' meanwhile",
                   r->sequence, r->cluster);
}

static void place(const struct chain *c, struct record *r)
{
    r->sequence = c->next;
    r->previous = c->head;
    if (r->backup != NULL && r->high_water < r->backup->revision)
        r->high_water = r->backup->revision;
    if (r->high_water < c->high_water)
        r->high_water = c->high_water;
    r->created = clock_unix_ms() / 1000;
}

static enum rc append(struct store *s, const struct chain *c,
                      const struct minisign_secret *key, const struct log_fence *fence,
                      struct record *r, struct record_link *out, bool *taken,
                      struct err *e)
{
    AT_END(log_record_clear)
    struct log_record held = { .record.cap_max = (size_t)2 * RECORD_MAX };
    struct record_link at;

    place(c, r);
    TRY(record_encode(r, &held.record, e));
    TRY(link_of(r->sequence, bytes_of(&held.record), &at, e));
    TRY(put_signature(s, r, key, bytes_of(&held.record), &at, e));
    TRY(ask_fence(fence, e));
    TRY(put_record(s, r, bytes_of(&held.record), &at, taken, e));
    *out = at;
    return RC_OK;
}

static enum rc append_or_say(struct store *s, const struct chain *c,
                             const struct minisign_secret *key,
                             const struct log_fence *fence, struct record *r,
                             struct record_link *out, bool *taken, struct err *e)
{
    if (!c->closed)
        return err_set(e, RC_INTERNAL, "a chain that is not closed has no end");
    if (append(s, c, key, fence, r, out, taken, e) != RC_OK)
        return err_wrap(e, "adding record %" PRIu64 " to the log of '%s'", c->next,
                        c->cluster);
    return RC_OK;
}

enum rc log_append(struct store *s, const struct chain *c,
                   const struct minisign_secret *key, const struct log_fence *fence,
                   struct record *r, struct record_link *out, struct err *e)
{
    bool taken = false;

    return append_or_say(s, c, key, fence, r, out, &taken, e);
}

static enum rc read_again(const struct log_writer *w, struct chain **out, struct err *e)
{
    OWNED(chain) c = NULL;
    struct chain_mark mark = { 0 };
    bool marked = false;

    TRY(log_read_known(w->store, w->repo, w->cluster, w->trust, w->known, &c, e));
    if (w->known != NULL)
        TRY(index_mark(w->known, w->repo, w->cluster, &mark, &marked, e));
    TRY(chain_close(c, &mark, marked ? 1 : 0, e));
    TRY(findings_verdict(&c->findings, e));
    *out = GIVE(c);
    return RC_OK;
}

enum rc log_append_anyhow(const struct log_writer *w, struct record *r,
                          struct record_link *out, struct err *e)
{
    bool taken = true;
    enum rc rc = RC_OK;

    for (unsigned i = 0; i < TRIES && taken; i++) {
        OWNED(chain) c = NULL;

        taken = false;
        TRY(read_again(w, &c, e));
        rc = append_or_say(w->store, c, w->key, w->fence, r, out, &taken, e);
    }
    return rc;
}

/* ---- removing -------------------------------------------------------------------------
 */

/* The object first: as long as it is there, the record says where. The signature last: a
 * record that can be seen is never without. */
enum rc log_sweep(struct store *s, const struct chain *c, const struct chain_item *item,
                  struct err *e)
{
    char name[RECORD_KEY_SIZE];

    if (item->state != CHAIN_REMOVED)
        return err_set(e, RC_INTERNAL, "record %" PRIu64 " was not removed",
                       item->at.sequence);
    if (item->record->backup != NULL)
        TRY(store_remove(s, item->record->backup->object_key, e));
    record_key(c->cluster, item->at.sequence, name);
    TRY(store_remove(s, name, e));
    return forget_signature(s, c->cluster, &item->at, e);
}
