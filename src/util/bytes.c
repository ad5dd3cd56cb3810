#include "util/bytes.h"

#include "util/mem.h"

int bytes_compare(struct bytes a, struct bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n == 0 ? 0 : memcmp(a.p, b.p, n);

    if (c != 0)
        return c;
    return a.n < b.n ? -1 : a.n > b.n;
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool bytes_is(struct bytes a, const char *text)
{
    return bytes_equal(a, bytes_str(text));
}

bool bytes_starts(struct bytes a, const char *prefix)
{
    size_t n = strlen(prefix);

    return a.n >= n && memcmp(a.p, prefix, n) == 0;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct bytes bytes_trim(struct bytes a)
{
    while (a.n > 0 && is_blank(a.p[0]))
        a = (struct bytes){ a.p + 1, a.n - 1 };
    while (a.n > 0 && is_blank(a.p[a.n - 1]))
        a.n--;
    return a;
}

enum rc buf_reserve(struct buf *b, size_t more, struct err *e)
{
    size_t cap_max = b->cap_max == 0 ? (size_t)64 << 20 : b->cap_max;
    size_t cap = b->cap < 64 ? 64 : b->cap;
    uint8_t *p;

    if (more > cap_max || b->n > cap_max - more)
        return err_set(e, RC_CORRUPT, "%zu bytes do not fit the limit of %zu", more,
                       cap_max);
    if (b->n + more <= b->cap)
        return RC_OK;
    while (cap < b->n + more)
        cap *= 2;
    p = mem_resize(b->p, cap, 1);
    if (p == NULL)
        return err_set(e, RC_NOMEM, "no memory for a buffer of %zu bytes", cap);
    b->p = p;
    b->cap = cap;
    return RC_OK;
}

enum rc buf_add(struct buf *b, const void *p, size_t n, struct err *e)
{
    if (n == 0)
        return RC_OK;
    TRY(buf_reserve(b, n, e));
    memcpy(b->p + b->n, p, n);
    b->n += n;
    return RC_OK;
}

void buf_clear(struct buf *b)
{
    mem_free(b->p);
    *b = (struct buf){ .cap_max = b->cap_max };
}

void buf_wipe(struct buf *b)
{
    mem_wipe(b->p, b->cap);
    buf_clear(b);
}
