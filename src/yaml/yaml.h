/* YAML read by a schema of libcyaml, with hostile text in mind. Before libcyaml sees a
 * text, it is walked once: one document, UTF-8, no alias (a few lines of them can mean
 * gigabytes), and no more nesting and nodes than the bounds allow. Memory comes through
 * util/mem.h.
 *
 * Every failure names the file and, where there is one, the line; an unknown key comes
 * with the nearest key of the schema. */
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

/* The data that `schema` describes, for yaml_free. *out is NULL for a document without
 * any content. RC_USAGE: it is no YAML, or not what the schema asks for; RC_REFUSED: a
 * bound is passed; RC_NOMEM. */
enum rc yaml_load(struct bytes text, const struct yaml_options *o,
                  const cyaml_schema_value_t *schema, void **out, struct err *e);

/* yaml_load of a regular file. Fails also as os_open_regular does. */
enum rc yaml_load_file(const char *path, const struct yaml_options *o,
                       const cyaml_schema_value_t *schema, void **out, struct err *e);

void yaml_free(const cyaml_schema_value_t *schema, void *data);

#endif
