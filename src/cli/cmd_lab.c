/* holdfast lab: up, down, and what is done to members in between. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/labs.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

/* ---- up ------------------------------------------------------------------------------
 */

struct up_args {
    const char *dir, *server;
    uint64_t members, load;
    unsigned version;
    bool tls, auth;
};

static const char *const versions[] = { "3.4", "3.5", "3.6", "3.7", NULL };

/* clang-format off */
static const struct opt up_opts[] = {
    CLI_LAB_DIR(up_args),
    OPT(U64, "members", up_args, members, .arg = "N", .fallback = "3",
        .help = "how many, 1 to 7"),
    OPT(FLAG, "tls", up_args, tls,
        .help = "a CA of its own; clients need a certificate"),
    OPT(FLAG, "auth", up_args, auth,
        .help = "a user root with a password, and authentication on"),
    OPT(U64, "load", up_args, load, .arg = "N",
        .help = "write this many keys below /registry/pods/lab/"),
    OPT(CHOICE, "etcd-version", up_args, version, .choices = versions,
        .fallback = "3.6", .help = "whose answers are given"),
    OPT(STR, "server", up_args, server, .arg = "PATH",
        .help = "the member program; else holdfast-lab beside holdfast or in the PATH"),
    OPT_DONE,
};
/* clang-format on */

static enum rc up(struct cli *c, const void *args, struct err *e)
{
    const struct up_args *a = args;
    AT_END(mem_end) char *dir = NULL;
    OWNED(lab) l = NULL;
    uint64_t began = clock_ms();
    char took[24];

    TRY(cli_lab_dir(c, a->dir, &dir, e));
    const struct lab_options o = { .dir = dir,
                                   .members = (size_t)a->members,
                                   .server = a->server,
                                   .minor = (int)a->version + 4,
                                   .tls = a->tls,
                                   .auth = a->auth,
                                   .load = a->load };

    if (lab_up(&o, &l, e) != RC_OK)
        return err_wrap(e, "making a lab in '%s'", dir);
    str_seconds(took, sizeof took, clock_ms() - began);
    log_info("%zu member%s up in '%s' after %s; 'holdfast lab down' ends it", l->count,
             l->count == 1 ? " is" : "s are", l->dir, took);
    return cli_lab_exports(c, l, e);
}

const struct command cmd_lab_up = {
    .name = "lab up",
    .summary = "start a small cluster for rehearsals",
    .description =
        "Starts members of the embedded store on loopback, each a process of its own, "
        "and prints what etcdctl and holdfast must know to talk to them: lines that a "
        "shell evaluates. They run on when the terminal closes, until `lab down`.\n\n"
        "The store answers as an etcd does, and loses its quorum as an etcd does. It is "
        "for rehearsals and tests, never for data that somebody needs.\n\n"
        "One directory holds one lab: data, logs, certificates, the password of root.",
    .examples = "# three members with some data, and a shell that knows them\n"
                "eval \"$(holdfast lab up --load 1000)\"\n"
                "holdfast status\n"
                "# lose a member, then the quorum\n"
                "holdfast lab kill leader\n"
                "holdfast lab kill leader\n"
                "holdfast lab status --probe\n"
                "holdfast lab down\n",
    .opts = up_opts,
    .uses = CLI_OUTPUT,
    .args_size = sizeof(struct up_args),
    .run = up,
};

/* ---- down ----------------------------------------------------------------------------
 */

struct dir_args {
    const char *dir;
};

/* clang-format off */
static const struct opt dir_opts[] = {
    CLI_LAB_DIR(dir_args),
    OPT_DONE,
};
/* clang-format on */

static enum rc down(struct cli *c, const void *args, struct err *e)
{
    const struct dir_args *a = args;
    OWNED(lab) l = NULL;
    bool left = false;

    TRY(cli_lab_open(c, a->dir, true, &l, e));
    TRY(lab_down(l, &left, e));
    log_info("the lab in '%s' is gone", l->dir);
    if (left)
        log_warn("'%s' holds files that no lab has made; they are still there", l->dir);
    return RC_OK;
}

const struct command cmd_lab_down = {
    .name = "lab down",
    .summary = "end a lab and remove all that it made",
    .description = "Kills every member and removes data, logs, sockets, certificates and "
                   "the password. Other files in the directory stay, and so does the "
                   "directory then.",
    .examples = "holdfast lab down\n",
    .opts = dir_opts,
    .args_size = sizeof(struct dir_args),
    .run = down,
};

/* ---- members -------------------------------------------------------------------------
 */

struct members_args {
    const char *dir;
    struct str_list members;
    bool term;
    unsigned way;
};

