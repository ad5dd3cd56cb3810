#include "host/settings.h"

#include <stdio.h>
#include <string.h>

#include "host/quote.h"
#include "host/words.h"
#include "util/mem.h"
#include "yaml/yaml.h"

enum kind { TEXT, PATH, SWITCH };

static const struct {
    const char *flag;
    enum kind kind;
} known[SETTINGS] = {
    [SETTING_NAME] = { "name", TEXT },
    [SETTING_DATA_DIR] = { "data-dir", PATH },
    [SETTING_WAL_DIR] = { "wal-dir", PATH },
    [SETTING_PEER_URLS] = { "initial-advertise-peer-urls", TEXT },
    [SETTING_LISTEN_PEER_URLS] = { "listen-peer-urls", TEXT },
    [SETTING_CLIENT_URLS] = { "advertise-client-urls", TEXT },
    [SETTING_LISTEN_CLIENT_URLS] = { "listen-client-urls", TEXT },
    [SETTING_INITIAL_CLUSTER] = { "initial-cluster", TEXT },
    [SETTING_INITIAL_STATE] = { "initial-cluster-state", TEXT },
    [SETTING_INITIAL_TOKEN] = { "initial-cluster-token", TEXT },
    [SETTING_FORCE_NEW] = { "force-new-cluster", SWITCH },
    [SETTING_CONFIG_FILE] = { "config-file", PATH },
    [SETTING_CERT] = { "cert-file", PATH },
    [SETTING_KEY] = { "key-file", PATH },
    [SETTING_CA] = { "trusted-ca-file", PATH },
    [SETTING_CLIENT_CERT] = { "client-cert-file", PATH },
    [SETTING_CLIENT_KEY] = { "client-key-file", PATH },
    [SETTING_CERT_AUTH] = { "client-cert-auth", SWITCH },
    [SETTING_AUTO_TLS] = { "auto-tls", SWITCH },
    [SETTING_PEER_CERT] = { "peer-cert-file", PATH },
    [SETTING_PEER_KEY] = { "peer-key-file", PATH },
    [SETTING_PEER_CA] = { "peer-trusted-ca-file", PATH },
    [SETTING_PEER_CLIENT_CERT] = { "peer-client-cert-file", PATH },
    [SETTING_PEER_CLIENT_KEY] = { "peer-client-key-file", PATH },
    [SETTING_PEER_CERT_AUTH] = { "peer-client-cert-auth", SWITCH },
    [SETTING_PEER_AUTO_TLS] = { "peer-auto-tls", SWITCH },
};

void settings_clear(struct settings *s)
{
    for (int i = 0; i < SETTINGS; i++)
        mem_free(s->value[i]);
    *s = (struct settings){ 0 };
}

const char *setting_flag(enum setting s)
{
    return known[s].flag;
}

enum setting setting_named(const char *name, size_t n)
{
    for (int i = 0; i < SETTINGS; i++)
        if (strlen(known[i].flag) == n && strncmp(known[i].flag, name, n) == 0)
            return (enum setting)i;
    return SETTINGS;
}

static enum rc set(struct settings *s, enum setting which, const char *value,
                   struct err *e)
{
    char *copy = mem_str(value);

    if (copy == NULL)
        return err_set(e, RC_NOMEM, "no memory for a setting of etcd");
    mem_free(s->value[which]);
    s->value[which] = copy;
    return RC_OK;
}

/* ---- flags ------------------------------------------------------------------- */

/* A flag that is not known here may be a switch or not: what follows it is its value when
 * it does not look like a flag. */
struct setting_flag setting_of_argument(const struct str_list *args, size_t i)
{
    struct setting_flag f = { SETTINGS, NULL, 1 };
    const char *name = args->items[i];
    const char *next = i + 1 < args->count ? args->items[i + 1] : NULL;
    size_t dashes = strspn(name, "-"), n;

    if (dashes == 0 || dashes > 2 || name[dashes] == '\0')
        return f;
    name += dashes;
    n = strcspn(name, "=");
    f.setting = setting_named(name, n);
    if (name[n] == '=') {
        f.value = name + n + 1;
    } else if (f.setting != SETTINGS && known[f.setting].kind == SWITCH) {
        f.value = "true";
    } else if (next != NULL && (f.setting != SETTINGS || next[0] != '-')) {
        f.value = next;
        f.arguments = 2;
    }
    return f;
}

static bool is_flag(const char *word)
{
    return word[0] == '-' && word[1] != '\0' && strcmp(word, "--") != 0;
}

/* Go stops at the first argument that is no flag, and etcd then refuses to start. */
enum rc settings_from_args(struct settings *s, const struct str_list *args,
                           const char **stray, struct err *e)
{
    size_t i = 1;

    while (i < args->count && is_flag(args->items[i])) {
        struct setting_flag f = setting_of_argument(args, i);

        i += f.arguments;
        if (f.setting != SETTINGS && f.value != NULL)
            TRY(set(s, f.setting, f.value, e));
    }
    *stray = i < args->count ? args->items[i] : NULL;
    return RC_OK;
}

/* ---- environment --------------------------------------------------------------- */

