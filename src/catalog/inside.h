/* What the files of this folder share: the body of a backup's record as JSON, and the
 * spelling of fields. */
#ifndef CATALOG_INSIDE_H
#define CATALOG_INSIDE_H

#include "catalog/record.h"
#include "util/json.h"

/* RC_USAGE: "the field 'x' of a record ..."; for both directions, since reading ends with
 * writing the same again. */
enum rc field_bad(const char *field, struct err *e);

void field_set_sha256(struct json *o, const char *key,
                      const uint8_t digest[static SHA256_SIZE]);
void field_set_id(struct json *o, const char *key, uint64_t id);
void field_set_list(struct json *o, const char *key, const struct str_list *l);

/* RC_CORRUPT when the field is missing, of another type, or too long for its place. */
enum rc field_missing(const char *field, struct err *e);
enum rc field_u64(const struct json *o, const char *key, uint64_t *out, struct err *e);
enum rc field_i64(const struct json *o, const char *key, int64_t *out, struct err *e);
enum rc field_bool(const struct json *o, const char *key, bool *out, struct err *e);
enum rc field_text(const struct json *o, const char *key, char *out, size_t n,
                   struct err *e);
/* A heap string; NULL for JSON's null. */
enum rc field_heap(const struct json *o, const char *key, char **out, struct err *e);
enum rc field_sha256(const struct json *o, const char *key,
                     uint8_t out[static SHA256_SIZE], struct err *e);
enum rc field_id(const struct json *o, const char *key, uint64_t *out, struct err *e);
/* At most `max` strings. */
enum rc field_list(const struct json *o, const char *key, size_t max,
                   struct str_list *out, struct err *e);

/* 1 to n-1 characters of letters, digits and `also`. */
bool field_plain(const char *text, size_t n, const char *also);
bool field_tags_valid(const struct str_list *tags);

enum rc manifest_check(const struct manifest *m, const char *cluster, struct err *e);
struct json *manifest_json(const struct manifest *m);
enum rc manifest_read(const struct json *o, struct manifest **out, struct err *e);

#endif