static enum rc choose(const struct lab *l, const struct str_list *names,
                      bool which[static LAB_MEMBERS_MAX], struct err *e)
{
    for (size_t k = 0; k < names->count; k++) {
        size_t i;

        TRY(lab_find(l, names->items[k], &i, e));
        which[i] = true;
    }
    return RC_OK;
}

static enum rc open_chosen(struct cli *c, const struct members_args *a, struct lab **l,
                           bool which[static LAB_MEMBERS_MAX], struct err *e)
{
    TRY(cli_lab_open(c, a->dir, true, l, e));
    return choose(*l, &a->members, which, e);
}

static void note(const struct lab *l, const bool *which, const char *what)
{
    for (size_t i = 0; i < l->count; i++)
        if (which[i])
            log_info("%s %s", l->members[i].name, what);
}

static const struct operand some_members[] = {
    OPERANDS("MEMBER", members_args, members, .required = true,
             .help = "m1, m2, ..., or leader"),
    OPERAND_DONE,
};

static const struct operand any_members[] = {
    OPERANDS("MEMBER", members_args, members,
             .help = "m1, m2, ..., or leader; all when none is named"),
    OPERAND_DONE,
};

/* clang-format off */
static const struct opt kill_opts[] = {
    CLI_LAB_DIR(members_args),
    OPT(FLAG, "term", members_args, term,
        .help = "ask it to end with SIGTERM instead"),
    OPT_DONE,
};
/* clang-format on */

static enum rc kill_members(struct cli *c, const void *args, struct err *e)
{
    const struct members_args *a = args;
    OWNED(lab) l = NULL;
    bool which[LAB_MEMBERS_MAX] = { 0 };

    TRY(open_chosen(c, a, &l, which, e));
    for (size_t i = 0; i < l->count; i++)
        if (which[i])
            TRY(lab_kill(l, i, a->term ? SIGTERM : SIGKILL, e));
    note(l, which, a->term ? "has ended" : "was killed");
    return RC_OK;
}

const struct command cmd_lab_kill = {
    .name = "lab kill",
    .summary = "kill members of a lab",
    .description = "Sends SIGKILL and waits for the end. The data stays: `lab start` "
                   "brings the member back.",
    .examples = "holdfast lab kill leader\nholdfast lab kill m1 m2\n",
    .operands = some_members,
    .opts = kill_opts,
    .args_size = sizeof(struct members_args),
    .run = kill_members,
};

/* clang-format off */
static const struct opt members_opts[] = {
    CLI_LAB_DIR(members_args),
    OPT_DONE,
};
/* clang-format on */

static enum rc start_members(struct cli *c, const void *args, struct err *e)
{
    const struct members_args *a = args;
    OWNED(lab) l = NULL;
    bool which[LAB_MEMBERS_MAX] = { 0 }, started[LAB_MEMBERS_MAX];

    TRY(open_chosen(c, a, &l, which, e));
    TRY(lab_start(l, a->members.count == 0 ? NULL : which, started, e));
    note(l, started, "runs");
    return RC_OK;
}

const struct command cmd_lab_start = {
    .name = "lab start",
    .summary = "start members of a lab again",
    .description = "Starts members that are down on the data they have. A data directory "
                   "that `holdfast restore` has put in its place is taken over.",
    .examples = "holdfast lab start m1\nholdfast lab start\n",
    .operands = any_members,
    .opts = members_opts,
    .args_size = sizeof(struct members_args),
    .run = start_members,
};

/* ---- links ---------------------------------------------------------------------------
 */

static const char *const ways[] = { "both", "in", "out", NULL };
static const enum lab_way ways_mean[] = { LAB_BOTH, LAB_IN, LAB_OUT };

/* clang-format off */
static const struct opt partition_opts[] = {
    CLI_LAB_DIR(members_args),
    OPT(CHOICE, "way", members_args, way, .choices = ways, .fallback = "both",
        .help = "what is lost: what the named members hear, what they say, or both"),
    OPT_DONE,
};
/* clang-format on */

static enum rc partition(struct cli *c, const void *args, struct err *e)
{
    const struct members_args *a = args;
    OWNED(lab) l = NULL;
    bool which[LAB_MEMBERS_MAX] = { 0 };

    TRY(open_chosen(c, a, &l, which, e));
    TRY(lab_partition(l, which, ways_mean[a->way], e));
    note(l, which, "is cut off from those that were not named");
    return RC_OK;
}

