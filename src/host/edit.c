#include "host/edit.h"

#include <ctype.h>
#include <string.h>

#include "host/quote.h"
#include "host/settings.h"
#include "util/mem.h"

enum { TEXT_MAX = 4 << 20 };

/* The settings that a change is about. */
static const enum setting ours[] = { SETTING_INITIAL_CLUSTER, SETTING_INITIAL_STATE,
                                     SETTING_INITIAL_TOKEN };
enum { OURS = sizeof ours / sizeof ours[0] };

static const char *wanted(const struct host_change *c, enum setting s)
{
    return s == SETTING_INITIAL_CLUSTER ? c->initial_cluster
           : s == SETTING_INITIAL_STATE ? c->initial_state
           : s == SETTING_INITIAL_TOKEN ? c->initial_token
                                        : NULL;
}

/* Is this setting replaced or taken out? */
static bool concerns(const struct host_change *c, enum setting s)
{
    return s == SETTING_FORCE_NEW || wanted(c, s) != NULL;
}

/* ---- lines ----------------------------------------------------------------------- */

struct line {
    const char *p;
    size_t n; /* with its newline */
};

static size_t indent_of(const struct line *l)
{
    size_t n = 0;

    while (n < l->n && (l->p[n] == ' ' || l->p[n] == '\t'))
        n++;
    return n;
}

/* "    - --name=x", also quoted: where the dashes begin; 0: it is no flag of a list. */
static size_t flag_at(const struct line *l)
{
    size_t at = indent_of(l);

    if (at + 3 > l->n || l->p[at] != '-' || l->p[at + 1] != ' ')
        return 0;
    for (at++; at < l->n && l->p[at] == ' ';)
        at++;
    if (at < l->n && (l->p[at] == '"' || l->p[at] == '\''))
        at++;
    return at + 2 < l->n && l->p[at] == '-' && l->p[at + 1] == '-' ? at + 2 : 0;
}

static enum setting in_pod(const struct line *l)
{
    size_t at = flag_at(l), n = 0;

    if (at == 0)
        return SETTINGS;
    while (at + n < l->n && (isalnum((unsigned char)l->p[at + n]) || l->p[at + n] == '-'))
        n++;
    return setting_named(l->p + at, n);
}

static enum setting in_env(const struct line *l)
{
    size_t at = indent_of(l), n = 0;
    char flag[64];

    if (at + 5 > l->n || strncmp(l->p + at, "ETCD_", 5) != 0)
        return SETTINGS;
    at += 5;
    while (at + n < l->n && n < sizeof flag && l->p[at + n] != '=') {
        char ch = l->p[at + n];

        flag[n++] = ch == '_' ? '-' : (char)tolower((unsigned char)ch);
    }
    return at + n < l->n ? setting_named(flag, n) : SETTINGS;
}

static enum setting in_config(const struct line *l)
{
    size_t at = l->n > 0 && (l->p[0] == '"' || l->p[0] == '\''), n = 0;
    char key[64];

    while (at + n < l->n && n < sizeof key &&
           (isalnum((unsigned char)l->p[at + n]) || l->p[at + n] == '-')) {
        key[n] = (char)tolower((unsigned char)l->p[at + n]);
        n++;
    }
    return at + n < l->n && strchr(":\"' ", l->p[at + n]) != NULL ? setting_named(key, n)
                                                                  : SETTINGS;
}

static enum setting setting_in(const struct line *l, enum edit_form form)
{
    switch (form) {
    case EDIT_POD:
        return in_pod(l);
    case EDIT_ENV:
        return in_env(l);
    case EDIT_CONFIG:
        return in_config(l);
    }
    return SETTINGS;
}

/* ---- writing one ------------------------------------------------------------------- */

static enum rc add(struct buf *b, const char *text, struct err *e)
{
    return buf_add(b, text, strlen(text), e);
}

/* As kubeadm writes it: bare, unless YAML could take it for something else. */
static enum rc write_item(struct buf *b, const char *flag, const char *value,
                          struct err *e)
{
    AT_END(mem_end) char *pair = NULL;

    TRY(str_format(&pair, e, "--%s=%s", flag, value));
    for (const char *p = pair; *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && strchr("-_./:,=@+[]", *p) == NULL)
            return quote_double(b, pair, false, e);
    return add(b, pair, e);
}

static enum rc write_line(struct buf *b, enum edit_form form, const char *indent,
                          size_t indent_n, enum setting s, const char *value,
                          struct err *e)
{
    char name[64];

    TRY(buf_add(b, indent, indent_n, e));
    switch (form) {
    case EDIT_POD:
        TRY(add(b, "- ", e));
        TRY(write_item(b, setting_flag(s), value, e));
        break;
    case EDIT_ENV:
        quote_variable(setting_flag(s), name);
        TRY(add(b, name, e));
        TRY(add(b, "=", e));
        TRY(quote_double(b, value, false, e));
        break;
    case EDIT_CONFIG:
        TRY(add(b, setting_flag(s), e));
        TRY(add(b, ": ", e));
        TRY(quote_double(b, value, false, e));
        break;
    }
    return add(b, "\n", e);
}

/* ---- a whole text --------------------------------------------------------------------
 */

