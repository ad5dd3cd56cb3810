#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/change.h"
#include "cli/commands.h"

/* ---- list ---------------------------------------------------------------- */

static void join(const struct str_list *urls, char *out, size_t n)
{
    size_t used = 0;

    *out = '\0';
    for (size_t i = 0; i < urls->count && used < n; i++)
        used += (size_t)snprintf(out + used, n - used, "%s%s", i > 0 ? "," : "",
                                 urls->items[i]);
}

static struct json *texts(const struct str_list *l)
{
    struct json *a = json_new_array();

    for (size_t i = 0; i < l->count; i++)
        json_add_str(a, l->items[i]);
    return a;
}

/* The answer to "how is it": the state of the member itself, and whether it takes part.
 */
static const char *health(const struct membership_look *l, size_t i)
{
    const struct member_seat *s = &l->table.seats[i];
    const struct care_member *m = care_member_of(&l->view, s->id);

    if (!s->started)
        return "unstarted";
    if (m == NULL)
        return "unknown";
    if (m->state == CARE_UP && !s->alive)
        return "no quorum";
    if (m->state == CARE_UP && !s->in_sync)
        return "behind";
    return care_state_name(m->state);
}

static void show_state(struct result *r, const struct membership_look *l, size_t i)
{
    const struct member_seat *s = &l->table.seats[i];
    const struct care_member *m = care_member_of(&l->view, s->id);
    bool known = m != NULL && m->answered;

    result_str(r, "Role", "role",
               s->learner  ? "learner"
               : s->leader ? "leader"
                           : "voter");
    result_str(r, "Health", "health", health(l, i));
    if (known)
        result_u64(r, "Lag", "lag", care_lag(&l->view, m));
    else
        result_str(r, "Lag", "lag", NULL);
}

/* etcdctl's columns and names first, then ours. */
static void show_member(struct result *r, const struct membership_look *l, size_t i,
                        bool brief)
{
    const struct wire_member *m = &l->list.items[i];
    const struct care_member *seen = care_member_of(&l->view, m->id);
    char peers[400], clients[400];

    join(&m->peer_urls, peers, sizeof peers);
    join(&m->client_urls, clients, sizeof clients);
    result_next(r);
    result_id(r, "ID", "ID", "ID_hex", m->id);
    result_str(r, brief ? NULL : "Status", "status",
               m->name[0] == '\0' ? "unstarted" : "started");
    result_str(r, "Name", "name", brief && m->name[0] == '\0' ? "-" : m->name);
    result_str(r, "Peer addrs", NULL, peers);
    result_str(r, brief ? NULL : "Client addrs", NULL, clients);
    result_json(r, "peerURLs", texts(&m->peer_urls));
    result_json(r, "clientURLs", texts(&m->client_urls));
    result_bool(r, brief ? NULL : "Is learner", "isLearner", m->is_learner);
    show_state(r, l, i);
    result_str(r, brief ? NULL : "Version", "version",
               seen != NULL && seen->answered ? seen->status.version : NULL);
}

static struct result *members(const struct membership_look *l, bool brief)
{
    struct result *r = result_new_list();

    for (size_t i = 0; i < l->list.count; i++)
        show_member(r, l, i, brief);
    return r;
}

static struct json *header(const struct membership_look *l)
{
    const struct wire_header *h = &l->list.header;
    struct json *o = json_new_object();

    json_set_u64(o, "cluster_id", h->cluster_id);
    json_set_u64(o, "member_id", h->member_id);
    json_set_u64(o, "raft_term", h->raft_term);
    return o;
}

/* One that was added and never started stands in the way of all else. */
static enum rc verdict(const struct membership_look *l, struct err *e)
{
    for (size_t i = 0; i < l->table.count; i++)
        if (!l->table.seats[i].started)
            return err_set(e, RC_DEGRADED,
                           "member %" PRIx64 " was added and never started" HINT
                           "start it, or take it out: `holdfast member remove %" PRIx64
                           "`",
                           l->table.seats[i].id, l->table.seats[i].id);
    return care_view_verdict(&l->view, e);
}

static enum rc list(struct cli *c, const void *args, struct err *e)
{
    AT_END(change_clear) struct change h = { .cli = NULL };
    OWNED(result) r = NULL;

    (void)args;
    TRY(change_begin(&h, c, e));
    if (c->format == RENDER_JSON) {
        r = result_new();
        result_json(r, "header", header(&h.look));
        result_nest(r, NULL, "members", members(&h.look, false));
    } else {
        r = members(&h.look, c->format == RENDER_SIMPLE);
    }
    TRY(cli_show(c, r, e));
    return verdict(&h.look, e);
}

const struct command cmd_member_list = {
    .name = "member list",
    .summary = "who belongs to the cluster, and how each one is",
    .description =
        "etcdctl's columns, and beside them: its role, whether it takes part (up), says "
        "how it is and finishes no read (frozen, no quorum), lags (behind), was added "
        "and never started (unstarted) or does not answer (silent, down, locked, "
        "barred), and "
        "how many entries of the log it has yet to apply. In JSON the object has "
        "etcdctl's names.\n\n"
        "Exit status 8 when a member is not up, an alarm is raised, or a member was "
        "added and never started: that one blocks further changes until it is started "
        "or removed.",
    .examples = "holdfast member list --endpoints 10.0.0.1:2379\n",
    .uses = CLI_CONNECTION | CLI_OUTPUT,
    .run = list,
};

