#include "boltdb/stream.h"

#include "boltdb/facts.h"
#include "filter/spool.h"
#include "util/mem.h"

enum {
    STEP = 1 << 20,           /* most bytes taken into the window at once */
    BUILT_RESIDENT = 8 << 20, /* facts of 200 000 pages */
};

/* A page whose extent is not complete yet. */
struct unfinished {
    uint64_t id, end; /* end: file offset */
};

/* Bytes [at, end) of the file, in a piece or in the window. */
struct span {
    const uint8_t *p;
    uint64_t at, end;
};

struct bolt_stream {
    struct bolt_stream_visitor visitor;
    size_t memory_max;
    bool gave_up;

    bool built; /* page after page, and the head comes last */
    bool begun; /* the head went by: `meta` is known, or known to be bad */
    bool has_meta;
    struct bolt_meta meta;
    struct err meta_error;
    struct findings early; /* about the metas, until finish */

    uint64_t total;    /* bytes written to us */
    uint64_t next;     /* first page not looked at yet */
    struct buf window; /* bytes of the file from window_at on */
    uint64_t window_at;
    struct unfinished *unfinished;
    size_t unfinished_count, unfinished_cap;

    bool root_is_leaf; /* and went by: other leaves' buckets matter to nobody */
    struct spool *spool;
    struct facts facts;  /* their records are in the spool */
    struct buf freelist; /* the freelist page, when the meta names one */
};

void bolt_stream_free(struct bolt_stream *s)
{
    if (s == NULL)
        return;
    findings_clear(&s->early);
    buf_clear(&s->window);
    buf_clear(&s->freelist);
    facts_clear(&s->facts);
    spool_free(s->spool);
    mem_free(s->unfinished);
    mem_free(s);
}

enum rc bolt_stream_new(const struct bolt_stream_visitor *v, size_t resident,
                        size_t memory_max, struct bolt_stream **out, struct err *e)
{
    const struct spool_options o = { .resident = resident == 0 ? SIZE_MAX : resident,
                                     .memory_max = memory_max };
    OWNED(bolt_stream) s = NULL;

    TRY(mem_new(&s, sizeof *s, "a check of a passing database", e));
    TRY(spool_new(&o, &s->spool, e));
    s->facts.spool = s->spool;
    if (v != NULL)
        s->visitor = *v;
    s->memory_max = memory_max;
    s->window.cap_max = s->freelist.cap_max =
        2 * (size_t)BOLT_STREAM_EXTENT_MAX + 2 * BOLT_META_HEAD + 2 * (size_t)STEP;
    *out = GIVE(s);
    return RC_OK;
}

enum rc bolt_stream_new_built(const struct bolt_stream_visitor *v, uint32_t page_size,
                              struct bolt_stream **out, struct err *e)
{
    TRY(bolt_stream_new(v, BUILT_RESIDENT, 0, out, e));
    (*out)->built = (*out)->begun = (*out)->has_meta = true;
    (*out)->next = 2;
    (*out)->meta = (struct bolt_meta){ .page_size = page_size,
                                       .freelist = BOLT_NO_FREELIST,
                                       .high_water = UINT64_MAX / page_size };
    return RC_OK;
}

static void give_up(struct bolt_stream *s)
{
    s->gave_up = true;
    facts_clear(&s->facts);
    spool_free(GIVE(s->spool));
    buf_clear(&s->window);
    buf_clear(&s->freelist);
    mem_free(s->unfinished);
    s->unfinished = NULL;
    s->unfinished_count = s->unfinished_cap = 0;
}

static bool over_limit(const struct bolt_stream *s)
{
    size_t used = facts_memory(&s->facts) + s->window.n + s->freelist.n +
                  s->unfinished_count * sizeof *s->unfinished + spool_memory(s->spool);

    return spool_lost(s->spool, NULL) || (s->memory_max != 0 && used > s->memory_max);
}

static uint64_t offset_of(const struct bolt_stream *s, uint64_t id)
{
    return id * s->meta.page_size;
}

static uint64_t limit_of(const struct bolt_stream *s)
{
    uint64_t size;

    /* A mark that overflows claims more than any stream can bring. */
    if (__builtin_mul_overflow(s->meta.high_water, s->meta.page_size, &size))
        return UINT64_MAX;
    return size;
}

/* ---- pages ------------------------------------------------------------------------ */

