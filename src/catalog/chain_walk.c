#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/chain_inside.h"
#include "util/mem.h"

enum { CLOCK_SLACK_S = 600 };

/* One removal that some genuine prune record speaks of; it counts when that record is on
 * the chain. */
struct cover {
    const struct record_removed *gone;
    const struct chain_item *by;
};

struct walk {
    struct chain *c;
    struct cover *covers; /* by the sequence of what is gone */
    size_t cover_count;
};

static void walk_end(struct walk *w)
{
    mem_free(w->covers);
}

static int compare_links(const struct record_link *a, const struct record_link *b)
{
    if (a->sequence != b->sequence)
        return a->sequence < b->sequence ? -1 : 1;
    return memcmp(a->sha256, b->sha256, SHA256_SIZE);
}

/* Of two that are the same, the one whose signature is known comes first. */
static int compare_items(const void *a, const void *b)
{
    const struct chain_item *x = a, *y = b;
    int c = compare_links(&x->at, &y->at);

    return c != 0 ? c : (x->state == CHAIN_STRAY) - (y->state == CHAIN_STRAY);
}

static int compare_covers(const void *a, const void *b)
{
    const struct cover *x = a, *y = b;

    return compare_links(&x->gone->was, &y->gone->was);
}

static bool genuine(const struct chain_item *i)
{
    return i->state != CHAIN_STRAY;
}

