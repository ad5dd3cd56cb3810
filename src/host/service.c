/* systemd units: which of them starts an etcd, and with what. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "host/sources.h"
#include "host/unit.h"
#include "host/words.h"
#include "util/mem.h"
#include "util/os.h"

enum { UNIT_MAX = 1 << 20, UNITS_MAX = 8192 };

/* Where systemd looks, the first wins. */
static const char *const folders[] = {
    "/etc/systemd/system",     "/run/systemd/system", "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system", "/lib/systemd/system",
};
enum { FOLDERS = sizeof folders / sizeof folders[0] };

/* ---- one unit ------------------------------------------------------------------------
 */

/* A missing file is an error to systemd unless a dash says otherwise; for us it is a
 * remark. */
static enum rc add_env_file(const char *entry, const char *root, struct host_member *m,
                            struct str_list *env, struct err *e)
{
    bool optional = entry[0] == '-';
    AT_END(mem_end) char *path = NULL;
    AT_END(mem_end) uint8_t *text = NULL;
    AT_END(mem_end) char *remark = NULL;
    struct err why = { 0 };
    size_t n = 0;
    enum rc rc;

    TRY(str_format(&path, e, "%s%s", root, entry + optional));
    TRY(str_list_add(&m->env_files, path, e));
    rc = os_read_regular(path, UNIT_MAX, &text, &n, &why);
    if (rc == RC_OK)
        rc = words_environment((struct bytes){ text, n }, env, &why);
    if (rc == RC_OK || (optional && rc == RC_NOTFOUND))
        return RC_OK;
    if (rc == RC_NOMEM) {
        *e = why;
        return rc;
    }
    TRY(str_format(&remark, e, "its environment file was not read: %s", why.why));
    return str_list_add(&m->remarks, remark, e);
}

/* A name alone takes back every value, NAME=value only that one. */
static bool is_unset(const struct unit *u, const char *variable)
{
    size_t n = strcspn(variable, "=");

    for (size_t i = 0; i < u->unset.count; i++) {
        const char *name = u->unset.items[i];

        if (strcmp(name, variable) == 0 ||
            (strlen(name) == n && strncmp(name, variable, n) == 0))
            return true;
    }
    return false;
}

static enum rc environment_of(const struct unit *u, const char *root,
                              struct host_member *m, struct str_list *out, struct err *e)
{
    AT_END(str_list_clear) struct str_list all = { 0 };

    for (size_t i = 0; i < u->environment.count; i++)
        TRY(str_list_add(&all, u->environment.items[i], e));
    for (size_t i = 0; i < u->env_files.count; i++)
        TRY(add_env_file(u->env_files.items[i], root, m, &all, e));
    for (size_t i = 0; i < all.count; i++)
        if (!is_unset(u, all.items[i]))
            TRY(str_list_add(out, all.items[i], e));
    return RC_OK;
}

/* "@-:+!" before the path mean things that do not matter here. */
static enum rc command_of(const struct unit *u, const struct str_list *env,
                          struct str_list *out, struct err *e)
{
    const char *text = u->exec_start + strspn(u->exec_start, "@-:+!");

    return words_split(text, WORDS_UNIT, env, out, e);
}

enum rc unit_words(const struct unit *u, const char *root, struct host_member *m,
                   struct str_list *out, struct err *e)
{
    AT_END(str_list_clear) struct str_list env = { 0 };

    TRY(environment_of(u, root, m, &env, e));
    return u->exec_start == NULL ? RC_OK : command_of(u, &env, out, e);
}

enum rc unit_read(const struct unit *u, const char *root, struct host_member *m,
                  bool *found, struct err *e)
{
    AT_END(str_list_clear) struct str_list env = { 0 };
    AT_END(str_list_clear) struct str_list command = { 0 };
    const char *cwd = u->directory == NULL ? NULL : u->directory + (*u->directory == '-');
    struct mapper map = { .root = root, .cwd = cwd };

    *found = false;
    if (u->exec_start == NULL)
        return RC_OK;
    TRY(environment_of(u, root, m, &env, e));
    TRY(command_of(u, &env, &command, e));
    TRY(words_etcd(&command, &env, &m->command, found, e));
    if (!*found)
        return RC_OK;
    TRY(str_format(&m->unit, e, "%s", u->name));
    return settings_resolve(&m->command, &env, &map, m, e);
}

/* ---- its files
 * -------------------------------------------------------------------------- */

static enum rc add_text(struct unit *u, const char *path, struct err *e)
{
    AT_END(mem_end) uint8_t *text = NULL;
    size_t n = 0;

    TRY(os_read_regular(path, UNIT_MAX, &text, &n, e));
    return unit_add(u, (struct bytes){ text, n }, e);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(words_base(*(char *const *)a), words_base(*(char *const *)b));
}

/* Paths of UNIT.d/NAME.conf of all folders by name; of two with one name the first
 * folder's counts. */
