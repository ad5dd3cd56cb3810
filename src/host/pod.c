/* Static pods: the manifest's container that runs etcd. Its paths are the pod's; the
 * volume mounts say where they are on the host. */
#include <fcntl.h>
#include <string.h>

#include "host/control.h"
#include "host/sources.h"
#include "host/words.h"
#include "util/mem.h"
#include "util/os.h"
#include "yaml/yaml.h"

enum { MANIFEST_MAX = 1 << 20, MANIFESTS_MAX = 512, LIST_MAX = 1024 };

/* ---- the manifest's shape ------------------------------------------------------- */

struct variable {
    char *name, *value;
};
struct volume_mount {
    char *name, *path, *sub_path;
};
struct container {
    char *name, *image, *directory;
    char **command, **args;
    unsigned command_count, args_count;
    struct variable *env;
    unsigned env_count;
    struct volume_mount *mounts;
    unsigned mounts_count;
};
struct host_path {
    char *path;
};
struct volume {
    char *name;
    struct host_path *host_path;
};
struct pod_spec {
    struct container *containers;
    unsigned containers_count;
    struct volume *volumes;
    unsigned volumes_count;
};
struct pod {
    char *kind;
    struct pod_spec *spec;
};

enum { MAY_MISS = CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER_NULL_STR };

#define LIST(key, structure, member, entry) \
    CYAML_FIELD_SEQUENCE(key, MAY_MISS, structure, member, entry, 0, LIST_MAX)
#define ENTRY(structure, fields)                                   \
    {                                                              \
        CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, structure, fields) \
    }

static const cyaml_schema_value_t word = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *,
                                                              0, CYAML_UNLIMITED) };

