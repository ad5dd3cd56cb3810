/* This host's etcd, and the cluster around it, as recover/apply.h wants them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "care/vote.h"
#include "cli/recovery.h"
#include "host/find.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/stop.h"

enum { POLL_MS = 300 };

/* ---- finding ------------------------------------------------------------------------
 */

enum rc recovery_find(const struct recovery_args *a, const char *data_dir,
                      const char *name, struct host_list *list,
                      const struct host_member **out, struct err *e)
{
    struct host_options o = { .manifests = a->manifests,
                              .data_dir = data_dir,
                              .name = name };

    *out = NULL;
    if (a->layout != NULL)
        TRY(host_layout_parse(a->layout, &o.layout, e));
    TRY(host_find(&o, list, e));
    for (size_t i = 0; i < list->remarks.count; i++)
        log_info("%s", list->remarks.items[i]);
    /* Of several, with nothing said about which, none is meant. */
    if (list->count == 0 || (list->count > 1 && data_dir == NULL && name == NULL))
        return RC_OK;
    return host_only(list, out, e);
}

static enum rc give(char **to, const char *text, struct err *e)
{
    return text == NULL ? RC_OK : str_format(to, e, "%s", text);
}

/* What the options say goes before what was found, and that before the plan. */
static enum rc settle(struct recovery_host *h, struct host_list *list,
                      const struct host_member *found, struct err *e)
{
    const struct recovery_args *a = h->args;

    if (found != NULL) {
        size_t at = (size_t)(found - list->items);

        h->member = list->items[at];
        list->items[at] = list->items[--list->count];
    } else {
        h->member.layout = HOST_PLAIN;
        if (a->layout != NULL)
            TRY(host_layout_parse(a->layout, &h->member.layout, e));
        TRY(give(&h->member.name, a->member, e));
    }
    if (h->member.data_dir == NULL)
        TRY(give(&h->member.data_dir,
                 a->data_dir != NULL ? a->data_dir : h->plan->data_dir, e));
    if (h->member.wal_dir == NULL)
        TRY(give(&h->member.wal_dir,
                 a->from.wal_dir != NULL ? a->from.wal_dir : h->plan->wal_dir, e));
    return RC_OK;
}

static enum rc refuse_distributions(const struct recovery_host *h, struct err *e)
{
    if (h->member.layout != HOST_K3S && h->member.layout != HOST_RKE2)
        return RC_OK;
    return err_set(e, RC_REFUSED,
                   "%s runs etcd itself, and is reset by its own commands" HINT
                   "the plan has them: run those of this host",
                   host_layout_name(h->member.layout));
}

enum rc recovery_host_open(struct cli *c, const struct recovery_args *a,
                           const struct recover_plan *p, struct recovery_host *out,
                           struct err *e)
{
    AT_END(host_list_clear) struct host_list list = { 0 };
    const struct host_member *found = NULL;

    *out = (struct recovery_host){ .cli = c, .args = a, .plan = p };
    out->control = (struct host_control){ .stop_command = a->stop_command,
                                          .start_command = a->start_command,
                                          .wait_ms = a->wait_ms };
    TRY(recovery_find(a, a->data_dir, a->data_dir == NULL ? a->member : NULL, &list,
                      &found, e));
    TRY(settle(out, &list, found, e));
    TRY(str_list_add(&out->control.also, "kube-apiserver.yaml", e));
    TRY(cli_cluster_init(&out->any, c, e));
    return refuse_distributions(out, e);
}

void recovery_host_close(struct recovery_host *h)
{
    host_member_clear(&h->member);
    str_list_clear(&h->control.also);
    cli_cluster_clear(&h->any);
}

/* ---- the hands ----------------------------------------------------------------------
 */

static enum rc running(void *arg, bool *out, struct err *e)
{
    struct recovery_host *h = arg;
    uint64_t pid;

    return host_running(&h->member, out, &pid, e);
}

static enum rc stop(void *arg, struct err *e)
{
    struct recovery_host *h = arg;

    return host_stop(&h->member, &h->control, e);
}

static enum rc start(void *arg, bool *by_hand, struct err *e)
{
    struct recovery_host *h = arg;
    enum rc rc = host_start(&h->member, &h->control, e);

    *by_hand = rc == RC_REFUSED && h->member.layout == HOST_PLAIN;
    return *by_hand ? RC_OK : rc;
}

struct recover_scout recovery_scout(struct cli_cluster *any)
{
    const struct cli_connection *c = &any->cli->connection;

