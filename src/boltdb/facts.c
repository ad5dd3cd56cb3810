#include "boltdb/facts.h"

#include "util/mem.h"

enum {
    UNIT = SPOOL_UNIT, /* records begin at multiples of it */
    PACKED_KEY = 12,
    PACKED_CHILD = PACKED_KEY + 8,
    REVISION_KEY = 17, /* main, '_', sub; with 't' after it a tombstone */
    TOMBSTONE_KEY = 18,
    RAW_HEADER = 8, /* u16 first, u16 last, u16 buckets */
};
#define SUB_MAX UINT32_C(0x7fffffff)
#define TOMBSTONE UINT32_C(0x80000000)

/* Of a slot: its record is in memory. */
#define HELD UINT32_C(0x80000000)

enum form {
    FORM_EMPTY,   /* a leaf without elements */
    FORM_PACKED,  /* first and last key, or all children, as revision keys */
    FORM_RAW,     /* a leaf's first and last key as they are */
    FORM_CONTENT, /* u64 buckets, then the page itself without its padding */
    FORM_FAULT,
    FORM_UNSEEN,
};

/* Begins each record. */
struct record {
    uint32_t overflow;
    uint16_t count;
    uint8_t kind, form;
    uint32_t note;
};

_Static_assert(sizeof(struct record) == 12, "one for each page");

void facts_clear(struct facts *f)
{
    mem_free(f->slots);
    mem_free(f->records);
    buf_clear(&f->scratch);
    *f = (struct facts){ .spool = f->spool };
}

size_t facts_memory(const struct facts *f)
{
    return f->used + (size_t)f->slot_count * sizeof *f->slots;
}

/* Growth by mremap costs no copy and no memory before it is touched, so doubling does
 * not double what the process uses. */
static enum rc slot_for(struct facts *f, uint64_t id, struct err *e)
{
    uint64_t cap = f->slot_cap == 0 ? 1024 : f->slot_cap;
    uint32_t *slots;

    while (cap <= id)
        cap *= 2;
    if (cap > f->slot_cap) {
        slots = mem_resize(f->slots, cap, sizeof *slots);
        if (slots == NULL)
            return err_set(e, RC_NOMEM, "no memory for facts of %llu pages",
                           (unsigned long long)cap);
        f->slots = slots;
        f->slot_cap = cap;
    }
    for (; f->slot_count <= id; f->slot_count++)
        f->slots[f->slot_count] = 0;
    return RC_OK;
}

static enum rc too_many(struct err *e)
{
    return err_set(e, RC_NOMEM, "too many facts of pages");
}

/* Room in memory for a new record of page `id` and its payload of n bytes. */
static enum rc hold(struct facts *f, uint64_t id, const struct record *r, size_t n,
                    uint8_t **payload, struct err *e)
{
    size_t size = (sizeof *r + n + UNIT - 1) / UNIT * UNIT;
    size_t cap = f->cap == 0 ? 1 << 16 : f->cap;
    uint8_t *records;

    TRY(slot_for(f, id, e));
    while (cap - f->used < size)
        cap *= 2;
    if (cap / UNIT >= HELD)
        return too_many(e);
    if (cap > f->cap) {
        records = mem_resize(f->records, cap, 1);
        if (records == NULL)
            return err_set(e, RC_NOMEM, "no memory for %zu bytes of facts", cap);
        f->records = records;
        f->cap = cap;
    }
    f->slots[id] = ((uint32_t)(f->used / UNIT) + 1) | HELD;
    memcpy(f->records + f->used, r, sizeof *r);
    *payload = f->records + f->used + sizeof *r;
    f->used += size;
    return RC_OK;
}

/* A record that is put aside is made in `scratch`. */
static enum rc begin(struct facts *f, const struct record *r, struct err *e)
{
    f->scratch.n = 0;
    return buf_add(&f->scratch, r, sizeof *r, e);
}

static enum rc put_aside(struct facts *f, uint64_t id, struct err *e)
{
    uint32_t place;

    TRY(slot_for(f, id, e));
    TRY(spool_add(f->spool, f->scratch.p, f->scratch.n, &place, e));
    if (place >= HELD - 1)
        return too_many(e);
    f->slots[id] = place + 1;
    return RC_OK;
}

static bool packable(struct bytes key)
{
    if (key.n != REVISION_KEY && key.n != TOMBSTONE_KEY)
        return false;
    if (key.p[8] != '_' || (key.n == TOMBSTONE_KEY && key.p[17] != 't'))
        return false;
    return be64(key.p + 9) <= SUB_MAX;
}

static void pack(struct bytes key, uint8_t out[static PACKED_KEY])
{
    uint32_t sub = (uint32_t)be64(key.p + 9);

    memcpy(out, key.p, 8);
    put_le32(out + 8, key.n == TOMBSTONE_KEY ? sub | TOMBSTONE : sub);
}

