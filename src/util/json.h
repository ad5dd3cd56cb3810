/* JSON, built and read. 64-bit numbers stay exact (member ids pass 2^53). The only
 * user of json-c.
 *
 * Building: setters ignore an earlier failure; json_render reports the first one, so
 * that a renderer reads as a list of fields. Reading: strict (no comments, no
 * trailing text, valid UTF-8), at most 1 MiB and 32 levels deep. */
#ifndef UTIL_JSON_H
#define UTIL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"
#include "util/own.h"

struct json;

struct json *json_new_object(void); /* NULL when memory ran out; setters accept NULL */
struct json *json_new_array(void);
void json_free(struct json *j);
OWN_DEFINE(json)

void json_set_str(struct json *o, const char *key, const char *value); /* NULL: null */
void json_set_u64(struct json *o, const char *key, uint64_t value);
void json_set_i64(struct json *o, const char *key, int64_t value);
void json_set_double(struct json *o, const char *key, double value);
void json_set_bool(struct json *o, const char *key, bool value);
void json_set_null(struct json *o, const char *key);
void json_set(struct json *o, const char *key, struct json *owned);
void json_add(struct json *a, struct json *owned);
void json_add_str(struct json *a, const char *value);
void json_add_u64(struct json *a, uint64_t value);

/* One line without blanks, or indented; heap string for the caller. */
enum rc json_render(const struct json *j, bool indented, char **out, struct err *e);

/* RC_CORRUPT names `name` and the offset. */
enum rc json_parse(struct bytes text, const char *name, struct json **out, struct err *e);

/* Borrowed views; NULL when absent or of another type. */
const struct json *json_get(const struct json *o, const char *key);
const char *json_get_str(const struct json *o, const char *key);
bool json_get_u64(const struct json *o, const char *key, uint64_t *out);
bool json_get_i64(const struct json *o, const char *key, int64_t *out);
bool json_get_double(const struct json *o, const char *key, double *out); /* or whole */
bool json_get_bool(const struct json *o, const char *key, bool *out);
size_t json_count(const struct json *a); /* 0 for anything but an array */
const struct json *json_at(const struct json *a, size_t i);
const char *json_str(const struct json *j);
bool json_u64(const struct json *j, uint64_t *out);
bool json_is_object(const struct json *j);
bool json_is_array(const struct json *j);

#endif
