/* A plan as steps, host by host. What recover --apply does, and how a person would do it
 * by hand; k3s and RKE2 only by their own commands. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/k3s.h"
#include "recover/kubernetes.h"
#include "recover/plan.h"
#include "util/mem.h"

const char *recover_step_name(enum recover_step_kind k)
{
    static const char *const names[] = { "bring",   "stop", "export", "build", "aside",
                                         "publish", "join", "start",  "check", "after" };

    return names[k];
}

void recover_steps_clear(struct recover_steps *s)
{
    for (size_t i = 0; i < s->count; i++) {
        mem_free(s->items[i].host);
        mem_free(s->items[i].action);
        mem_free(s->items[i].command);
        mem_free(s->items[i].check);
        mem_free(s->items[i].undo);
    }
    mem_free(s->items);
    *s = (struct recover_steps){ 0 };
}

/* While the steps are put together. */
struct maker {
    const struct recover_plan *p;
    const char *plan; /* the file */
    struct recover_steps *to;
    const struct restore_member *m; /* whose host it is */
};

static enum rc add(struct maker *k, enum recover_step_kind kind, const char *action,
                   const char *check, const char *undo, struct err *e)
{
    struct recover_steps *l = k->to;
    struct recover_step *more = mem_resize(l->items, l->count + 1, sizeof *more);

    if (more == NULL)
        return err_set(e, RC_NOMEM, "no memory for a step");
    l->items = more;
    more[l->count] = (struct recover_step){ .kind = kind };
    more = &more[l->count++];
    more->host = mem_str(k->m->name);
    more->action = mem_str(action);
    more->check = mem_str(check);
    more->undo = mem_str(undo);
    if (more->host == NULL || more->action == NULL || more->check == NULL ||
        more->undo == NULL)
        return err_set(e, RC_NOMEM, "no memory for a step");
    return RC_OK;
}

/* Of the step that was added last. */
#define COMMAND(k, e, ...) \
    str_format(&(k)->to->items[(k)->to->count - 1].command, e, __VA_ARGS__)

/* "https://[::1]:2380" without scheme and port. */
static void host_of(const struct restore_member *m, char out[static 260])
{
    const char *url = m->peer_urls.items[0];
    const char *begin = strstr(url, "://"), *end;

    begin = begin == NULL ? url : begin + 3;
    end = strrchr(begin, ':');
    snprintf(out, 260, "%.*s", (int)(end == NULL ? strlen(begin) : (size_t)(end - begin)),
             begin);
}

/* Where the first host serves clients, as far as the old cluster tells. */
static const char *first_client(const struct recover_plan *p)
{
    const char *name = recover_plan_first(p)->name;

    for (size_t i = 0; i < p->old_count; i++)
        if (strcmp(p->old[i].name, name) == 0 && p->old[i].client_urls.count > 0)
            return p->old[i].client_urls.items[0];
    return "URL";
}

/* ---- stop and start -----------------------------------------------------------------
 */

static const char *stop_command(enum host_layout l)
{
    switch (l) {
    case HOST_SYSTEMD:
        return "systemctl stop etcd";
    case HOST_STATIC_POD:
        return "mkdir -p /etc/kubernetes/holdfast-parked && mv "
               "/etc/kubernetes/manifests/etcd.yaml "
               "/etc/kubernetes/manifests/kube-apiserver.yaml "
               "/etc/kubernetes/holdfast-parked/";
    case HOST_ANY:
    case HOST_PLAIN:
    case HOST_K3S:
    case HOST_RKE2:
        break;
    }
    return "stop etcd, and see that nothing starts it again";
}

static const char *start_command(enum host_layout l)
{
    switch (l) {
    case HOST_SYSTEMD:
        return "systemctl start --no-block etcd";
    case HOST_STATIC_POD:
        return "mv /etc/kubernetes/holdfast-parked/*.yaml /etc/kubernetes/manifests/";
    case HOST_ANY:
    case HOST_PLAIN:
    case HOST_K3S:
    case HOST_RKE2:
        break;
    }
    return "start etcd as it was started before";
}

