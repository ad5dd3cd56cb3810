#include "membership/start.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "host/quote.h"
#include "util/mem.h"

enum { FLAGS_MAX = 16, VALUE_MAX = 4096 };

/* etcd's words for one side, clients or peers, and the files of kubeadm's names. */
static const struct pki {
    const char *flag, *file; /* NULL: a switch */
    bool peer;
} pki[] = {
    { "cert-file", "server.crt", false },       { "key-file", "server.key", false },
    { "trusted-ca-file", "ca.crt", false },     { "client-cert-auth", NULL, false },
    { "peer-cert-file", "peer.crt", true },     { "peer-key-file", "peer.key", true },
    { "peer-trusted-ca-file", "ca.crt", true }, { "peer-client-cert-auth", NULL, true },
};
enum { PKI_COUNT = sizeof pki / sizeof pki[0] };

/* Flags in the order in which a person writes them. */
struct flags {
    struct {
        const char *name, *value; /* NULL: a switch, which is on */
    } items[FLAGS_MAX];
    size_t count;
    char *initial; /* heap; the rest is borrowed or static */
    char peer_listen[300], client[300], client_listen[300];
    char certs[PKI_COUNT][300];
    const char *cert_dir;
    bool secure; /* some of it */
};

static void flags_clear(struct flags *f)
{
    mem_free(f->initial);
}

static void put(struct flags *f, const char *name, const char *value)
{
    f->items[f->count].name = name;
    f->items[f->count++].value = value;
}

/* ---- addresses ----------------------------------------------------------- */

/* "https://[::1]:2380": where the host begins and ends, and the port. */
struct parts {
    int scheme_n, host_n;
    const char *host, *port;
};

static bool split(const char *url, struct parts *out)
{
    const char *host = strncmp(url, "http://", 7) == 0    ? url + 7
                       : strncmp(url, "https://", 8) == 0 ? url + 8
                                                          : NULL;
    const char *end;
    uint64_t port;

    if (host == NULL)
        return false;
    end = strrchr(host, ':');
    if (end == NULL || end == host || strpbrk(host, "/ ,=") != NULL ||
        !str_to_u64(end + 1, &port) || port == 0 || port > 65535)
        return false;
    *out = (struct parts){ (int)(host - url), (int)(end - host), host, end + 1 };
    return true;
}

enum rc membership_check_url(const char *url, struct err *e)
{
    struct parts p;

    if (split(url, &p))
        return RC_OK;
    return err_set(e, RC_USAGE,
                   "'%s' is no address of a member" HINT
                   "it looks like https://10.0.0.4:2380: scheme, host and port",
                   url);
}

/* etcd listens on addresses only, not on names. */
static void listen_at(const char *url, const struct parts *p, char out[static 300])
{
    bool number = *p->host == '[';

    for (int i = 0; i < p->host_n && !number; i++)
        if (!isdigit((unsigned char)p->host[i]) && p->host[i] != '.')
            break;
        else
            number = i == p->host_n - 1;
    if (number)
        snprintf(out, 300, "%s", url);
    else
        snprintf(out, 300, "%.*s0.0.0.0:%s", p->scheme_n, url, p->port);
}

static bool is_secure(const char *url)
{
    return strncmp(url, "https://", 8) == 0;
}

/* Clients may be served over TLS where peers are not, and the reverse. */
static bool clients_secure(const struct membership_look *l, const char *peer_url)
{
    for (size_t i = 0; i < l->list.count; i++)
        if (l->list.items[i].client_urls.count > 0)
            return is_secure(l->list.items[i].client_urls.items[0]);
    return is_secure(peer_url);
}

static enum rc client_address(const struct membership_look *l, struct flags *f,
                              const char *peer_url, const char *given, struct err *e)
{
    struct parts p;

    if (given != NULL) {
        TRY(membership_check_url(given, e));
        snprintf(f->client, sizeof f->client, "%s", given);
    } else if (split(peer_url, &p)) {
        snprintf(f->client, sizeof f->client, "http%s://%.*s:2379",
                 clients_secure(l, peer_url) ? "s" : "", p.host_n, p.host);
    }
    if (!split(f->client, &p))
        return err_set(e, RC_USAGE, "'%s' is no client address", f->client);
    listen_at(f->client, &p, f->client_listen);
    return RC_OK;
}

/* ---- the flags ----------------------------------------------------------- */

static enum rc add_pair(struct buf *b, const char *name, const char *url, struct err *e)
{
    if (b->n > 0)
        TRY(buf_add(b, ",", 1, e));
    TRY(buf_add(b, name, strlen(name), e));
    TRY(buf_add(b, "=", 1, e));
    return buf_add(b, url, strlen(url), e);
}

static enum rc add_pairs(struct buf *b, const char *name, const struct str_list *urls,
                         struct err *e)
{
    for (size_t i = 0; i < urls->count; i++)
        TRY(add_pair(b, name, urls->items[i], e));
    return RC_OK;
}