size_t chain_first_at(const struct chain *c, uint64_t sequence)
{
    size_t low = 0, high = c->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (c->items[mid].at.sequence < sequence)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct chain_item *item_at(struct chain *c, const struct record_link *at)
{
    for (size_t i = chain_first_at(c, at->sequence);
         i < c->count && c->items[i].at.sequence == at->sequence; i++)
        if (record_link_equal(&c->items[i].at, at))
            return &c->items[i];
    return NULL;
}

/* ---- what was removed in order --------------------------------------------------------
 */

static enum rc collect_covers(struct walk *w, struct err *e)
{
    size_t count = 0;

    for (size_t i = 0; i < w->c->count; i++)
        if (genuine(&w->c->items[i]))
            count += w->c->items[i].record->removed_count;
    TRY(mem_new(&w->covers, (count + 1) * sizeof *w->covers, "removed records", e));
    for (size_t i = 0; i < w->c->count; i++) {
        const struct chain_item *by = &w->c->items[i];

        for (size_t k = 0; genuine(by) && k < by->record->removed_count; k++)
            w->covers[w->cover_count++] = (struct cover){ &by->record->removed[k], by };
    }
    qsort(w->covers, count, sizeof *w->covers, compare_covers);
    return RC_OK;
}

/* The first cover of this sequence or a higher one. */
static size_t first_cover(const struct walk *w, uint64_t sequence)
{
    size_t low = 0, high = w->cover_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (w->covers[mid].gone->was.sequence < sequence)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static const struct record_removed *covered(const struct walk *w,
                                            const struct record_link *at)
{
    for (size_t i = first_cover(w, at->sequence);
         i < w->cover_count && w->covers[i].gone->was.sequence == at->sequence; i++)
        if (w->covers[i].by->linked && record_link_equal(&w->covers[i].gone->was, at))
            return w->covers[i].gone;
    return NULL;
}

/* ---- the walk -------------------------------------------------------------------------
 */

/* Where to go on below a hole: the next genuine record, or one that was removed. */
static struct record_link below(const struct walk *w, uint64_t sequence)
{
    struct record_link next = { 0 };

    for (size_t i = chain_first_at(w->c, sequence); i-- > 0;)
        if (genuine(&w->c->items[i])) {
            next = w->c->items[i].at;
            break;
        }
    for (size_t i = first_cover(w, sequence);
         i-- > 0 && w->covers[i].gone->was.sequence > next.sequence;)
        if (w->covers[i].by->linked) {
            next = w->covers[i].gone->was;
            break;
        }
    return next;
}

static enum rc hole(struct walk *w, const struct record_link *want, uint64_t above,
                    struct err *e)
{
    bool other = chain_find(w->c, want->sequence) != NULL;

    return findings_add(&w->c->findings, FINDING_ERROR,
                        other ? "log-altered" : "log-missing", FINDING_NO_PAGE, e,
                        other ? "record %" PRIu64 " is not the one that record %" PRIu64
                                " was written after"
                              : "record %" PRIu64 ", which record %" PRIu64
                                " follows, is gone, and no prune removed it",
                        want->sequence, above);
}

/* One step down from `want`, which record `*above` names. */
static enum rc step(struct walk *w, struct record_link *want, uint64_t *above,
                    struct err *e)
{
    struct chain_item *i = item_at(w->c, want);
    const struct record_removed *gone = covered(w, want);
    uint64_t at = want->sequence;

    if (i != NULL && i->record != NULL && i->record->sequence == at) {
        i->linked = true;
        if (gone != NULL && genuine(i))
            i->state = CHAIN_REMOVED;
        *want = i->record->previous;
    } else if (gone != NULL) {
        *want = gone->previous;
    } else {
        if (i == NULL) /* else it is there, and a stray: its own finding */
            TRY(hole(w, want, *above, e));
        *want = below(w, at);
    }
    *above = at;
    return RC_OK;
}

static enum rc walk_down(struct walk *w, struct err *e)
{
    struct record_link want = w->c->head;
    uint64_t above = 0;

    while (want.sequence > 0)
        TRY(step(w, &want, &above, e));
    return RC_OK;
}

static void find_head(struct chain *c)
{
    for (size_t i = c->count; i-- > 0;)
        if (genuine(&c->items[i])) {
            c->head = c->items[i].at;
            break;
        }
    c->next = c->head.sequence + 1;
    for (size_t i = chain_first_at(c, c->next);
         i < c->count && c->items[i].at.sequence <= c->next; i++)
        c->next = c->items[i].at.sequence + 1;
}

/* ---- findings -------------------------------------------------------------------------
 */

static enum rc find_strays(struct chain *c, struct err *e)
{
    for (size_t n = 0; n < c->count; n++) {
        struct chain_item *i = &c->items[n];

        if (genuine(i) && !i->linked) {
            TRY(chain_stray(i, "off-chain", e,
                            "it is genuine, but no record was written after it"));
            TRY(findings_add(&c->findings, FINDING_ERROR, "log-fork", FINDING_NO_PAGE, e,
                             "record %" PRIu64 " is genuine, but the log goes on "
                             "elsewhere: two have written at once",
                             i->at.sequence));
        } else if (!genuine(i) && i->linked) {
            TRY(findings_add(&c->findings, FINDING_ERROR, "log-altered", FINDING_NO_PAGE,
                             e,
                             "record %" PRIu64 " belongs to the log, and is not used: %s",
                             i->at.sequence, i->detail));
        } else if (!genuine(i)) {
            TRY(findings_add(&c->findings, FINDING_WARN, "log-stray", FINDING_NO_PAGE, e,
                             "record %" PRIu64 " is not used: %s", i->at.sequence,
                             i->detail));
        } else if (i->state == CHAIN_REMOVED) {
            TRY(findings_add(&c->findings, FINDING_NOTE, "log-unfinished",
                             FINDING_NO_PAGE, e,
                             "record %" PRIu64 " was removed, but is still there; the "
                             "next prune sweeps it",
                             i->at.sequence));
        }
    }
    return RC_OK;
}

static enum rc check_pair(struct chain *c, const struct record *before,
                          const struct record *after, struct err *e)
{
    if (after->high_water < before->high_water)
        TRY(findings_add(&c->findings, FINDING_ERROR, "log-order", FINDING_NO_PAGE, e,
                         "record %" PRIu64 " knows of revision %" PRId64
                         ", and the later record %" PRIu64 " only of %" PRId64,
                         before->sequence, before->high_water, after->sequence,
                         after->high_water));
    if (after->created < before->created - CLOCK_SLACK_S)
        TRY(findings_add(&c->findings, FINDING_WARN, "log-clock", FINDING_NO_PAGE, e,
                         "by its clock record %" PRIu64 " was written %" PRId64
                         " s before record %" PRIu64 ", which it follows",
                         after->sequence, before->created - after->created,
                         before->sequence));
    return RC_OK;
}

static enum rc check_order(struct chain *c, struct err *e)
{
    const struct record *before = NULL;

    for (size_t i = 0; i < c->count; i++) {
        const struct record *r = c->items[i].record;

        if (!genuine(&c->items[i]))
            continue;
        if (before != NULL)
            TRY(check_pair(c, before, r, e));
        if (r->high_water > c->high_water)
            c->high_water = r->high_water;
        before = r;
    }
    return RC_OK;
}

static bool known_still(struct walk *w, const struct record_link *at)
{
    const struct chain_item *i = item_at(w->c, at);

    return (i != NULL && i->linked) || covered(w, at) != NULL;
}

static enum rc check_mark(struct walk *w, const struct chain_mark *m, struct err *e)
{
    struct chain *c = w->c;

    if (m->head.sequence > c->head.sequence)
        return findings_add(&c->findings, FINDING_ERROR, "log-rolled-back",
                            FINDING_NO_PAGE, e,
                            "%s remembers record %" PRIu64 ", and the newest one here is "
                            "%" PRIu64 ": what came after it was taken away",
                            m->whence, m->head.sequence, c->head.sequence);
    if (m->head.sequence > 0 && !known_still(w, &m->head))
        return findings_add(&c->findings, FINDING_ERROR, "log-mark", FINDING_NO_PAGE, e,
                            "record %" PRIu64 " is not the one that %s remembers",
                            m->head.sequence, m->whence);
    if (m->high_water > c->high_water)
        return findings_add(
            &c->findings, FINDING_ERROR, "log-rolled-back", FINDING_NO_PAGE, e,
            "%s remembers revision %" PRId64 ", and the records here none above %" PRId64,
            m->whence, m->high_water, c->high_water);
    return RC_OK;
}

static enum rc say_what_is_unknown(struct chain *c, bool marked, struct err *e)
{
    if (c->trust->count == 0)
        TRY(findings_add(&c->findings, FINDING_NOTE, "unknown-authors", FINDING_NO_PAGE,
                         e,
                         "no key was given to check signatures with: whoever can write "
                         "to the store can have written all of this"));
    if (!marked)
        TRY(findings_add(&c->findings, FINDING_NOTE, "unknown-head", FINDING_NO_PAGE, e,
                         "nothing here remembers this log: whether the store holds back "
                         "its newest records cannot be known"));
    return RC_OK;
}

/* ---- tags -----------------------------------------------------------------------------
 */

static enum rc add_tags(struct str_list *to, const struct str_list *from, struct err *e)
{
    for (size_t i = 0; i < from->count; i++)
        if (!str_list_has(to, from->items[i]))
            TRY(str_list_add(to, from->items[i], e));
    return RC_OK;
}

static enum rc give_tags(struct chain *c, struct err *e)
{
    for (size_t n = 0; n < c->count; n++) {
        struct chain_item *i = &c->items[n];

        if (i->state != CHAIN_GOOD)
            continue;
        if (i->record->kind == RECORD_BACKUP)
            TRY(add_tags(&i->tags, &i->record->backup->tags, e));
        if (i->record->kind != RECORD_TAG)
            continue;
        size_t at = chain_first_at(c, i->record->target);

        for (; at < n && c->items[at].at.sequence == i->record->target; at++)
            if (chain_is_backup(&c->items[at]))
                TRY(add_tags(&c->items[at].tags, &i->record->tags, e));
    }
    return RC_OK;
}

/* A listing may name a record twice. */
static void drop_doubles(struct chain *c)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->count; i++) {
        struct chain_item *x = &c->items[i];

        if (kept > 0 && record_link_equal(&c->items[kept - 1].at, &x->at)) {
            record_free(x->record);
            mem_free(x->detail);
            continue;
        }
        c->items[kept++] = *x;
    }
    c->count = kept;
}

enum rc chain_close(struct chain *c, const struct chain_mark *marks, size_t mark_count,
                    struct err *e)
{
    AT_END(walk_end) struct walk w = { .c = c };
    bool marked = false;

    c->closed = true;
    if (c->count > 0)
        qsort(c->items, c->count, sizeof *c->items, compare_items);
    drop_doubles(c);
    find_head(c);
    TRY(collect_covers(&w, e));
    TRY(walk_down(&w, e));
    TRY(find_strays(c, e));
    TRY(check_order(c, e));
    for (size_t i = 0; i < mark_count; i++) {
        TRY(check_mark(&w, &marks[i], e));
        marked |= marks[i].head.sequence > 0;
    }
    TRY(give_tags(c, e));
    return say_what_is_unknown(c, marked, e);
}
