#include <stdio.h>
#include <string.h>

#include "catalog/inside.h"
#include "util/mem.h"

enum { ID_DIGITS = 16 };

enum rc field_bad(const char *field, struct err *e)
{
    return err_set(e, RC_USAGE, "a record's field '%s' is out of bounds", field);
}

enum rc field_missing(const char *field, struct err *e)
{
    return err_set(e, RC_CORRUPT, "a record's field '%s' is missing or of another kind",
                   field);
}

void field_set_sha256(struct json *o, const char *key,
                      const uint8_t digest[static SHA256_SIZE])
{
    char hex[2 * SHA256_SIZE + 1];

    str_hex(hex, digest, SHA256_SIZE);
    json_set_str(o, key, hex);
}

void field_set_id(struct json *o, const char *key, uint64_t id)
{
    char hex[ID_DIGITS + 1];
    uint8_t b[8];

    put_be64(b, id);
    str_hex(hex, b, sizeof b);
    json_set_str(o, key, hex);
}

void field_set_list(struct json *o, const char *key, const struct str_list *l)
{
    struct json *a = json_new_array();

    for (size_t i = 0; i < l->count; i++)
        json_add_str(a, l->items[i]);
    json_set(o, key, a);
}

enum rc field_u64(const struct json *o, const char *key, uint64_t *out, struct err *e)
{
    return json_get_u64(o, key, out) ? RC_OK : field_missing(key, e);
}

enum rc field_i64(const struct json *o, const char *key, int64_t *out, struct err *e)
{
    return json_get_i64(o, key, out) ? RC_OK : field_missing(key, e);
}

enum rc field_bool(const struct json *o, const char *key, bool *out, struct err *e)
{
    return json_get_bool(o, key, out) ? RC_OK : field_missing(key, e);
}

enum rc field_text(const struct json *o, const char *key, char *out, size_t n,
                   struct err *e)
{
    const char *text = json_get_str(o, key);

    if (text == NULL || strlen(text) >= n)
        return field_missing(key, e);
    snprintf(out, n, "%s", text);
    return RC_OK;
}

enum rc field_heap(const struct json *o, const char *key, char **out, struct err *e)
{
    const char *text = json_get_str(o, key);

    *out = NULL;
    if (text == NULL)
        return RC_OK; /* anything else than null is written differently, and refused */
    *out = mem_str(text);
    return *out != NULL ? RC_OK : err_set(e, RC_NOMEM, "no memory for a record");
}

static enum rc field_hex(const struct json *o, const char *key, uint8_t *out, size_t n,
                         struct err *e)
{
    const char *text = json_get_str(o, key);

    return text != NULL && str_unhex(text, out, n) ? RC_OK : field_missing(key, e);
}

enum rc field_sha256(const struct json *o, const char *key,
                     uint8_t out[static SHA256_SIZE], struct err *e)
{
    return field_hex(o, key, out, SHA256_SIZE, e);
}

enum rc field_id(const struct json *o, const char *key, uint64_t *out, struct err *e)
{
    uint8_t b[8];

    TRY(field_hex(o, key, b, sizeof b, e));
    *out = be64(b);
    return RC_OK;
}

enum rc field_list(const struct json *o, const char *key, size_t max,
                   struct str_list *out, struct err *e)
{
    const struct json *a = json_get(o, key);
    size_t count = json_count(a);

    if (count > max)
        return field_missing(key, e);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_str(json_at(a, i));

        if (text == NULL)
            return field_missing(key, e);
        TRY(str_list_add(out, text, e));
    }
    return RC_OK;
}

static bool alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool field_plain(const char *text, size_t n, const char *also)
{
    size_t length = strnlen(text, n);

    if (length == 0 || length == n)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!alphanumeric(text[i]) && strchr(also, text[i]) == NULL)
            return false;
    return true;
}

bool field_tags_valid(const struct str_list *tags)
{
    if (tags->count > MANIFEST_TAGS_MAX)
        return false;
    for (size_t i = 0; i < tags->count; i++) {
        if (!field_plain(tags->items[i], MANIFEST_TAG_SIZE, "._:=/+@-"))
            return false;
        for (size_t j = 0; j < i; j++)
            if (strcmp(tags->items[i], tags->items[j]) == 0)
                return false;
    }
    return true;
}
