#include "storage/s3_xml.h"

enum { DEPTH_MAX = 16, NAME_MAX_BYTES = 63, TEXT_MAX = 8192 };

struct reader {
    struct bytes doc;
    size_t at;
    char path[DEPTH_MAX * (NAME_MAX_BYTES + 1) + 1];
    size_t starts[DEPTH_MAX]; /* where each open element's name begins in `path` */
    unsigned depth;
    bool leaf; /* no child has been seen in the innermost element */
    bool any;  /* the root has been seen */
    char text[TEXT_MAX + 1];
    size_t text_n;
    s3_xml_fn *fn;
    void *arg;
};

static enum rc bad(const struct reader *r, const char *why, struct err *e)
{
    return err_set(e, RC_CORRUPT, "the answer is no XML at offset %zu: %s", r->at, why);
}

static int peek(const struct reader *r)
{
    return r->at < r->doc.n ? r->doc.p[r->at] : -1;
}

static bool skip(struct reader *r, const char *text)
{
    struct bytes rest = { r->doc.p + r->at, r->doc.n - r->at };

    if (!bytes_starts(rest, text))
        return false;
    r->at += strlen(text);
    return true;
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(struct reader *r)
{
    while (is_blank(peek(r)))
        r->at++;
}

/* To behind `end`; what is in between means nothing here. */
static enum rc skip_to(struct reader *r, const char *end, struct err *e)
{
    const void *found = memmem(r->doc.p + r->at, r->doc.n - r->at, end, strlen(end));

    if (found == NULL)
        return bad(r, "it ends too early", e);
    r->at = (size_t)((const uint8_t *)found - r->doc.p) + strlen(end);
    return RC_OK;
}

static bool is_name(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '-' || c == '.' || c == ':';
}

/* Without its prefix. */
static enum rc take_name(struct reader *r, char out[static NAME_MAX_BYTES + 1],
                         struct err *e)
{
    size_t n = 0;

    for (; is_name(peek(r)); r->at++) {
        if (peek(r) == ':') {
            n = 0;
            continue;
        }
        if (n == NAME_MAX_BYTES)
            return bad(r, "a name is too long", e);
        out[n++] = (char)peek(r);
    }
    if (n == 0)
        return bad(r, "a name is missing", e);
    out[n] = '\0';
    return RC_OK;
}

/* ---- text ---- */

static enum rc put(struct reader *r, int c, struct err *e)
{
    if (c < ' ' && !is_blank(c))
        return bad(r, "a character that XML does not allow", e);
    if (r->text_n == TEXT_MAX)
        return bad(r, "a text is too long", e);
    r->text[r->text_n++] = (char)c;
    return RC_OK;
}

static enum rc put_utf8(struct reader *r, uint32_t c, struct err *e)
{
    static const uint32_t lead[] = { 0, 0xc0, 0xe0, 0xf0 };
    unsigned more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

    TRY(put(r, (int)(lead[more] | c >> (6 * more)), e));
    while (more-- > 0)
        TRY(put(r, (int)(0x80 | (c >> (6 * more) & 0x3f)), e));
    return RC_OK;
}

static int digit(int c, unsigned base)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (base == 16 && c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (base == 16 && c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Behind "&#". */
static enum rc take_number(struct reader *r, struct err *e)
{
    unsigned base = skip(r, "x") ? 16 : 10, digits = 0;
    uint32_t c = 0;

    for (; digit(peek(r), base) >= 0 && c <= 0x10ffff; r->at++, digits++)
        c = c * base + (uint32_t)digit(peek(r), base);
    if (digits == 0 || !skip(r, ";") || c == 0 || c > 0x10ffff ||
        (c >= 0xd800 && c < 0xe000))
        return bad(r, "no such character", e);
    return put_utf8(r, c, e);
}

static enum rc take_reference(struct reader *r, struct err *e)
{
    static const struct {
        const char *name;
        char c;
    } five[] = { { "&amp;", '&' },
                 { "&lt;", '<' },
                 { "&gt;", '>' },
                 { "&quot;", '"' },
                 { "&apos;", '\'' } };

    for (size_t i = 0; i < sizeof five / sizeof five[0]; i++)
        if (skip(r, five[i].name))
            return put(r, five[i].c, e);
    if (skip(r, "&#"))
        return take_number(r, e);
    return bad(r, "an entity, which is not taken", e);
}

static enum rc take_text(struct reader *r, struct err *e)
{
    while (peek(r) != '<') {
        if (peek(r) < 0)
            return bad(r, "it ends too early", e);
        if (peek(r) == '&') {
            TRY(take_reference(r, e));
            continue;
        }
        TRY(put(r, peek(r), e));
        r->at++;
    }
    return RC_OK;
}

/* ---- elements ---- */

static enum rc enter(struct reader *r, const char *name, struct err *e)
{
    size_t n = strlen(r->path);

    if (r->depth == DEPTH_MAX)
        return bad(r, "it is nested too deeply", e);
    if (r->depth == 0 && r->any)
        return bad(r, "a second root", e);
    r->any = r->leaf = true;
    r->text_n = 0;
    r->starts[r->depth++] = n;
    if (n > 0)
        r->path[n++] = '/';
    memcpy(r->path + n, name, strlen(name) + 1);
    return RC_OK;
}

static enum rc leave(struct reader *r, struct err *e)
{
    r->text[r->leaf ? r->text_n : 0] = '\0';
    TRY(r->fn(r->arg, r->path, r->text, e));
    r->path[r->starts[--r->depth]] = '\0';
    r->leaf = false;
    r->text_n = 0;
    return RC_OK;
}

/* Attributes: name="value", of which nothing is kept. */
static enum rc skip_attributes(struct reader *r, struct err *e)
{
    char name[NAME_MAX_BYTES + 1];

    for (skip_blanks(r); is_name(peek(r)); skip_blanks(r)) {
        TRY(take_name(r, name, e));
        skip_blanks(r);
        if (!skip(r, "="))
            return bad(r, "an attribute without value", e);
        skip_blanks(r);
        if (peek(r) != '"' && peek(r) != '\'')
            return bad(r, "an attribute without quotes", e);
        const char quote[2] = { (char)peek(r), '\0' };

        r->at++;
        TRY(skip_to(r, quote, e));
    }
    return RC_OK;
}

/* Behind "<". */
static enum rc take_start(struct reader *r, struct err *e)
{
    char name[NAME_MAX_BYTES + 1];

    TRY(take_name(r, name, e));
    TRY(enter(r, name, e));
    TRY(skip_attributes(r, e));
    if (skip(r, "/>"))
        return leave(r, e);
    return skip(r, ">") ? RC_OK : bad(r, "'>' is missing", e);
}

/* Behind "</". */
static enum rc take_end(struct reader *r, struct err *e)
{
    char name[NAME_MAX_BYTES + 1];
    const char *open;

    TRY(take_name(r, name, e));
    if (r->depth == 0)
        return bad(r, "an end without a start", e);
    open = r->path + r->starts[r->depth - 1];
    if (strcmp(open[0] == '/' ? open + 1 : open, name) != 0)
        return bad(r, "an end of another element", e);
    skip_blanks(r);
    if (!skip(r, ">"))
        return bad(r, "'>' is missing", e);
    return leave(r, e);
}

static enum rc take_markup(struct reader *r, struct err *e)
{
    if (skip(r, "<!--"))
        return skip_to(r, "-->", e);
    if (skip(r, "<?"))
        return skip_to(r, "?>", e);
    if (skip(r, "<!"))
        return bad(r, "a document type, which is not taken", e);
    if (skip(r, "</"))
        return take_end(r, e);
    r->at++;
    return take_start(r, e);
}

enum rc s3_xml_parse(struct bytes document, s3_xml_fn *fn, void *arg, struct err *e)
{
    struct reader r = { .doc = document, .fn = fn, .arg = arg };

    skip(&r, "\xef\xbb\xbf");
    for (;;) {
        if (r.depth == 0)
            skip_blanks(&r);
        if (r.depth == 0 && r.at == r.doc.n)
            return r.any ? RC_OK : bad(&r, "it is empty", e);
        if (r.depth == 0 && peek(&r) != '<')
            return bad(&r, "text outside of an element", e);
        if (r.depth > 0)
            TRY(take_text(&r, e));
        TRY(take_markup(&r, e));
    }
}

enum rc s3_xml_escape(struct buf *out, const char *text, struct err *e)
{
    for (; *text != '\0'; text++) {
        const char *as = *text == '&'   ? "&amp;"
                         : *text == '<' ? "&lt;"
                         : *text == '>' ? "&gt;"
                                        : NULL;

        TRY(as != NULL ? buf_add(out, as, strlen(as), e) : buf_add(out, text, 1, e));
    }
    return RC_OK;
}
