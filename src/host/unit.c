#include "host/unit.h"

#include <ctype.h>
#include <string.h>

#include "host/words.h"
#include "util/mem.h"

enum { ENTRIES_MAX = 1024 };

void unit_clear(struct unit *u)
{
    mem_free(u->exec_start);
    mem_free(u->directory);
    str_list_clear(&u->environment);
    str_list_clear(&u->env_files);
    str_list_clear(&u->unset);
    *u = (struct unit){ 0 };
}

/* ---- specifiers --------------------------------------------------------------- */

/* What a specifier stands for: a part of the unit's name. NULL: not one of these. */
static const char *part_of(const char *name, char specifier, size_t *n)
{
    const char *dot = strrchr(name, '.');
    size_t whole = strlen(name);
    size_t stem = dot == NULL ? whole : (size_t)(dot - name);
    const char *at = memchr(name, '@', stem);
    size_t prefix = at == NULL ? stem : (size_t)(at - name);

    switch (specifier) {
    case 'n':
        *n = whole;
        return name;
    case 'N':
        *n = stem;
        return name;
    case 'p':
        *n = prefix;
        return name;
    case 'i':
    case 'I':
        *n = at == NULL ? 0 : stem - prefix - 1;
        return at == NULL ? name : at + 1;
    case '%':
        *n = 1;
        return "%";
    default:
        return NULL;
    }
}

static enum rc expand(const char *name, const char *text, size_t n, char **out,
                      struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = 4 << 20 };

    for (size_t i = 0; i < n; i++) {
        size_t part = 0;
        const char *p =
            text[i] == '%' && i + 1 < n ? part_of(name, text[i + 1], &part) : NULL;

        TRY(p == NULL ? buf_add(&b, text + i, 1, e) : buf_add(&b, p, part, e));
        i += p != NULL;
    }
    TRY(buf_add(&b, "", 1, e));
    *out = (char *)b.p;
    b = (struct buf){ 0 };
    return RC_OK;
}

/* ---- lines -------------------------------------------------------------------- */

static enum rc replace(char **held, char *value)
{
    mem_free(*held);
    *held = value[0] == '\0' ? (mem_free(value), NULL) : value;
    return RC_OK;
}

static enum rc check_count(const struct str_list *l, struct err *e)
{
    if (l->count <= ENTRIES_MAX)
        return RC_OK;
    return err_set(e, RC_REFUSED, "a unit with more than %d entries", ENTRIES_MAX);
}

static enum rc assign_words(struct str_list *out, const char *value, struct err *e)
{
    if (value[0] == '\0')
        str_list_clear(out);
    TRY(words_split(value, WORDS_PLAIN, NULL, out, e));
    return check_count(out, e);
}

/* An assignment in [Service]; `value` is a heap string that is taken over. */
static enum rc assign(struct unit *u, const char *key, size_t n, char *value,
                      struct err *e)
{
    AT_END(mem_end) char *held = value;
    struct bytes name = { (const uint8_t *)key, n };

    if (bytes_is(name, "ExecStart"))
        return replace(&u->exec_start, GIVE(held));
    if (bytes_is(name, "WorkingDirectory"))
        return replace(&u->directory, GIVE(held));
    if (bytes_is(name, "Environment"))
        return assign_words(&u->environment, value, e);
    if (bytes_is(name, "UnsetEnvironment"))
        return assign_words(&u->unset, value, e);
    if (bytes_is(name, "EnvironmentFile")) {
        if (value[0] == '\0') {
            str_list_clear(&u->env_files);
            return RC_OK;
        }
        TRY(str_list_add(&u->env_files, value, e));
        return check_count(&u->env_files, e);
    }
    return RC_OK;
}

static enum rc line(struct unit *u, const char *p, size_t n, bool *in_service,
                    struct err *e)
{
    const char *equals = memchr(p, '=', n);
    char *value = NULL;
    size_t key;

    if (n > 0 && *p == '[') {
        *in_service = n >= 9 && strncmp(p, "[Service]", 9) == 0;
        return RC_OK;
    }
    if (!*in_service || equals == NULL)
        return RC_OK;
    key = (size_t)(equals - p);
    n -= key + 1;
    while (key > 0 && isspace((unsigned char)p[key - 1]))
        key--;
    equals++;
    while (n > 0 && isspace((unsigned char)*equals)) {
        equals++;
        n--;
    }
    while (n > 0 && isspace((unsigned char)equals[n - 1]))
        n--;
    TRY(expand(u->name, equals, n, &value, e));
    return assign(u, p, key, value, e);
}

/* One logical line into `b`: a backslash at the end of a line makes the newline a blank,
 * and comments in between do not end it. */
static enum rc join(const char **p, const char *end, struct buf *b, struct err *e)
{
    bool more = true;

    b->n = 0;
    while (*p < end && more) {
        const char *from = *p;
        const char *stop = memchr(from, '\n', (size_t)(end - from));

        if (stop == NULL)
            stop = end;
        *p = stop < end ? stop + 1 : end;
        while (from < stop && isspace((unsigned char)*from))
            from++;
        if (from < stop && (*from == '#' || *from == ';'))
            continue;
        more = from < stop && stop[-1] == '\\';
        TRY(buf_add(b, from, (size_t)(stop - from) - more, e));
        if (more)
            TRY(buf_add(b, " ", 1, e));
    }
    return RC_OK;
}

enum rc unit_add(struct unit *u, struct bytes text, struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = 1 << 20 };
    const char *p = (const char *)text.p;
    const char *end = p + text.n;
    bool in_service = false;

    while (p < end) {
        TRY(join(&p, end, &b, e));
        if (b.n > 0 && memchr(b.p, '\0', b.n) == NULL)
            TRY(line(u, (const char *)b.p, b.n, &in_service, e));
    }
    return RC_OK;
}