const struct command cmd_lab_partition = {
    .name = "lab partition",
    .summary = "cut members of a lab off from the others",
    .description =
        "The named members still hear each other, and clients reach all of them; what "
        "passes between them and the rest is dropped. It lasts until `lab heal`, also "
        "when a member is started again.",
    .examples = "# the leader alone\n"
                "holdfast lab partition leader\n"
                "# m1 is heard by nobody, but hears the others\n"
                "holdfast lab partition m1 --way out\n",
    .operands = some_members,
    .opts = partition_opts,
    .args_size = sizeof(struct members_args),
    .run = partition,
};

static enum rc heal(struct cli *c, const void *args, struct err *e)
{
    const struct members_args *a = args;
    OWNED(lab) l = NULL;
    bool which[LAB_MEMBERS_MAX] = { 0 };

    TRY(open_chosen(c, a, &l, which, e));
    for (size_t i = 0; i < l->count; i++)
        which[i] = which[i] || a->members.count == 0;
    TRY(lab_heal(l, which, e));
    note(l, which, "is whole again");
    return RC_OK;
}

const struct command cmd_lab_heal = {
    .name = "lab heal",
    .summary = "end partitions and faults of a lab",
    .description = "Mends every link of the named members and ends their faults. A "
                   "member that is down stays down: `lab start`.",
    .examples = "holdfast lab heal\n",
    .operands = any_members,
    .opts = members_opts,
    .args_size = sizeof(struct members_args),
    .run = heal,
};

/* ---- faults --------------------------------------------------------------------------
 */

struct fault_args {
    const char *dir, *member;
    struct str_list fault;
};

static const struct operand fault_operands[] = {
    OPERAND("MEMBER", fault_args, member, .required = true,
            .help = "m1, m2, ..., or leader"),
    OPERANDS("FAULT", fault_args, fault, .required = true,
             .help = "its name, and a number where it takes one"),
    OPERAND_DONE,
};

/* clang-format off */
static const struct opt fault_opts[] = {
    CLI_LAB_DIR(fault_args),
    OPT_DONE,
};
/* clang-format on */

static enum rc joined(const struct str_list *words, char *out, size_t n, struct err *e)
{
    size_t used = 0;

    for (size_t i = 0; i < words->count && used < n; i++)
        used += (size_t)snprintf(out + used, n - used, "%s%s", i == 0 ? "" : " ",
                                 words->items[i]);
    if (used >= n || strchr(out, '\n') != NULL)
        return err_set(e, RC_USAGE, "no fault has such a name");
    if (strncmp(out, "cut", 3) == 0 || strncmp(out, "heal", 4) == 0)
        return err_set(e, RC_USAGE,
                       "that is no fault of one member" HINT
                       "use 'lab partition' and 'lab heal'");
    return RC_OK;
}

static enum rc fault(struct cli *c, const void *args, struct err *e)
{
    const struct fault_args *a = args;
    OWNED(lab) l = NULL;
    char line[128];
    size_t i;

    TRY(joined(&a->fault, line, sizeof line, e));
    TRY(cli_lab_open(c, a->dir, true, &l, e));
    TRY(lab_find(l, a->member, &i, e));
    if (lab_fault(l, i, line, e) != RC_OK) {
        if (e->code == RC_USAGE && e->hint[0] == '\0')
            err_hint(e, "'holdfast help lab fault' lists the faults");
        return e->code;
    }
    log_info("%s: %s, until 'holdfast lab heal'", l->members[i].name, line);
    return RC_OK;
}

const struct command cmd_lab_fault = {
    .name = "lab fault",
    .summary = "break something in a member of a lab",
    .description =
        "The faults are:\n\n"
        "delay MS: each message to another member comes later. "
        "slow-disk MS: a write of the log takes longer. "
        "full-disk, fail-fsync: the next write of the log ends the member, as it ends an "
        "etcd. "
        "lying-disk: what is written is gone after a kill. "
        "freeze-clock: leases do not age. "
        "pause MS: the member stands still.\n\n"
        "corrupt-db: a bit of the newest value is flipped, so that members differ. "
        "corrupt-snapshot: a bit of each streamed snapshot is flipped. "
        "truncate-snapshot BYTES: each breaks off there. "
        "stall-snapshot: each stops half-way. "
        "endless-snapshot: each is empty messages for ever, as when a member cannot read "
        "its disk.\n\n"
        "A fault lasts until `lab heal`, or until the member is started again.",
    .examples = "# what does a save do when a bit is flipped on the way?\n"
                "holdfast lab fault m1 corrupt-snapshot\n"
                "# a slow disk under the leader\n"
                "holdfast lab fault leader slow-disk 200\n",
    .operands = fault_operands,
    .opts = fault_opts,
    .args_size = sizeof(struct fault_args),
    .run = fault,
};