enum rc settings_from_env(struct settings *s, const struct str_list *env, struct err *e)
{
    for (int i = 0; i < SETTINGS; i++) {
        char name[64];
        const char *value;

        quote_variable(known[i].flag, name);
        value = words_lookup(env, name, strlen(name));
        if (s->value[i] == NULL && value != NULL && value[0] != '\0')
            TRY(set(s, (enum setting)i, value, e));
    }
    return RC_OK;
}

/* ---- configuration file ---------------------------------------------------------- */

struct security {
    char *value[SECURITY_SETTINGS];
};

struct config {
    char *value[SETTING_CONFIG_FILE];
    struct security *client, *peer;
};

#define PLAIN(setting, key) YAML_STRING(key, struct config, value[setting])
#define SECURE(setting, key) \
    YAML_STRING(key, struct security, value[setting - SETTING_CERT])
#define SECTION(key, member)                                                        \
    CYAML_FIELD_MAPPING_PTR(key, CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER_NULL_STR, \
                            struct config, member, security_fields)

static const cyaml_schema_field_t security_fields[] = {
    SECURE(SETTING_CERT, "cert-file"),
    SECURE(SETTING_KEY, "key-file"),
    SECURE(SETTING_CA, "trusted-ca-file"),
    SECURE(SETTING_CLIENT_CERT, "client-cert-file"),
    SECURE(SETTING_CLIENT_KEY, "client-key-file"),
    SECURE(SETTING_CERT_AUTH, "client-cert-auth"),
    SECURE(SETTING_AUTO_TLS, "auto-tls"),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t config_fields[] = {
    PLAIN(SETTING_NAME, "name"),
    PLAIN(SETTING_DATA_DIR, "data-dir"),
    PLAIN(SETTING_WAL_DIR, "wal-dir"),
    PLAIN(SETTING_PEER_URLS, "initial-advertise-peer-urls"),
    PLAIN(SETTING_LISTEN_PEER_URLS, "listen-peer-urls"),
    PLAIN(SETTING_CLIENT_URLS, "advertise-client-urls"),
    PLAIN(SETTING_LISTEN_CLIENT_URLS, "listen-client-urls"),
    PLAIN(SETTING_INITIAL_CLUSTER, "initial-cluster"),
    PLAIN(SETTING_INITIAL_STATE, "initial-cluster-state"),
    PLAIN(SETTING_INITIAL_TOKEN, "initial-cluster-token"),
    PLAIN(SETTING_FORCE_NEW, "force-new-cluster"),
    SECTION("client-transport-security", client),
    SECTION("peer-transport-security", peer),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t config_schema = { CYAML_VALUE_MAPPING(
    CYAML_FLAG_POINTER, struct config, config_fields) };

static void give(struct settings *s, int first, char **from, int n)
{
    for (int i = 0; i < n; i++) {
        mem_free(s->value[first + i]);
        s->value[first + i] = GIVE(from[i]);
    }
}

enum rc settings_from_config(struct settings *s, struct bytes text, const char *name,
                             struct err *e)
{
    const struct yaml_options o = { .name = name,
                                    .unknown_keys = true,
                                    .case_insensitive = true };
    struct config *c = NULL;
    void *data = NULL;

    TRY(yaml_load(text, &o, &config_schema, &data, e));
    c = data;
    if (c == NULL)
        return RC_OK;
    give(s, 0, c->value, SETTING_CONFIG_FILE);
    if (c->client != NULL)
        give(s, SETTING_CERT, c->client->value, SECURITY_SETTINGS);
    if (c->peer != NULL)
        give(s, SETTING_PEER_CERT, c->peer->value, SECURITY_SETTINGS);
    yaml_unload(&config_schema, data);
    return RC_OK;
}

/* ---- paths ------------------------------------------------------------------------ */

/* "/a/b" is below "/a", not below "/a/". */
static size_t below(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    while (n > 1 && dir[n - 1] == '/')
        n--;
    if (n == 1 && dir[0] == '/')
        return path[0] == '/' ? 1 : 0;
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0') ? n : 0;
}

enum rc mapper_path(const struct mapper *m, const char *path, char **out, struct err *e)
{
    const char *cwd = m->cwd == NULL ? "/" : m->cwd;
    const char *root = m->root == NULL || strcmp(m->root, "/") == 0 ? "" : m->root;
    AT_END(mem_end) char *whole = NULL;
    const struct mount *best = NULL;
    size_t longest = 0;

    if (path[0] != '/')
        TRY(str_format(&whole, e, "%s%s%s", cwd, str_ends(cwd, "/") ? "" : "/", path));
    if (whole != NULL)
        path = whole;
    for (size_t i = 0; i < m->mount_count; i++) {
        size_t n = below(path, m->mounts[i].inside);

        if (n > longest) {
            longest = n;
            best = &m->mounts[i];
        }
    }
    if (best == NULL)
        return str_format(out, e, "%s%s", root, path);
    return str_format(out, e, "%s%s%s%s", root, best->outside,
                      longest == 1 && path[1] != '\0' ? "/" : "", path + longest);
}
