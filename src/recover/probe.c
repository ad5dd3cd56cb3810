#include "recover/probe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/http.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/stop.h"
#include "util/task.h"
#include "wire/cluster.h"
#include "wire/maintenance.h"

enum { DIAL_MS = 2000, ANSWER_MS = 4000, PROBES_MAX = 256, LIST_MAX = 1 << 20 };

void recover_sightings_clear(struct recover_sightings *s)
{
    mem_free(s->items);
    *s = (struct recover_sightings){ 0 };
}

/* ---- has it run? --------------------------------------------------------------------
 */

static bool is_about(const struct restore_member *about, uint64_t id, const char *name)
{
    return (about->id != 0 && id == about->id) ||
           (name != NULL && strcmp(name, about->name) == 0);
}

enum rc recover_list_has_run(struct bytes list, const struct restore_member *about,
                             bool *has_run, struct err *e)
{
    OWNED(json) all = NULL;
    struct err why = { 0 };

    *has_run = false;
    if (json_parse(list, "members", &all, &why) == RC_NOMEM)
        return err_set(e, RC_NOMEM, "%s", why.why);
    for (size_t i = 0; i < json_count(all); i++) {
        const struct json *m = json_at(all, i);
        uint64_t id = 0;

        (void)!json_get_u64(m, "id", &id);
        *has_run |= json_count(json_get(m, "clientURLs")) > 0 &&
                    is_about(about, id, json_get_str(m, "name"));
    }
    return RC_OK;
}

/* The same from a client URL. Who may not ask is not told. */
static void ask_list(const struct recover_scout *scout, struct wire_client *c,
                     struct recover_sighting *to)
{
    AT_END(wire_members_clear) struct wire_members all = { 0 };
    struct err ignored = { 0 };

    if (wire_member_list(c, WIRE_ANY, false, &all, &ignored) != RC_OK)
        return;
    for (size_t i = 0; i < all.count; i++)
        to->has_run |= all.items[i].client_urls.count > 0 &&
                       is_about(scout->about, all.items[i].id, all.items[i].name);
}

/* ---- one URL ------------------------------------------------------------------------
 */

struct probe {
    const struct recover_scout *scout;
    struct recover_sighting *to;
    struct task task;
};

/* What a peer URL answers. */
struct hearing {
    struct recover_sighting *to;
    struct buf list;
};

static void hearing_end(struct hearing *h)
{
    buf_clear(&h->list);
}

static enum rc take_header(void *arg, struct bytes name, struct bytes value,
                           struct err *e)
{
    struct recover_sighting *s = ((struct hearing *)arg)->to;
    char text[24];

    (void)e;
    if (name.n != strlen("x-etcd-cluster-id") ||
        strncasecmp((const char *)name.p, "x-etcd-cluster-id", name.n) != 0 ||
        value.n >= sizeof text)
        return RC_OK;
    snprintf(text, sizeof text, "%.*s", (int)value.n, (const char *)value.p);
    s->cluster_id = strtoull(text, NULL, 16);
    s->answer = s->cluster_id == 0 ? RECOVER_SOMEBODY : RECOVER_KNOWN;
    return RC_OK;
}

static enum rc take_body(void *arg, struct bytes piece, struct err *e)
{
    struct hearing *h = arg;

    return buf_add(&h->list, piece.p, piece.n, e);
}

/* Whose certificate it is does not matter here: what is believed of the answer can only
 * lead to a refusal. */
static enum rc ask_peer(const struct probe *p, struct err *e)
{
    const struct http_options o = { .cert = p->scout->cert,
                                    .key = p->scout->key,
                                    .insecure_skip_verify = true,
                                    .dial_timeout_ms = DIAL_MS };
    struct http_answer told = { 0 };
    AT_END(mem_end) char *url = NULL;
    AT_END(hearing_end)
    struct hearing heard = { .to = p->to, .list.cap_max = LIST_MAX };
    OWNED(http) h = NULL;
    struct err why = { 0 };

