/* Finding the etcd of k3s and RKE2: it has a configuration file like any other, and a
 * file with its name. */
#include <fcntl.h>
#include <string.h>

#include "host/rancher.h"
#include "host/sources.h"
#include "util/mem.h"
#include "util/os.h"
#include "yaml/yaml.h"

enum { CONFIG_MAX = 1 << 20, NAME_MAX_BYTES = 4096 };

const struct rancher ranchers[2] = {
    { HOST_K3S, "k3s", "k3s.service", "/etc/rancher/k3s/config.yaml",
      "/var/lib/rancher/k3s", NULL },
    { HOST_RKE2, "rke2", "rke2-server.service", "/etc/rancher/rke2/config.yaml",
      "/var/lib/rancher/rke2", "rke2-killall.sh" },
};

/* ---- finding ------------------------------------------------------------------------
 */

struct choices {
    char *data_dir;
};
static const cyaml_schema_field_t choices_fields[] = {
    YAML_STRING("data-dir", struct choices, data_dir),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t choices_schema = { CYAML_VALUE_MAPPING(
    CYAML_FLAG_POINTER, struct choices, choices_fields) };

static void choices_end(void *held)
{
    yaml_unload(&choices_schema, *(void **)held);
}

/* Its data directory: the default, or what its configuration says. That file holds
 * tokens; nothing but the one key is kept of it. */
static enum rc data_of(struct search *s, const struct rancher *k, char **out,
                       struct err *e)
{
    static const struct yaml_options o = { .unknown_keys = true };
    AT_END(choices_end) void *data = NULL;
    AT_END(mem_end) char *path = NULL;
    const struct choices *c;
    struct err why = { 0 };
    enum rc rc;

    TRY(search_path(s, k->settings, &path, e));
    rc = yaml_load_file(path, &o, &choices_schema, &data, &why);
    TRY(search_pass(s, rc, &why, e));
    c = data;
    return search_path(s, c == NULL || c->data_dir == NULL ? k->data : c->data_dir, out,
                       e);
}

/* A directory made by etcd's first start, or by k3s just before. */
static bool is_there(const char *dir)
{
    OWNED_FD int fd = os.openat(AT_FDCWD, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);

    return fd >= 0;
}

/* k3s starts a member under the name in this file, whatever its configuration said. */
static enum rc name_of(struct host_member *m, struct err *e)
{
    AT_END(mem_end) uint8_t *text = NULL;
    AT_END(mem_end) char *path = NULL;
    struct err why = { 0 };
    char *name = NULL;
    size_t n = 0;

    TRY(str_format(&path, e, "%s/name", m->data_dir));
    if (os_read_regular(path, NAME_MAX_BYTES, &text, &n, &why) != RC_OK)
        return why.code == RC_NOMEM ? err_set(e, RC_NOMEM, "%s", why.why) : RC_OK;
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
        n--;
    TRY(str_format(&name, e, "%.*s", (int)n, (const char *)text));
    mem_free(m->name);
    m->name = name;
    return RC_OK;
}

/* Its configuration is one of etcd's own; before the first start there is none. */
static enum rc settings_of(struct search *s, const struct rancher *k, const char *etcd,
                           struct host_member *m, struct err *e)
{
    AT_END(str_list_clear) struct str_list args = { 0 };
    AT_END(mem_end) char *flag = NULL;
    struct str_list none = { 0 };
    struct mapper map = { .root = s->root };

    TRY(str_format(&m->file, e, "%s/config", etcd));
    TRY(str_format(&m->unit, e, "%s", k->unit));
    TRY(str_format(&flag, e, "--config-file=%s", m->file + strlen(s->root)));
    TRY(str_list_add(&args, "etcd", e));
    TRY(str_list_add(&args, flag, e));
    TRY(settings_resolve(&args, &none, &map, m, e));
    TRY(str_list_add(&m->command, k->program, e));
    TRY(str_list_add(&m->command, "server", e));
    return name_of(m, e);
}

static enum rc look_for(struct search *s, const struct rancher *k, struct err *e)
{
    AT_END(mem_end) char *data = NULL;
    AT_END(mem_end) char *etcd = NULL;
    struct host_member *m = NULL;
    struct err why = { 0 };
    enum rc rc;

    TRY(data_of(s, k, &data, e));
    TRY(str_format(&etcd, e, "%s" RANCHER_ETCD, data));
    if (!is_there(etcd))
        return RC_OK;
    TRY(search_add(s, k->layout, &m, e));
    rc = settings_of(s, k, etcd, m, &why);
    if (rc != RC_OK)
        search_drop(s);
    if (rc == RC_NOTFOUND)
        return str_list_add(&s->list.remarks, why.why, e);
    return search_pass(s, rc, &why, e);
}

enum rc search_k3s(struct search *s, struct err *e)
{
    for (size_t i = 0; i < sizeof ranchers / sizeof ranchers[0]; i++)
        if (s->o->layout == HOST_ANY || s->o->layout == ranchers[i].layout)
            TRY(look_for(s, &ranchers[i], e));
    return RC_OK;
}
