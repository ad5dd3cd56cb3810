/* A host that joins the new cluster: added as a learner, started here, promoted. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/recovery.h"
#include "host/change.h"
#include "membership/run.h"
#include "membership/start.h"
#include "util/log.h"
#include "util/mem.h"

struct joining {
    struct recovery_host *h;
    struct cli_cluster k;
    struct str_list endpoints;
    struct membership_look look;
    struct membership_new who;
};

static void joining_clear(struct joining *j)
{
    membership_look_clear(&j->look);
    str_list_clear(&j->endpoints);
    str_list_clear(&j->who.peer_urls);
    if (j->k.cli != NULL)
        cli_cluster_clear(&j->k);
}

/* ---- starting it --------------------------------------------------------------------
 */

/* For a start command: etcd itself looks at these, where no flag says otherwise. */
static enum rc tell_command(const char *initial, struct err *e)
{
    if (setenv("ETCD_INITIAL_CLUSTER", initial, 1) != 0 ||
        setenv("ETCD_INITIAL_CLUSTER_STATE", "existing", 1) != 0)
        return err_set(e, RC_NOMEM, "no memory for the environment");
    return RC_OK;
}

static enum rc tell_person(const struct joining *j, const struct membership_look *l,
                           struct err *e)
{
    const struct membership_place place = { .data_dir = j->h->member.data_dir };
    AT_END(str_list_clear) struct str_list lines = { 0 };
    AT_END(mem_end) char *text = NULL;

    TRY(membership_start_text(l, &j->who, &place, &text, e));
    TRY(str_split(&lines, text, '\n', e));
    log_info("start etcd here now, with an empty data directory; it is waited for:");
    for (size_t i = 0; i < lines.count; i++)
        log_info("  %s", lines.items[i]);
    return RC_OK;
}

static enum rc change_flags(const struct joining *j, const char *initial, struct err *e)
{
    AT_END(host_edit_clear) struct host_edit edit = { 0 };
    const struct host_change c = { .initial_cluster = initial,
                                   .initial_state = "existing" };

    TRY(host_change_text(&j->h->member, &c, &edit, e));
    return host_change_apply(&edit, e);
}

/* Its flags must say that the cluster exists, or it would make one of its own. */
static enum rc start_here(const struct joining *j, const struct membership_look *l,
                          struct err *e)
{
    struct recovery_host *h = j->h;
    AT_END(mem_end) char *initial = NULL;

    if (h->args->start_command == NULL && h->member.layout == HOST_PLAIN)
        return tell_person(j, l, e);
    TRY(membership_initial(l, &j->who, &initial, e));
    if (h->args->start_command != NULL)
        TRY(tell_command(initial, e));
    else
        TRY(change_flags(j, initial, e));
    return host_start(&h->member, &h->control, e);
}

static enum rc announce(void *arg, const struct membership_look *l,
                        const struct membership_new *who, uint64_t id, struct err *e)
{
    (void)who;
    log_info("the new cluster knows this member as %" PRIx64, id);
    return start_here(arg, l, e);
}

/* ---- the way in ---------------------------------------------------------------------
 */

static enum rc copy_urls(struct str_list *to, const struct str_list *from, struct err *e)
{
    for (size_t i = 0; i < from->count; i++)
        if (!str_list_has(to, from->items[i]))
            TRY(str_list_add(to, from->items[i], e));
    return RC_OK;
}

/* The new cluster serves where the old one's members did, or at --endpoints. */
static enum rc begin(struct joining *j, struct err *e)
{
    const struct recover_plan *p = j->h->plan;

    TRY(copy_urls(&j->endpoints, &j->h->cli->connection.endpoints, e));
    for (size_t i = 0; i < p->old_count; i++)
        if (strcmp(p->old[i].name, j->h->args->member) != 0)
            TRY(copy_urls(&j->endpoints, &p->old[i].client_urls, e));
    j->who.name = j->h->args->member;
    TRY(copy_urls(&j->who.peer_urls, &recover_plan_member(p, j->who.name)->peer_urls, e));
    TRY(cli_cluster_init(&j->k, j->h->cli, e));
    j->k.cluster_id = p->cluster_id;
    j->k.access.endpoints = &j->endpoints;
    if (membership_look_settled(&j->k.access, &j->look, e) != RC_OK)
        return err_wrap(e, "looking for the new cluster %" PRIx64, p->cluster_id);
    return RC_OK;
}

/* Added by an earlier run that broke off: what is left is to start and to promote it. */
static void rest_of(const struct wire_member *m, struct member_plan *out)
{
    out->items[out->count++] = (struct member_step){ .kind = MEMBER_AWAIT, .id = m->id };
    out->items[out->count++] =
        (struct member_step){ .kind = MEMBER_PROMOTE, .id = m->id };
}

static enum rc check_empty(const struct joining *j, struct err *e)
{
    if (!recover_exists(j->h->member.data_dir))
        return RC_OK;
    return err_set(
        e, RC_REFUSED,
        "'%s' is there, and the new cluster does not know this member: it is "
        "of an earlier try" HINT
        "move it away, see that etcd is stopped, and run the same command again",
        j->h->member.data_dir);
}

static enum rc plan_of(const struct joining *j, struct member_plan *out, struct err *e)
{
    const struct wire_member *m = membership_at(&j->look, &j->who.peer_urls);

    if (m != NULL) {
        if (m->is_learner)
            rest_of(m, out);
        return start_here(j, &j->look, e);
    }
    TRY(check_empty(j, e));
    TRY(member_plan_add(&j->look.table, false, out, e));
    return membership_may_add(&j->look, 0, e);
}

static enum rc run(struct joining *j, struct err *e)
{
    AT_END(membership_run_clear)
    struct membership_run r = { .access = &j->k.access,
                                .fresh = &j->who,
                                .fresh_count = 1,
                                .wait_ms = j->h->args->wait_ms,
                                .announce = announce,
                                .arg = j };
    struct care_journal none = { 0 };
    struct member_plan plan = { .count = 0 };

    TRY(plan_of(j, &plan, e));
    r.journal = &none;
    return plan.count == 0 ? RC_OK : membership_run(&r, &j->look, &plan, e);
}

enum rc recovery_join(struct recovery_host *h, struct err *e)
{
    AT_END(joining_clear) struct joining j = { .h = h };

    TRY(begin(&j, e));
    return run(&j, e);
}