    TRY(str_format(&url, e, "%s/members", p->to->url));
    TRY(http_new(&o, &h, e));
    (void)!http_perform(h,
                        &(struct http_request){ .url = url,
                                                .total_ms = ANSWER_MS,
                                                .on_header = take_header,
                                                .on_body = take_body,
                                                .arg = &heard },
                        &told, &why);
    TRY(stop_check(e));
    if (p->to->answer == RECOVER_KNOWN)
        return p->scout->about == NULL
                   ? RC_OK
                   : recover_list_has_run((struct bytes){ heard.list.p, heard.list.n },
                                          p->scout->about, &p->to->has_run, e);
    p->to->answer = told.end == HTTP_UNSENT ? RECOVER_NOBODY : RECOVER_SOMEBODY;
    p->to->why = why;
    return RC_OK;
}

static enum rc ask_client(const struct probe *p, struct err *e)
{
    AT_END(wire_status_clear) struct wire_status s = { 0 };
    OWNED(wire_client) c = NULL;

    TRY(p->scout->connect(p->scout->arg, p->to->url, &c, e));
    if (wire_status_get(c, 0, &s, &p->to->why) == RC_OK) {
        p->to->answer = RECOVER_KNOWN;
        p->to->cluster_id = s.header.cluster_id;
        p->to->revision = s.header.revision;
        if (p->scout->about != NULL)
            ask_list(p->scout, c, p->to);
        return stop_check(e);
    }
    TRY(stop_check(e));
    p->to->answer =
        wire_last(c)->detail == WIRE_UNREACHABLE ? RECOVER_NOBODY : RECOVER_SOMEBODY;
    return RC_OK;
}

static enum rc ask(void *arg, struct err *e)
{
    const struct probe *p = arg;

    return p->to->peer ? ask_peer(p, e) : ask_client(p, e);
}

/* ---- all of them --------------------------------------------------------------------
 */

static bool can_be_asked(const char *url)
{
    return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

static void list(struct recover_sightings *s, const struct mvcc_member *m, bool peer)
{
    const struct str_list *urls = peer ? &m->peer_urls : &m->client_urls;

    for (size_t i = 0; i < urls->count && s->count < PROBES_MAX; i++)
        if (can_be_asked(urls->items[i]))
            s->items[s->count++] = (struct recover_sighting){ .name = m->name,
                                                              .url = urls->items[i],
                                                              .peer = peer };
}

/* Those from `begin` on, all at once. */
static enum rc ask_from(const struct recover_scout *scout, struct recover_sightings *s,
                        size_t begin, struct err *e)
{
    AT_END(mem_end) struct probe *probes = NULL;
    size_t count = s->count - begin;
    enum rc rc = RC_OK;

    TRY(mem_new(&probes, (count + 1) * sizeof *probes, "probes", e));
    for (size_t i = 0; i < count && rc == RC_OK; i++) {
        probes[i] = (struct probe){ .scout = scout, .to = &s->items[begin + i] };
        rc = task_start(&probes[i].task, ask, &probes[i], e);
    }
    for (size_t i = 0; i < count; i++) {
        struct err why = { 0 };

        if (task_join(&probes[i].task, &why) != RC_OK && rc == RC_OK) {
            *e = why;
            rc = why.code;
        }
    }
    return rc;
}

static bool has_told(const struct recover_sightings *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].answer == RECOVER_KNOWN && strcmp(s->items[i].name, name) == 0)
            return true;
    return false;
}

enum rc recover_probe(const struct recover_scout *scout,
                      const struct mvcc_member *members, size_t count, bool revisions,
                      struct recover_sightings *out, struct err *e)
{
    AT_END(recover_sightings_clear) struct recover_sightings s = { 0 };
    size_t peers;

