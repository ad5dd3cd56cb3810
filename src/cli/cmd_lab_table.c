#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/labs.h"
#include "lab/table.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"

enum { USUAL_LAST = 5 };

struct table_args {
    uint64_t members;
    bool all;
    unsigned backend;
    const char *etcd, *server;
    uint64_t patience_ms, heartbeat_ms;
};

static const char *const backends[] = {
    [LAB_STORE] = "store", [LAB_ETCD] = "etcd", NULL
};

/* clang-format off */
static const struct opt table_opts[] = {
    OPT(U64, "members", table_args, members, .arg = "N",
        .help = "only clusters of this size, 1 to 7; else 1 to 5"),
    OPT(FLAG, "long", table_args, all, .rival = "members",
        .help = "clusters of 6 and 7 as well"),
    OPT(CHOICE, "backend", table_args, backend, .choices = backends,
        .fallback = "store", .help = "on which servers"),
    OPT(STR, "etcd", table_args, etcd, .arg = "PATH",
        .help = "with --backend etcd: the program"),
    OPT(STR, "server", table_args, server, .arg = "PATH",
        .help = "the member program; else holdfast-lab beside holdfast or in the PATH"),
    OPT(DURATION, "patience", table_args, patience_ms, .arg = "DURATION",
        .fallback = "3s", .help = "how long a thing must fail to count as impossible"),
    OPT(DURATION, "heartbeat", table_args, heartbeat_ms, .arg = "DURATION",
        .fallback = "50ms", .help = "of the members; an election waits for ten"),
    OPT_DONE,
};
/* clang-format on */

/* ---- a row ---------------------------------------------------------------------------
 */

static const char *yes(bool b)
{
    return b ? "yes" : "no";
}

static const char *theory_says(const struct lab_expected *x)
{
    if (x->can_write)
        return "all works";
    return x->can_read_serializable ? "stale reads only" : "nothing works";
}

static void put_expected(struct result *r, const struct lab_expected *x)
{
    struct json *j = json_new_object();

    json_set_bool(j, "can_write", x->can_write);
    json_set_bool(j, "can_read_linearizable", x->can_read_linearizable);
    json_set_bool(j, "can_read_serializable", x->can_read_serializable);
    json_set_bool(j, "has_leader", x->has_leader);
    result_json(r, "expected", j);
}

static void put_seen(struct result *r, const struct lab_row *row)
{
    const struct lab_probe *s = &row->seen;

    result_str(r, "Write", NULL, yes(s->can_write));
    result_str(r, "Read", NULL, yes(s->can_read_linearizable));
    result_str(r, "Stale read", NULL, yes(s->can_read_serializable));
    result_bool(r, NULL, "can_write", s->can_write);
    result_bool(r, NULL, "can_read_linearizable", s->can_read_linearizable);
    result_bool(r, NULL, "can_read_serializable", s->can_read_serializable);
    result_bool(r, NULL, "split", row->split);
    result_str(r, "Leader", NULL, row->leader);
    result_str(r, NULL, "leader", row->leader[0] == '\0' ? NULL : row->leader);
}

struct scene {
    struct result *rows;
    uint64_t played, differ;
};

static enum rc put_row(void *arg, const struct lab_row *row, struct err *e)
{
    struct scene *s = arg;
    struct result *r = s->rows;

    (void)e;
    result_next(r);
    result_u64(r, "Members", "members", row->played.members);
    result_u64(r, "Failed", "failed", row->played.failed);
    result_u64(r, "Up", "up", row->expected.up);
    result_str(r, "How", "how", lab_failure_name(row->played.how));
    result_u64(r, "Quorum", "quorum", row->expected.quorum.needed);
    result_u64(r, "Tolerates", "tolerates", row->expected.quorum.tolerance);
    put_seen(r, row);
    result_str(r, "Theory", NULL, theory_says(&row->expected));
    put_expected(r, &row->expected);
    result_str(r, "Agrees", NULL,
               row->split         ? "NO: split"
               : row->as_expected ? "yes"
                                  : "NO");
    result_bool(r, NULL, "as_expected", row->as_expected);
    result_took(r, "Took", "took_seconds", row->took_ms);
    s->played++;
    s->differ += !row->as_expected;
    return RC_OK;
}

/* ---- all of them ---------------------------------------------------------------------
 */

struct scratch {
    char *dir;
};

