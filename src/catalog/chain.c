#include "catalog/chain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "catalog/chain_inside.h"
#include "util/mem.h"

enum rc chain_new(const char *repo, const char *cluster,
                  const struct minisign_trust *trust, struct chain **out, struct err *e)
{
    OWNED(chain) c = NULL;

    if (strlen(repo) >= RECORD_REPO_ID_SIZE || !record_name_valid(cluster))
        return err_set(e, RC_USAGE, "'%s' is no name for a cluster in a repository",
                       cluster);
    TRY(mem_new(&c, sizeof *c, "a chain of records", e));
    snprintf(c->repo, sizeof c->repo, "%s", repo);
    snprintf(c->cluster, sizeof c->cluster, "%s", cluster);
    c->trust = trust;
    *out = GIVE(c);
    return RC_OK;
}

static void item_clear(struct chain_item *i)
{
    record_free(i->record);
    mem_free(i->detail);
    str_list_clear(&i->tags);
}

void chain_free(struct chain *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->count; i++)
        item_clear(&c->items[i]);
    mem_free(c->items);
    findings_clear(&c->findings);
    mem_free(c);
}

enum rc chain_stray(struct chain_item *i, const char *why, struct err *e, const char *fmt,
                    ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    i->state = CHAIN_STRAY;
    i->why = why;
    mem_free(i->detail);
    i->detail = mem_str(text);
    return i->detail != NULL ? RC_OK : err_set(e, RC_NOMEM, "no memory for a record");
}

static bool ours_to_say(enum rc rc)
{
    return rc == RC_NOMEM || rc == RC_INTERNAL;
}

static enum rc check_bound(const struct chain *c, const struct minisign_public *by,
                           struct chain_item *i, struct err *e)
{
    const uint64_t bound = c->trust->bound[by - c->trust->keys];

    if (bound == 0 || i->at.sequence < bound)
        return RC_OK;
    return chain_stray(i, "retired", e, "its key was retired after record %" PRIu64,
                       bound - 1);
}

/* Who signed it, as far as we know the keys. */
static enum rc take_signature(const struct chain *c, struct chain_item *i,
                              struct bytes record, struct bytes signature, struct err *e)
{
    const struct minisign_public *by = NULL;
    struct err why = { 0 };
    enum rc rc;

    if (c->trust->count == 0)
        return RC_OK;
    if (signature.n == 0)
        return chain_stray(i, "unsigned", e, "it has no signature");
    rc = minisign_verify(c->trust, record, signature, &by, NULL, &why);
    if (rc == RC_OK) {
        i->key_id = by->id;
        return check_bound(c, by, i, e);
    }
    if (ours_to_say(rc)) {
        *e = why;
        return rc;
    }
    return chain_stray(i, rc == RC_NOKEY ? "stranger" : "forged", e, "%s", why.why);
}

static enum rc take_place(const struct chain *c, struct chain_item *i, struct err *e)
{
    const struct record *r = i->record;

    if (r->sequence != i->at.sequence)
        return chain_stray(i, "misplaced", e, "it says that it is record %" PRIu64,
                           r->sequence);
    if (strcmp(r->repo, c->repo) != 0)
        return chain_stray(i, "misplaced", e, "it belongs to another repository, %s",
                           r->repo);
    if (strcmp(r->cluster, c->cluster) != 0)
        return chain_stray(i, "misplaced", e, "it belongs to the cluster '%s'",
                           r->cluster);
    return RC_OK;
}

/* The signature is looked at first; what an unsigned record says of itself is still
 * wanted, so that the walk can go on below it. */
static enum rc judge(const struct chain *c, struct chain_item *i, struct bytes record,
                     struct bytes signature, struct err *e)
{
    struct err why = { 0 };
    enum rc rc;

    TRY(take_signature(c, i, record, signature, e));
    rc = record_decode(record, "the record", &i->record, &why);
    if (rc != RC_OK && ours_to_say(rc)) {
        *e = why;
        return rc;
    }
    if (i->state == CHAIN_STRAY)
        return RC_OK;
    if (rc != RC_OK)
        return chain_stray(i, "unreadable", e, "%s", why.why);
    return take_place(c, i, e);
}

static enum rc hash_of(struct bytes record, uint8_t out[static SHA256_SIZE],
                       struct err *e)
{
    OWNED(sha256) h = NULL;

    TRY(sha256_new(&h, e));
    TRY(sha256_add(h, record.p, record.n, e));
    return sha256_end(h, out, e);
}

static enum rc grow(struct chain *c, struct err *e)
{
    size_t room = c->room == 0 ? 64 : c->room * 2;
    struct chain_item *more;

    if (c->count < c->room)
        return RC_OK;
    more = mem_resize(c->items, room, sizeof *more);
    if (more == NULL)
        return err_set(e, RC_NOMEM, "no memory for %zu records", room);
    c->items = more;
    c->room = room;
    return RC_OK;
}

enum rc chain_add(struct chain *c, uint64_t sequence, struct bytes record,
                  struct bytes signature, struct err *e)
{
    struct chain_item *i;

    if (c->closed)
        return err_set(e, RC_INTERNAL, "a closed chain takes no more records");
    TRY(grow(c, e));
    i = &c->items[c->count];
    *i = (struct chain_item){ .at.sequence = sequence };
    c->count++; /* from here on the chain frees it */
    TRY(hash_of(record, i->at.sha256, e));
    return judge(c, i, record, signature, e);
}

const struct chain_item *chain_find(const struct chain *c, uint64_t sequence)
{
    const struct chain_item *found = NULL;

    for (size_t i = chain_first_at(c, sequence);
         i < c->count && c->items[i].at.sequence == sequence; i++)
        if (found == NULL || c->items[i].linked)
            found = &c->items[i];
    return found;
}

const struct chain_item *chain_newest(const struct chain *c, bool proved)
{
    for (size_t i = c->count; i-- > 0;)
        if (chain_is_backup(&c->items[i]) &&
            (!proved || c->items[i].record->backup->proved))
            return &c->items[i];
    return NULL;
}

/* Into its place by sequence. */
static void settle(struct record *prune)
{
    struct record_removed *x = prune->removed;

    for (size_t i = prune->removed_count - 1;
         i > 0 && x[i].was.sequence < x[i - 1].was.sequence; i--) {
        struct record_removed held = x[i];

        x[i] = x[i - 1];
        x[i - 1] = held;
    }
}

enum rc chain_remove(const struct chain *c, uint64_t sequence, struct record *prune,
                     struct err *e)
{
    const struct chain_item *i = chain_find(c, sequence);
    struct record_removed x;

    if (i == NULL || i->state != CHAIN_GOOD || i->record->kind == RECORD_PRUNE)
        return err_set(e, RC_REFUSED,
                       "record %" PRIu64 " of '%s' is not one that can be removed",
                       sequence, c->cluster);
    for (size_t k = 0; k < prune->removed_count; k++)
        if (prune->removed[k].was.sequence == sequence)
            return RC_OK;
    x = (struct record_removed){ .was = i->at, .previous = i->record->previous };
    TRY(record_add_removed(prune, &x, e));
    settle(prune);
    return RC_OK;
}

struct chain_mark chain_mark_of(const struct chain *c, const char *whence)
{
    return (struct chain_mark){ c->head, c->high_water, whence };
}