enum rc membership_initial(const struct membership_look *l,
                           const struct membership_new *who, char **out, struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = (size_t)VALUE_MAX * 16 };

    for (size_t i = 0; i < l->list.count; i++) {
        const struct wire_member *m = &l->list.items[i];

        if (m->name[0] != '\0' && strcmp(m->name, who->name) != 0)
            TRY(add_pairs(&b, m->name, &m->peer_urls, e));
    }
    TRY(add_pairs(&b, who->name, &who->peer_urls, e));
    TRY(buf_add(&b, "", 1, e));
    *out = (char *)b.p;
    b = (struct buf){ 0 };
    return RC_OK;
}

static void add_certs(struct flags *f, const struct membership_place *place, bool peers)
{
    f->cert_dir = place->cert_dir != NULL         ? place->cert_dir
                  : place->form == MEMBERSHIP_POD ? "/etc/kubernetes/pki/etcd"
                                                  : "/etc/etcd/pki";
    f->secure = true;
    for (size_t i = 0; i < PKI_COUNT; i++) {
        if (pki[i].peer != peers)
            continue;
        if (pki[i].file != NULL)
            snprintf(f->certs[i], sizeof f->certs[i], "%s/%s", f->cert_dir, pki[i].file);
        put(f, pki[i].flag, pki[i].file == NULL ? NULL : f->certs[i]);
    }
}

static enum rc collect(const struct membership_look *l, const struct membership_new *who,
                       const struct membership_place *place, struct flags *f,
                       struct err *e)
{
    const char *peer = who->peer_urls.items[0];
    struct parts p = { 0 };

    TRY(membership_check_url(peer, e));
    split(peer, &p);
    listen_at(peer, &p, f->peer_listen);
    TRY(client_address(l, f, peer, who->client_url, e));
    TRY(membership_initial(l, who, &f->initial, e));
    put(f, "name", who->name);
    put(f, "data-dir", place->data_dir);
    put(f, "listen-peer-urls", f->peer_listen);
    put(f, "initial-advertise-peer-urls", peer);
    put(f, "listen-client-urls", f->client_listen);
    put(f, "advertise-client-urls", f->client);
    put(f, "initial-cluster", f->initial);
    put(f, "initial-cluster-state", "existing");
    if (is_secure(f->client))
        add_certs(f, place, false);
    if (is_secure(peer))
        add_certs(f, place, true);
    return RC_OK;
}

/* ---- the forms ----------------------------------------------------------- */

static enum rc secure_note(struct buf *b, const struct flags *f, const char *mark,
                           struct err *e)
{
    if (!f->secure)
        return RC_OK;
    return str_append(
        b, e,
        "%s the certificates of this host, from the other members' authorities, "
        "in %s\n",
        mark, f->cert_dir);
}

static enum rc as_flags(struct buf *b, const struct flags *f, struct err *e)
{
    TRY(secure_note(b, f, "#", e));
    TRY(str_append(b, e, "etcd"));
    for (size_t i = 0; i < f->count; i++) {
        TRY(str_append(b, e, " \\\n  --%s", f->items[i].name));
        if (f->items[i].value == NULL)
            continue;
        TRY(str_append(b, e, " "));
        TRY(quote_shell(b, f->items[i].value, e));
    }
    return str_append(b, e, "\n");
}

static const char *worth(const struct flags *f, size_t i)
{
    return f->items[i].value == NULL ? "true" : f->items[i].value;
}

static enum rc as_env(struct buf *b, const struct flags *f, struct err *e)
{
    char name[64];

    TRY(secure_note(b, f, "#", e));
    for (size_t i = 0; i < f->count; i++) {
        quote_variable(f->items[i].name, name);
        TRY(str_append(b, e, "%s=", name));
        TRY(quote_shell(b, worth(f, i), e));
        TRY(str_append(b, e, "\n"));
    }
    return RC_OK;
}

static enum rc as_unit(struct buf *b, const struct flags *f, struct err *e)
{
    TRY(str_append(b, e,
                   "[Unit]\nDescription=etcd\nAfter=network-online.target\n"
                   "Wants=network-online.target\n\n[Service]\nType=notify\n"
                   "Restart=always\nRestartSec=5s\nLimitNOFILE=40000\n"));
    TRY(secure_note(b, f, "#", e));
    TRY(str_append(b, e, "ExecStart=/usr/local/bin/etcd"));
    for (size_t i = 0; i < f->count; i++) {
        TRY(str_append(b, e, " \\\n  --%s", f->items[i].name));
        if (f->items[i].value == NULL)
            continue;
        TRY(str_append(b, e, " "));
        TRY(quote_double(b, f->items[i].value, true, e));
    }
    return str_append(b, e, "\n\n[Install]\nWantedBy=multi-user.target\n");
}