static void scratch_end(struct scratch *s)
{
    struct err ignored = { 0 };

    if (s->dir != NULL && os_remove_tree(AT_FDCWD, s->dir, &ignored) != RC_OK)
        log_warn("'%s' is still there: %s", s->dir, ignored.why);
    mem_free(s->dir);
}

static enum rc scratch_make(struct cli *c, struct scratch *s, struct err *e)
{
    const char *tmp = c->env == NULL ? NULL : c->env("TMPDIR");
    AT_END(mem_end) char *dir = NULL;

    TRY(str_format(&dir, e, "%s/holdfast-lab-XXXXXX",
                   tmp == NULL || tmp[0] == '\0' ? "/tmp" : tmp));
    if (mkdtemp(dir) == NULL)
        return err_sys(e, RC_STORAGE, "cannot make the directory '%s'", dir);
    s->dir = GIVE(dir);
    return RC_OK;
}

static enum rc check(const struct table_args *a, struct err *e)
{
    bool etcd = a->backend == LAB_ETCD;

    if (a->members > LAB_MEMBERS_MAX)
        return err_set(e, RC_USAGE, "--members is at most %d", LAB_MEMBERS_MAX);
    if (a->patience_ms == 0 || a->heartbeat_ms == 0)
        return err_set(e, RC_USAGE,
                       "--patience and --heartbeat must be longer than nothing");
    if (etcd && a->etcd == NULL)
        return err_set(e, RC_USAGE,
                       "--backend etcd needs the program" HINT
                       "name it with --etcd PATH");
    if (!etcd && a->etcd != NULL)
        return err_set(e, RC_USAGE, "--etcd goes with --backend etcd");
    return RC_OK;
}

static void explain(struct result *r, bool etcd)
{
    char trap[256];

    result_line(r, "Write and Read need a quorum; a stale (serializable) read asks one "
                   "member alone.");
    if (quorum_trap(2, trap, sizeof trap) != NULL)
        result_line(r, "%s", trap);
    result_line(r, "recover: the survivor of two, started as a cluster of its own.");
    if (etcd)
        result_line(r, "pause: SIGSTOP, the nearest to a partition that an etcd on "
                       "loopback can be given.");
    else
        result_line(r, "partition: each failed member is alone, with its clients; none "
                       "of them may write.");
}

static enum rc lab_table(struct cli *c, const void *args, struct err *e)
{
    const struct table_args *a = args;
    AT_END(scratch_end) struct scratch scratch = { 0 };
    OWNED(result) r = result_new_list();
    struct scene s = { .rows = r };
    bool etcd = a->backend == LAB_ETCD;

    TRY(check(a, e));
    TRY(scratch_make(c, &scratch, e));
    const struct lab_table_options o = {
        .kind = etcd ? LAB_ETCD : LAB_STORE,
        .server = etcd ? a->etcd : a->server,
        .first = a->members == 0 ? 1 : (size_t)a->members,
        .last = a->all            ? LAB_MEMBERS_MAX
                : a->members == 0 ? USUAL_LAST
                                  : (size_t)a->members,
        .scratch = scratch.dir,
        .patience_ms = a->patience_ms,
        .heartbeat_ms = a->heartbeat_ms,
    };

    TRY(lab_table_play(&o, put_row, &s, e));
    explain(r, etcd);
    TRY(cli_show(c, r, e));
    if (s.differ > 0)
        return err_set(e, RC_DEGRADED,
                       "%" PRIu64 " of %" PRIu64 " cases did not go as theory says",
                       s.differ, s.played);
    return RC_OK;
}

const struct command cmd_lab_table = {
    .name = "lab table",
    .summary = "play the failure table and compare it with theory",
    .description =
        "Starts clusters of 1 to 5 members and lets them fail one after the other, the "
        "leader first: killed, and cut off. Each time it is tried what those that are "
        "left can do: a write, a linearizable read, a serializable read, and who leads. "
        "Members that were cut off are tried as well: alone they may decide nothing.\n\n"
        "THEORY is what arithmetic says; AGREES whether it was so. Exit status 8 when a "
        "case differs.\n\n"
        "Two members are the trap that the table shows: one lost, and the other serves "
        "nothing but stale reads. In the row 'recover' it was started as a cluster of "
        "its own, and takes writes again.",
    .examples = "# about a minute and a half\n"
                "holdfast lab table\n"
                "# on a real etcd\n"
                "holdfast lab table --backend etcd --etcd /usr/bin/etcd --members 3\n",
    .opts = table_opts,
    .uses = CLI_OUTPUT,
    .args_size = sizeof(struct table_args),
    .run = lab_table,
};
