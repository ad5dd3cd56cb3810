#include "host/find.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "host/control.h"
#include "host/sources.h"
#include "storage/neighbor.h"
#include "util/mem.h"
#include "util/os.h"

enum { MEMBERS_MAX = 256 };

/* ---- the list -------------------------------------------------------------------- */

enum rc search_add(struct search *s, enum host_layout layout, struct host_member **out,
                   struct err *e)
{
    struct host_list *l = &s->list;
    struct host_member *grown;

    if (l->count >= MEMBERS_MAX)
        return err_set(e, RC_REFUSED, "more than %d members of etcd on one host",
                       MEMBERS_MAX);
    grown = mem_resize(l->items, l->count + 1, sizeof *grown);
    if (grown == NULL)
        return err_set(e, RC_NOMEM, "no memory for a member");
    l->items = grown;
    *out = &l->items[l->count++];
    **out = (struct host_member){ .layout = layout };
    return RC_OK;
}

static void take_out(struct host_list *l, size_t i)
{
    host_member_clear(&l->items[i]);
    l->count--;
    memmove(&l->items[i], &l->items[i + 1], (l->count - i) * sizeof l->items[0]);
}

void search_drop(struct search *s)
{
    take_out(&s->list, s->list.count - 1);
}

enum rc search_pass(struct search *s, enum rc rc, const struct err *why, struct err *e)
{
    if (rc == RC_OK || rc == RC_NOTFOUND)
        return RC_OK;
    if (rc == RC_NOMEM || rc == RC_INTERRUPTED) {
        *e = *why;
        return rc;
    }
    return str_list_add(&s->list.remarks, why->why, e);
}

enum rc search_path(const struct search *s, const char *path, char **out, struct err *e)
{
    return str_format(out, e, "%s%s", s->root, path);
}

void mask_secrets(struct str_list *command)
{
    static const char *const tails[] = {
        "token",     "password",      "secret", "secret-key", "datastore-endpoint",
        "discovery", "discovery-user"
    };

    for (size_t i = 1; i < command->count; i++) {
        char *word = command->items[i], *value = NULL, name[64];
        size_t n = strcspn(word, "=");

        snprintf(name, sizeof name, "%.*s", n < sizeof name ? (int)n : 0, word);
        for (size_t k = 0; k < sizeof tails / sizeof tails[0]; k++)
            if (name[0] == '-' && str_ends(name, tails[k]) &&
                !str_ends(name, "initial-cluster-token"))
                value = word[n] == '='           ? word + n + 1
                        : i + 1 < command->count ? command->items[i + 1]
                                                 : NULL;
        if (value != NULL)
            snprintf(value, strlen(value) + 1, "***");
    }
}

/* ---- one member told once -----------------------------------------------------------
 */

static bool stat_of(const char *path, struct stat *out)
{
    OWNED_FD int fd = os.openat(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);

    return fd >= 0 && os.fstat(fd, out) == 0;
}

/* The same directory, by whatever names; one that does not exist yet by its name. */
static bool same_place(const char *a, const char *b)
{
    struct stat one, other;

    if (stat_of(a, &one) && stat_of(b, &other))
        return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
    return strcmp(a, b) == 0;
}

/* A process that a declaration explains becomes its pid; of two declarations of a kind
 * (an alias of a unit, a parked copy of a manifest) the first stays. */
static bool explains(struct host_member *a, const struct host_member *b)
{
    if (!same_place(a->data_dir, b->data_dir))
        return false;
    if (b->file == NULL && a->file != NULL) {
        a->pid = b->pid;
        return true;
    }
    return b->file != NULL && a->layout == b->layout;
}

static void merge(struct host_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        for (size_t k = i + 1; k < l->count;)
            if (explains(&l->items[i], &l->items[k]))
                take_out(l, k);
            else
                k++;
}

static bool is_wanted(const struct host_options *o, const struct host_member *m)
{
    if (o->layout != HOST_ANY && m->layout != o->layout)
        return false;
    if (o->name != NULL && strcmp(m->name, o->name) != 0)
        return false;
    return o->data_dir == NULL || same_place(m->data_dir, o->data_dir);
}

/* k3s runs etcd inside of itself, and what another user runs hides its arguments. */
static enum rc complete(struct host_member *m, struct err *e)
{
    struct err ignored;
    struct stat st;
    bool running;

