/* One walk over a YAML text without building anything. */
#ifndef YAML_WALK_H
#define YAML_WALK_H

#include "yaml/yaml.h"

/* Is it one document within the bounds, without aliases? *empty: without content. */
enum rc walk_check(struct bytes text, const struct yaml_options *o, bool *empty,
                   struct err *e);

/* The line of the first key `key` of any mapping at or after line `from`; 0: none. */
size_t walk_find_key(struct bytes text, const char *key, size_t from);

#endif
