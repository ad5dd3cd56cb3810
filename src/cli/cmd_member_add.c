#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/change.h"
#include "cli/commands.h"
#include "util/mem.h"

struct add_args {
    const char *name; /* of the new one, or of the one to be replaced */
    const char *with;
    struct str_list with_many, peer_urls;
    uint64_t to;
    bool learner;
    struct change_new_args start;
};

enum { NEW_MAX = 9 };

/* Those that are to be added, as parsed. */
struct crowd {
    struct membership_new items[NEW_MAX];
    char *names[NEW_MAX];
    size_t count;
};

static void crowd_clear(struct crowd *c)
{
    for (size_t i = 0; i < NEW_MAX; i++) {
        mem_free(c->names[i]);
        str_list_clear(&c->items[i].peer_urls);
    }
}

static enum rc crowd_add(struct crowd *c, const char *text, struct err *e)
{
    size_t i = c->count;

    if (i == NEW_MAX)
        return err_set(e, RC_USAGE, "more than %d new members", NEW_MAX);
    TRY(membership_parse_new(text, &c->names[i], &c->items[i].peer_urls, e));
    c->items[i].name = c->names[i];
    c->count++;
    return RC_OK;
}

/* Two members of one name or address cannot both be in --initial-cluster. `leaving` is
 * the one that makes room, or 0. */
static enum rc check_new(const struct membership_look *l, const struct membership_new *n,
                         uint64_t leaving, struct err *e)
{
    const struct wire_member *at = membership_at(l, &n->peer_urls);

    for (size_t i = 0; i < n->peer_urls.count; i++)
        TRY(membership_check_url(n->peer_urls.items[i], e));
    if (at != NULL && at->id != leaving)
        return err_set(e, RC_REFUSED,
                       "the peer address %s is already that of member %" PRIx64,
                       n->peer_urls.items[0], at->id);
    for (size_t i = 0; i < l->list.count; i++)
        if (strcmp(l->list.items[i].name, n->name) == 0 && l->list.items[i].id != leaving)
            return err_set(e, RC_REFUSED, "there is a member called '%s' already",
                           n->name);
    return RC_OK;
}

/* ---- add ----------------------------------------------------------------- */

static const struct operand add_operands[] = {
    OPERAND("NAME", add_args, name, .required = true,
            .help = "what the new member will be called"),
    OPERAND_DONE,
};

/* clang-format off */
static const struct opt add_opts[] = {
    OPT(CSV, "peer-urls", add_args, peer_urls, .arg = "URL,...", .required = true,
        .help = "where the other members will reach it"),
    OPT(FLAG, "learner", add_args, learner,
        .help = "it stays a learner; nothing is waited for"),
    OPT(STR, "client-url", add_args, start.client_url, .arg = "URL",
        .help = "its client address; else its peer address's host at port 2379"),
    CHANGE_START_OPTS(add_args, start),
    OPT_DONE,
};
/* clang-format on */

static enum rc plan_add(struct change *h, const struct add_args *a,
                        const struct membership_new *who, struct err *e)
{
    TRY(member_plan_add(&h->look.table, a->learner, &h->plan, e));
    TRY(membership_may_add(&h->look, 0, e));
    return check_new(&h->look, who, 0, e);
}

static enum rc add(struct cli *c, const void *args, struct err *e)
{
    const struct add_args *a = args;
    AT_END(change_clear) struct change h = { .cli = NULL };
    struct membership_new who = { .name = a->name, .peer_urls = a->peer_urls };
    const struct change_job job = { .kind = "member add",
                                    .word = "the new member's name",
                                    .is = a->name,
                                    .what = "add it",
                                    .fresh = &who,
                                    .fresh_count = 1,
                                    .with = &a->start };

    TRY(change_begin(&h, c, e));
    TRY(plan_add(&h, a, &who, e));
    return change_carry_out(&h, &job, e);
}