static enum rc take_page(struct bolt_stream *s, struct bolt_page *page, struct err *e)
{
    struct bolt_fault fault;
    uint32_t note = 0;

    if (!bolt_page_body(page, &fault))
        return facts_add_fault(&s->facts, page->id, &fault, e);
    if (page->id == s->meta.root && page->kind == BOLT_PAGE_LEAF)
        s->root_is_leaf = true;
    if (page->kind == BOLT_PAGE_LEAF && s->visitor.leaf != NULL)
        TRY(s->visitor.leaf(s->visitor.arg, page, &note, e));
    return facts_add_page(
        &s->facts, page,
        page->buckets > 0 && (!s->root_is_leaf || page->id == s->meta.root), note, e);
}

static enum rc wait_for(struct bolt_stream *s, uint64_t id, uint64_t end, struct err *e)
{
    if (s->unfinished_count == s->unfinished_cap) {
        size_t cap = s->unfinished_cap == 0 ? 16 : s->unfinished_cap * 2;
        struct unfinished *list = mem_resize(s->unfinished, cap, sizeof *list);

        if (list == NULL)
            return err_set(e, RC_NOMEM, "no memory for %zu unfinished pages", cap);
        s->unfinished = list;
        s->unfinished_cap = cap;
    }
    s->unfinished[s->unfinished_count++] = (struct unfinished){ .id = id, .end = end };
    return RC_OK;
}

/* How far the freelist page reaches; a header that is none is kept alone, as evidence. */
static uint64_t freelist_extent(const struct bolt_stream *s, const uint8_t *p)
{
    uint64_t pages = 1 + (uint64_t)le32(p + 12);

    if (le64(p) != s->meta.freelist || le16(p + 8) != BOLT_PAGE_FREELIST ||
        pages > s->meta.high_water - s->meta.freelist)
        pages = 1;
    return pages * s->meta.page_size;
}

static enum rc take_freelist(struct bolt_stream *s, const struct span *span,
                             struct err *e)
{
    uint64_t at = offset_of(s, s->meta.freelist);
    const uint8_t *p = span->p + (at - span->at);
    uint64_t extent = freelist_extent(s, p);

    if (extent > BOLT_STREAM_EXTENT_MAX || s->freelist.n > 0)
        return RC_OK;
    if (at + extent > span->end)
        return wait_for(s, s->meta.freelist, at + extent, e);
    return buf_add(&s->freelist, p, extent, e);
}

/* Page `id` stands in the span with all its extent, or waits for the rest. *pages: from
 * it to the next that may begin. */
static enum rc take(struct bolt_stream *s, uint64_t id, const struct span *span,
                    uint64_t *pages, struct err *e)
{
    uint64_t at = offset_of(s, id);
    const uint8_t *p = span->p + (at - span->at);
    struct bolt_fault fault;
    struct bolt_page page;

    *pages = 1;
    if (id == s->meta.freelist)
        TRY(take_freelist(s, span, e));
    if (!bolt_page_head(p, limit_of(s) - at, id, s->meta.page_size, &page, &fault))
        return fault.kind == BOLT_FAULT_HEADER
                   ? RC_OK
                   : facts_add_fault(&s->facts, id, &fault, e);
    if (page.extent > BOLT_STREAM_EXTENT_MAX)
        return facts_add_unseen(&s->facts, id, e);
    if (s->built)
        *pages += page.overflow;
    if (at + page.extent > span->end)
        return wait_for(s, id, at + page.extent, e);
    return take_page(s, &page, e);
}

/* Those whose extent is complete by now. They pass take() once more, which then does not
 * wait; the list is rebuilt in place. */
static enum rc take_finished(struct bolt_stream *s, const struct span *span,
                             struct err *e)
{
    size_t kept = 0;
    uint64_t known;

    for (size_t i = 0; i < s->unfinished_count; i++) {
        struct unfinished u = s->unfinished[i];

        if (u.end > span->end)
            s->unfinished[kept++] = u;
        else
            TRY(take(s, u.id, span, &known, e));
    }
    s->unfinished_count = kept;
    return RC_OK;
}

static enum rc scan(struct bolt_stream *s, const struct span *span, struct err *e)
{
    uint64_t pages;

    TRY(take_finished(s, span, e));
    for (; offset_of(s, s->next + 1) <= span->end; s->next += pages)
        TRY(take(s, s->next, span, &pages, e));
    if (over_limit(s))
        give_up(s);
    return RC_OK;
}

