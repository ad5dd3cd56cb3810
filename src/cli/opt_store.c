/* The conversion of one value, whatever its source. */
#include "cli/opt.h"

#include <stdio.h>
#include <string.h>

static enum rc set_flag(bool *field, const char *text, const char *where, struct err *e)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
        *field = true;
    else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
        *field = false;
    else
        return err_set(e, RC_USAGE, "%s: '%.64s' is neither true nor false", where, text);
    return RC_OK;
}

static enum rc set_u64(uint64_t *field, const char *text, const char *where,
                       struct err *e)
{
    if (str_to_u64(text, field))
        return RC_OK;
    return err_set(e, RC_USAGE,
                   "%s: '%.64s' is not a whole number" HINT
                   "write digits only, like 1200",
                   where, text);
}

static enum rc set_size(uint64_t *field, const char *text, const char *where,
                        struct err *e)
{
    if (str_to_size(text, field))
        return RC_OK;
    return err_set(e, RC_USAGE,
                   "%s: '%.64s' is not a size" HINT
                   "write bytes, or a number with a unit, like 512MiB or 200MB",
                   where, text);
}

static enum rc set_duration(uint64_t *field, const char *text, const char *where,
                            struct err *e)
{
    if (str_to_duration(text, field))
        return RC_OK;
    return err_set(e, RC_USAGE,
                   "%s: '%.64s' is not a duration" HINT "write it like 90s or 1h30m",
                   where, text);
}

static enum rc set_choice(const struct opt *o, unsigned *field, const char *text,
                          const char *where, struct err *e)
{
    char all[256];

    for (unsigned i = 0; o->choices[i] != NULL; i++)
        if (strcmp(o->choices[i], text) == 0) {
            *field = i;
            return RC_OK;
        }
    opt_placeholder(all, sizeof all, o);
    return err_set(e, RC_USAGE, "%s: '%.64s' is not one of %s", where, text, all);
}

static enum rc set_csv(struct str_list *field, const char *text, const char *where,
                       struct err *e)
{
    size_t before = field->count;

    TRY(str_split(field, text, ',', e));
    if (field->count == before)
        return err_set(e, RC_USAGE, "%s: '%.64s' names nothing", where, text);
    return RC_OK;
}

static enum rc set_auto(const struct opt *o, struct opt_auto *field, const char *text,
                        const char *where, struct err *e)
{
    enum rc rc;

    field->automatic = strcmp(text, "auto") == 0;
    if (field->automatic)
        return RC_OK;
    if (o->kind == OPT_U64_AUTO)
        rc = set_u64(&field->value, text, where, e);
    else
        rc = set_size(&field->value, text, where, e);
    if (rc != RC_OK)
        err_hint(e, "write 'auto', or a number%s",
                 o->kind == OPT_SIZE_AUTO ? " with a unit, like 512MiB" : "");
    return rc;
}

enum rc opt_store(const struct opt *o, void *field, const char *text, const char *where,
                  struct err *e)
{
    if (*text == '\0')
        return err_set(e, RC_USAGE,
                       "%s: the value is empty" HINT
                       "leave the option out, or check the variable that should fill it",
                       where);
    switch (o->kind) {
    case OPT_FLAG:
        return set_flag(field, text, where, e);
    case OPT_STR:
        *(const char **)field = text;
        return RC_OK;
    case OPT_LIST:
        return str_list_add(field, text, e);
    case OPT_CSV:
        return set_csv(field, text, where, e);
    case OPT_U64:
        return set_u64(field, text, where, e);
    case OPT_SIZE:
        return set_size(field, text, where, e);
    case OPT_DURATION:
        return set_duration(field, text, where, e);
    case OPT_CHOICE:
        return set_choice(o, field, text, where, e);
    case OPT_U64_AUTO:
    case OPT_SIZE_AUTO:
        return set_auto(o, field, text, where, e);
    case OPT_END:
        break;
    }
    return err_set(e, RC_INTERNAL, "%s has no kind", where);
}

void opt_placeholder(char *out, size_t n, const struct opt *o)
{
    size_t used = 0;

    out[0] = '\0';
    if (o->kind == OPT_FLAG)
        return;
    if (o->kind != OPT_CHOICE) {
        snprintf(out, n, "%s", o->arg == NULL ? "VALUE" : o->arg);
        return;
    }
    for (size_t i = 0; o->choices[i] != NULL && used < n; i++)
        used += (size_t)snprintf(out + used, n - used, "%s%s", i == 0 ? "" : "|",
                                 o->choices[i]);
}