/* ---- plan ---------------------------------------------------------------- */

struct plan_args {
    const char *remove, *promote, *replace;
    bool add;
    uint64_t grow;
};

/* clang-format off */
static const struct opt plan_opts[] = {
    OPT(FLAG, "add", plan_args, add, .help = "what would adding a voter do?"),
    OPT(STR, "remove", plan_args, remove, .arg = "NAME|ID",
        .help = "what would removing this member do?"),
    OPT(STR, "promote", plan_args, promote, .arg = "NAME|ID",
        .help = "what would promoting this learner do?"),
    OPT(STR, "replace", plan_args, replace, .arg = "NAME|ID",
        .help = "what would putting another in its place do?"),
    OPT(U64, "grow", plan_args, grow, .arg = "VOTERS",
        .help = "what would growing to so many do?"),
    OPT_DONE,
};
/* clang-format on */

static enum rc check_plan(const struct plan_args *a, struct err *e)
{
    int wishes = a->add + (a->remove != NULL) + (a->promote != NULL) +
                 (a->replace != NULL) + (a->grow != 0);

    if (wishes <= 1)
        return RC_OK;
    return err_set(e, RC_USAGE, "one change at a time can be planned");
}

static enum rc make_plan(const struct plan_args *a, struct change *h, struct err *e)
{
    const struct member_table *t = &h->look.table;
    const char *named = a->remove != NULL    ? a->remove
                        : a->promote != NULL ? a->promote
                                             : a->replace;
    uint64_t id = 0;

    if (named != NULL)
        TRY(membership_find(&h->look, named, &id, e));
    if (a->remove != NULL)
        return member_plan_remove(t, id, &h->plan, e);
    if (a->promote != NULL)
        return member_plan_promote(t, id, &h->plan, e);
    if (a->replace != NULL)
        TRY(member_plan_replace(t, id, &h->plan, e));
    else if (a->add)
        TRY(member_plan_add(t, false, &h->plan, e));
    else if (a->grow != 0)
        TRY(member_plan_grow(t, a->grow, &h->plan, e));
    else
        return RC_OK;
    return membership_may_add(&h->look, id, e);
}

static struct result *sizes(size_t now)
{
    struct result *r = result_new_list();

    for (size_t n = 1; n <= 9; n++) {
        struct quorum q = quorum_of(n, n);

        result_next(r);
        result_u64(r, "Voters", "voters", n);
        result_u64(r, "Needed", "needed", q.needed);
        result_u64(r, "May fail", "tolerance", q.tolerance);
        result_str(r, "", NULL,
                   n == now     ? "<- this cluster"
                   : n == 2     ? "twice as likely to stop as one"
                   : n % 2 == 0 ? "no better than one less"
                                : "");
    }
    return r;
}

static enum rc plan(struct cli *c, const void *args, struct err *e)
{
    const struct plan_args *a = args;
    AT_END(change_clear) struct change h = { .cli = NULL };
    OWNED(result) r = NULL;
    struct quorum q;
    char advice[300];

    TRY(check_plan(a, e));
    TRY(change_begin(&h, c, e));
    TRY(make_plan(a, &h, e));
    q = member_quorum(&h.look.table);
    r = result_new();
    result_id(r, "Cluster", "cluster_id", "cluster_id_hex", h.look.view.cluster_id);
    result_u64(r, "Voters", "voters", q.voters);
    result_u64(r, "Take part", "up", q.up);
    result_u64(r, "Needed", "needed", q.needed);
    result_u64(r, "May fail", "tolerates", q.tolerates);
    result_bool(r, "Quorum", "quorum", q.has);
    change_show_advice(r, h.plan.count > 0
                              ? change_advice(&h.plan, advice, sizeof advice)
                              : quorum_trap(q.voters, advice, sizeof advice));
    result_nest(r, "Plan", "plan", change_steps(&h, NULL));
    result_nest(r, "Sizes", "sizes", sizes(q.voters));
    return cli_show(c, r, e);
}

const struct command cmd_member_plan = {
    .name = "member plan",
    .summary = "what a change of members would do to the quorum",
    .description =
        "Shows how many voters there are, how many take part in a linearizable read, how "
        "many are needed and how many more may fail; with one of the options, the steps "
        "of that change and the same figures before and after each. A change that would "
        "lose the quorum is refused (exit status 5) with what to do instead. Then the "
        "table for clusters of one to nine voters. It changes nothing.",
    .examples = "holdfast member plan --endpoints 10.0.0.1:2379\n"
                "# can it do without m2?\n"
                "holdfast member plan --remove m2\n",
    .opts = plan_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT,
    .args_size = sizeof(struct plan_args),
    .run = plan,
};