    return (struct recover_scout){ .connect = any->access.connect,
                                   .arg = any->access.arg,
                                   .cacert = c->cacert,
                                   .cert = c->cert,
                                   .key = c->key };
}

/* Everybody whom the plan names, old and new, and where this host's etcd serves. Borrowed
 * but for the array. */
static enum rc everybody(const struct recovery_host *h, struct mvcc_member **out,
                         size_t *count, struct err *e)
{
    const struct recover_plan *p = h->plan;

    *count = 0;
    TRY(mem_new(out, (p->old_count + p->members.count + 1) * sizeof **out, "members", e));
    for (size_t i = 0; i < p->old_count; i++)
        (*out)[(*count)++] = p->old[i];
    for (size_t i = 0; i < p->members.count; i++)
        (*out)[(*count)++] =
            (struct mvcc_member){ .name = p->members.items[i].name,
                                  .peer_urls = p->members.items[i].peer_urls };
    (*out)[(*count)++] = (struct mvcc_member){ .name = (char *)(uintptr_t)h->args->member,
                                               .client_urls = h->member.client_urls };
    return RC_OK;
}

static enum rc look(void *arg, bool revisions, struct recover_sightings *out,
                    struct err *e)
{
    struct recovery_host *h = arg;
    AT_END(mem_end) struct mvcc_member *all = NULL;
    struct recover_scout scout = recovery_scout(&h->any);
    const struct host_tls *tls = &h->member.peer;
    size_t count;

    /* Members show themselves to members. */
    if (tls->cert != NULL && tls->key != NULL) {
        scout.cert = tls->client_cert != NULL ? tls->client_cert : tls->cert;
        scout.key = tls->client_key != NULL ? tls->client_key : tls->key;
    }
    scout.about = recover_plan_member(h->plan, h->args->member);
    TRY(everybody(h, &all, &count, e));
    return recover_probe(&scout, all, count, revisions, out, e);
}

/* ---- is it healthy? -----------------------------------------------------------------
 */

/* Enough of the new members are there, or may be, for a quorum. */
static bool enough(const struct recovery_host *h, const struct recover_sightings *s)
{
    const struct recover_plan *p = h->plan;
    size_t voters = p->shape == RECOVER_RE_BOOTSTRAP ? 1 : p->members.count, there = 0;

    for (size_t i = 0; i < p->members.count; i++) {
        const char *name = p->members.items[i].name;
        bool seen = strcmp(name, h->args->member) == 0;

        for (size_t k = 0; k < s->count && !seen; k++)
            seen = strcmp(s->items[k].name, name) == 0 &&
                   s->items[k].answer != RECOVER_NOBODY &&
                   (s->items[k].answer != RECOVER_KNOWN ||
                    s->items[k].cluster_id == p->cluster_id);
        there += seen;
    }
    return there >= quorum_of(voters, 0).needed;
}

static enum rc add_urls(struct str_list *to, const struct str_list *urls, struct err *e)
{
    for (size_t i = 0; i < urls->count; i++)
        if (!str_list_has(to, urls->items[i]))
            TRY(str_list_add(to, urls->items[i], e));
    return RC_OK;
}

static enum rc client_urls(const struct recovery_host *h, struct str_list *out,
                           struct err *e)
{
    for (size_t i = 0; i < h->plan->old_count; i++)
        TRY(add_urls(out, &h->plan->old[i].client_urls, e));
    TRY(add_urls(out, &h->member.client_urls, e));
    return add_urls(out, &h->cli->connection.endpoints, e);
}

static bool serves(const struct care_view *v)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->items[i].state == CARE_UP && v->items[i].read_tried &&
            v->items[i].read == RC_OK)
            return true;
    return false;
}

/* What is served is what the source held. Where its revisions are marked compacted, they
 * cannot be asked for. */
static enum rc compare_source(const struct recovery_host *h, const struct care_access *a,
                              const struct care_view *v,
                              const struct recover_journal *facts, struct err *e)
{
    const struct mvcc_hashkv source = { .hash = facts->hashkv,
                                        .revision = facts->compared_at,
                                        .compact_revision = facts->compacted };
    AT_END(care_vote_clear) struct care_vote vote = { 0 };

    if (facts->compared_at == 0 || h->plan->bump.mark_compacted)
        return RC_OK;
    TRY(care_vote_on(a, v, &source, &vote, e));
    if (vote.verdict != CARE_VOTE_DIVERGENT)
        return RC_OK;
    return err_set(e, RC_CORRUPT,
                   "the new cluster's HashKV at revision %" PRId64
                   " is not the source's" HINT
                   "do not go on: roll this back, and please report it",
                   facts->compared_at);
}

