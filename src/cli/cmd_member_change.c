#include <stdio.h>
#include <string.h>

#include "cli/change.h"
#include "cli/commands.h"

struct one_args {
    const char *member;
    struct str_list peer_urls;
};

#define MEMBER_OPERAND(what_help) \
    OPERAND("MEMBER", one_args, member, .required = true, .help = what_help)

/* What is typed to confirm is what was typed to name it, checked against the list. */
static enum rc carry_out(struct change *h, const struct one_args *a, const char *kind,
                         const char *what, struct err *e)
{
    const struct change_job job = { .kind = kind,
                                    .word = "the member's name",
                                    .is = a->member,
                                    .what = what,
                                    .peer_urls = &a->peer_urls };

    return change_carry_out(h, &job, e);
}

/* ---- remove -------------------------------------------------------------- */

static const struct operand remove_operands[] = {
    MEMBER_OPERAND("its name, or its id as `member list` shows it"),
    OPERAND_DONE,
};

static enum rc remove_one(struct cli *c, const void *args, struct err *e)
{
    const struct one_args *a = args;
    AT_END(change_clear) struct change h = { .cli = NULL };
    uint64_t id;

    TRY(change_begin(&h, c, e));
    TRY(membership_find(&h.look, a->member, &id, e));
    TRY(member_plan_remove(&h.look.table, id, &h.plan, e));
    return carry_out(&h, a, "member remove", "remove it", e);
}

const struct command cmd_member_remove = {
    .name = "member remove",
    .summary = "take a member out, if the cluster can do without it",
    .description =
        "Removes a member when those that are left have a quorum of voters that take "
        "part, as seen now by a linearizable read at each of them; etcd itself only "
        "looks at who is connected. Leadership is moved away first. The member's server "
        "ends itself, and its data directory must not be used again.\n\n"
        "The plan is shown, and the member's name must be typed unless --yes. Before the "
        "step everything is looked at again. Exit status 5: refused, with what to do "
        "instead.",
    .examples = "# what would it do?\n"
                "holdfast member remove m2 --dry-run --endpoints 10.0.0.1:2379\n",
    .operands = remove_operands,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_DRY_RUN | CLI_YES | CLI_STATE,
    .args_size = sizeof(struct one_args),
    .run = remove_one,
};

/* ---- promote ------------------------------------------------------------- */

static const struct operand promote_operands[] = {
    MEMBER_OPERAND("the learner's name or id"),
    OPERAND_DONE,
};

static enum rc promote(struct cli *c, const void *args, struct err *e)
{
    const struct one_args *a = args;
    AT_END(change_clear) struct change h = { .cli = NULL };
    uint64_t id;

    TRY(change_begin(&h, c, e));
    TRY(membership_find(&h.look, a->member, &id, e));
    TRY(member_plan_promote(&h.look.table, id, &h.plan, e));
    return carry_out(&h, a, "member promote", "promote it", e);
}

const struct command cmd_member_promote = {
    .name = "member promote",
    .summary = "make a learner a voter, when it has caught up",
    .description =
        "Promotes a learner that answers and has applied what the others have. One that "
        "is behind is refused: it would count for the quorum and not help.",
    .examples = "holdfast member promote m3 --endpoints 10.0.0.1:2379\n",
    .operands = promote_operands,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_DRY_RUN | CLI_YES | CLI_STATE,
    .args_size = sizeof(struct one_args),
    .run = promote,
};

/* ---- update -------------------------------------------------------------- */

static const struct operand update_operands[] = {
    MEMBER_OPERAND("its name or id"),
    OPERAND_DONE,
};

/* clang-format off */
static const struct opt update_opts[] = {
    OPT(CSV, "peer-urls", one_args, peer_urls, .arg = "URL,...", .required = true,
        .help = "where the other members reach it"),
    OPT_DONE,
};
/* clang-format on */

static enum rc check_urls(const struct membership_look *l, const struct one_args *a,
                          uint64_t id, struct err *e)
{
    const struct wire_member *m = membership_at(l, &a->peer_urls);

    for (size_t i = 0; i < a->peer_urls.count; i++)
        TRY(membership_check_url(a->peer_urls.items[i], e));
    if (m != NULL && m->id != id)
        return err_set(e, RC_REFUSED, "another member, '%s', has such a peer address",
                       member_seat_of(&l->table, m->id)->name);
    return RC_OK;
}

static enum rc update(struct cli *c, const void *args, struct err *e)
{
    const struct one_args *a = args;
    AT_END(change_clear) struct change h = { .cli = NULL };
    uint64_t id;

    TRY(change_begin(&h, c, e));
    TRY(membership_find(&h.look, a->member, &id, e));
    TRY(check_urls(&h.look, a, id, e));
    TRY(member_plan_update(&h.look.table, id, &h.plan, e));
    return carry_out(&h, a, "member update", "change its peer addresses", e);
}

const struct command cmd_member_update = {
    .name = "member update",
    .summary = "tell the cluster a member's new peer addresses",
    .description =
        "Changes where the other members look for this one. Do it before the member "
        "moves; it needs a quorum. Its own --initial-advertise-peer-urls has no effect "
        "once it has data, its --listen-peer-urls must fit.",
    .examples = "holdfast member update m2 --peer-urls https://10.0.0.12:2380\n",
    .operands = update_operands,
    .opts = update_opts,
    .uses = CLI_CONNECTION | CLI_OUTPUT | CLI_DRY_RUN | CLI_YES | CLI_STATE,
    .args_size = sizeof(struct one_args),
    .run = update,
};
