#include "cli/result.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/mem.h"

static void no_memory(struct result *r)
{
    enum rc kept = err_set(&r->failure, RC_NOMEM, "no memory for a result");

    (void)kept;
}

static struct record *next_record(struct result *r)
{
    struct record *records = mem_resize(r->records, r->count + 1, sizeof *records);
    struct record *added;

    if (records == NULL) {
        no_memory(r);
        return NULL;
    }
    r->records = records;
    added = &records[r->count];
    *added = (struct record){ .json = json_new_object() };
    added->view = added->json;
    r->count++;
    return added;
}

static struct result *new_result(bool list)
{
    struct result *r = mem_zero(sizeof *r);

    if (r != NULL)
        r->list = list;
    if (r != NULL && !list)
        next_record(r);
    return r;
}

struct result *result_new(void)
{
    return new_result(false);
}

struct result *result_new_list(void)
{
    return new_result(true);
}

static void record_clear(struct record *rec)
{
    for (size_t i = 0; i < rec->count; i++) {
        mem_free(rec->cells[i].text);
        result_free(rec->cells[i].nested);
    }
    mem_free(rec->cells);
    json_free(rec->json);
}

void result_free(struct result *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->count; i++)
        record_clear(&r->records[i]);
    mem_free(r->records);
    str_list_clear(&r->lines);
    mem_free(r);
}

static bool failed(const struct result *r)
{
    return r == NULL || r->failure.code != RC_OK;
}

void result_next(struct result *r)
{
    if (!failed(r))
        next_record(r);
}

/* The JSON object of the record being filled; NULL (which setters accept) after a
 * failure or when the value is not for JSON. */
static struct json *target(struct result *r, const char *key)
{
    return failed(r) || key == NULL || r->count == 0 ? NULL
                                                     : r->records[r->count - 1].json;
}

static struct cell *add_cell(struct result *r, const char *label, const char *key)
{
    struct record *rec = &r->records[r->count - 1];
    struct cell *cells = mem_resize(rec->cells, rec->count + 1, sizeof *cells);

    if (cells == NULL) {
        no_memory(r);
        return NULL;
    }
    rec->cells = cells;
    cells[rec->count] = (struct cell){ .label = label, .key = key };
    return &cells[rec->count++];
}

static char *printable(const char *text)
{
    size_t size = 4 * strlen(text) + 16;
    char *safe = mem_zero(size);

    if (safe != NULL)
        str_printable(safe, size, bytes_str(text));
    return safe;
}

static void show(struct result *r, const char *label, const char *key, const char *text,
                 bool number)
{
    struct cell *c;

    if (failed(r) || r->count == 0)
        return;
    c = add_cell(r, label, key);
    if (c == NULL)
        return;
    c->number = number;
    c->text = printable(text);
    if (c->text == NULL)
        no_memory(r);
}

static size_t high_bytes(const char *s)
{
    size_t n = 0;

    for (; *s != '\0'; s++)
        n += (unsigned char)*s >= 0x80;
    return n;
}

/* Well-formed UTF-8 goes through str_printable with all its high bytes. */
static bool is_utf8(const char *text)
{
    AT_END(mem_end) char *safe = printable(text);

    return safe != NULL && high_bytes(safe) == high_bytes(text);
}

void result_str(struct result *r, const char *label, const char *key, const char *value)
{
    struct json *o = target(r, key);

    show(r, label, key, value == NULL ? "" : value, false);
    if (value == NULL || is_utf8(value)) {
        json_set_str(o, key, value);
    } else {
        AT_END(mem_end) char *safe = printable(value);

        json_set_str(o, key, safe);
    }
}

void result_u64(struct result *r, const char *label, const char *key, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, value);
    show(r, label, key, text, true);
    json_set_u64(target(r, key), key, value);
}

void result_i64(struct result *r, const char *label, const char *key, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, value);
    show(r, label, key, text, true);
    json_set_i64(target(r, key), key, value);
}

void result_bool(struct result *r, const char *label, const char *key, bool value)
{
    show(r, label, key, value ? "true" : "false", false);
    json_set_bool(target(r, key), key, value);
}

void result_size(struct result *r, const char *label, const char *key, uint64_t bytes)
{
    char text[32];

    str_size(text, sizeof text, bytes);
    show(r, label, key, text, true);
    json_set_u64(target(r, key), key, bytes);
}

void result_took(struct result *r, const char *label, const char *key, uint64_t ms)
{
    char text[32];

    str_seconds(text, sizeof text, ms);
    show(r, label, key, text, true);
    json_set_double(target(r, key), key, (double)ms / 1000);
}

void result_id(struct result *r, const char *label, const char *key, const char *key_hex,
               uint64_t id)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIx64, id);
    show(r, label, key, text, false);
    json_set_u64(target(r, key), key, id);
    if (key_hex != NULL)
        json_set_str(target(r, key_hex), key_hex, text);
}

void result_json(struct result *r, const char *key, struct json *owned)
{
    show(r, NULL, key, "", false);
    json_set(target(r, key), key, owned);
}

/* The JSON form of a nested result; its records keep a view of their part. */
static struct json *take_json(struct result *r)
{
    if (!r->list)
        return GIVE(r->records[0].json);
    struct json *a = json_new_array();

    for (size_t i = 0; i < r->count; i++)
        json_add(a, GIVE(r->records[i].json));
    return a;
}

void result_nest(struct result *r, const char *label, const char *key,
                 struct result *owned)
{
    OWNED(result) inner = owned;
    struct cell *c;

    if (failed(r) || r->count == 0)
        return;
    if (failed(inner))
        no_memory(r);
    c = failed(inner) ? NULL : add_cell(r, label, key);
    if (c == NULL)
        return;
    if (key != NULL)
        json_set(target(r, key), key, take_json(inner));
    c->nested = GIVE(inner);
}

void result_line(struct result *r, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    enum rc kept;

    if (failed(r))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    kept = str_list_add(&r->lines, text, &r->failure);
    (void)kept;
}

enum rc result_drawn(struct result *r, struct printer *drawn, struct err *e)
{
    TRY(printer_flush(drawn, e));
    AT_END(mem_end) char *text = mem_str(printer_text(drawn));
    char *rest;

    if (text == NULL)
        return err_set(e, RC_NOMEM, "no memory for a result");
    for (char *line = text; *line != '\0'; line = rest) {
        rest = str_line(line);
        result_line(r, "%s", line);
    }
    return RC_OK;
}
