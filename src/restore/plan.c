/* What a restore will do, decided before anything is read or written. */
#include <string.h>

#include "restore/restore.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

static const char default_name[] = "default";
static const char default_url[] = "http://localhost:2380";

void restore_plan_clear(struct restore_plan *p)
{
    mem_free(p->name);
    mem_free(p->data_dir);
    mem_free(p->wal_dir);
    mem_free(p->token);
    restore_members_clear(&p->members);
    *p = (struct restore_plan){ 0 };
}

/* A plan for all hosts is anybody's. */
static const char *own_name(const struct restore_request *q, const struct restore_plan *p)
{
    if (q->name != NULL)
        return q->name;
    return q->shared && p->members.count > 0 ? p->members.items[0].name : default_name;
}

static enum rc copy_paths(const struct restore_request *q, struct restore_plan *p,
                          struct err *e)
{
    TRY(str_format(&p->name, e, "%s", own_name(q, p)));
    if (q->wal_dir != NULL)
        TRY(str_format(&p->wal_dir, e, "%s", q->wal_dir));
    if (q->data_dir != NULL)
        return str_format(&p->data_dir, e, "%s", q->data_dir);
    return str_format(&p->data_dir, e, "%s.etcd", p->name);
}

/* Without --initial-cluster it is this member alone, at its advertised URLs. */
static enum rc default_cluster(const struct restore_request *q, const char *name,
                               struct restore_members *out, struct err *e)
{
    AT_END(str_list_clear) struct str_list urls = { 0 };
    AT_END(mem_end) char *text = NULL;

    TRY(str_split(&urls, q->peer_urls == NULL ? default_url : q->peer_urls, ',', e));
    for (size_t i = 0; i < urls.count; i++) {
        AT_END(mem_end) char *before = GIVE(text);

        TRY(str_format(&text, e, "%s%s%s=%s", i == 0 ? "" : before, i == 0 ? "" : ",",
                       name, urls.items[i]));
    }
    return restore_members_parse(text == NULL ? "" : text, out, e);
}

/* etcd starts only when the member's own URLs are those that the cluster string gives. */
static enum rc check_own_urls(const struct restore_request *q,
                              const struct restore_plan *p, struct err *e)
{
    const struct restore_member *self = restore_members_find(&p->members, p->name);
    AT_END(str_list_clear) struct str_list urls = { 0 };

    if (self == NULL)
        return err_set(e, RC_USAGE,
                       "the member '%s' is not in --initial-cluster" HINT
                       "say which one this host is with --name",
                       p->name);
    if (q->peer_urls == NULL)
        return RC_OK;
    TRY(str_split(&urls, q->peer_urls, ',', e));
    for (size_t i = 0; i < urls.count; i++) {
        TRY(restore_url_check(urls.items[i], e));
        if (!str_list_has(&self->peer_urls, urls.items[i]))
            return err_set(e, RC_USAGE,
                           "--initial-advertise-peer-urls has '%s', but "
                           "--initial-cluster does not give it to '%s'",
                           urls.items[i], p->name);
    }
    if (urls.count != self->peer_urls.count)
        return err_set(e, RC_USAGE,
                       "--initial-cluster gives '%s' other URLs than "
                       "--initial-advertise-peer-urls",
                       p->name);
    return RC_OK;
}

static enum rc choose_token(const struct restore_request *q, struct restore_plan *p,
                            struct err *e)
{
    uint8_t random[16];
    char hex[33];

    if (q->token != NULL)
        return str_format(&p->token, e, "%s", q->token);
    if (p->members.count > 1 && !q->shared)
        return err_set(e, RC_USAGE,
                       "each host would mint its own token, and the members would not "
                       "know each other" HINT
                       "give all hosts the same --initial-cluster-token, or write a plan "
                       "with --write-plan FILE and give it to all");
    TRY(os_random(random, sizeof random, e));
    str_hex(hex, random, sizeof random);
    p->token_minted = true;
    return str_format(&p->token, e, "holdfast-%s", hex);
}

enum rc restore_plan_make(const struct restore_request *q, struct restore_plan *out,
                          struct err *e)
{
    AT_END(restore_plan_clear)
    struct restore_plan p = {
        .bump = q->bump,
        .bump_by = q->bump_by,
        .high_water = q->high_water,
        .mark_compacted = q->mark_compacted,
        .skip_hash_check = q->skip_hash_check,
        .target_minor = q->target_minor,
    };

    if (q->initial_cluster != NULL)
        TRY(restore_members_parse(q->initial_cluster, &p.members, e));
    TRY(copy_paths(q, &p, e));
    if (q->initial_cluster == NULL)
        TRY(default_cluster(q, p.name, &p.members, e));
    TRY(check_own_urls(q, &p, e));
    TRY(choose_token(q, &p, e));
    TRY(restore_members_identify(&p.members, p.token, &p.cluster_id, e));
    p.member_id = restore_members_find(&p.members, p.name)->id;
    *out = p;
    p = (struct restore_plan){ 0 };
    return RC_OK;
}
