#include "filter/seal.h"

#include "crypto/base64.h"

static const char first_line[] = "-----BEGIN AGE ENCRYPTED FILE-----\n";
static const char last_line[] = "-----END AGE ENCRYPTED FILE-----\n";

enum { LINE = 48, COLUMNS = 64, LINES = 64 };

struct armor_sink {
    struct sink base;
    bool begun;
    size_t held, used;
    uint8_t line[LINE]; /* not yet a whole line */
    char text[LINES * (COLUMNS + 1)];
};

static enum rc flush(struct armor_sink *f, struct err *e)
{
    if (!f->begun)
        TRY(sink_write(f->base.next, first_line, sizeof first_line - 1, e));
    f->begun = true;
    TRY(sink_write(f->base.next, f->text, f->used, e));
    f->used = 0;
    return RC_OK;
}

static enum rc add_line(struct armor_sink *f, struct err *e)
{
    if (sizeof f->text - f->used < COLUMNS + 1)
        TRY(flush(f, e));
    f->used +=
        base64_encode_padded((struct bytes){ f->line, f->held }, f->text + f->used);
    f->text[f->used++] = '\n';
    f->held = 0;
    return RC_OK;
}

static enum rc armor_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct armor_sink *f = (struct armor_sink *)s;

    while (n > 0) {
        size_t room = LINE - f->held, take = n < room ? n : room;

        memcpy(f->line + f->held, p, take);
        f->held += take;
        p += take;
        n -= take;
        if (f->held == LINE)
            TRY(add_line(f, e));
    }
    return RC_OK;
}

static enum rc armor_finish(struct sink *s, struct err *e)
{
    struct armor_sink *f = (struct armor_sink *)s;

    if (f->held > 0)
        TRY(add_line(f, e));
    TRY(flush(f, e));
    TRY(sink_write(s->next, last_line, sizeof last_line - 1, e));
    return sink_finish(s->next, e);
}

static const struct sink_ops armor_ops = {
    .name = "armor",
    .write = armor_write,
    .finish = armor_finish,
};

enum rc armor_sink_new(struct sink *next, struct sink **out, struct err *e)
{
    OWNED(sink) rest = next;
    struct armor_sink *f = NULL;

    TRY(mem_new(&f, sizeof *f, "an armor filter", e));
    f->base = (struct sink){ .ops = &armor_ops, .next = GIVE(rest) };
    *out = &f->base;
    return RC_OK;
}
