#include "boltdb/facts.h"

#include "util/mem.h"

enum {
    UNIT = 8, /* records begin at multiples of it */
    PACKED_KEY = 12,
    PACKED_CHILD = PACKED_KEY + 8,
    REVISION_KEY = 17, /* main, '_', sub; with 't' after it a tombstone */
    TOMBSTONE_KEY = 18,
    RAW_HEADER = 8, /* u16 first, u16 last, u16 buckets */
};
#define SUB_MAX UINT32_C(0x7fffffff)
#define TOMBSTONE UINT32_C(0x80000000)

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
};

void facts_clear(struct facts *f)
{
    mem_free(f->slots);
    mem_free(f->records);
    *f = (struct facts){ 0 };
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

/* Room for a new record of page `id` and its payload of n bytes. */
static enum rc add(struct facts *f, uint64_t id, const struct record *r, size_t n,
                   uint8_t **payload, struct err *e)
{
    size_t size = (sizeof *r + n + UNIT - 1) / UNIT * UNIT;
    size_t cap = f->cap == 0 ? 1 << 16 : f->cap;
    uint8_t *records;

    TRY(slot_for(f, id, e));
    while (cap - f->used < size)
        cap *= 2;
    if (cap / UNIT > UINT32_MAX)
        return err_set(e, RC_NOMEM, "too many facts of pages");
    if (cap > f->cap) {
        records = mem_resize(f->records, cap, 1);
        if (records == NULL)
            return err_set(e, RC_NOMEM, "no memory for %zu bytes of facts", cap);
        f->records = records;
        f->cap = cap;
    }
    f->slots[id] = (uint32_t)(f->used / UNIT) + 1;
    memcpy(f->records + f->used, r, sizeof *r);
    *payload = f->records + f->used + sizeof *r;
    f->used += size;
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

static enum rc add_packed_branch(struct facts *f, const struct bolt_page *page,
                                 struct record *r, struct err *e)
{
    uint8_t *to;

    r->form = FORM_PACKED;
    TRY(add(f, page->id, r, (size_t)page->count * PACKED_CHILD, &to, e));
    for (uint16_t i = 0; i < page->count; i++, to += PACKED_CHILD) {
        pack(bolt_branch_key(page, i), to);
        put_le64(to + PACKED_KEY, bolt_branch_child(page, i));
    }
    return RC_OK;
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
    TRY(add(f, page->id, r, 16 + n, &to, e));
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
    TRY(add(f, page->id, r, RAW_HEADER + first.n + last.n, &to, e));
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
    uint8_t *to;

    if (!packable(first) || !packable(last) || page->buckets > 0)
        return add_raw_leaf(f, page, first, last, r, e);
    r->form = FORM_PACKED;
    TRY(add(f, page->id, r, (size_t)2 * PACKED_KEY, &to, e));
    pack(first, to);
    pack(last, to + PACKED_KEY);
    return RC_OK;
}

enum rc facts_add_page(struct facts *f, const struct bolt_page *page, bool keep,
                       struct err *e)
{
    struct record r = { .overflow = page->overflow,
                        .count = page->count,
                        .kind = (uint8_t)page->kind,
                        .form = FORM_EMPTY };
    uint8_t *nothing;

    if (page->count == 0)
        return add(f, page->id, &r, 0, &nothing, e);
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
    uint8_t *to;

    TRY(add(f, id, &r, sizeof *fault, &to, e));
    memcpy(to, fault, sizeof *fault);
    return RC_OK;
}

enum rc facts_add_unseen(struct facts *f, uint64_t id, struct err *e)
{
    const struct record r = { .form = FORM_UNSEEN };
    uint8_t *nothing;

    return add(f, id, &r, 0, &nothing, e);
}

static const uint8_t *find(const struct facts *f, uint64_t id, struct record *r)
{
    const uint8_t *p;

    if (id >= f->slot_count || f->slots[id] == 0)
        return NULL;
    p = f->records + (size_t)(f->slots[id] - 1) * UNIT;
    memcpy(r, p, sizeof *r);
    return p + sizeof *r;
}

static void look_packed(const struct record *r, const uint8_t *p, struct tree_node *out)
{
    size_t stride = r->kind == BOLT_PAGE_BRANCH ? PACKED_CHILD : PACKED_KEY;
    size_t last = r->kind == BOLT_PAGE_BRANCH ? (size_t)r->count - 1 : 1;

    out->first = unpack(p, out->room[0]);
    out->last = unpack(p + last * stride, out->room[1]);
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

enum tree_look facts_look(const struct facts *f, uint64_t id, struct tree_node *out,
                          struct bolt_fault *fault)
{
    struct record r;
    const uint8_t *p = find(f, id, &r);

    if (p == NULL) {
        *fault = (struct bolt_fault){ .kind = BOLT_FAULT_HEADER };
        return TREE_FAULTY;
    }
    out->page = (struct bolt_page){ .id = id,
                                    .overflow = r.overflow,
                                    .count = r.count,
                                    .kind = (enum bolt_page_kind)r.kind };
    switch ((enum form)r.form) {
    case FORM_EMPTY:
        break;
    case FORM_PACKED:
        look_packed(&r, p, out);
        break;
    case FORM_RAW:
        look_raw(p, out);
        break;
    case FORM_CONTENT:
        look_content(p, out);
        break;
    case FORM_FAULT:
        memcpy(fault, p, sizeof *fault);
        return TREE_FAULTY;
    case FORM_UNSEEN:
        return TREE_UNSEEN;
    }
    return TREE_FOUND;
}

uint64_t facts_child(const struct facts *f, const struct tree_node *node, uint16_t i,
                     struct bytes *key, uint8_t room[static TREE_KEY_ROOM])
{
    struct record r;
    const uint8_t *p;

    if (node->page.p != NULL) {
        *key = bolt_branch_key(&node->page, i);
        return bolt_branch_child(&node->page, i);
    }
    p = find(f, node->page.id, &r) + (size_t)i * PACKED_CHILD;
    *key = unpack(p, room);
    return le64(p + PACKED_KEY);
}