static enum rc compare(const struct recovery_host *h, const struct care_access *a,
                       const struct care_view *v, const struct recover_journal *facts,
                       struct err *e)
{
    AT_END(care_vote_clear) struct care_vote vote = { 0 };

    if (v->revision < facts->revision)
        return err_set(e, RC_CORRUPT,
                       "the new cluster is at revision %" PRId64
                       ", less than the %" PRId64 " that was announced",
                       v->revision, facts->revision);
    TRY(care_vote_take(a, v, &vote, e));
    if (vote.verdict == CARE_VOTE_DIVERGENT)
        return care_vote_result(&vote, e);
    return compare_source(h, a, v, facts, e);
}

/* One look; *healthy only after a linearizable read in the new cluster. */
static enum rc look_at_cluster(const struct recovery_host *h,
                               const struct recover_journal *facts, bool *healthy,
                               struct err *why, struct err *e)
{
    AT_END(cli_cluster_clear) struct cli_cluster k = { 0 };
    AT_END(str_list_clear) struct str_list urls = { 0 };
    AT_END(care_view_clear) struct care_view v = { 0 };

    TRY(cli_cluster_init(&k, h->cli, e));
    k.cluster_id = h->plan->cluster_id;
    TRY(client_urls(h, &urls, e));
    k.access.endpoints = &urls;
    TRY(care_look(&k.access, CARE_ASK_READ, &v, e));
    *healthy = v.cluster_id == h->plan->cluster_id && serves(&v);
    if (!*healthy) {
        for (size_t i = 0; i < v.count; i++)
            if (v.items[i].state != CARE_UP && v.items[i].failure.why[0] != '\0')
                *why = v.items[i].failure;
        return RC_OK;
    }
    return compare(h, &k.access, &v, facts, e);
}

static enum rc await_start(struct recovery_host *h, uint64_t end, struct err *e)
{
    bool up = false;

    for (;;) {
        TRY(running(h, &up, e));
        if (up)
            return RC_OK;
        if (clock_ms() >= end)
            return err_set(e, RC_NET,
                           "no etcd has '%s' open" HINT
                           "look at its log: it does not start, or it ended",
                           h->member.data_dir);
        TRY(stop_check(e));
        clock_sleep_ms(POLL_MS);
    }
}

/* Looked at once more: the member that was started last may have come meanwhile. */
static enum rc who_is_there(struct recovery_host *h, enum recover_health *out,
                            struct err *e)
{
    AT_END(recover_sightings_clear) struct recover_sightings s = { 0 };

    TRY(look(h, false, &s, e));
    *out = recover_sightings_of(&s, h->plan->cluster_id) >= h->plan->members.count
               ? RECOVER_HEALTH_COMPLETE
               : RECOVER_HEALTH_SERVES;
    return RC_OK;
}

static enum rc check(void *arg, const struct recover_journal *facts,
                     enum recover_health *out, struct err *e)
{
    struct recovery_host *h = arg;
    uint64_t end = clock_ms() + h->args->wait_ms;
    struct err why = { .why = "no answer" };

    TRY(await_start(h, end, e));
    for (;;) {
        AT_END(recover_sightings_clear) struct recover_sightings s = { 0 };
        bool healthy = false;

        TRY(look(h, false, &s, e));
        *out = RECOVER_HEALTH_WAITS;
        if (!enough(h, &s))
            return RC_OK;
        TRY(look_at_cluster(h, facts, &healthy, &why, e));
        if (healthy)
            return who_is_there(h, out, e);
        if (clock_ms() >= end)
            return err_set(e, RC_NET,
                           "the new cluster does not serve: %s" HINT
                           "look at etcd's log; the same command again goes on waiting",
                           why.why);
        TRY(stop_check(e));
        clock_sleep_ms(POLL_MS);
    }
}

static enum rc join(void *arg, bool *by_hand, struct err *e)
{
    *by_hand = false;
    return recovery_join(arg, e);
}

struct recover_hands recovery_hands(struct recovery_host *h)
{
    return (struct recover_hands){ .running = running,
                                   .stop = stop,
                                   .start = start,
                                   .look = look,
                                   .join = join,
                                   .check = check,
                                   .arg = h };
}