static struct bytes unpack(const uint8_t *p, uint8_t room[static TREE_KEY_ROOM])
{
    uint32_t sub = le32(p + 8);

    memcpy(room, p, 8);
    room[8] = '_';
    put_be64(room + 9, sub & SUB_MAX);
    room[17] = 't';
    return (struct bytes){ room, sub & TOMBSTONE ? TOMBSTONE_KEY : REVISION_KEY };
}

static bool branch_packable(const struct bolt_page *page)
{
    for (uint16_t i = 0; i < page->count; i++)
        if (!packable(bolt_branch_key(page, i)))
            return false;
    return true;
}

static enum rc add_key(struct facts *f, struct bytes key, struct err *e)
{
    uint8_t packed[PACKED_KEY];

    pack(key, packed);
    return buf_add(&f->scratch, packed, sizeof packed, e);
}

static enum rc add_packed_branch(struct facts *f, const struct bolt_page *page,
                                 struct record *r, struct err *e)
{
    uint8_t child[PACKED_CHILD - PACKED_KEY];

    r->form = FORM_PACKED;
    TRY(begin(f, r, e));
    for (uint16_t i = 0; i < page->count; i++) {
        TRY(add_key(f, bolt_branch_key(page, i), e));
        put_le64(child, bolt_branch_child(page, i));
        TRY(buf_add(&f->scratch, child, sizeof child, e));
    }
    return put_aside(f, page->id, e);
}

/* Up to the end of the last element's data; what follows is padding. */
static uint64_t content_size(const struct bolt_page *page)
{
    uint16_t last = (uint16_t)(page->count - 1);
    struct bytes end = page->kind == BOLT_PAGE_LEAF ? bolt_leaf_at(page, last).value
                                                    : bolt_branch_key(page, last);

    return (uint64_t)(end.p - page->p) + end.n;
}

static enum rc add_content(struct facts *f, const struct bolt_page *page,
                           struct record *r, struct err *e)
{
    size_t n = content_size(page);
    uint8_t *to;

    r->form = FORM_CONTENT;
    TRY(hold(f, page->id, r, 16 + n, &to, e));
    put_le64(to, page->buckets);
    put_le64(to + 8, n);
    memcpy(to + 16, page->p, n);
    return RC_OK;
}

static enum rc add_raw_leaf(struct facts *f, const struct bolt_page *page,
                            struct bytes first, struct bytes last, struct record *r,
                            struct err *e)
{
    uint8_t *to;

    r->form = FORM_RAW;
    TRY(hold(f, page->id, r, RAW_HEADER + first.n + last.n, &to, e));
    put_le16(to, (uint16_t)first.n);
    put_le16(to + 2, (uint16_t)last.n);
    put_le16(to + 4, page->buckets);
    memcpy(to + RAW_HEADER, first.p, first.n);
    memcpy(to + RAW_HEADER + first.n, last.p, last.n);
    return RC_OK;
}

static enum rc add_leaf(struct facts *f, const struct bolt_page *page, struct record *r,
                        struct err *e)
{
    struct bytes first = bolt_leaf_at(page, 0).key;
    struct bytes last = bolt_leaf_at(page, (uint16_t)(page->count - 1)).key;

    if (!packable(first) || !packable(last) || page->buckets > 0)
        return add_raw_leaf(f, page, first, last, r, e);
    r->form = FORM_PACKED;
    TRY(begin(f, r, e));
    TRY(add_key(f, first, e));
    TRY(add_key(f, last, e));
    return put_aside(f, page->id, e);
}

static enum rc add_bare(struct facts *f, uint64_t id, const struct record *r,
                        struct err *e)
{
    TRY(begin(f, r, e));
    return put_aside(f, id, e);
}

enum rc facts_add_page(struct facts *f, const struct bolt_page *page, bool keep,
                       uint32_t note, struct err *e)
{
    struct record r = { .overflow = page->overflow,
                        .count = page->count,
                        .kind = (uint8_t)page->kind,
                        .form = FORM_EMPTY,
                        .note = note };

    if (page->count == 0)
        return add_bare(f, page->id, &r, e);
    if (page->kind == BOLT_PAGE_BRANCH && branch_packable(page))
        return add_packed_branch(f, page, &r, e);
    if (page->kind == BOLT_PAGE_BRANCH || keep)
        return add_content(f, page, &r, e);
    return add_leaf(f, page, &r, e);
}

enum rc facts_add_fault(struct facts *f, uint64_t id, const struct bolt_fault *fault,
                        struct err *e)
{
    const struct record r = { .form = FORM_FAULT };

    TRY(begin(f, &r, e));
    TRY(buf_add(&f->scratch, fault, sizeof *fault, e));
    return put_aside(f, id, e);
}

enum rc facts_add_unseen(struct facts *f, uint64_t id, struct err *e)
{
    const struct record r = { .form = FORM_UNSEEN };

