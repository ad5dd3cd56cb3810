#include "cli/rows.h"

#include <string.h>

#include "cli/result.h"
#include "crypto/base64.h"
#include "util/mem.h"

struct rows {
    struct printer *to;
    enum render_format format;
    bool bare, measuring;
    uint64_t count; /* in this pass */
    struct table_widths widths;
};

bool rows_are_json(const struct rows *to)
{
    return to->format == RENDER_JSON;
}

static enum rc put_json(struct rows *rows, const struct json *j, struct err *e)
{
    AT_END(mem_end) char *text = NULL;

    TRY(json_render(j, false, &text, e));
    printer_put(rows->to, rows->count > 0 ? "," : "");
    printer_put(rows->to, text);
    return RC_OK;
}

static void put_fields(struct rows *rows, const struct result *r, struct err *e)
{
    enum rc rc;

    if (rows->count > 0)
        printer_put(rows->to, "\n");
    rc = render(rows->to, RENDER_FIELDS, r, e);
    (void)rc; /* the result has been looked at */
}

static void put_bare(struct printer *to, const struct record *rec)
{
    const char *gap = "";

    for (size_t i = 0; i < rec->count; i++) {
        const struct cell *c = &rec->cells[i];

        if (!cell_shows(c) || c->text[0] == '\0')
            continue;
        printer_put(to, gap);
        printer_put(to, c->text);
        gap = "  ";
    }
    printer_put(to, "\n");
}

static void put_text(struct rows *rows, const struct record *rec)
{
    bool boxed = rows->format == RENDER_TABLE;

    if (rows->measuring) {
        table_measure(&rows->widths, rec);
    } else if (!boxed && rows->bare) {
        put_bare(rows->to, rec);
    } else if (boxed) {
        if (rows->count == 0)
            table_box_heading(rows->to, rec, &rows->widths);
        table_box_row(rows->to, rec, &rows->widths);
    } else {
        if (rows->count == 0)
            table_heading(rows->to, rec, &rows->widths);
        table_plain_row(rows->to, rec, &rows->widths);
    }
}

enum rc rows_put(struct rows *to, struct result *owned, struct err *e)
{
    OWNED(result) r = owned;

    if (r == NULL)
        return err_set(e, RC_NOMEM, "no memory for a row");
    if (r->failure.code != RC_OK) {
        *e = r->failure;
        return r->failure.code;
    }
    if (to->format == RENDER_JSON)
        TRY(put_json(to, r->records[0].view, e));
    else if (to->format == RENDER_FIELDS)
        put_fields(to, r, e);
    else
        put_text(to, &r->records[0]);
    to->count++;
    return RC_OK;
}

/* {"KEY":[...],"about":1}: what is known only at the end can stand at the end. */
static enum rc show_json(struct rows *rows, const struct rows_source *source,
                         struct err *e)
{
    OWNED(result) about = NULL;
    AT_END(mem_end) char *text = NULL;

    printer_printf(rows->to, "{\"%s\":[", source->key);
    TRY(source->make(source->arg, rows, e));
    printer_put(rows->to, "]");
    if (source->about != NULL) {
        about = source->about(source->arg);
        if (about == NULL || about->failure.code != RC_OK)
            return err_set(e, RC_NOMEM, "no memory for a result");
        TRY(json_render(about->records[0].view, false, &text, e));
        printer_put(rows->to, ",");
        printer_put(rows->to, text + 1); /* without its opening brace */
    } else {
        printer_put(rows->to, "}");
    }
    printer_put(rows->to, "\n");
    return RC_OK;
}

enum rc rows_show(struct cli *c, const struct rows_source *source, struct err *e)
{
    struct rows rows = { .to = c->out, .format = c->format, .bare = source->bare };
    bool aligned =
        c->format == RENDER_TABLE || (c->format == RENDER_SIMPLE && !source->bare);

    c->out->is_list = true;
    if (c->format == RENDER_JSON)
        return show_json(&rows, source, e);
    if (aligned) {
        rows.measuring = true;
        TRY(source->make(source->arg, &rows, e));
        rows.measuring = false;
        rows.count = 0;
    }
    TRY(source->make(source->arg, &rows, e));
    if (c->format == RENDER_TABLE && rows.count > 0)
        table_frame(c->out, &rows.widths);
    return RC_OK;
}

/* Room for the bytes in either form; NULL after a failure, which the result keeps. */
static char *room_for(struct result *r, struct bytes bytes)
{
    char *text = NULL;

    if (r == NULL || r->failure.code != RC_OK ||
        mem_new(&text, 4 * bytes.n + 16, "a value", &r->failure) != RC_OK)
        return NULL;
    return text;
}

void result_name(struct result *r, const char *label, const char *key, struct bytes bytes)
{
    AT_END(mem_end) char *text = room_for(r, bytes);

    if (text == NULL)
        return;
    str_printable(text, 4 * bytes.n + 16, bytes);
    result_str(r, label, key, text);
}

void result_bytes(struct result *r, const char *label, const char *key,
                  struct bytes bytes)
{
    AT_END(mem_end) char *text = NULL;

    if (label != NULL)
        result_name(r, label, NULL, bytes);
    if (key == NULL || (text = room_for(r, bytes)) == NULL)
        return;
    text[base64_encode_padded(bytes, text)] = '\0';
    result_str(r, NULL, key, text);
}