#define SHOWN                                                                           \
    "What starts the new member on its host is shown when the cluster knows it: the "   \
    "flags, an environment file, a systemd unit or a kubeadm static pod (--start-as), " \
    "on stderr."

const struct command cmd_member_add = {
    .name = "member add",
    .summary = "add a member: as a learner, then promoted",
    .description =
        "Adds the member as a learner, which does not count for the quorum, waits until "
        "it runs and has caught up, and promotes it. When it does not come within --wait "
        "it is taken out again, and the cluster is what it was. Refused while a voter is "
        "down, and while an earlier member was never started.\n\n" SHOWN,
    .examples = "holdfast member add m3 --peer-urls https://10.0.0.4:2380\n",
    .operands = add_operands,
    .opts = add_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_DRY_RUN | CLI_YES | CLI_STATE,
    .args_size = sizeof(struct add_args),
    .run = add,
};

/* ---- replace ------------------------------------------------------------- */

static const struct operand replace_operands[] = {
    OPERAND("MEMBER", add_args, name, .required = true,
            .help = "name or id of the one that goes"),
    OPERAND_DONE,
};

/* clang-format off */
static const struct opt replace_opts[] = {
    OPT(STR, "with", add_args, with, .arg = "NAME=PEERURL", .required = true,
        .help = "the one that comes"),
    CHANGE_BACKUP_OPTS(add_args, start),
    OPT(STR, "client-url", add_args, start.client_url, .arg = "URL",
        .help = "its client address; else its peer address's host at port 2379"),
    CHANGE_START_OPTS(add_args, start),
    OPT_DONE,
};
/* clang-format on */

/* Only when the old one goes first can the new one have its name or address. */
static bool goes_first(const struct member_plan *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->items[i].kind == MEMBER_REMOVE || p->items[i].kind == MEMBER_ADD_LEARNER)
            return p->items[i].kind == MEMBER_REMOVE;
    return false;
}

static enum rc plan_replace(struct change *h, const struct add_args *a,
                            const struct membership_new *who, struct err *e)
{
    uint64_t id;
    bool first;

    TRY(membership_find(&h->look, a->name, &id, e));
    TRY(member_plan_replace(&h->look.table, id, &h->plan, e));
    first = goes_first(&h->plan);
    TRY(membership_may_add(&h->look, first ? id : 0, e));
    TRY(check_new(&h->look, who, first ? id : 0, e));
    return change_check_backup(h, &a->start, e);
}

static enum rc replace(struct cli *c, const void *args, struct err *e)
{
    const struct add_args *a = args;
    AT_END(change_clear) struct change h = { .cli = NULL };
    AT_END(crowd_clear) struct crowd crowd = { .count = 0 };
    const struct change_job job = { .kind = "member replace",
                                    .word = "the name of the member that goes",
                                    .is = a->name,
                                    .what = "replace it",
                                    .fresh = crowd.items,
                                    .fresh_count = 1,
                                    .with = &a->start };

    TRY(crowd_add(&crowd, a->with, e));
    TRY(change_begin(&h, c, e));
    TRY(plan_replace(&h, a, &crowd.items[0], e));
    return change_carry_out(&h, &job, e);
}

const struct command cmd_member_replace = {
    .name = "member replace",
    .summary = "put a new member in the place of a dead or damaged one",
    .description =
        "Takes a snapshot, removes the member, adds another as a learner, waits until it "
        "runs and has caught up, promotes it, and compares what all voters hold. Where "
        "the cluster cannot do without the member meanwhile, the new one comes first. "
        "The new one may have the old one's name and address, with an empty data "
        "directory.\n\n" SHOWN
        "\n\nA learner that does not come within --wait is taken out again; a member "
        "that was removed stays removed. Exit status 8: done, but the voters were not "
        "found equal.",
    .examples = "# m2's disk is gone, 10.0.0.4 takes its place\n"
                "holdfast member replace m2 --with m3=https://10.0.0.4:2380 \\\n"
                "    --backup before.db.zst\n",
    .operands = replace_operands,
    .opts = replace_opts,
    .uses =
        CLI_CONNECTION | CLI_OUTPUT | CLI_PROGRESS | CLI_DRY_RUN | CLI_YES | CLI_STATE,
    .args_size = sizeof(struct add_args),
    .run = replace,
};