    return add_bare(f, id, &r, e);
}

/* ---- looking up ------------------------------------------------------------------- */

static bool take(struct facts *f, uint32_t slot, size_t skip, void *to, size_t n)
{
    struct err e = { 0 };

    if (spool_read(f->spool, slot - 1, skip, to, n, &e) == RC_OK)
        return true;
    if (f->failed.code == RC_OK)
        f->failed = e;
    return false;
}

static const uint8_t *held(const struct facts *f, uint32_t slot)
{
    return f->records + (size_t)((slot & ~HELD) - 1) * UNIT;
}

static bool look_packed(struct facts *f, uint32_t slot, const struct record *r,
                        struct tree_node *out)
{
    size_t stride = r->kind == BOLT_PAGE_BRANCH ? PACKED_CHILD : PACKED_KEY;
    size_t last = r->kind == BOLT_PAGE_BRANCH ? (size_t)r->count - 1 : 1;
    uint8_t key[2][PACKED_KEY];

    if (!take(f, slot, sizeof *r, key[0], PACKED_KEY) ||
        !take(f, slot, sizeof *r + last * stride, key[1], PACKED_KEY))
        return false;
    out->first = unpack(key[0], out->room[0]);
    out->last = unpack(key[1], out->room[1]);
    return true;
}

static void look_raw(const uint8_t *p, struct tree_node *out)
{
    uint16_t first = le16(p), last = le16(p + 2);

    out->page.buckets = le16(p + 4);
    out->first = (struct bytes){ p + RAW_HEADER, first };
    out->last = (struct bytes){ p + RAW_HEADER + first, last };
}

static void look_content(const uint8_t *p, struct tree_node *out)
{
    struct bolt_page *page = &out->page;
    uint16_t last = (uint16_t)(page->count - 1);

    page->buckets = (uint16_t)le64(p);
    page->extent = le64(p + 8);
    page->p = p + 16;
    if (page->kind == BOLT_PAGE_LEAF) {
        out->first = bolt_leaf_at(page, 0).key;
        out->last = bolt_leaf_at(page, last).key;
    } else {
        out->first = bolt_branch_key(page, 0);
        out->last = bolt_branch_key(page, last);
    }
}

static enum tree_look look_aside(struct facts *f, uint32_t slot, const struct record *r,
                                 struct tree_node *out, struct bolt_fault *fault)
{
    switch ((enum form)r->form) {
    case FORM_EMPTY:
        return TREE_FOUND;
    case FORM_PACKED:
        return look_packed(f, slot, r, out) ? TREE_FOUND : TREE_UNSEEN;
    case FORM_FAULT:
        return take(f, slot, sizeof *r, fault, sizeof *fault) ? TREE_FAULTY : TREE_UNSEEN;
    case FORM_RAW:
    case FORM_CONTENT:
    case FORM_UNSEEN:
        break;
    }
    return TREE_UNSEEN;
}

static void node_begin(struct tree_node *out, uint64_t id, const struct record *r)
{
    out->page = (struct bolt_page){ .id = id,
                                    .overflow = r->overflow,
                                    .count = r->count,
                                    .kind = (enum bolt_page_kind)r->kind };
    out->note = r->note;
}

static enum tree_look look_held(const struct facts *f, uint32_t slot, uint64_t id,
                                struct tree_node *out)
{
    const uint8_t *p = held(f, slot);
    struct record r;

    memcpy(&r, p, sizeof r);
    node_begin(out, id, &r);
    if (r.form == FORM_RAW)
        look_raw(p + sizeof r, out);
    else
        look_content(p + sizeof r, out);
    return TREE_FOUND;
}

enum tree_look facts_look(struct facts *f, uint64_t id, struct tree_node *out,
                          struct bolt_fault *fault)
{
    uint32_t slot = id < f->slot_count ? f->slots[id] : 0;
    struct record r;

    if (slot == 0) {
        *fault = (struct bolt_fault){ .kind = BOLT_FAULT_HEADER };
        return TREE_FAULTY;
    }
    if (slot & HELD)
        return look_held(f, slot, id, out);
    if (!take(f, slot, 0, &r, sizeof r))
        return TREE_UNSEEN;
    node_begin(out, id, &r);
    return look_aside(f, slot, &r, out, fault);
}

uint64_t facts_child(struct facts *f, const struct tree_node *node, uint16_t i,
                     struct bytes *key, uint8_t room[static TREE_KEY_ROOM])
{
    uint8_t packed[PACKED_CHILD] = { 0 };

    if (node->page.p != NULL) {
        *key = bolt_branch_key(&node->page, i);
        return bolt_branch_child(&node->page, i);
    }
    (void)take(f, f->slots[node->page.id],
               sizeof(struct record) + (size_t)i * PACKED_CHILD, packed, sizeof packed);
    *key = unpack(packed, room);
    return le64(packed + PACKED_KEY);
}
