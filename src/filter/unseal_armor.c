#include "filter/seal.h"

#include "crypto/base64.h"

static const char first_line[] = "-----BEGIN AGE ENCRYPTED FILE-----";
static const char last_line[] = "-----END AGE ENCRYPTED FILE-----";

enum { COLUMNS = 64, LINE = 48, LINES = 64, BLANK_MAX = 1024 };

enum phase {
    AT_START, /* nothing seen yet */
    BINARY,   /* no armor: everything is passed on */
    BEFORE,   /* white space, then the first line */
    INSIDE,
    ENDING, /* a short line was seen: only the last line can follow */
    AFTER,  /* only white space can follow */
};

struct unarmor_sink {
    struct sink base;
    enum phase phase;
    bool required;
    bool broken;   /* a call failed, or is under way */
    size_t number; /* of the current line, from 1 */
    size_t blanks; /* bytes of white space outside */
    size_t held, used;
    uint8_t line[COLUMNS + 2];
    uint8_t data[LINES * LINE]; /* decoded, not yet passed on */
};

static enum rc bad_line(const struct unarmor_sink *f, const char *why, struct err *e)
{
    return err_set(e, RC_CORRUPT, "the age armor is malformed: line %zu %s", f->number,
                   why);
}

static enum rc flush(struct unarmor_sink *f, struct err *e)
{
    TRY(sink_write(f->base.next, f->data, f->used, e));
    f->used = 0;
    return RC_OK;
}

static bool is_blank(struct bytes line)
{
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] != ' ' && line.p[i] != '\t' && line.p[i] != '\r')
            return false;
    return true;
}

static enum rc take_outside(struct unarmor_sink *f, struct bytes line, struct err *e)
{
    if (is_blank(line)) {
        f->blanks += line.n + 1;
        return f->blanks <= BLANK_MAX ? RC_OK : bad_line(f, "is too far away", e);
    }
    if (f->phase == AFTER)
        return bad_line(f, "comes after the end", e);
    if (!bytes_is(line, first_line))
        return bad_line(f, "should be -----BEGIN AGE ENCRYPTED FILE-----", e);
    f->phase = INSIDE;
    f->blanks = 0;
    return RC_OK;
}

static enum rc take_data(struct unarmor_sink *f, struct bytes line, struct err *e)
{
    size_t n;

    if (line.n == 0)
        return bad_line(f, "is empty", e);
    if (line.n > COLUMNS)
        return bad_line(f, "is longer than 64 columns", e);
    if (sizeof f->data - f->used < LINE)
        TRY(flush(f, e));
    if (!base64_decode_padded(line, f->data + f->used, &n))
        return bad_line(f, "is not canonical base64", e);
    f->used += n;
    if (n < LINE)
        f->phase = ENDING;
    return RC_OK;
}

static enum rc take_line(struct unarmor_sink *f, struct err *e)
{
    struct bytes line = { f->line, f->held };

    f->held = 0;
    f->number++;
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (f->phase == BEFORE || f->phase == AFTER)
        return take_outside(f, line, e);
    if (bytes_is(line, last_line)) {
        f->phase = AFTER;
        return flush(f, e);
    }
    if (f->phase == ENDING)
        return bad_line(f, "should be -----END AGE ENCRYPTED FILE-----", e);
    return take_data(f, line, e);
}

/* Up to the line end, or as much as a line can have. */
static enum rc take_piece(struct unarmor_sink *f, struct bytes *in, struct err *e)
{
    const uint8_t *end = memchr(in->p, '\n', in->n);
    size_t n = end == NULL ? in->n : (size_t)(end - in->p);

    if (n > sizeof f->line - f->held) {
        f->number++;
        return bad_line(f, "is too long", e);
    }
    memcpy(f->line + f->held, in->p, n);
    f->held += n;
    n += end != NULL;
    *in = (struct bytes){ in->p + n, in->n - n };
    return end == NULL ? RC_OK : take_line(f, e);
}

static bool begins_armor(uint8_t c)
{
    return c == '-' || c == '\n' || is_blank((struct bytes){ &c, 1 });
}

static enum rc enter(struct unarmor_sink *f, struct err *e)
{
    if (f->broken)
        return err_set(e, RC_CORRUPT, "the age armor was found malformed before");
    f->broken = true;
    return RC_OK;
}

static enum rc unarmor_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct unarmor_sink *f = (struct unarmor_sink *)s;
    struct bytes in = { p, n };

    if (f->phase == AT_START)
        f->phase = f->required || begins_armor(*p) ? BEFORE : BINARY;
    if (f->phase == BINARY)
        return sink_write(s->next, p, n, e);
    TRY(enter(f, e));
    while (in.n > 0)
        TRY(take_piece(f, &in, e));
    f->broken = false;
    return RC_OK;
}

static enum rc end_armor(struct unarmor_sink *f, struct err *e)
{
    TRY(enter(f, e));
    if (f->held > 0)
        TRY(take_line(f, e)); /* the last line need not have a line end */
    if (f->phase != AFTER)
        return err_set(e, RC_CORRUPT,
                       "the age armor is malformed: truncated after line %zu", f->number);
    return RC_OK;
}

static enum rc unarmor_finish(struct sink *s, struct err *e)
{
    struct unarmor_sink *f = (struct unarmor_sink *)s;

    if (f->required || (f->phase != AT_START && f->phase != BINARY))
        TRY(end_armor(f, e));
    return sink_finish(s->next, e);
}

static const struct sink_ops unarmor_ops = {
    .name = "unarmor",
    .write = unarmor_write,
    .finish = unarmor_finish,
};

enum rc unarmor_sink_new(struct sink *next, enum armor_mode mode, struct sink **out,
                         struct err *e)
{
    OWNED(sink) rest = next;
    struct unarmor_sink *f = NULL;

    TRY(mem_new(&f, sizeof *f, "an armor filter", e));
    f->base = (struct sink){ .ops = &unarmor_ops, .next = GIVE(rest) };
    f->required = mode == ARMOR_REQUIRED;
    *out = &f->base;
    return RC_OK;
}
