/* Results: what a command found out, described once and shown as text, table, fields or
 * JSON.
 *
 *     OWNED(result) r = result_new();
 *     result_str(r, "Hash", "hash", "fe01cf57");
 *     result_u64(r, "Revision", "revision", 10);
 *     return cli_show(c, r, e);
 *
 * A record is rows of a label for people, a JSON key for programs, and a value. A label
 * of NULL keeps a value from the text forms, a key of NULL from JSON. A list holds many
 * records: call result_next() before each. Setters ignore an earlier failure and accept
 * NULL; render() reports it, so that a command reads as a list of fields. */
#ifndef CLI_RENDER_H
#define CLI_RENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/printer.h"
#include "util/err.h"
#include "util/json.h"
#include "util/own.h"

enum render_format {
    RENDER_SIMPLE, /* the lines of result_line; without any, aligned labels and values */
    RENDER_TABLE,  /* etcdctl's box: one column a label, one row a record */
    RENDER_JSON,   /* one line */
    RENDER_FIELDS, /* "Label" : value, as etcdctl */
};

struct result;

struct result *result_new(void);      /* one record; NULL when memory ran out */
struct result *result_new_list(void); /* any number of records: a JSON array */
void result_free(struct result *r);
OWN_DEFINE(result)

/* Begins the next record of a list. */
void result_next(struct result *r);

/* Text may come from outside: it is made printable for people, and for JSON too when it
 * is not valid UTF-8. NULL is shown as nothing and as null. Labels and keys are borrowed
 * and must be literals. */
void result_str(struct result *r, const char *label, const char *key, const char *value);
void result_u64(struct result *r, const char *label, const char *key, uint64_t value);
void result_i64(struct result *r, const char *label, const char *key, int64_t value);
void result_bool(struct result *r, const char *label, const char *key, bool value);
void result_size(struct result *r, const char *label, const char *key, uint64_t bytes);

/* Milliseconds; "1.30s" for people, 1.300 in JSON. */
void result_took(struct result *r, const char *label, const char *key, uint64_t ms);

/* A 64-bit id: hex for people; in JSON the number, and the hex as `key_hex`. */
void result_id(struct result *r, const char *label, const char *key, const char *key_hex,
               uint64_t id);

/* A value that only JSON shows; owns it. */
void result_json(struct result *r, const char *key, struct json *owned);

/* A result within a result: an object or array in JSON; for people it follows the
 * record under its label, or is left out when it is an empty list. Owns it. */
void result_nest(struct result *r, const char *label, const char *key,
                 struct result *owned);

/* A line for RENDER_SIMPLE, instead of labels and values; of a list, below its rows. Made
 * printable. */
void result_line(struct result *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The same for each line of what was drawn into a printer that keeps it in memory. */
enum rc result_drawn(struct result *r, struct printer *drawn, struct err *e);

/* RC_NOMEM. Ends with a newline; nothing at all for an empty list but in JSON ("[]"). */
enum rc render(struct printer *to, enum render_format format, const struct result *r,
               struct err *e);

#endif
