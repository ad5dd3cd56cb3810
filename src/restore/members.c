#include "restore/members.h"

#include <stdlib.h>
#include <string.h>

#include "wal/raft_ids.h"

static void member_clear(struct restore_member *m)
{
    mem_free(m->name);
    str_list_clear(&m->peer_urls);
}

void restore_members_clear(struct restore_members *m)
{
    for (size_t i = 0; i < m->count; i++)
        member_clear(&m->items[i]);
    mem_free(m->items);
    *m = (struct restore_members){ 0 };
}

const struct restore_member *restore_members_find(const struct restore_members *m,
                                                  const char *name)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->items[i].name, name) == 0)
            return &m->items[i];
    return NULL;
}

/* Length of the scheme with "://", 0 when it is none of etcd's. */
static size_t scheme_length(const char *url)
{
    static const char *const schemes[] = { "http://", "https://", "unix://", "unixs://" };

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strncmp(url, schemes[i], strlen(schemes[i])) == 0)
            return strlen(schemes[i]);
    return 0;
}

/* "host:port", "[::1]:2380"; the port is a number up to 65535. */
static bool host_and_port(const char *s)
{
    const char *colon = strrchr(s, ':');
    uint64_t port;

    if (colon == NULL || colon == s || !str_to_u64(colon + 1, &port) || port > 65535)
        return false;
    return *s == '[' ? colon[-1] == ']' : memchr(s, ':', (size_t)(colon - s)) == NULL;
}

enum rc restore_url_check(const char *url, struct err *e)
{
    size_t scheme = scheme_length(url);

    if (scheme == 0)
        return err_set(
            e, RC_USAGE,
            "the peer URL '%s' does not begin with http://, https://, unix:// or "
            "unixs://",
            url);
    if (strchr(url + scheme, '/') != NULL)
        return err_set(e, RC_USAGE, "the peer URL '%s' has a path", url);
    if (strpbrk(url + scheme, " \t\r\n@?#\"\\") != NULL || !host_and_port(url + scheme))
        return err_set(e, RC_USAGE, "the peer URL '%s' is not SCHEME://HOST:PORT", url);
    return RC_OK;
}

static bool url_used(const struct restore_members *m, const char *url)
{
    for (size_t i = 0; i < m->count; i++)
        if (str_list_has(&m->items[i].peer_urls, url))
            return true;
    return false;
}

static enum rc find_or_add(struct restore_members *m, const char *name, size_t name_size,
                           struct restore_member **out, struct err *e)
{
    struct restore_member *items;

    for (size_t i = 0; i < m->count; i++)
        if (strlen(m->items[i].name) == name_size &&
            memcmp(m->items[i].name, name, name_size) == 0) {
            *out = &m->items[i];
            return RC_OK;
        }
    if (m->count == RESTORE_MEMBERS_MAX)
        return err_set(e, RC_USAGE, "more than %d members", RESTORE_MEMBERS_MAX);
    items = mem_resize(m->items, m->count + 1, sizeof *items);
    if (items == NULL)
        return err_set(e, RC_NOMEM, "no memory for the members");
    m->items = items;
    items[m->count] = (struct restore_member){ .name = mem_str_n(name, name_size) };
    if (items[m->count].name == NULL)
        return err_set(e, RC_NOMEM, "no memory for a member");
    *out = &items[m->count++];
    return RC_OK;
}

static enum rc parse_part(struct restore_members *m, const char *part, struct err *e)
{
    const char *equals = strchr(part, '=');
    struct restore_member *member = NULL;

    if (equals == NULL || equals == part)
        return err_set(e, RC_USAGE, "'%s' in --initial-cluster is not NAME=URL", part);
    TRY(restore_url_check(equals + 1, e));
    if (url_used(m, equals + 1))
        return err_set(e, RC_USAGE, "--initial-cluster has the URL '%s' twice",
                       equals + 1);
    TRY(find_or_add(m, part, (size_t)(equals - part), &member, e));
    return str_list_add(&member->peer_urls, equals + 1, e);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum rc restore_members_parse(const char *text, struct restore_members *out,
                              struct err *e)
{
    AT_END(restore_members_clear) struct restore_members m = { 0 };
    AT_END(str_list_clear) struct str_list parts = { 0 };

    TRY(str_split(&parts, text, ',', e));
    for (size_t i = 0; i < parts.count; i++)
        TRY(parse_part(&m, parts.items[i], e));
    if (m.count == 0)
        return err_set(e, RC_USAGE, "--initial-cluster names no member");
    for (size_t i = 0; i < m.count; i++)
        qsort(m.items[i].peer_urls.items, m.items[i].peer_urls.count, sizeof(char *),
              by_bytes);
    *out = m;
    m = (struct restore_members){ 0 };
    return RC_OK;
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = ((const struct restore_member *)a)->id;
    uint64_t y = ((const struct restore_member *)b)->id;

    return x < y ? -1 : x > y;
}

enum rc restore_members_identify(struct restore_members *m, const char *token,
                                 uint64_t *cluster_id, struct err *e)
{
    uint64_t ids[RESTORE_MEMBERS_MAX];

    for (size_t i = 0; i < m->count; i++) {
        struct restore_member *member = &m->items[i];

        TRY(wal_member_id((const char *const *)member->peer_urls.items,
                          member->peer_urls.count, token, &member->id, e));
    }
    qsort(m->items, m->count, sizeof *m->items, by_id);
    for (size_t i = 0; i < m->count; i++) {
        ids[i] = m->items[i].id;
        if (i > 0 && ids[i] == ids[i - 1])
            return err_set(e, RC_USAGE, "members '%s' and '%s' get the same id",
                           m->items[i - 1].name, m->items[i].name);
    }
    return wal_cluster_id(ids, m->count, cluster_id, e);
}