    TRY(mem_new(&s.items, PROBES_MAX * sizeof *s.items, "sightings", e));
    for (size_t i = 0; i < count; i++)
        list(&s, &members[i], true);
    TRY(ask_from(scout, &s, 0, e));
    peers = s.count;
    for (size_t i = 0; i < count; i++)
        if (revisions || !has_told(&s, members[i].name))
            list(&s, &members[i], false);
    TRY(ask_from(scout, &s, peers, e));
    *out = s;
    s = (struct recover_sightings){ 0 };
    return RC_OK;
}

/* ---- what it means ------------------------------------------------------------------
 */

static bool same_name(const struct recover_sighting *a, const char *name)
{
    return name != NULL && name[0] != '\0' && strcmp(a->name, name) == 0;
}

/* Has the member shown at another URL that it belongs to the new cluster? */
static bool is_new(const struct recover_sightings *s, const struct recover_sighting *of,
                   uint64_t new_cluster)
{
    for (size_t i = 0; i < s->count && new_cluster != 0; i++)
        if (strcmp(s->items[i].name, of->name) == 0 &&
            s->items[i].answer == RECOVER_KNOWN && s->items[i].cluster_id == new_cluster)
            return true;
    return false;
}

static enum rc judge_known(const struct recover_sighting *s,
                           const struct recover_expected *x, struct err *e)
{
    if (x->new_cluster != 0 && s->cluster_id == x->new_cluster)
        return RC_OK;
    if (x->old_cluster == 0 || s->cluster_id == x->old_cluster)
        return same_name(s, x->self)
                   ? RC_OK
                   : err_set(
                         e, RC_REFUSED,
                         "%s of the old cluster still runs, at %s: what it has may be "
                         "newer, and its clients would go on with it" HINT
                         "stop it on its host, and make the plan with its data "
                         "directory too",
                         s->name, s->url);
    return err_set(
        e, RC_REFUSED,
        "at %s, where %s was, a member of another cluster answers: %" PRIx64 HINT
        "see who has that address now; this plan is not for it",
        s->url, s->name, s->cluster_id);
}

static enum rc judge_somebody(const struct recover_sightings *all,
                              const struct recover_sighting *s,
                              const struct recover_expected *x, struct err *e)
{
    if (same_name(s, x->self) || is_new(all, s, x->new_cluster) ||
        (x->assumed != NULL && str_list_has(x->assumed, s->name)))
        return RC_OK;
    return err_set(
        e, RC_REFUSED,
        "something answers at %s, and does not say whether it is %s of the old "
        "cluster%s%s" HINT
        "give the certificates that etcd wants (--cacert, --cert, --key); or, "
        "when you know that %s is off, --assume-off %s",
        s->url, s->name, s->why.why[0] == '\0' ? "" : ": ", s->why.why, s->name, s->name);
}

enum rc recover_sightings_judge(const struct recover_sightings *s,
                                const struct recover_expected *x, struct err *e)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct recover_sighting *one = &s->items[i];

        if (one->answer == RECOVER_KNOWN)
            TRY(judge_known(one, x, e));
        if (one->answer == RECOVER_SOMEBODY)
            TRY(judge_somebody(s, one, x, e));
    }
    return RC_OK;
}

static bool answers_for(const struct recover_sighting *s, uint64_t cluster)
{
    return s->answer == RECOVER_KNOWN && s->cluster_id == cluster;
}

size_t recover_sightings_of(const struct recover_sightings *s, uint64_t cluster)
{
    size_t n = 0;

    for (size_t i = 0; i < s->count; i++) {
        bool seen = !answers_for(&s->items[i], cluster);

        for (size_t k = 0; k < i && !seen; k++)
            seen = answers_for(&s->items[k], cluster) &&
                   strcmp(s->items[k].name, s->items[i].name) == 0;
        n += !seen;
    }
    return n;
}

int64_t recover_sightings_revision(const struct recover_sightings *s, uint64_t cluster)
{
    int64_t newest = 0;

    for (size_t i = 0; i < s->count; i++)
        if (answers_for(&s->items[i], cluster) && s->items[i].revision > newest)
            newest = s->items[i].revision;
    return newest;
}
