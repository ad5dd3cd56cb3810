/* What may stand in the configuration, for agent/config.c alone. */
#ifndef AGENT_CONFIG_SCHEMA_H
#define AGENT_CONFIG_SCHEMA_H

#include "yaml/yaml.h"

extern const cyaml_schema_value_t agent_config_schema;

#endif