static const char pod_head[] =
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: etcd\n  namespace: kube-system\n"
    "  labels:\n    component: etcd\n    tier: control-plane\nspec:\n"
    "  hostNetwork: true\n  priorityClassName: system-node-critical\n"
    "  containers:\n  - name: etcd\n";

static enum rc mount(struct buf *b, const char *head, const char *path, const char *tail,
                     struct err *e)
{
    TRY(str_append(b, e, "%s", head));
    TRY(quote_double(b, path, false, e));
    return str_append(b, e, "%s", tail);
}

static enum rc mounts(struct buf *b, const struct flags *f, const char *data_dir,
                      struct err *e)
{
    static const char tail[] = ", type: DirectoryOrCreate}\n";

    TRY(mount(b, "    volumeMounts:\n    - {name: data, mountPath: ", data_dir, "}\n",
              e));
    if (f->secure)
        TRY(mount(b, "    - {name: certs, mountPath: ", f->cert_dir, "}\n", e));
    TRY(mount(b, "  volumes:\n  - name: data\n    hostPath: {path: ", data_dir, tail, e));
    if (!f->secure)
        return RC_OK;
    return mount(b, "  - name: certs\n    hostPath: {path: ", f->cert_dir, tail, e);
}

static enum rc as_pod(struct buf *b, const struct flags *f, const char *data_dir,
                      const char *version, struct err *e)
{
    TRY(str_append(b, e, "%s", pod_head));
    TRY(str_append(b, e,
                   "    image: registry.k8s.io/etcd:%s-0\n    command:\n    - etcd\n",
                   version));
    for (size_t i = 0; i < f->count; i++) {
        AT_END(mem_end) char *pair = NULL;

        TRY(str_format(&pair, e, "--%s=%s", f->items[i].name, worth(f, i)));
        TRY(str_append(b, e, "    - "));
        TRY(quote_double(b, pair, false, e));
        TRY(str_append(b, e, "\n"));
    }
    return mounts(b, f, data_dir, e);
}

static const char *version_of(const struct membership_look *l)
{
    const struct care_member *leader = care_leader(&l->view);

    if (leader != NULL && leader->answered)
        return leader->status.version;
    for (size_t i = 0; i < l->view.count; i++)
        if (l->view.items[i].answered)
            return l->view.items[i].status.version;
    return "VERSION";
}

static enum rc write_form(struct buf *b, const struct flags *f,
                          const struct membership_place *place, const char *version,
                          struct err *e)
{
    switch (place->form) {
    case MEMBERSHIP_FLAGS:
        return as_flags(b, f, e);
    case MEMBERSHIP_ENV:
        return as_env(b, f, e);
    case MEMBERSHIP_UNIT:
        return as_unit(b, f, e);
    case MEMBERSHIP_POD:
        return as_pod(b, f, place->data_dir, version, e);
    }
    return err_set(e, RC_INTERNAL, "no such form");
}

enum rc membership_start_text(const struct membership_look *l,
                              const struct membership_new *who,
                              const struct membership_place *place, char **out,
                              struct err *e)
{
    AT_END(flags_clear) struct flags f = { .count = 0 };
    AT_END(buf_clear) struct buf b = { .cap_max = 1 << 20 };

    TRY(collect(l, who, place, &f, e));
    TRY(write_form(&b, &f, place, version_of(l), e));
    TRY(buf_add(&b, "", 1, e));
    *out = (char *)b.p;
    b = (struct buf){ 0 };
    return RC_OK;
}

/* ---- what a person types ------------------------------------------------- */

static enum rc parse_pair(const char *pair, char **name, struct str_list *urls,
                          struct err *e)
{
    const char *equals = strchr(pair, '=');
    size_t n = equals == NULL ? 0 : (size_t)(equals - pair);

    if (n == 0)
        return err_set(
            e, RC_USAGE,
            "'%s' is not NAME=PEERURL" HINT "for example m3=https://10.0.0.4:2380", pair);
    if (*name != NULL && (strlen(*name) != n || strncmp(*name, pair, n) != 0))
        return err_set(e, RC_USAGE, "'%s' names another member than '%s'", pair, *name);
    TRY(membership_check_url(equals + 1, e));
    if (*name == NULL)
        *name = mem_str_n(pair, n);
    if (*name == NULL)
        return err_set(e, RC_NOMEM, "no memory for a name");
    return str_list_add(urls, equals + 1, e);
}

enum rc membership_parse_new(const char *text, char **name, struct str_list *urls,
                             struct err *e)
{
    AT_END(str_list_clear) struct str_list pairs = { 0 };

    TRY(str_split(&pairs, text, ',', e));
    if (pairs.count == 0)
        return err_set(e, RC_USAGE, "no member is named");
    for (size_t i = 0; i < pairs.count; i++)
        TRY(parse_pair(pairs.items[i], name, urls, e));
    return RC_OK;
}
