#include "util/json.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "util/mem.h"

/* struct json is json-c's object under our name; it is never defined. */
static struct json_object *in(const struct json *j)
{
    union {
        const struct json *from;
        struct json_object *to;
    } cast = { .from = j };

    return cast.to;
}

static struct json *out_of(struct json_object *j)
{
    return (struct json *)j;
}

struct json *json_new_object(void)
{
    return out_of(json_object_new_object());
}

struct json *json_new_array(void)
{
    return out_of(json_object_new_array());
}

void json_free(struct json *j)
{
    json_object_put(in(j));
}

static void put(struct json *o, const char *key, struct json_object *value)
{
    if (o == NULL || json_object_object_add(in(o), key, value) != 0)
        json_object_put(value);
}

void json_set_str(struct json *o, const char *key, const char *value)
{
    put(o, key, value == NULL ? NULL : json_object_new_string(value));
}

void json_set_u64(struct json *o, const char *key, uint64_t value)
{
    put(o, key, json_object_new_uint64(value));
}

void json_set_i64(struct json *o, const char *key, int64_t value)
{
    put(o, key, json_object_new_int64(value));
}

void json_set_double(struct json *o, const char *key, double value)
{
    char text[32];

    snprintf(text, sizeof text, "%.3f", value);
    put(o, key, json_object_new_double_s(value, text));
}

void json_set_bool(struct json *o, const char *key, bool value)
{
    put(o, key, json_object_new_boolean(value));
}

void json_set_null(struct json *o, const char *key)
{
    put(o, key, NULL);
}

void json_set(struct json *o, const char *key, struct json *owned)
{
    put(o, key, in(owned));
}

static void push(struct json *a, struct json_object *value)
{
    if (a == NULL || json_object_array_add(in(a), value) != 0)
        json_object_put(value);
}

void json_add(struct json *a, struct json *owned)
{
    push(a, in(owned));
}

void json_add_str(struct json *a, const char *value)
{
    push(a, json_object_new_string(value));
}

void json_add_u64(struct json *a, uint64_t value)
{
    push(a, json_object_new_uint64(value));
}

enum rc json_render(const struct json *j, bool indented, char **out, struct err *e)
{
    int flags = JSON_C_TO_STRING_NOSLASHESCAPE |
                (indented ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
                          : JSON_C_TO_STRING_PLAIN);
    const char *text = j == NULL ? NULL : json_object_to_json_string_ext(in(j), flags);
    char *copy = text == NULL ? NULL : mem_str(text);

    if (copy == NULL)
        return err_set(e, RC_NOMEM, "no memory for a JSON text");
    *out = copy;
    return RC_OK;
}

enum { JSON_MAX_BYTES = 1 << 20, JSON_MAX_DEPTH = 32 };

static void tokener_end(struct json_tokener **t)
{
    if (*t != NULL)
        json_tokener_free(*t);
}

enum rc json_parse(struct bytes text, const char *name, struct json **out, struct err *e)
{
    AT_END(tokener_end) struct json_tokener *t = NULL;
    struct json_object *o;

    if (text.n > JSON_MAX_BYTES)
        return err_set(e, RC_CORRUPT, "%s: JSON of %zu bytes is too large", name, text.n);
    t = json_tokener_new_ex(JSON_MAX_DEPTH);
    if (t == NULL)
        return err_set(e, RC_NOMEM, "no memory to parse %s", name);
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    o = json_tokener_parse_ex(t, (const char *)text.p, (int)text.n);
    enum json_tokener_error problem = json_tokener_get_error(t);

    /* A bare number or literal only ends at the end of the text. */
    if (problem == json_tokener_continue) {
        o = json_tokener_parse_ex(t, "", -1);
        problem = json_tokener_get_error(t);
    }
    if (problem == json_tokener_success && json_tokener_get_parse_end(t) != text.n)
        problem = json_tokener_error_parse_unexpected;
    if (problem != json_tokener_success) {
        json_object_put(o);
        return err_set(e, RC_CORRUPT, "%s: not valid JSON at byte %zu: %s", name,
                       json_tokener_get_parse_end(t), json_tokener_error_desc(problem));
    }
    *out = out_of(o);
    return RC_OK;
}

const struct json *json_get(const struct json *o, const char *key)
{
    struct json_object *v = NULL;

    if (o == NULL || !json_object_is_type(in(o), json_type_object))
        return NULL;
    json_object_object_get_ex(in(o), key, &v);
    return out_of(v);
}

const char *json_str(const struct json *j)
{
    return j != NULL && json_object_is_type(in(j), json_type_string)
               ? json_object_get_string(in(j))
               : NULL;
}

bool json_u64(const struct json *j, uint64_t *out)
{
    struct json_object *o = in(j);

    if (j == NULL || !json_object_is_type(o, json_type_int))
        return false;
    if (json_object_get_int64(o) < 0 && json_object_get_uint64(o) == 0)
        return false;
    *out = json_object_get_uint64(o);
    return true;
}

const char *json_get_str(const struct json *o, const char *key)
{
    return json_str(json_get(o, key));
}

bool json_get_u64(const struct json *o, const char *key, uint64_t *out)
{
    return json_u64(json_get(o, key), out);
}

bool json_get_i64(const struct json *o, const char *key, int64_t *out)
{
    const struct json *v = json_get(o, key);

    if (v == NULL || !json_object_is_type(in(v), json_type_int))
        return false;
    *out = json_object_get_int64(in(v));
    return true;
}

bool json_get_double(const struct json *o, const char *key, double *out)
{
    const struct json *v = json_get(o, key);

    if (v == NULL || !(json_object_is_type(in(v), json_type_double) ||
                       json_object_is_type(in(v), json_type_int)))
        return false;
    *out = json_object_get_double(in(v));
    return true;
}

bool json_get_bool(const struct json *o, const char *key, bool *out)
{
    const struct json *v = json_get(o, key);

    if (v == NULL || !json_object_is_type(in(v), json_type_boolean))
        return false;
    *out = json_object_get_boolean(in(v));
    return true;
}

size_t json_count(const struct json *a)
{
    return a != NULL && json_object_is_type(in(a), json_type_array)
               ? json_object_array_length(in(a))
               : 0;
}

const struct json *json_at(const struct json *a, size_t i)
{
    return out_of(json_object_array_get_idx(in(a), i));
}

bool json_is_array(const struct json *j)
{
    return j != NULL && json_object_is_type(in(j), json_type_array);
}

bool json_is_object(const struct json *j)
{
    return j != NULL && json_object_is_type(in(j), json_type_object);
}
