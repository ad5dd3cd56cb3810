#include "yaml/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/guess.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"
#include "yaml/walk.h"

#define SIZE_DEFAULT ((size_t)1 << 20)
#define UNKNOWN_KEY "Unexpected key: "

const cyaml_strval_t yaml_switch_words[YAML_SWITCH_WORDS] = {
    { "false", YAML_NO }, { "no", YAML_NO },   { "off", YAML_NO },
    { "true", YAML_YES }, { "yes", YAML_YES }, { "on", YAML_YES },
};

/* ---- what libcyaml says ---------------------------------------------------- */

/* Its errors arrive as lines of a log: the failure, then where it was, innermost first.
 */
struct complaint {
    char text[256];
    char where[160];
};

static void keep(char *out, size_t n, const char *line)
{
    size_t end;

    snprintf(out, n, "%s", strncmp(line, "Load: ", 6) == 0 ? line + 6 : line);
    end = strcspn(out, "\n");
    out[end] = '\0';
}

static void listen(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));
static void listen(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
    struct complaint *c = ctx;
    char line[256];

    (void)level;
    vsnprintf(line, sizeof line, fmt, args);
    if (c->text[0] == '\0')
        keep(c->text, sizeof c->text, line);
    else if (c->where[0] == '\0' && strncmp(line, "  in ", 5) == 0)
        keep(c->where, sizeof c->where, line + 2);
}

/* Its words in ours; what stands behind the words is kept. */
static const struct {
    const char *theirs, *ours;
    bool rest;
} words[] = {
    { "Expecting MAPPING", "keys with values are expected here", false },
    { "Expecting SEQUENCE", "a list is expected here", false },
    { "Expecting ", "one value is expected here", false },
    { "Invalid ENUM value: ", "it cannot be ", true },
    { "Mapping field already seen: ", "the key is there twice", false },
    { "Missing required mapping field: ", "a key is missing: ", true },
};

static void reword(const char *said, char *out, size_t n)
{
    char shown[256];

    str_printable(shown, sizeof shown, bytes_str(said));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t k = strlen(words[i].theirs);

        if (strncmp(shown, words[i].theirs, k) != 0)
            continue;
        snprintf(out, n, "%s%s", words[i].ours, words[i].rest ? shown + k : "");
        return;
    }
    snprintf(out, n, "%s", shown);
}

static size_t line_of(const struct complaint *c)
{
    const char *mark = strstr(c->where, "(line: ");

    return mark == NULL ? 1 : (size_t)strtoul(mark + 7, NULL, 10);
}

static void *memory(void *ctx, void *p, size_t size)
{
    (void)ctx;
    if (size == 0) {
        mem_free(p);
        return NULL;
    }
    return mem_resize(p, 1, size);
}

/* ---- the schema ------------------------------------------------------------ */

static enum rc check_schema(const cyaml_schema_value_t *s, struct err *e)
{
    switch (s->type) {
    case CYAML_STRING:
    case CYAML_IGNORE:
        return RC_OK;
    case CYAML_ENUM:
        if ((s->flags & CYAML_FLAG_STRICT) != 0)
            return RC_OK;
        break;
    case CYAML_SEQUENCE:
        return check_schema(s->sequence.entry, e);
    case CYAML_MAPPING:
        for (const cyaml_schema_field_t *f = s->mapping.fields; f->key != NULL; f++)
            TRY(check_schema(&f->value, e));
        return RC_OK;
    case CYAML_INT:
    case CYAML_UINT:
    case CYAML_BOOL:
    case CYAML_FLAGS:
    case CYAML_FLOAT:
    case CYAML_BITFIELD:
    case CYAML_SEQUENCE_FIXED:
    case CYAML__TYPE_COUNT:
        break;
    }
    return err_set(e, RC_INTERNAL, "a schema has a type that libcyaml reads loosely");
}

static void offer_keys(struct guess *g, const cyaml_schema_value_t *s)
{
    if (s->type == CYAML_SEQUENCE)
        offer_keys(g, s->sequence.entry);
    if (s->type != CYAML_MAPPING)
        return;
    for (const cyaml_schema_field_t *f = s->mapping.fields; f->key != NULL; f++) {
        guess_offer(g, f->key);
        offer_keys(g, &f->value);
    }
}