static enum rc stop(struct maker *k, struct err *e)
{
    TRY(add(k, RECOVER_STEP_STOP,
            k->p->layout == HOST_STATIC_POD ? "stop etcd and the API server"
                                            : "stop etcd",
            "no process has the data directory open",
            "start it again as it was started before", e));
    return COMMAND(k, e, "%s", stop_command(k->p->layout));
}

static enum rc start(struct maker *k, struct err *e)
{
    TRY(add(k, RECOVER_STEP_START, "start etcd on the new data directory",
            "a process has the new database open", "stop it", e));
    return COMMAND(k, e, "%s", start_command(k->p->layout));
}

/* ---- the data directory -------------------------------------------------------------
 */

static enum rc bring(struct maker *k, struct err *e)
{
    const struct recover_plan *p = k->p;
    bool file = recover_plan_builds(p, k->m->name);
    char host[260], hex[2 * SHA256_SIZE + 1], check[400];

    host_of(k->m, host);
    str_hex(hex, p->source.sha256, SHA256_SIZE);
    snprintf(check, sizeof check, "sha256sum on %s says %s", host, hex);
    TRY(add(k, RECOVER_STEP_BRING,
            file ? "copy the plan and the source to the host"
                 : "copy the plan to the host",
            file ? check : "the plan is there", "remove them there", e));
    return COMMAND(k, e, "scp %s%s%s %s:", k->plan, file ? " " : "",
                   file ? p->source.file : "", host);
}

static enum rc export(struct maker *k, struct err *e) {
    TRY(add(k, RECOVER_STEP_EXPORT,
            "take what the stopped member holds, its log applied, as the source",
            "the command ends with exit status 0", "remove the file", e));
    return COMMAND(k, e, "holdfast snapshot from-data-dir %s -o %s.recovery-%s/source.db",
                   k->p->data_dir, k->p->data_dir, k->p->id);
}

static enum rc build(struct maker *k, struct err *e)
{
    const struct recover_plan *p = k->p;
    const char *alone = p->shape == RECOVER_RE_BOOTSTRAP ? k->m->name : NULL;
    AT_END(mem_end) char *initial = NULL;
    AT_END(mem_end) char *source = NULL;

    if (p->source.live)
        TRY(str_format(&source, e, "%s.recovery-%s/source.db", p->data_dir, p->id));
    else
        TRY(str_format(&source, e, "%s", p->source.file));
    TRY(recover_plan_initial(p, alone, &initial, e));
    TRY(add(k, RECOVER_STEP_BUILD,
            "build the new data directory beside the old one, and prove it",
            "the command ends with exit status 0; nothing has changed for etcd yet",
            "remove what was built", e));
    return COMMAND(k, e,
                   "holdfast restore %s --name %s --initial-cluster %s "
                   "--initial-cluster-token %s --bump-revision %" PRId64
                   "%s --data-dir %s.recovery-%s/new",
                   source, k->m->name, initial, p->token, p->bump.by,
                   p->bump.mark_compacted ? " --mark-compacted" : "", p->data_dir, p->id);
}

static enum rc aside(struct maker *k, struct err *e)
{
    const struct recover_plan *p = k->p;

    TRY(add(k, RECOVER_STEP_ASIDE,
            "move the old data directory aside; nothing is deleted",
            "the old directory is there, under its new name", "move it back", e));
    return COMMAND(k, e, "mv %s %s.before-%s", p->data_dir, p->data_dir, p->id);
}

static enum rc publish(struct maker *k, struct err *e)
{
    const struct recover_plan *p = k->p;

    TRY(add(k, RECOVER_STEP_PUBLISH, "give the new data directory its name",
            "it holds member/snap/db and member/wal", "move it away again", e));
    return COMMAND(k, e, "mv %s.recovery-%s/new %s", p->data_dir, p->id, p->data_dir);
}

/* ---- in the cluster -----------------------------------------------------------------
 */

static enum rc join(struct maker *k, struct err *e)
{
    TRY(add(k, RECOVER_STEP_JOIN,
            "add it as a learner, start it with an empty data directory as a member that "
            "joins, and promote it when it has caught up",
            "`holdfast member list` shows it as a voter",
            "`holdfast member remove`; it leaves the others as they were", e));
    return COMMAND(k, e, "holdfast member add %s --peer-urls %s --endpoints %s",
                   k->m->name, k->m->peer_urls.items[0], first_client(k->p));
}