/* ---- bytes ------------------------------------------------------------------------ */

/* From here on bytes are still needed. Pages begin in order, so the first unfinished one
 * is the oldest. */
static uint64_t needed_from(const struct bolt_stream *s)
{
    return offset_of(s, s->unfinished_count > 0 ? s->unfinished[0].id : s->next);
}

/* To here bytes are needed before the window can be empty. */
static uint64_t needed_to(const struct bolt_stream *s)
{
    uint64_t end = offset_of(s, s->next + 1);

    for (size_t i = 0; i < s->unfinished_count; i++)
        if (s->unfinished[i].end > end)
            end = s->unfinished[i].end;
    return end;
}

/* Forgets what is no longer needed, when that is at least half of it: each byte is then
 * moved once on average. Before the end of the metas nothing can be forgotten. */
static void trim_window(struct bolt_stream *s)
{
    uint64_t from = needed_from(s);
    size_t dead;

    if (from > s->window_at + s->window.n)
        return;
    dead = (size_t)(from - s->window_at);
    if (dead < s->window.n / 2)
        return;
    s->window.n -= dead;
    memmove(s->window.p, s->window.p + dead, s->window.n);
    s->window_at += dead;
}

static enum rc scan_window(struct bolt_stream *s, struct err *e)
{
    const struct span span = { s->window.p, s->window_at, s->window_at + s->window.n };

    TRY(scan(s, &span, e));
    if (!s->gave_up && s->window.n > 0)
        trim_window(s);
    return RC_OK;
}

/* Looks at whole pages where they lie and keeps what is unfinished of them. */
static enum rc scan_piece(struct bolt_stream *s, const uint8_t *p, size_t n,
                          struct err *e)
{
    const struct span span = { p, s->window_at, s->window_at + n };
    uint64_t from;

    TRY(scan(s, &span, e));
    if (s->gave_up)
        return RC_OK;
    from = needed_from(s);
    from = from < span.end ? from : span.end;
    s->window_at = from;
    return buf_add(&s->window, p + (from - span.at), (size_t)(span.end - from), e);
}

static enum rc feed(struct bolt_stream *s, const uint8_t *p, size_t n, struct err *e)
{
    while (n > 0 && !s->gave_up) {
        uint64_t end = s->window_at + s->window.n;
        uint64_t now = limit_of(s) - end;

        if (now > n)
            now = n;
        if (now == 0)
            return RC_OK;
        if (s->window.n == 0) {
            TRY(scan_piece(s, p, now, e));
        } else {
            uint64_t want = needed_to(s) - end;

            now = now < want ? now : want;
            now = now < STEP ? now : STEP;
            TRY(buf_add(&s->window, p, now, e));
            TRY(scan_window(s, e));
        }
        p += now;
        n -= now;
    }
    return RC_OK;
}

/* ---- the head, with the metas -------------------------------------------------------
 */

/* The window holds the head, or the whole of a small file. */
static enum rc begin(struct bolt_stream *s, struct err *e)
{
    struct bytes head = { s->window.p, s->window.n };
    uint64_t limit;

    s->begun = true;
    if (bolt_meta_choose(head, &s->early, &s->meta, &s->meta_error) != RC_OK) {
        buf_clear(&s->window);
        if (s->meta_error.code == RC_CORRUPT)
            return RC_OK;
        *e = s->meta_error;
        return e->code;
    }
    s->has_meta = true;
    s->next = 2;
    limit = limit_of(s);
    if (s->window.n > limit)
        s->window.n = limit;
    return scan_window(s, e);
}

enum rc bolt_stream_write(struct bolt_stream *s, const uint8_t *p, size_t n,
                          struct err *e)
{
    if (n == 0)
        return RC_OK;
    s->total += n;
    if (!s->begun) {
        size_t now = BOLT_META_HEAD - s->window.n;

        now = now < n ? now : n;
        TRY(buf_add(&s->window, p, now, e));
        p += now;
        n -= now;
        if (s->window.n < BOLT_META_HEAD)
            return RC_OK;
        TRY(begin(s, e));
    }
    return s->has_meta ? feed(s, p, n, e) : RC_OK;
}

enum rc bolt_stream_head(struct bolt_stream *s, struct bytes head, struct err *e)
{
    uint32_t page_size = s->meta.page_size;