static const cyaml_schema_field_t variable_fields[] = {
    YAML_STRING("name", struct variable, name),
    YAML_STRING("value", struct variable, value),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t variable_entry =
    ENTRY(struct variable, variable_fields);

static const cyaml_schema_field_t mount_fields[] = {
    YAML_STRING("name", struct volume_mount, name),
    YAML_STRING("mountPath", struct volume_mount, path),
    YAML_STRING("subPath", struct volume_mount, sub_path),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t mount_entry = ENTRY(struct volume_mount, mount_fields);

static const cyaml_schema_field_t container_fields[] = {
    YAML_STRING("name", struct container, name),
    YAML_STRING("image", struct container, image),
    YAML_STRING("workingDir", struct container, directory),
    LIST("command", struct container, command, &word),
    LIST("args", struct container, args, &word),
    LIST("env", struct container, env, &variable_entry),
    LIST("volumeMounts", struct container, mounts, &mount_entry),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t container_entry =
    ENTRY(struct container, container_fields);

static const cyaml_schema_field_t host_path_fields[] = {
    YAML_STRING("path", struct host_path, path),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t volume_fields[] = {
    YAML_STRING("name", struct volume, name),
    CYAML_FIELD_MAPPING_PTR("hostPath", MAY_MISS, struct volume, host_path,
                            host_path_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t volume_entry = ENTRY(struct volume, volume_fields);

static const cyaml_schema_field_t spec_fields[] = {
    LIST("containers", struct pod_spec, containers, &container_entry),
    LIST("volumes", struct pod_spec, volumes, &volume_entry),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t pod_fields[] = {
    YAML_STRING("kind", struct pod, kind),
    CYAML_FIELD_MAPPING_PTR("spec", MAY_MISS, struct pod, spec, spec_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t pod_schema = { CYAML_VALUE_MAPPING(
    CYAML_FLAG_POINTER, struct pod, pod_fields) };

static void pod_end(void *held)
{
    yaml_unload(&pod_schema, *(void **)held);
}

/* ---- one container ---------------------------------------------------------------- */

/* Kubernetes' own $(NAME) in arguments; an unknown one stays, $$ is one dollar. */
static enum rc substitute(const char *text, const struct str_list *env, char **out,
                          struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = 1 << 20 };

    for (const char *p = text; *p != '\0';) {
        size_t n = p[0] == '$' && p[1] == '(' ? strcspn(p + 2, ")") : 0;
        const char *value = n > 0 && p[2 + n] == ')' ? words_lookup(env, p + 2, n) : NULL;

        if (value != NULL) {
            TRY(buf_add(&b, value, strlen(value), e));
            p += n + 3;
            continue;
        }
        TRY(buf_add(&b, p, 1, e));
        p += p[0] == '$' && p[1] == '$' ? 2 : 1;
    }
    TRY(buf_add(&b, "", 1, e));
    *out = (char *)b.p;
    b = (struct buf){ 0 };
    return RC_OK;
}

static enum rc variables(const struct container *c, struct str_list *env, struct err *e)
{
    for (unsigned i = 0; i < c->env_count; i++) {
        AT_END(mem_end) char *value = NULL;
        AT_END(mem_end) char *pair = NULL;

        if (c->env[i].name == NULL || c->env[i].value == NULL)
            continue;
        TRY(substitute(c->env[i].value, env, &value, e));
        TRY(str_format(&pair, e, "%s=%s", c->env[i].name, value));
        TRY(str_list_add(env, pair, e));
    }
    return RC_OK;
}

/* "registry.k8s.io/etcd:3.5.12-0", with or without a digest. */
static bool image_is_etcd(const char *image)
{
    const char *base = image == NULL ? "" : words_base(image);

    return strncmp(base, "etcd", 4) == 0 && (base[4] == '\0' || strchr(":@", base[4]));
}

static enum rc whole_command(const struct container *c, const struct str_list *env,
                             struct str_list *out, struct err *e)
{
    if (c->command_count == 0 && image_is_etcd(c->image))
        TRY(str_list_add(out, "etcd", e));
    for (unsigned i = 0; i < c->command_count + c->args_count; i++) {
        AT_END(mem_end) char *one = NULL;

        TRY(substitute(i < c->command_count ? c->command[i]
                                            : c->args[i - c->command_count],
                       env, &one, e));
        TRY(str_list_add(out, one, e));
    }
    return RC_OK;
}

static const char *volume_path(const struct pod_spec *spec, const char *name)
{
    for (unsigned i = 0; name != NULL && i < spec->volumes_count; i++) {
        const struct volume *v = &spec->volumes[i];

        if (v->name != NULL && strcmp(v->name, name) == 0)
            return v->host_path == NULL ? NULL : v->host_path->path;
    }
    return NULL;
}

/* Mounts of the container that are folders of the host. */
struct mounts {
    struct mount *items;
    size_t count;
};

static void mounts_end(struct mounts *m)
{
    for (size_t i = 0; i < m->count; i++) {
        mem_free(m->items[i].inside);
        mem_free(m->items[i].outside);
    }
    mem_free(m->items);
}

static enum rc mounts_of(const struct pod_spec *spec, const struct container *c,
                         struct mounts *out, struct err *e)
{
    TRY(mem_new(&out->items, (c->mounts_count + 1) * sizeof out->items[0], "mounts", e));
    for (unsigned i = 0; i < c->mounts_count; i++) {
        const struct volume_mount *m = &c->mounts[i];
        const char *path = volume_path(spec, m->name);
        struct mount *to = &out->items[out->count];

        if (m->path == NULL || path == NULL)
            continue;
        out->count++;
        TRY(str_format(&to->inside, e, "%s", m->path));
        TRY(str_format(&to->outside, e, "%s%s%s", path, m->sub_path == NULL ? "" : "/",
                       m->sub_path == NULL ? "" : m->sub_path));
    }
    return RC_OK;
}

static enum rc read_container(const struct pod_spec *spec, const struct container *c,
                              const char *root, struct host_member *m, bool *found,
                              struct err *e)
{
    AT_END(str_list_clear) struct str_list env = { 0 };
    AT_END(str_list_clear) struct str_list command = { 0 };
    AT_END(mounts_end) struct mounts mounts = { 0 };
    struct mapper map = { .root = root, .cwd = c->directory };

    TRY(variables(c, &env, e));
    TRY(whole_command(c, &env, &command, e));
    TRY(words_etcd(&command, &env, &m->command, found, e));
    if (!*found)
        return RC_OK;
    TRY(mounts_of(spec, c, &mounts, e));
    map.mounts = mounts.items;
    map.mount_count = mounts.count;
    if (c->image != NULL)
        TRY(str_format(&m->image, e, "%s", c->image));
    return settings_resolve(&m->command, &env, &map, m, e);
}

enum rc pod_read(struct bytes text, const char *root, struct host_member *m, bool *found,
                 struct err *e)
{
    const struct yaml_options o = { .name = m->file == NULL ? "manifest" : m->file,
                                    .unknown_keys = true };
    AT_END(pod_end) void *data = NULL;
    const struct pod *pod;

    *found = false;
    TRY(yaml_load(text, &o, &pod_schema, &data, e));
    pod = data;
    if (pod == NULL || pod->spec == NULL || pod->kind == NULL ||
        strcmp(pod->kind, "Pod") != 0)
        return RC_OK;
    for (unsigned i = 0; i < pod->spec->containers_count && !*found; i++)
        TRY(read_container(pod->spec, &pod->spec->containers[i], root, m, found, e));
    return RC_OK;
}

/* ---- the folder ---------------------------------------------------------------------
 */

static enum rc read_manifest(struct search *s, const char *at, const char *home,
                             bool parked, struct err *e)
{
    AT_END(mem_end) uint8_t *text = NULL;
    struct host_member *m = NULL;
    struct err why = { 0 };
    bool found = false;
    size_t n = 0;
    enum rc rc;

    TRY(search_add(s, HOST_STATIC_POD, &m, e));
    m->parked = parked;
    rc = str_format(&m->file, &why, "%s", home);
    if (rc == RC_OK)
        rc = os_read_regular(at, MANIFEST_MAX, &text, &n, &why);
    if (rc == RC_OK)
        rc = pod_read((struct bytes){ text, n }, s->root, m, &found, &why);
    if (rc != RC_OK || !found)
        search_drop(s);
    return search_pass(s, rc, &why, e);
}

/* What the kubelet reads: every file whose name does not begin with a dot. */
static enum rc read_folder(struct search *s, const char *folder, const char *home,
                           bool parked, struct err *e)
{
    AT_END(str_list_clear) struct str_list names = { 0 };
    struct err why = { 0 };
    enum rc rc = os_list(AT_FDCWD, folder, &names, &why);

    TRY(search_pass(s, rc, &why, e));
    for (size_t i = 0; i < names.count && i < MANIFESTS_MAX; i++) {
        AT_END(mem_end) char *at = NULL;
        AT_END(mem_end) char *belongs = NULL;

        if (names.items[i][0] == '.')
            continue;
        TRY(str_format(&at, e, "%s/%s", folder, names.items[i]));
        TRY(str_format(&belongs, e, "%s/%s", home, names.items[i]));
        TRY(read_manifest(s, at, belongs, parked, e));
    }
    return RC_OK;
}

struct kubelet {
    char *folder;
};
static const cyaml_schema_field_t kubelet_fields[] = {
    YAML_STRING("staticPodPath", struct kubelet, folder),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t kubelet_schema = { CYAML_VALUE_MAPPING(
    CYAML_FLAG_POINTER, struct kubelet, kubelet_fields) };

static void kubelet_end(void *held)
{
    yaml_unload(&kubelet_schema, *(void **)held);
}

/* The folder that the kubelet watches, by its own configuration. */
static enum rc folder_of(struct search *s, char **out, struct err *e)
{
    static const struct yaml_options o = { .unknown_keys = true };
    AT_END(kubelet_end) void *data = NULL;
    AT_END(mem_end) char *path = NULL;
    struct err why = { 0 };
    const struct kubelet *k;
    enum rc rc;

    if (s->o->manifests != NULL)
        return str_format(out, e, "%s", s->o->manifests);
    TRY(search_path(s, "/var/lib/kubelet/config.yaml", &path, e));
    rc = yaml_load_file(path, &o, &kubelet_schema, &data, &why);
    TRY(search_pass(s, rc, &why, e));
    k = data;
    return search_path(s,
                       k == NULL || k->folder == NULL || k->folder[0] != '/'
                           ? "/etc/kubernetes/manifests"
                           : k->folder,
                       out, e);
}

enum rc search_pods(struct search *s, struct err *e)
{
    AT_END(mem_end) char *folder = NULL;
    AT_END(mem_end) char *inside = NULL;
    AT_END(mem_end) char *parked = NULL;

    TRY(folder_of(s, &folder, e));
    TRY(str_format(&inside, e, "%s/x", folder));
    TRY(host_parked_path(inside, &parked, e));
    *strrchr(parked, '/') = '\0';
    TRY(read_folder(s, folder, folder, false, e));
    return read_folder(s, parked, folder, true, e);
}
