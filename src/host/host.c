#include "host/host.h"

#include <string.h>

#include "util/guess.h"
#include "util/mem.h"

static const char *const names[] = {
    [HOST_ANY] = "any",         [HOST_PLAIN] = "plain",
    [HOST_SYSTEMD] = "systemd", [HOST_STATIC_POD] = "static-pod",
    [HOST_K3S] = "k3s",         [HOST_RKE2] = "rke2",
};
enum { LAYOUTS = sizeof names / sizeof names[0] };

const char *host_layout_name(enum host_layout l)
{
    return names[l];
}

enum rc host_layout_parse(const char *text, enum host_layout *out, struct err *e)
{
    struct guess near = { .word = text };

    for (int i = 0; i < LAYOUTS; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum host_layout)i;
            return RC_OK;
        }
        guess_offer(&near, names[i]);
    }
    (void)!err_set(e, RC_USAGE,
                   "'%s' is no layout: any, plain, systemd, static-pod, k3s, rke2", text);
    if (near.name != NULL)
        err_hint(e, "did you mean '%s'?", near.name);
    return RC_USAGE;
}

static void tls_clear(struct host_tls *t)
{
    mem_free(t->cert);
    mem_free(t->key);
    mem_free(t->ca);
    mem_free(t->client_cert);
    mem_free(t->client_key);
}

void host_member_clear(struct host_member *m)
{
    mem_free(m->name);
    mem_free(m->data_dir);
    mem_free(m->wal_dir);
    str_list_clear(&m->peer_urls);
    str_list_clear(&m->listen_peer_urls);
    str_list_clear(&m->client_urls);
    str_list_clear(&m->listen_client_urls);
    mem_free(m->initial_cluster);
    mem_free(m->initial_state);
    mem_free(m->initial_token);
    tls_clear(&m->client);
    tls_clear(&m->peer);
    mem_free(m->file);
    mem_free(m->unit);
    mem_free(m->image);
    mem_free(m->config_file);
    str_list_clear(&m->env_files);
    str_list_clear(&m->command);
    str_list_clear(&m->remarks);
    *m = (struct host_member){ 0 };
}

void host_list_clear(struct host_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        host_member_clear(&l->items[i]);
    mem_free(l->items);
    str_list_clear(&l->remarks);
    *l = (struct host_list){ 0 };
}

enum rc host_wal_dir(const struct host_member *m, char **out, struct err *e)
{
    if (m->wal_dir != NULL)
        return str_format(out, e, "%s", m->wal_dir);
    return str_format(out, e, "%s/member/wal", m->data_dir);
}