/* ---- loading --------------------------------------------------------------- */

static enum rc unknown_key(struct bytes text, const struct yaml_options *o,
                           const cyaml_schema_value_t *schema, const struct complaint *c,
                           struct err *e)
{
    const char *key = c->text + strlen(UNKNOWN_KEY);
    struct guess near = { .word = key };
    size_t line = walk_find_key(text, key, line_of(c));
    char shown[96];

    str_printable(shown, sizeof shown, bytes_str(key));
    offer_keys(&near, schema);
    (void)!err_set(e, RC_USAGE, "'%s' line %zu: unknown key '%s'", o->name,
                   line == 0 ? line_of(c) : line, shown);
    if (near.name != NULL)
        err_hint(e, "did you mean '%s'?", near.name);
    return RC_USAGE;
}

static enum rc refuse(cyaml_err_t code, struct bytes text, const struct yaml_options *o,
                      const cyaml_schema_value_t *schema, const struct complaint *c,
                      struct err *e)
{
    char said[320], field[64] = "";

    if (code == CYAML_ERR_OOM)
        return err_set(e, RC_NOMEM, "no memory for '%s'", o->name);
    if (strncmp(c->text, UNKNOWN_KEY, strlen(UNKNOWN_KEY)) == 0)
        return unknown_key(text, o, schema, c, e);
    reword(c->text[0] != '\0' ? c->text : cyaml_strerror(code), said, sizeof said);
    if (sscanf(c->where, "in mapping field '%63[^']'", field) == 1)
        return err_set(e, RC_USAGE, "'%s' line %zu: %s: %s", o->name, line_of(c), field,
                       said);
    return err_set(e, RC_USAGE, "'%s' line %zu: %s", o->name, line_of(c), said);
}

static cyaml_config_t configured(const struct yaml_options *o, struct complaint *c)
{
    return (cyaml_config_t){
        .log_fn = listen,
        .log_ctx = c,
        .mem_fn = memory,
        .log_level = CYAML_LOG_ERROR,
        .flags = CYAML_CFG_NO_ALIAS |
                 (o->unknown_keys ? CYAML_CFG_IGNORE_UNKNOWN_KEYS : 0) |
                 (o->case_insensitive ? CYAML_CFG_CASE_INSENSITIVE : 0),
    };
}

enum rc yaml_load(struct bytes text, const struct yaml_options *o,
                  const cyaml_schema_value_t *schema, void **out, struct err *e)
{
    struct complaint c = { 0 };
    cyaml_config_t config = configured(o, &c);
    size_t most = o->size_max == 0 ? SIZE_DEFAULT : o->size_max;
    cyaml_data_t *data = NULL;
    bool empty = false;
    cyaml_err_t code;

    TRY(check_schema(schema, e));
    if (text.n > most)
        return err_set(e, RC_REFUSED, "'%s' is longer than %zu bytes", o->name, most);
    TRY(walk_check(text, o, &empty, e));
    if (!empty) {
        code = cyaml_load_data(text.p, text.n, &config, schema, &data, NULL);
        if (code != CYAML_OK)
            return refuse(code, text, o, schema, &c, e);
    }
    *out = data;
    return RC_OK;
}

enum rc yaml_load_file(const char *path, const struct yaml_options *o,
                       const cyaml_schema_value_t *schema, void **out, struct err *e)
{
    AT_END(mem_end) uint8_t *text = NULL;
    struct yaml_options named = *o;
    size_t n = 0;

    if (named.name == NULL)
        named.name = path;
    TRY(os_read_regular(path, o->size_max == 0 ? SIZE_DEFAULT : o->size_max, &text, &n,
                        e));
    return yaml_load((struct bytes){ text, n }, &named, schema, out, e);
}

void yaml_unload(const cyaml_schema_value_t *schema, void *data)
{
    static const struct yaml_options any;
    cyaml_config_t config = configured(&any, NULL);

    if (data != NULL)
        (void)cyaml_free(&config, schema, data, 0);
}