    s->has_meta = false;
    if (bolt_meta_choose(head, &s->early, &s->meta, &s->meta_error) != RC_OK) {
        if (s->meta_error.code == RC_CORRUPT)
            return RC_OK;
        *e = s->meta_error;
        return e->code;
    }
    s->has_meta = s->meta.page_size == page_size;
    return s->has_meta ? RC_OK
                       : err_set(e, RC_CORRUPT, "page size %u, but it was built with %u",
                                 s->meta.page_size, page_size);
}

const struct bolt_meta *bolt_stream_meta(const struct bolt_stream *s)
{
    return s->has_meta ? &s->meta : NULL;
}

/* ---- the tree --------------------------------------------------------------------- */

static enum tree_look look(void *arg, uint64_t id, struct tree_node *out,
                           struct bolt_fault *fault)
{
    return facts_look(&((struct bolt_stream *)arg)->facts, id, out, fault);
}

static uint64_t child(void *arg, const struct tree_node *node, uint16_t i,
                      struct bytes *key, uint8_t room[static TREE_KEY_ROOM])
{
    return facts_child(&((struct bolt_stream *)arg)->facts, node, i, key, room);
}

static const uint8_t *freelist(void *arg, uint64_t *room)
{
    struct bolt_stream *s = arg;

    *room = limit_of(s) - offset_of(s, s->meta.freelist);
    return s->freelist.n > 0 ? s->freelist.p : NULL;
}

static enum rc bucket(void *arg, struct bytes name, struct err *e)
{
    const struct bolt_stream_visitor *v = &((struct bolt_stream *)arg)->visitor;

    return v->bucket != NULL ? v->bucket(v->arg, name, e) : RC_OK;
}

static enum rc leaf(void *arg, const struct tree_node *node, struct err *e)
{
    const struct bolt_stream_visitor *v = &((struct bolt_stream *)arg)->visitor;

    return v->reached != NULL ? v->reached(v->arg, node->page.id, node->note, e) : RC_OK;
}

static enum rc inlined(void *arg, const struct bolt_page *page, uint64_t holder,
                       struct err *e)
{
    const struct bolt_stream_visitor *v = &((struct bolt_stream *)arg)->visitor;

    for (uint16_t i = 0; v->inlined != NULL && i < page->count; i++) {
        struct bolt_pair pair = bolt_leaf_at(page, i);

        if (!pair.is_bucket)
            TRY(v->inlined(v->arg, pair.key, pair.value, holder, e));
    }
    return RC_OK;
}

static enum rc walk(struct bolt_stream *s, struct findings *f,
                    struct bolt_walk_result *out, bool *checked, struct err *e)
{
    const struct tree_source source = { .arg = s,
                                        .meta = &s->meta,
                                        .look = look,
                                        .child = child,
                                        .freelist = freelist,
                                        .bucket = bucket,
                                        .leaf = leaf,
                                        .inlined = inlined };
    uint64_t unseen = 0;

    TRY(tree_walk(&source, f, out, &unseen, e));
    *checked = unseen == 0;
    if (s->facts.failed.code == RC_OK)
        return RC_OK;
    *e = s->facts.failed;
    return e->code;
}

static enum rc pass_on(const struct findings *from, struct findings *to, struct err *e)
{
    for (size_t i = 0; i < from->kept; i++)
        TRY(findings_add(to, from->items[i].severity, from->items[i].code,
                         from->items[i].page, e, "%s", from->items[i].message));
    return RC_OK;
}

enum rc bolt_stream_finish(struct bolt_stream *s, struct findings *f,
                           struct bolt_walk_result *out, bool *checked, struct err *e)
{
    if (!s->begun)
        TRY(begin(s, e));
    TRY(pass_on(&s->early, f, e));
    if (s->has_meta && s->total >= limit_of(s) && !s->gave_up)
        return walk(s, f, out, checked, e);
    if (!s->has_meta)
        TRY(findings_add(f, FINDING_ERROR, "meta-bad", 0, e, "%s", s->meta_error.why));
    else if (s->total < limit_of(s))
        TRY(findings_add(f, FINDING_ERROR, "truncated", FINDING_NO_PAGE, e,
                         "truncated: %llu bytes, the meta page needs %llu pages of %u",
                         (unsigned long long)s->total,
                         (unsigned long long)s->meta.high_water, s->meta.page_size));
    *out = (struct bolt_walk_result){ 0 };
    *checked = !s->has_meta || s->total < limit_of(s);
    return RC_OK;
}