struct editor {
    struct bytes text;
    enum edit_form form;
    const struct host_change *c;
    struct buf out;
    bool done[OURS];
};

static void editor_end(struct editor *d)
{
    buf_clear(&d->out);
}

static bool next_line(const struct editor *d, size_t *at, struct line *out)
{
    const char *p = (const char *)d->text.p + *at;
    size_t left = d->text.n - *at;
    const char *newline = left == 0 ? NULL : memchr(p, '\n', left);

    if (left == 0)
        return false;
    *out = (struct line){ p, newline == NULL ? left : (size_t)(newline + 1 - p) };
    *at += out->n;
    return true;
}

/* Behind which byte the missing ones go: the last flag of the first list of flags. */
static size_t insertion_point(const struct editor *d, struct line *pattern)
{
    size_t at = 0, best = 0;
    struct line l;

    while (next_line(d, &at, &l)) {
        if (d->form != EDIT_POD)
            best = at;
        else if (flag_at(&l) == 0)
            continue;
        else if (best == 0 || indent_of(&l) == indent_of(pattern)) {
            *pattern = l;
            best = at;
        }
    }
    return best;
}

static enum rc one_line(struct editor *d, const struct line *l, struct err *e)
{
    enum setting s = setting_in(l, d->form);

    if (!concerns(d->c, s))
        return buf_add(&d->out, l->p, l->n, e);
    for (int i = 0; i < OURS; i++) {
        if (ours[i] != s || d->done[i])
            continue;
        d->done[i] = true;
        return write_line(&d->out, d->form, l->p, indent_of(l), s, wanted(d->c, s), e);
    }
    return RC_OK;
}

static enum rc add_missing(struct editor *d, const struct line *pattern, struct err *e)
{
    size_t indent = d->form == EDIT_POD ? indent_of(pattern) : 0;

    if (d->out.n > 0 && d->out.p[d->out.n - 1] != '\n')
        TRY(add(&d->out, "\n", e));
    for (int i = 0; i < OURS; i++)
        if (!d->done[i] && wanted(d->c, ours[i]) != NULL)
            TRY(write_line(&d->out, d->form, pattern->p, indent, ours[i],
                           wanted(d->c, ours[i]), e));
    return RC_OK;
}

/* What is there already is not missing, also when it stands behind that place. */
static void look_ahead(struct editor *d, bool there[static OURS])
{
    size_t at = 0;
    struct line l;

    while (next_line(d, &at, &l))
        for (int i = 0; i < OURS; i++)
            there[i] = there[i] || setting_in(&l, d->form) == ours[i];
}

enum rc edit_text(struct bytes text, enum edit_form form, const struct host_change *c,
                  char **out, struct err *e)
{
    AT_END(editor_end)
    struct editor d = {
        .text = text, .form = form, .c = c, .out = { .cap_max = TEXT_MAX }
    };
    struct line pattern = { "", 0 }, l;
    size_t at = 0, point = insertion_point(&d, &pattern);
    bool there[OURS] = { false };

    look_ahead(&d, there);
    while (next_line(&d, &at, &l)) {
        TRY(one_line(&d, &l, e));
        if (at != point)
            continue;
        for (int i = 0; i < OURS; i++)
            if (there[i] && !d.done[i] && wanted(c, ours[i]) != NULL)
                return err_set(e, RC_REFUSED, "its flags stand in several lists");
        TRY(add_missing(&d, &pattern, e));
    }
    if (text.n == 0)
        TRY(add_missing(&d, &pattern, e));
    TRY(buf_add(&d.out, "", 1, e));
    *out = (char *)d.out.p;
    d.out = (struct buf){ 0 };
    return RC_OK;
}

/* ---- a command line
 * --------------------------------------------------------------------- */

static enum rc add_flag(struct str_list *out, enum setting s, const char *value,
                        struct err *e)
{
    AT_END(mem_end) char *flag = NULL;

    TRY(str_format(&flag, e, "--%s=%s", setting_flag(s), value));
    return str_list_add(out, flag, e);
}

enum rc edit_command(const struct str_list *words, const struct host_change *c,
                     struct str_list *out, struct err *e)
{
    size_t taken = 1;

    for (size_t i = 0; i < words->count; i += taken) {
        struct setting_flag f = setting_of_argument(words, i);

        taken = f.arguments;
        for (size_t k = 0; k < taken && !concerns(c, f.setting); k++)
            TRY(str_list_add(out, words->items[i + k], e));
    }
    for (int i = 0; i < OURS; i++)
        if (wanted(c, ours[i]) != NULL)
            TRY(add_flag(out, ours[i], wanted(c, ours[i]), e));
    return RC_OK;
}

enum rc edit_flags(const struct host_change *c, char **out, struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = TEXT_MAX };

    for (int i = 0; i < OURS; i++) {
        if (wanted(c, ours[i]) == NULL)
            continue;
        TRY(add(&b, b.n == 0 ? "--" : " --", e));
        TRY(add(&b, setting_flag(ours[i]), e));
        TRY(add(&b, "=", e));
        TRY(quote_shell(&b, wanted(c, ours[i]), e));
    }
    TRY(buf_add(&b, "", 1, e));
    *out = (char *)b.p;
    b = (struct buf){ 0 };
    return RC_OK;
}