/* ---- grow ---------------------------------------------------------------- */

/* clang-format off */
static const struct opt grow_opts[] = {
    OPT(U64, "to", add_args, to, .arg = "VOTERS", .required = true,
        .help = "how many voters there shall be: 3 or 5"),
    OPT(LIST, "with", add_args, with_many, .arg = "NAME=PEERURL", .required = true,
        .help = "one that comes; once for each"),
    CHANGE_BACKUP_OPTS(add_args, start),
    CHANGE_START_OPTS(add_args, start),
    OPT_DONE,
};
/* clang-format on */

static enum rc gather(const struct add_args *a, struct crowd *crowd, struct err *e)
{
    for (size_t i = 0; i < a->with_many.count; i++)
        TRY(crowd_add(crowd, a->with_many.items[i], e));
    for (size_t i = 0; i < crowd->count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(crowd->names[i], crowd->names[k]) == 0 ||
                str_list_has(&crowd->items[k].peer_urls,
                             crowd->items[i].peer_urls.items[0]))
                return err_set(e, RC_USAGE, "'%s' and '%s' are one member",
                               a->with_many.items[k], a->with_many.items[i]);
    return RC_OK;
}

static enum rc plan_grow(struct change *h, const struct add_args *a,
                         const struct crowd *crowd, struct err *e)
{
    size_t voters = member_quorum(&h->look.table).voters;

    TRY(member_plan_grow(&h->look.table, a->to, &h->plan, e));
    if (voters + crowd->count != a->to)
        return err_set(e, RC_USAGE,
                       "from %zu voters to %" PRIu64 " it takes %" PRIu64
                       " new ones, and --with names %zu",
                       voters, a->to, a->to - voters, crowd->count);
    for (size_t i = 0; i < crowd->count; i++)
        TRY(check_new(&h->look, &crowd->items[i], 0, e));
    return change_check_backup(h, &a->start, e);
}

static enum rc grow(struct cli *c, const void *args, struct err *e)
{
    const struct add_args *a = args;
    AT_END(change_clear) struct change h = { .cli = NULL };
    AT_END(crowd_clear) struct crowd crowd = { .count = 0 };
    struct change_job job = { .kind = "member grow",
                              .what = "let it grow",
                              .fresh = crowd.items,
                              .with = &a->start };

    TRY(gather(a, &crowd, e));
    job.fresh_count = crowd.count;
    TRY(change_begin(&h, c, e));
    TRY(plan_grow(&h, a, &crowd, e));
    return change_carry_out(&h, &job, e);
}

const struct command cmd_member_grow = {
    .name = "member grow",
    .summary = "from one or two voters to three, from three to five",
    .description =
        "Takes a snapshot, then adds one member at a time: as a learner, waited for, "
        "promoted; and compares what all voters hold in the end. Refused while a voter "
        "is down.\n\n" SHOWN
        "\n\nWhen one does not come within --wait it is taken out again; those that came "
        "before it stay. The cluster's id must be typed unless --yes.",
    .examples = "holdfast member grow --to 3 --with m1=https://10.0.0.2:2380 \\\n"
                "    --with m2=https://10.0.0.3:2380 --backup before.db.zst\n",
    .opts = grow_opts,
    .uses =
        CLI_CONNECTION | CLI_OUTPUT | CLI_PROGRESS | CLI_DRY_RUN | CLI_YES | CLI_STATE,
    .args_size = sizeof(struct add_args),
    .run = grow,
};
