#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/labs.h"
#include "lab/links.h"
#include "lab/probe.h"

struct lab_status_args {
    const char *dir;
    bool probe, exports;
};

/* clang-format off */
static const struct opt lab_status_opts[] = {
    CLI_LAB_DIR(lab_status_args),
    OPT(FLAG, "probe", lab_status_args, probe,
        .help = "try at each member what it can do; nothing is changed"),
    OPT(FLAG, "exports", lab_status_args, exports, .rival = "probe",
        .help = "print what `lab up` printed"),
    OPT_DONE,
};
/* clang-format on */

enum { PATIENCE_MS = 3000 };

struct seen {
    const char *state;
    bool told, probed;
    struct lab_facts facts;
    struct lab_probe can;
};

static const char *yes(bool b)
{
    return b ? "yes" : "no";
}

static void put_probe(struct result *r, const struct seen *s)
{
    result_str(r, "Writes", NULL, yes(s->can.can_write));
    result_str(r, "Reads", NULL, yes(s->can.can_read_linearizable));
    result_str(r, "Stale reads", NULL, yes(s->can.can_read_serializable));
    result_bool(r, NULL, "can_write", s->can.can_write);
    result_bool(r, NULL, "can_read_linearizable", s->can.can_read_linearizable);
    result_bool(r, NULL, "can_read_serializable", s->can.can_read_serializable);
}

static void put_cuts(struct result *r, const struct lab *l, size_t i)
{
    struct json *list = json_new_array();
    char text[64] = "";
    size_t n = 0;

    for (size_t k = 0; k < l->count; k++)
        if (l->cut[i][k] || l->cut[k][i]) {
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n == 0 ? "" : " ",
                                  l->members[k].name);
            json_add_str(list, l->members[k].name);
        }
    result_str(r, "Cut off from", NULL, text);
    result_json(r, "cut_off_from", list);
}

static void put_facts(struct result *r, const struct seen *s)
{
    if (s->told) {
        result_str(r, "Role", "role", s->facts.state);
        result_u64(r, "Term", "term", s->facts.term);
        result_u64(r, "Index", "index", s->facts.index);
        result_i64(r, "Revision", "revision", s->facts.revision);
    } else {
        result_str(r, "Role", "role", NULL);
        result_str(r, "Term", "term", NULL);
        result_str(r, "Index", "index", NULL);
        result_str(r, "Revision", "revision", NULL);
    }
}

static void put_member(struct result *r, const struct lab *l, size_t i,
                       const struct seen *s)
{
    const struct lab_member *m = &l->members[i];
    char client[64], peer[64];

    snprintf(client, sizeof client, "%s://127.0.0.1:%u", l->tls ? "https" : "http",
             m->client_port);
    snprintf(peer, sizeof peer, "http://127.0.0.1:%u", m->peer_port);
    result_next(r);
    result_str(r, "Name", "name", m->name);
    result_str(r, "State", "state", s->state);
    put_facts(r, s);
    if (s->probed)
        put_probe(r, s);
    put_cuts(r, l, i);
    result_str(r, "Client", "client_url", client);
    result_str(r, "Peer", "peer_url", peer);
    result_u64(r, NULL, "pid", (uint64_t)m->child.pid);
}

static enum rc look(const struct lab *l, size_t i, bool probe, struct seen *s,
                    struct err *e)
{
    static const char *const states[] = { "down", "up", "paused" };
    enum lab_child_state state = lab_child_state(&l->members[i].child);
    bool which[LAB_MEMBERS_MAX] = { 0 };
    struct err silent = { 0 };

    *s = (struct seen){ .state = states[state], .probed = probe };
    if (state == LAB_CHILD_RUNS) {
        s->told = lab_facts_get(l, i, &s->facts, &silent) == RC_OK;
        if (!s->told)
            s->state = "silent";
    }
    which[i] = state != LAB_CHILD_GONE;
    return probe ? lab_probe(l, which, PATIENCE_MS, &s->can, e) : RC_OK;
}

static enum rc lab_status(struct cli *c, const void *args, struct err *e)
{
    const struct lab_status_args *a = args;
    OWNED(lab) l = NULL;
    OWNED(result) r = result_new_list();

    TRY(cli_lab_open(c, a->dir, false, &l, e));
    if (a->exports)
        return cli_lab_exports(c, l, e);
    for (size_t i = 0; i < l->count; i++) {
        struct seen s;

        TRY(look(l, i, a->probe, &s, e));
        put_member(r, l, i, &s);
    }
    return cli_show(c, r, e);
}

const struct command cmd_lab_status = {
    .name = "lab status",
    .summary = "members of a lab, and what they can do",
    .description =
        "What each process does and what it says of itself. With --probe it is tried: a "
        "write (a delete of a key that nobody has), a linearizable read, which needs the "
        "quorum as well, and a serializable one, which a member answers alone and which "
        "may be stale.",
    .examples = "holdfast lab status --probe\n"
                "# in another terminal\n"
                "eval \"$(holdfast lab status --exports)\"\n",
    .opts = lab_status_opts,
    .uses = CLI_OUTPUT,
    .args_size = sizeof(struct lab_status_args),
    .run = lab_status,
};
