/* YAML read by a schema of libcyaml, with hostile text in mind. Before libcyaml sees a
 * text, it is walked once: one document, UTF-8, no alias (a few lines of them can mean
 * gigabytes), and no more nesting and nodes than the bounds allow. Memory comes through
 * util/mem.h.
 *
 * Every failure names the file and, where there is one, the line; an unknown key comes
 * with the nearest key of the schema.
 *
 * A schema is a mapping behind a pointer, made of mappings, sequences, strings and strict
 * enumerations. Anything else is refused (RC_INTERNAL): libcyaml 1.3 takes "7x" for the
 * number 7 and every word but a few for true. A number is a string that str_to_u64 reads;
 * a truth value is YAML_SWITCH. */
#ifndef YAML_YAML_H
#define YAML_YAML_H

#include <cyaml/cyaml.h>

#include "util/bytes.h"
#include "util/err.h"

struct yaml_options {
    const char *name;      /* of the file, for messages */
    size_t size_max;       /* bytes; 0: 1 MiB */
    unsigned depth_max;    /* 0: 32 */
    size_t nodes_max;      /* scalars, lists and mappings; 0: 100000 */
    bool unknown_keys;     /* are passed over instead of refused */
    bool case_insensitive; /* keys, as Go's JSON takes them */
};

/* true or false in an `enum yaml_switch` member; left out, it is YAML_UNSET:
 *     YAML_SWITCH("auto-tls", struct tls, auto_tls),                             */
enum yaml_switch { YAML_UNSET, YAML_NO, YAML_YES };
enum { YAML_SWITCH_WORDS = 6 };
extern const cyaml_strval_t yaml_switch_words[YAML_SWITCH_WORDS];
#define YAML_SWITCH(key, structure, member)                                         \
    CYAML_FIELD_ENUM(                                                               \
        key, CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT | CYAML_FLAG_CASE_INSENSITIVE, \
        structure, member, yaml_switch_words, YAML_SWITCH_WORDS)

/* A string that may be left out, or be null: then it is NULL. */
#define YAML_STRING(key, structure, member)                                        \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER_NULL_STR | CYAML_FLAG_OPTIONAL, \
                           structure, member, 0, CYAML_UNLIMITED)

/* The data that `schema` describes, for yaml_unload. *out is NULL for a document without
 * any content. RC_USAGE: it is no YAML, or not what the schema asks for; RC_REFUSED: a
 * bound is passed; RC_NOMEM. */
enum rc yaml_load(struct bytes text, const struct yaml_options *o,
                  const cyaml_schema_value_t *schema, void **out, struct err *e);

/* yaml_load of a regular file; a NULL name is its path. Fails also as os_read_regular
 * does. */
enum rc yaml_load_file(const char *path, const struct yaml_options *o,
                       const cyaml_schema_value_t *schema, void **out, struct err *e);

/* Ends what yaml_load made. (Not yaml_free: libyaml exports one, and would call ours.) */
void yaml_unload(const cyaml_schema_value_t *schema, void *data);

#endif
