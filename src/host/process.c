/* Running etcds, as /proc shows them. What another user runs may be seen in part only. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/sources.h"
#include "host/words.h"
#include "util/mem.h"
#include "util/os.h"

enum { ARGUMENTS_MAX = 1 << 20, CGROUP_MAX = 1 << 16, PATH_LONGEST = 4096 };

/* One process: its folder, and where its paths begin. */
struct process {
    uint64_t pid;
    char folder[512];
    char cwd[PATH_LONGEST];
    char root[560]; /* its own view of the file system, if that is not ours */
};

/* Appends the NUL-ended strings of a file of the process that `wanted` likes. */
static enum rc strings(const struct process *p, const char *name,
                       bool (*wanted)(const char *text), struct str_list *out,
                       struct err *e)
{
    AT_END(mem_end) uint8_t *text = NULL;
    char path[600];
    size_t n = 0;

    snprintf(path, sizeof path, "%s/%s", p->folder, name);
    TRY(os_read_regular(path, ARGUMENTS_MAX, &text, &n, e));
    for (const char *at = (const char *)text, *end = at + n; at < end;) {
        size_t length = strnlen(at, (size_t)(end - at));

        if (wanted == NULL)
            TRY(str_list_add_n(out, at, length, e));
        else if (at + length < end && wanted(at))
            TRY(str_list_add_n(out, at, length, e));
        if (out->count > WORDS_MAX)
            return err_set(e, RC_REFUSED, "'%s' has too many entries", path);
        at += length + 1;
    }
    return RC_OK;
}

/* Nothing else of an environment is ever copied. */
static bool is_etcds(const char *variable)
{
    return strncmp(variable, "ETCD_", 5) == 0;
}

static bool link_of(const struct process *p, const char *name, char *out, size_t n)
{
    char path[600];
    ssize_t got;

    snprintf(path, sizeof path, "%s/%s", p->folder, name);
    got = os.readlinkat(AT_FDCWD, path, out, n - 1);
    if (got <= 0)
        return false;
    out[got] = '\0';
    return true;
}

/* A container sees other files under the same names; ours are seen through its `root`. */
static bool find_root(struct process *p)
{
    struct process me = { .folder = "/proc/self" };
    char its[64], ours[64];

    if (link_of(p, "ns/mnt", its, sizeof its) &&
        link_of(&me, "ns/mnt", ours, sizeof ours) && strcmp(its, ours) != 0)
        return snprintf(p->root, sizeof p->root, "%s/root", p->folder) > 0;
    return false;
}

/* "0::/system.slice/etcd.service" says that systemd started it. */
static enum rc unit_of(const struct process *p, char **out, struct err *e)
{
    AT_END(mem_end) uint8_t *text = NULL;
    struct err ignored;
    char path[600];
    size_t n = 0;

    snprintf(path, sizeof path, "%s/cgroup", p->folder);
    if (os_read_regular(path, CGROUP_MAX, &text, &n, &ignored) != RC_OK)
        return RC_OK;
    for (size_t at = 0; at < n && *out == NULL;) {
        const char *line = (const char *)text + at;
        size_t length = strcspn(line, "\n") < n - at ? strcspn(line, "\n") : n - at;
        const char *slash = memrchr(line, '/', length);

        if (slash != NULL && memmem(line, length, "system.slice/", 13) != NULL) {
            size_t name = length - (size_t)(slash + 1 - line);

            if (name > 8 && strncmp(slash + 1 + name - 8, ".service", 8) == 0)
                TRY(str_format(out, e, "%.*s", (int)name, slash + 1));
        }
        at += length + 1;
    }
    return RC_OK;
}

static enum rc describe(struct search *s, struct process *p, struct host_member *m,
                        bool *found, struct err *e)
{
    AT_END(str_list_clear) struct str_list args = { 0 };
    AT_END(str_list_clear) struct str_list env = { 0 };
    struct mapper map = { .root = p->root, .cwd = p->cwd };
    struct err why = { 0 };

    *found = false;
    TRY(strings(p, "cmdline", NULL, &args, e));
    if (args.count == 0 || strcmp(words_base(args.items[0]), "etcd") != 0)
        return RC_OK;
    TRY(words_etcd(&args, NULL, &m->command, found, e));
    if (!*found)
        return RC_OK;
    if (find_root(p))
        TRY(str_list_add(
            &m->remarks,
            "it runs in a container that nothing here declares: its files are "
            "seen through /proc, and only as long as it runs",
            e));
    if (!link_of(p, "cwd", p->cwd, sizeof p->cwd))
        snprintf(p->cwd, sizeof p->cwd, "/");
    if (strings(p, "environ", is_etcds, &env, &why) != RC_OK)
        TRY(str_list_add(&m->remarks,
                         "its environment cannot be read from here: settings in ETCD_ "
                         "variables are not known",
                         e));
    if (s->o->layout != HOST_PLAIN)
        TRY(unit_of(p, &m->unit, e));
    m->layout = m->unit != NULL ? HOST_SYSTEMD : HOST_PLAIN;
    m->pid = p->pid;
    return settings_resolve(&m->command, &env, &map, m, e);
}

static enum rc read_process(struct search *s, const char *proc, const char *name,
                            struct err *e)
{
    struct process p = { .cwd = "/" };
    struct host_member *m = NULL;
    struct err why = { 0 };
    bool found = false;
    enum rc rc;

    if (!str_to_u64(name, &p.pid))
        return RC_OK;
    snprintf(p.folder, sizeof p.folder, "%s/%s", proc, name);
    if (s->o->proc == NULL)
        snprintf(p.root, sizeof p.root, "%s", s->root);
    TRY(search_add(s, HOST_PLAIN, &m, e));
    rc = describe(s, &p, m, &found, &why);
    if (rc != RC_OK || !found)
        search_drop(s);
    return search_pass(s, found ? rc : rc == RC_NOMEM ? rc : RC_OK, &why, e);
}

enum rc search_processes(struct search *s, struct err *e)
{
    AT_END(str_list_clear) struct str_list names = { 0 };
    AT_END(mem_end) char *proc = NULL;
    struct err why = { 0 };

    if (s->o->proc != NULL)
        TRY(str_format(&proc, e, "%s", s->o->proc));
    else
        TRY(search_path(s, "/proc", &proc, e));
    TRY(search_pass(s, os_list(AT_FDCWD, proc, &names, &why), &why, e));
    for (size_t i = 0; i < names.count; i++)
        TRY(read_process(s, proc, names.items[i], e));
    return RC_OK;
}