static enum rc drop_ins(const char *root, const char *unit, struct str_list *out,
                        struct err *e)
{
    for (int f = 0; f < FOLDERS; f++) {
        AT_END(str_list_clear) struct str_list names = { 0 };
        AT_END(mem_end) char *folder = NULL;
        struct err ignored = { 0 };

        TRY(str_format(&folder, e, "%s%s/%s.d", root, folders[f], unit));
        if (os_list(AT_FDCWD, folder, &names, &ignored) != RC_OK)
            continue;
        for (size_t i = 0; i < names.count && out->count < UNITS_MAX; i++) {
            AT_END(mem_end) char *path = NULL;
            bool seen = false;

            for (size_t k = 0; k < out->count; k++)
                seen = seen || strcmp(words_base(out->items[k]), names.items[i]) == 0;
            if (seen || !str_ends(names.items[i], ".conf"))
                continue;
            TRY(str_format(&path, e, "%s/%s", folder, names.items[i]));
            TRY(str_list_add(out, path, e));
        }
    }
    if (out->count > 1)
        qsort(out->items, out->count, sizeof out->items[0], by_name);
    return RC_OK;
}

static enum rc load(struct unit *u, const char *root, const char *path,
                    const char *except, struct err *e)
{
    AT_END(str_list_clear) struct str_list more = { 0 };

    TRY(add_text(u, path, e));
    if (u->exec_start == NULL || strstr(u->exec_start, "etcd") == NULL)
        return RC_OK; /* as most units: their drop-ins need not be looked for */
    TRY(drop_ins(root, u->name, &more, e));
    for (size_t i = 0; i < more.count; i++)
        if (except == NULL || strcmp(more.items[i], except) != 0)
            TRY(add_text(u, more.items[i], e));
    return RC_OK;
}

enum rc unit_load(struct unit *u, const char *root, const char *except, struct err *e)
{
    for (int f = 0; f < FOLDERS; f++) {
        AT_END(mem_end) char *path = NULL;
        struct err why = { 0 };
        enum rc rc;

        TRY(str_format(&path, e, "%s%s/%s", root, folders[f], u->name));
        rc = load(u, root, path, except, &why);
        if (rc == RC_NOTFOUND)
            continue;
        if (rc != RC_OK)
            *e = why;
        return rc;
    }
    return err_set(e, RC_NOTFOUND, "there is no unit '%s'", u->name);
}

static enum rc read_unit(struct search *s, const char *folder, const char *name,
                         struct err *e)
{
    AT_END(unit_clear) struct unit u = { .name = name };
    struct host_member *m = NULL;
    struct err why = { 0 };
    bool found = false;
    enum rc rc;

    TRY(search_add(s, HOST_SYSTEMD, &m, e));
    rc = str_format(&m->file, &why, "%s%s/%s", s->root, folder, name);
    if (rc == RC_OK)
        rc = load(&u, s->root, m->file, NULL, &why);
    if (rc == RC_OK)
        rc = unit_read(&u, s->root, m, &found, &why);
    if (rc != RC_OK || !found)
        search_drop(s);
    /* a mask is a link to /dev/null, and an alias may lead nowhere */
    return rc == RC_USAGE && u.exec_start == NULL ? RC_OK : search_pass(s, rc, &why, e);
}

/* A template starts nothing by itself; its instances are links with a name of their own.
 * A link to nothing is a mask, which hides what it is before. Any other link to another
 * name is an alias of a unit that is read anyway. */
static bool is_service(const char *folder, const char *name)
{
    AT_END(mem_end) char *path = NULL;
    struct err ignored;
    char target[4096];
    ssize_t n;

    if (!str_ends(name, ".service") || str_ends(name, "@.service") ||
        str_format(&path, &ignored, "%s/%s", folder, name) != RC_OK)
        return false;
    n = os.readlinkat(AT_FDCWD, path, target, sizeof target - 1);
    if (n <= 0)
        return true;
    target[n] = '\0';
    return str_ends(target, "@.service") || strcmp(target, "/dev/null") == 0 ||
           strcmp(words_base(target), name) == 0;
}

enum rc search_units(struct search *s, struct err *e)
{
    AT_END(str_list_clear) struct str_list seen = { 0 };

    for (int f = 0; f < FOLDERS; f++) {
        AT_END(str_list_clear) struct str_list names = { 0 };
        AT_END(mem_end) char *folder = NULL;
        struct err why = { 0 };

        TRY(search_path(s, folders[f], &folder, e));
        TRY(search_pass(s, os_list(AT_FDCWD, folder, &names, &why), &why, e));
        if (names.count > 1)
            qsort(names.items, names.count, sizeof names.items[0], by_name);
        for (size_t i = 0; i < names.count && seen.count < UNITS_MAX; i++) {
            if (str_list_has(&seen, names.items[i]) ||
                !is_service(folder, names.items[i]))
                continue;
            TRY(str_list_add(&seen, names.items[i], e));
            TRY(read_unit(s, folders[f], names.items[i], e));
        }
    }
    return RC_OK;
}
