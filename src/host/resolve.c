#include "host/quote.h"
#include "host/settings.h"
#include "host/words.h"

#include <stdio.h>
#include <string.h>

#include "util/mem.h"
#include "util/os.h"

enum { CONFIG_MAX = 1 << 20 };

#define DEFAULT_PEER "http://localhost:2380"
#define DEFAULT_CLIENT "http://localhost:2379"

static bool is_on(const char *value)
{
    static const char *const words[] = { "true", "True", "TRUE", "t",  "T",
                                         "1",    "yes",  "Yes",  "on", "On" };

    for (size_t i = 0; value != NULL && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(value, words[i]) == 0)
            return true;
    return false;
}

static enum rc urls(struct str_list *out, const char *value, const char *fallback,
                    struct err *e)
{
    if (value == NULL)
        value = fallback;
    return value == NULL ? RC_OK : str_split(out, value, ',', e);
}

static enum rc path(char **out, const char *value, const struct mapper *map,
                    struct err *e)
{
    return value == NULL || value[0] == '\0' ? RC_OK : mapper_path(map, value, out, e);
}

/* One side's seven settings begin at v[0]. */
static enum rc tls(struct host_tls *t, char *const *v, const struct mapper *map,
                   struct err *e)
{
    TRY(path(&t->cert, v[0], map, e));
    TRY(path(&t->key, v[1], map, e));
    TRY(path(&t->ca, v[2], map, e));
    TRY(path(&t->client_cert, v[3], map, e));
    TRY(path(&t->client_key, v[4], map, e));
    t->client_cert_auth = is_on(v[5]);
    t->self_made = is_on(v[6]);
    return RC_OK;
}

/* "NAME=URL,NAME=URL" of the advertised addresses. */
static enum rc only_itself(struct host_member *m, struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = 1 << 20 };

    for (size_t i = 0; i < m->peer_urls.count; i++) {
        AT_END(mem_end) char *pair = NULL;

        TRY(str_format(&pair, e, "%s%s=%s", i == 0 ? "" : ",", m->name,
                       m->peer_urls.items[i]));
        TRY(buf_add(&b, pair, strlen(pair), e));
    }
    TRY(buf_add(&b, "", 1, e));
    m->initial_cluster = (char *)b.p;
    b = (struct buf){ 0 };
    return RC_OK;
}

static enum rc text(char **out, const char *value, const char *fallback, struct err *e)
{
    if (value == NULL || value[0] == '\0')
        value = fallback;
    return str_format(out, e, "%s", value);
}

static enum rc addresses(struct host_member *m, const struct settings *s, struct err *e)
{
    char *const *v = s->value;
    const char *client = v[SETTING_LISTEN_CLIENT_URLS] == NULL ? DEFAULT_CLIENT : NULL;

    TRY(urls(&m->listen_peer_urls, v[SETTING_LISTEN_PEER_URLS], DEFAULT_PEER, e));
    TRY(urls(&m->peer_urls, v[SETTING_PEER_URLS], DEFAULT_PEER, e));
    TRY(urls(&m->listen_client_urls, v[SETTING_LISTEN_CLIENT_URLS], DEFAULT_CLIENT, e));
    return urls(&m->client_urls, v[SETTING_CLIENT_URLS], client, e);
}

static enum rc member_of(const struct settings *s, const struct mapper *map,
                         struct host_member *m, struct err *e)
{
    char *const *v = s->value;
    AT_END(mem_end) char *own_dir = NULL;

    TRY(text(&m->name, v[SETTING_NAME], "default", e));
    TRY(str_format(&own_dir, e, "%s.etcd", m->name));
    TRY(path(&m->data_dir,
             v[SETTING_DATA_DIR] == NULL || v[SETTING_DATA_DIR][0] == '\0'
                 ? own_dir
                 : v[SETTING_DATA_DIR],
             map, e));
    TRY(path(&m->wal_dir, v[SETTING_WAL_DIR], map, e));
    TRY(addresses(m, s, e));
    TRY(text(&m->initial_state, v[SETTING_INITIAL_STATE], "new", e));
    TRY(text(&m->initial_token, v[SETTING_INITIAL_TOKEN], "etcd-cluster", e));
    if (v[SETTING_INITIAL_CLUSTER] != NULL)
        TRY(text(&m->initial_cluster, v[SETTING_INITIAL_CLUSTER], "", e));
    else
        TRY(only_itself(m, e));
    TRY(tls(&m->client, v + SETTING_CERT, map, e));
    TRY(tls(&m->peer, v + SETTING_PEER_CERT, map, e));
    if (is_on(v[SETTING_FORCE_NEW]))
        TRY(str_list_add(&m->remarks,
                         REMARK_FORCE ": it forgets all other members at each start", e));
    return RC_OK;
}

static enum rc from_file(const char *where, struct settings *s, struct err *e)
{
    AT_END(mem_end) uint8_t *content = NULL;
    size_t n = 0;

    TRY(os_read_regular(where, CONFIG_MAX, &content, &n, e));
    return settings_from_config(s, (struct bytes){ content, n }, where, e);
}

static enum rc remark_stray(const char *word, struct host_member *m, struct err *e)
{
    AT_END(mem_end) char *remark = NULL;

    if (word == NULL)
        return RC_OK;
    TRY(str_format(&remark, e, REMARK_STRAY " '%s' and does not start", word));
    return str_list_add(&m->remarks, remark, e);
}

/* An empty variable counts here, though it would set nothing. */
static enum rc remark_both(const struct settings *flags, const struct str_list *env,
                           struct host_member *m, struct err *e)
{
    for (int i = 0; i < SETTINGS; i++) {
        AT_END(mem_end) char *remark = NULL;
        char name[64];

        quote_variable(setting_flag((enum setting)i), name);
        if (flags->value[i] == NULL || words_lookup(env, name, strlen(name)) == NULL)
            continue;
        TRY(str_format(&remark, e, REMARK_BOTH ": --%s and %s",
                       setting_flag((enum setting)i), name));
        TRY(str_list_add(&m->remarks, remark, e));
    }
    return RC_OK;
}

static enum rc from_flags(const struct str_list *args, const struct str_list *env,
                          struct settings *s, struct host_member *out, struct err *e)
{
    const char *stray = NULL;
    const char *file = words_lookup(env, "ETCD_CONFIG_FILE", strlen("ETCD_CONFIG_FILE"));

    TRY(settings_from_args(s, args, &stray, e));
    TRY(remark_stray(stray, out, e));
    if (s->value[SETTING_CONFIG_FILE] == NULL && (file == NULL || file[0] == '\0'))
        TRY(remark_both(s, env, out, e));
    return settings_from_env(s, env, e);
}

enum rc settings_resolve(const struct str_list *args, const struct str_list *env,
                         const struct mapper *map, struct host_member *out, struct err *e)
{
    AT_END(settings_clear) struct settings s = { 0 };

    TRY(from_flags(args, env, &s, out, e));
    TRY(path(&out->config_file, s.value[SETTING_CONFIG_FILE], map, e));
    if (out->config_file != NULL) {
        settings_clear(&s);
        TRY(from_file(out->config_file, &s, e));
    }
    return member_of(&s, map, out, e);
}
