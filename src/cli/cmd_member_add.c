#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/change.h"
#include "cli/commands.h"
#include "util/mem.h"

struct add_args {
    const char *name; /* of the new one, or of the one to be replaced */
    const char *with;
    struct str_list with_many, peer_urls, client_urls;
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
    if (n->client_url != NULL)
        TRY(membership_check_url(n->client_url, e));
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

/* The one that comes may be there already: at its address, and unnamed until it has
 * started. */
static uint64_t come_already(const struct membership_look *l,
                             const struct membership_new *who, uint64_t old)
{
    const struct wire_member *m = membership_at(l, &who->peer_urls);

    if (m == NULL || m->id == old)
        return 0;
    return m->name[0] == '\0' || strcmp(m->name, who->name) == 0 ? m->id : 0;
}

static uint64_t learner_or_none(const struct membership_look *l, uint64_t id)
{
    const struct member_seat *s = member_seat_of(&l->table, id);

    return s != NULL && s->learner ? id : 0;
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

/* A learner of that name at that address is what an earlier run left. */
static enum rc plan_add(struct change *h, const struct add_args *a,
                        struct change_job *job, struct err *e)
{
    const struct membership_new *who = &job->fresh[0];

    job->adopted = learner_or_none(&h->look, come_already(&h->look, who, 0));
    if (job->adopted != 0 && !a->learner)
        return member_plan_add_rest(&h->look.table, job->adopted, &h->plan, e);
    TRY(member_plan_add(&h->look.table, a->learner, &h->plan, e));
    TRY(membership_may_add(&h->look, 0, e));
    return check_new(&h->look, who, 0, e);
}

static enum rc add(struct cli *c, const void *args, struct err *e)
{
    const struct add_args *a = args;
    AT_END(change_clear) struct change h = { .cli = NULL };
    struct membership_new who = { .name = a->name,
                                  .peer_urls = a->peer_urls,
                                  .client_url = a->start.client_url };
    struct change_job job = { .kind = "member add",
                              .word = "the new member's name",
                              .is = a->name,
                              .what = "add it",
                              .detail = a->name,
                              .fresh = &who,
                              .fresh_count = 1,
                              .with = &a->start };

    TRY(change_begin(&h, c, e));
    TRY(plan_add(&h, a, &job, e));
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
        "down, and while an earlier member was never started, unless that is this one: "
        "given again after it broke off, the command goes on.\n\n" SHOWN,
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

/* Who goes; 0 when it is gone. Its name may be the new one's, too: then the journal tells
 * them apart. */
static enum rc find_old(struct change *h, const char *name,
                        const struct membership_new *who, uint64_t *out, struct err *e)
{
    const struct membership_look *l = &h->look;
    struct err why = { 0 };
    uint64_t id = 0;
    enum rc rc = membership_find(l, name, &id, &why);

    if (rc == RC_OK && h->past.found && id != h->past.id)
        h->past.found = come_already(l, who, 0) == id;
    if (h->past.found)
        id = membership_of(l, h->past.id) == NULL ? 0 : h->past.id;
    else if (rc != RC_OK && (rc != RC_NOTFOUND || come_already(l, who, 0) == 0)) {
        *e = why;
        return rc;
    }
    *out = id;
    return RC_OK;
}

static enum rc plan_all(struct change *h, uint64_t id, const struct membership_new *who,
                        struct err *e)
{
    bool first;

    TRY(member_plan_replace(&h->look.table, id, &h->plan, e));
    first = goes_first(&h->plan);
    TRY(membership_may_add(&h->look, first ? id : 0, e));
    return check_new(&h->look, who, first ? id : 0, e);
}

static enum rc plan_rest(struct change *h, uint64_t old, uint64_t fresh,
                         const struct membership_new *who, struct err *e)
{
    TRY(member_plan_replace_rest(&h->look.table, old, fresh, h->past.learner, &h->plan,
                                 e));
    if (fresh != 0)
        return RC_OK;
    TRY(membership_may_add(&h->look, 0, e));
    return check_new(&h->look, who, 0, e);
}

static enum rc plan_replace(struct change *h, const struct add_args *a,
                            struct change_job *job, char **detail, struct err *e)
{
    AT_END(mem_end) char *words = NULL;
    uint64_t old, fresh;

    TRY(str_format(&words, e, "%s gives way to %s: ", a->name, a->with));
    TRY(change_recall(h, job->kind, words, e));
    TRY(find_old(h, a->name, &job->fresh[0], &old, e));
    fresh = come_already(&h->look, &job->fresh[0], old);
    job->adopted = learner_or_none(&h->look, fresh);
    if (old != 0 && fresh == 0)
        TRY(plan_all(h, old, &job->fresh[0], e));
    else
        TRY(plan_rest(h, old, fresh, &job->fresh[0], e));
    TRY(change_check_backup(h, &a->start, e));
    return resume_detail(words, old == 0 ? h->past.id : old,
                         old == 0 ? h->past.learner : learner_or_none(&h->look, old) != 0,
                         detail, e);
}

static enum rc replace(struct cli *c, const void *args, struct err *e)
{
    const struct add_args *a = args;
    AT_END(change_clear) struct change h = { .cli = NULL };
    AT_END(crowd_clear) struct crowd crowd = { .count = 0 };
    AT_END(mem_end) char *detail = NULL;
    struct change_job job = { .kind = "member replace",
                              .word = "the name of the member that goes",
                              .is = a->name,
                              .what = "replace it",
                              .fresh = crowd.items,
                              .fresh_count = 1,
                              .with = &a->start };

    TRY(crowd_add(&crowd, a->with, e));
    crowd.items[0].client_url = a->start.client_url;
    TRY(change_begin(&h, c, e));
    TRY(plan_replace(&h, a, &job, &detail, e));
    job.detail = detail;
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
    OPT(LIST, "client-url", add_args, client_urls, .arg = "NAME=URL",
        .help = "its client address; else its peer address's host at port 2379"),
    CHANGE_BACKUP_OPTS(add_args, start),
    CHANGE_START_OPTS(add_args, start),
    OPT_DONE,
};
/* clang-format on */

/* "NAME=URL" of one of them. The text outlives them. */
static enum rc crowd_client(struct crowd *c, const char *text, struct err *e)
{
    const char *equals = strchr(text, '=');

    for (size_t i = 0; equals != NULL && i < c->count; i++)
        if (bytes_is((struct bytes){ (const uint8_t *)text, (size_t)(equals - text) },
                     c->names[i])) {
            c->items[i].client_url = equals + 1;
            return membership_check_url(equals + 1, e);
        }
    return err_set(e, RC_USAGE,
                   "'%s' is of no member that comes" HINT
                   "it looks like m1=https://10.0.0.2:2379, with the name in --with",
                   text);
}

static enum rc gather(const struct add_args *a, struct crowd *crowd, struct err *e)
{
    for (size_t i = 0; i < a->with_many.count; i++)
        TRY(crowd_add(crowd, a->with_many.items[i], e));
    for (size_t i = 0; i < a->client_urls.count; i++)
        TRY(crowd_client(crowd, a->client_urls.items[i], e));
    for (size_t i = 0; i < crowd->count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(crowd->names[i], crowd->names[k]) == 0 ||
                str_list_has(&crowd->items[k].peer_urls,
                             crowd->items[i].peer_urls.items[0]))
                return err_set(e, RC_USAGE, "'%s' and '%s' are one member",
                               a->with_many.items[k], a->with_many.items[i]);
    return RC_OK;
}

/* In the order in which they are still to come; those that vote already are left out. */
static size_t still_to_come(const struct change *h, const struct crowd *crowd,
                            struct membership_new to_come[static NEW_MAX],
                            uint64_t *learner)
{
    size_t n = 0;

    *learner = 0;
    for (size_t i = 0; i < crowd->count; i++) {
        uint64_t id = come_already(&h->look, &crowd->items[i], 0);

        if (id != 0 && learner_or_none(&h->look, id) == 0)
            continue;
        memmove(&to_come[id != 0], &to_come[0], n * sizeof *to_come);
        to_come[id != 0 ? 0 : n] = crowd->items[i];
        *learner = id != 0 ? id : *learner;
        n++;
    }
    return n;
}

static enum rc plan_growth(struct change *h, const struct add_args *a,
                           const struct change_job *job, struct err *e)
{
    size_t voters = member_quorum(&h->look.table).voters;

    if (job->fresh_count == a->with_many.count && job->adopted == 0)
        TRY(member_plan_grow(&h->look.table, a->to, &h->plan, e));
    else
        TRY(member_plan_grow_rest(&h->look.table, a->to, job->adopted, &h->plan, e));
    if (voters + job->fresh_count != a->to)
        return err_set(e, RC_USAGE,
                       "from %zu voters to %" PRIu64 " it takes %" PRIu64
                       " new ones, and --with names %zu",
                       voters, a->to, a->to - voters, job->fresh_count);
    for (size_t i = job->adopted != 0; i < job->fresh_count; i++)
        TRY(check_new(&h->look, &job->fresh[i], 0, e));
    return change_check_backup(h, &a->start, e);
}

static enum rc growth_words(const struct add_args *a, struct buf *out, struct err *e)
{
    char to[32];

    snprintf(to, sizeof to, "grow to %" PRIu64 ":", a->to);
    TRY(buf_add(out, to, strlen(to), e));
    for (size_t i = 0; i < a->with_many.count; i++) {
        TRY(buf_add(out, " ", 1, e));
        TRY(buf_add(out, a->with_many.items[i], strlen(a->with_many.items[i]), e));
    }
    return buf_add(out, "", 1, e);
}

static enum rc grow(struct cli *c, const void *args, struct err *e)
{
    const struct add_args *a = args;
    AT_END(change_clear) struct change h = { .cli = NULL };
    AT_END(crowd_clear) struct crowd crowd = { .count = 0 };
    AT_END(buf_clear) struct buf words = { .cap_max = 1 << 16 };
    struct membership_new to_come[NEW_MAX];
    struct change_job job = {
        .kind = "member grow", .what = "let it grow", .fresh = to_come, .with = &a->start
    };

    TRY(gather(a, &crowd, e));
    TRY(growth_words(a, &words, e));
    job.detail = (const char *)words.p;
    TRY(change_begin(&h, c, e));
    TRY(change_recall(&h, job.kind, job.detail, e));
    job.fresh_count = still_to_come(&h, &crowd, to_come, &job.adopted);
    TRY(plan_growth(&h, a, &job, e));
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
        "before it stay, and the same command goes on with the rest. The cluster's id "
        "must be typed unless --yes.",
    .examples = "holdfast member grow --to 3 --with m1=https://10.0.0.2:2380 \\\n"
                "    --with m2=https://10.0.0.3:2380 --backup before.db.zst\n",
    .opts = grow_opts,
    .uses =
        CLI_CONNECTION | CLI_OUTPUT | CLI_PROGRESS | CLI_DRY_RUN | CLI_YES | CLI_STATE,
    .args_size = sizeof(struct add_args),
    .run = grow,
};
