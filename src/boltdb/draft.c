#include "boltdb/draft.h"

#include "util/mem.h"

void draft_clear(struct draft *d)
{
    mem_free(d->elements);
    buf_clear(&d->data);
    *d = (struct draft){ .kind = d->kind };
}

static enum rc grow(struct draft *d, struct err *e)
{
    uint32_t cap = d->cap == 0 ? 64 : d->cap * 2;
    struct draft_element *elements;

    if (d->count < d->cap)
        return RC_OK;
    elements = mem_resize(d->elements, cap, sizeof *elements);
    if (elements == NULL)
        return err_set(e, RC_NOMEM, "no memory for %u elements of a page", cap);
    d->elements = elements;
    d->cap = cap;
    return RC_OK;
}

enum rc draft_add(struct draft *d, const struct draft_element *element, struct bytes key,
                  struct bytes value, struct err *e)
{
    struct draft_element *to;

    if (d->size == 0)
        d->size = BOLT_PAGE_HEADER;
    /* Two values of the largest legal size share a page at most. */
    d->data.cap_max = (size_t)8 << 30;
    TRY(grow(d, e));
    TRY(buf_reserve(&d->data, key.n + value.n, e));
    TRY(buf_add(&d->data, key.p, key.n, e));
    TRY(buf_add(&d->data, value.p, value.n, e));
    to = &d->elements[d->count++];
    *to = *element;
    to->key_size = (uint32_t)key.n;
    to->value_size = (uint32_t)value.n;
    d->size += BOLT_ELEMENT + key.n + value.n;
    return RC_OK;
}

struct bytes draft_first_key(const struct draft *d)
{
    return (struct bytes){ d->data.p, d->elements[0].key_size };
}

struct bytes draft_last_key(const struct draft *d)
{
    const struct draft_element *last = &d->elements[d->count - 1];

    return (struct bytes){ d->data.p + d->data.n - last->value_size - last->key_size,
                           last->key_size };
}

static size_t data_of(const struct draft *d, uint32_t n)
{
    size_t size = 0;

    for (uint32_t i = 0; i < n; i++)
        size += (size_t)d->elements[i].key_size + d->elements[i].value_size;
    return size;
}

uint64_t draft_size_of(const struct draft *d, uint32_t n)
{
    return BOLT_PAGE_HEADER + (uint64_t)n * BOLT_ELEMENT + data_of(d, n);
}

/* `pos` counts from the element itself; what lies between are the elements after it and
 * the data of those before it. */
static void encode_element(const struct draft *d, const struct draft_element *el,
                           uint64_t pos, uint8_t out[static BOLT_ELEMENT])
{
    if (d->kind == BOLT_PAGE_BRANCH) {
        put_le32(out, (uint32_t)pos);
        put_le32(out + 4, el->key_size);
        put_le64(out + 8, el->child);
        return;
    }
    put_le32(out, el->flags);
    put_le32(out + 4, (uint32_t)pos);
    put_le32(out + 8, el->key_size);
    put_le32(out + 12, el->value_size);
}

enum rc draft_write(const struct draft *d, uint32_t n, uint64_t id, uint32_t overflow,
                    draft_put *put, void *arg, struct err *e)
{
    uint8_t header[BOLT_PAGE_HEADER], element[BOLT_ELEMENT];
    uint64_t pos = (uint64_t)n * BOLT_ELEMENT;

    put_le64(header, id);
    put_le16(header + 8, (uint16_t)d->kind);
    put_le16(header + 10, (uint16_t)n);
    put_le32(header + 12, overflow);
    TRY(put(arg, header, sizeof header, e));
    for (uint32_t i = 0; i < n; i++) {
        const struct draft_element *el = &d->elements[i];

        encode_element(d, el, pos, element);
        TRY(put(arg, element, sizeof element, e));
        pos += (uint64_t)el->key_size + el->value_size - BOLT_ELEMENT;
    }
    return put(arg, d->data.p, data_of(d, n), e);
}

void draft_drop(struct draft *d, uint32_t n)
{
    size_t data = data_of(d, n);

    d->size -= (uint64_t)n * BOLT_ELEMENT + data;
    d->count -= n;
    d->data.n -= data;
    if (d->data.n > 0)
        memmove(d->data.p, d->data.p + data, d->data.n);
    if (d->count > 0)
        memmove(d->elements, d->elements + n, d->count * sizeof *d->elements);
}
