#include "yaml/walk.h"

#include <string.h>
#include <yaml.h>

#include "util/mem.h"

enum { DEPTH_DEFAULT = 32, NODES_DEFAULT = 100000 };
/* Whether a scalar is a key depends on where it stands; so much depth is looked at. */
enum { PLACES_MAX = 64 };

/* In a mapping every other node is a key. */
struct place {
    bool mapping, at_key;
};

struct walk {
    const struct yaml_options *o;
    const char *key; /* looked for, or NULL */
    size_t from, found;
    size_t nodes, documents;
    unsigned depth;
    bool content;
    struct place places[PLACES_MAX];
};

static enum rc at_line(const struct walk *w, const yaml_event_t *event, enum rc rc,
                       const char *what, struct err *e)
{
    return err_set(e, rc, "'%s' line %zu: %s", w->o->name, event->start_mark.line + 1,
                   what);
}

/* A node begins: was it a key? What follows a key is its value, and the other way. */
static bool takes_turn(struct walk *w)
{
    struct place *p = w->depth == 0 ? NULL : &w->places[w->depth - 1];

    if (p == NULL || !p->mapping)
        return false;
    p->at_key = !p->at_key;
    return !p->at_key;
}

static enum rc enter(struct walk *w, const yaml_event_t *event, bool mapping,
                     struct err *e)
{
    unsigned most = w->o->depth_max == 0 ? DEPTH_DEFAULT : w->o->depth_max;

    if (takes_turn(w))
        return at_line(w, event, RC_USAGE, "a key is a list or a mapping", e);
    if (w->depth >= most || w->depth >= PLACES_MAX)
        return at_line(w, event, RC_REFUSED, "it is nested too deeply", e);
    w->places[w->depth++] = (struct place){ mapping, mapping };
    w->content = true;
    return RC_OK;
}

static enum rc scalar(struct walk *w, const yaml_event_t *event, struct err *e)
{
    const char *value = (const char *)event->data.scalar.value;
    bool is_key = takes_turn(w);

    if (strlen(value) != event->data.scalar.length)
        return at_line(w, event, RC_USAGE, "a value holds a NUL character", e);
    if (is_key && w->key != NULL && w->found == 0 && strcmp(value, w->key) == 0 &&
        event->start_mark.line + 1 >= w->from)
        w->found = event->start_mark.line + 1;
    w->content = w->content || value[0] != '\0';
    return RC_OK;
}

static enum rc count(struct walk *w, const yaml_event_t *event, struct err *e)
{
    size_t most = w->o->nodes_max == 0 ? NODES_DEFAULT : w->o->nodes_max;

    if (++w->nodes > most)
        return at_line(w, event, RC_REFUSED, "it has too many values", e);
    return RC_OK;
}

static enum rc step(struct walk *w, const yaml_event_t *event, struct err *e)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++w->documents > 1)
            return at_line(w, event, RC_USAGE,
                           "a second document begins" HINT "one file holds one", e);
        return RC_OK;
    case YAML_ALIAS_EVENT:
        return at_line(w, event, RC_REFUSED,
                       "an alias (*name) is not accepted" HINT "write the value out", e);
    case YAML_SCALAR_EVENT:
        TRY(count(w, event, e));
        return scalar(w, event, e);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        TRY(count(w, event, e));
        return enter(w, event, event->type == YAML_MAPPING_START_EVENT, e);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        w->depth--;
        return RC_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return RC_OK;
    }
    return RC_OK;
}

static enum rc not_yaml(const struct walk *w, const yaml_parser_t *p, struct err *e)
{
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(e, RC_NOMEM, "no memory for '%s'", w->o->name);
    if (p->error == YAML_READER_ERROR)
        return err_set(e, RC_USAGE, "'%s' is no YAML: at byte %zu: %s", w->o->name,
                       p->problem_offset, p->problem);
    return err_set(e, RC_USAGE, "'%s' line %zu: it is no YAML: %s", w->o->name,
                   p->problem_mark.line + 1,
                   p->problem == NULL ? "unreadable" : p->problem);
}

static enum rc walk(struct walk *w, struct bytes text, struct err *e)
{
    AT_END(yaml_parser_delete) yaml_parser_t parser;
    bool more = true;

    if (yaml_parser_initialize(&parser) == 0)
        return err_set(e, RC_NOMEM, "no memory for '%s'", w->o->name);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, text.p, text.n);
    while (more) {
        AT_END(yaml_event_delete) yaml_event_t event = { 0 };

        if (yaml_parser_parse(&parser, &event) == 0)
            return not_yaml(w, &parser, e);
        TRY(step(w, &event, e));
        more = event.type != YAML_STREAM_END_EVENT;
    }
    return RC_OK;
}

enum rc walk_check(struct bytes text, const struct yaml_options *o, bool *empty,
                   struct err *e)
{
    struct walk w = { .o = o };

    TRY(walk(&w, text, e));
    *empty = !w.content;
    return RC_OK;
}

size_t walk_find_key(struct bytes text, const char *key, size_t from)
{
    static const struct yaml_options any = { .name = "" };
    struct walk w = { .o = &any, .key = key, .from = from };
    struct err ignored;

    return walk(&w, text, &ignored) == RC_OK ? w.found : 0;
}