static enum rc check(struct maker *k, struct err *e)
{
    char text[300];

    snprintf(text, sizeof text,
             "cluster id %" PRIx64 ", revision %" PRId64
             " or more, and all voters with the same HashKV",
             k->p->cluster_id, k->p->bump.revision);
    TRY(add(k, RECOVER_STEP_CHECK, "wait until it serves, and compare", text,
            "holdfast recover --rollback, as long as nothing was written", e));
    return COMMAND(k, e, "holdfast hash");
}

static enum rc builds(struct maker *k, struct err *e)
{
    TRY(stop(k, e));
    if (k->p->source.live)
        TRY(export(k, e));
    TRY(build(k, e));
    TRY(aside(k, e));
    TRY(publish(k, e));
    TRY(start(k, e));
    return check(k, e);
}

static enum rc joins(struct maker *k, struct err *e)
{
    TRY(stop(k, e));
    TRY(aside(k, e));
    TRY(join(k, e));
    return check(k, e);
}

/* ---- where somebody else owns the etcd ----------------------------------------------
 */

static enum rc theirs(struct maker *k, enum host_need need, enum recover_step_kind kind,
                      const char *action, struct err *e)
{
    const struct host_member m = { .layout = k->p->layout,
                                   .name = k->m->name,
                                   .data_dir = k->p->data_dir };
    AT_END(str_list_clear) struct str_list lines = { 0 };

    TRY(host_k3s_commands(&m, need, k->p->source.file, &lines, e));
    for (size_t i = 0; i < lines.count; i++) {
        if (lines.items[i][0] == '#')
            continue;
        TRY(add(k, kind, action, "the command ends with exit status 0",
                "their old data stays beside it, under a name with the time", e));
        TRY(COMMAND(k, e, "%s", lines.items[i]));
    }
    return RC_OK;
}

static enum rc own_commands(struct maker *k, bool first, struct err *e)
{
    TRY(theirs(k, HOST_TO_STOP, RECOVER_STEP_STOP, "stop the server", e));
    if (!first)
        return theirs(k, HOST_TO_REJOIN, RECOVER_STEP_JOIN,
                      "join the server that was reset, empty", e);
    TRY(theirs(k, HOST_TO_RESTORE, RECOVER_STEP_BUILD,
               "reset the server to one member, on the source", e));
    return theirs(k, HOST_TO_START, RECOVER_STEP_START, "start the server", e);
}

/* ---- the whole ----------------------------------------------------------------------
 */

static enum rc afterwards(struct maker *k, struct err *e)
{
    const struct recover_chore *chores;
    size_t count;

    if (!k->p->source.kubernetes)
        return RC_OK;
    k->m = recover_plan_first(k->p);
    chores = recover_chores(k->p->layout, &count);
    for (size_t i = 0; i < count; i++) {
        char action[200];

        snprintf(action, sizeof action, "%s (%s)", chores[i].what,
                 recover_where_name(chores[i].where));
        TRY(add(k, RECOVER_STEP_AFTER, action, chores[i].why, "none is needed", e));
        TRY(COMMAND(k, e, "%s", chores[i].command));
    }
    return RC_OK;
}

static enum rc one_host(struct maker *k, bool first, struct err *e)
{
    if (!first)
        TRY(bring(k, e));
    if (k->p->layout == HOST_K3S || k->p->layout == HOST_RKE2)
        return own_commands(k, first, e);
    return recover_plan_builds(k->p, k->m->name) ? builds(k, e) : joins(k, e);
}

enum rc recover_steps_make(const struct recover_plan *p, const char *plan,
                           struct recover_steps *out, struct err *e)
{
    AT_END(recover_steps_clear) struct recover_steps s = { 0 };
    struct maker k = { .p = p, .plan = plan, .to = &s, .m = recover_plan_first(p) };

    for (size_t i = 0; i < p->members.count; i++) {
        k.m = &p->members.items[p->order[i]];
        TRY(one_host(&k, i == 0, e));
    }
    TRY(afterwards(&k, e));
    *out = s;
    s = (struct recover_steps){ 0 };
    return RC_OK;
}
