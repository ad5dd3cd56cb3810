#include "cli/render.h"

#include <string.h>

#include "cli/result.h"
#include "util/mem.h"

static void put_json(struct printer *to, const struct json *j)
{
    AT_END(mem_end) char *text = NULL;

    if (json_render(j, false, &text, &to->failure) == RC_OK)
        printer_put(to, text);
}

static void as_json(struct printer *to, const struct result *r)
{
    if (r->list)
        printer_put(to, "[");
    for (size_t i = 0; i < r->count; i++) {
        if (i > 0)
            printer_put(to, ",");
        put_json(to, r->records[i].view);
    }
    printer_put(to, r->list ? "]\n" : "\n");
}

static void field(struct printer *to, const struct record *rec, const struct cell *c)
{
    const struct json *value = c->key == NULL ? NULL : json_get(rec->view, c->key);
    const char *name = c->label == NULL ? c->key : c->label;

    if (name == NULL)
        return;
    printer_printf(to, "\"%s\" : ", name);
    if (value != NULL)
        put_json(to, value);
    else if (c->key == NULL)
        printer_printf(to, "\"%s\"", c->text == NULL ? "" : c->text);
    else
        printer_put(to, "null");
    printer_put(to, "\n");
}

static void as_fields(struct printer *to, const struct result *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct record *rec = &r->records[i];

        if (i > 0)
            printer_put(to, "\n");
        for (size_t k = 0; k < rec->count; k++)
            field(to, rec, &rec->cells[k]);
    }
}

static void as_text(struct printer *to, bool boxed, const struct result *r);

static void nested(struct printer *to, bool boxed, const struct record *rec)
{
    for (size_t k = 0; k < rec->count; k++) {
        const struct cell *c = &rec->cells[k];

        if (c->nested == NULL || c->label == NULL || c->nested->count == 0)
            continue;
        printer_printf(to, "\n%s:\n", c->label);
        as_text(to, boxed, c->nested);
    }
}

static void simple(struct printer *to, const struct result *r)
{
    if (r->list && r->count > 0)
        table_columns(to, r);
    for (size_t i = 0; i < r->lines.count; i++) {
        printer_put_printable(to, r->lines.items[i]);
        printer_put(to, "\n");
    }
    if (!r->list && r->lines.count == 0)
        table_labels(to, &r->records[0]);
}

static void as_text(struct printer *to, bool boxed, const struct result *r)
{
    if (r->count == 0 && (boxed || r->lines.count == 0))
        return;
    if (boxed)
        table_box(to, r);
    else
        simple(to, r);
    for (size_t i = 0; i < r->count; i++)
        nested(to, boxed, &r->records[i]);
}

enum rc render(struct printer *to, enum render_format format, const struct result *r,
               struct err *e)
{
    if (r == NULL)
        return err_set(e, RC_NOMEM, "no memory for a result");
    if (r->failure.code != RC_OK) {
        *e = r->failure;
        return r->failure.code;
    }
    switch (format) {
    case RENDER_SIMPLE:
        as_text(to, false, r);
        break;
    case RENDER_TABLE:
        as_text(to, true, r);
        break;
    case RENDER_JSON:
        as_json(to, r);
        break;
    case RENDER_FIELDS:
        as_fields(to, r);
        break;
    }
    return RC_OK;
}