    mask_secrets(&m->command);
    if (stat_of(m->data_dir, &st))
        m->owner = (struct host_owner){ true, st.st_uid, st.st_gid, st.st_mode & 07777 };
    if (m->pid == 0 && m->owner.known &&
        host_running(m, &running, &m->pid, &ignored) == RC_NOMEM)
        return err_set(e, RC_NOMEM, "no memory to look for a process");
    return RC_OK;
}

static enum rc finish(struct search *s, struct err *e)
{
    merge(&s->list);
    for (size_t i = 0; i < s->list.count;) {
        if (is_wanted(s->o, &s->list.items[i]))
            TRY(complete(&s->list.items[i++], e));
        else
            take_out(&s->list, i);
    }
    return RC_OK;
}

/* ---- searching ------------------------------------------------------------------------
 */

static bool looks_for(const struct host_options *o, enum host_layout l)
{
    return o->layout == HOST_ANY || o->layout == l;
}

static enum rc search_all(struct search *s, struct err *e)
{
    TRY(search_k3s(s, e));
    if (looks_for(s->o, HOST_STATIC_POD))
        TRY(search_pods(s, e));
    if (looks_for(s->o, HOST_SYSTEMD))
        TRY(search_units(s, e));
    TRY(search_processes(s, e));
    return finish(s, e);
}

static void search_end(struct search *s)
{
    host_list_clear(&s->list);
}

enum rc host_find(const struct host_options *o, struct host_list *out, struct err *e)
{
    const char *root = o->root == NULL || strcmp(o->root, "/") == 0 ? "" : o->root;
    AT_END(search_end) struct search s = { .o = o, .root = root };
    OWNED_FD int fd = -1;

    TRY(os_open(AT_FDCWD, root[0] == '\0' ? "/" : root, O_PATH | O_DIRECTORY, 0, &fd, e));
    TRY(search_all(&s, e));
    *out = s.list;
    s.list = (struct host_list){ 0 };
    return RC_OK;
}

/* ---- answers
 * --------------------------------------------------------------------------- */

static enum rc several(const struct host_list *l, struct err *e)
{
    char text[400];
    size_t n = 0;

    for (size_t i = 0; i < l->count && n < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s'%s' (%s, %s)",
                              i == 0 ? "" : ", ", l->items[i].name,
                              host_layout_name(l->items[i].layout), l->items[i].data_dir);
    return err_set(e, RC_USAGE,
                   "this host has %zu members of etcd: %s" HINT
                   "say which one is meant, by --name, --data-dir or --layout",
                   l->count, text);
}

enum rc host_only(const struct host_list *l, const struct host_member **out,
                  struct err *e)
{
    if (l->count > 1)
        return several(l, e);
    if (l->count == 0)
        return err_set(e, RC_NOTFOUND,
                       "no etcd was found on this host: no process, static pod, systemd "
                       "unit, k3s or RKE2%s%s" HINT
                       "say where its data lies, by --data-dir",
                       l->remarks.count == 0 ? "" : "; ",
                       l->remarks.count == 0 ? "" : l->remarks.items[0]);
    *out = &l->items[0];
    return RC_OK;
}

static bool is_on(const char *path, dev_t dev)
{
    struct stat st;

    return path != NULL && stat_of(path, &st) && st.st_dev == dev;
}

enum rc host_neighbor(const struct host_list *l, const char *path, struct neighbor *out,
                      bool *found, struct err *e)
{
    dev_t dev = 0;

    TRY(neighbor_find(path, out, found, e));
    if (*found)
        return RC_OK;
    TRY(os_device(path, &dev, e));
    for (size_t i = 0; i < l->count && !*found; i++) {
        const struct host_member *m = &l->items[i];

        if (m->data_dir == NULL || strstr(m->data_dir, "/" NEIGHBOR_DRILL) != NULL)
            continue;
        *found = is_on(m->data_dir, dev) || is_on(m->wal_dir, dev);
        if (!*found)
            continue;
        out->pid = m->pid;
        snprintf(out->data_dir, sizeof out->data_dir, "%s", m->data_dir);
    }
    return RC_OK;
}

enum rc host_neighbor_find(const char *path, struct neighbor *out, bool *found,
                           struct err *e)
{
    AT_END(host_list_clear) struct host_list l = { 0 };

    TRY(host_find(&(struct host_options){ .layout = HOST_ANY }, &l, e));
    return host_neighbor(&l, path, out, found, e);
}
