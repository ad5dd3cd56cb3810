/* What a stored database holds besides keys: leases and members; and whether its Secrets
 * were encrypted. */
#include <inttypes.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/rows.h"
#include "snapshot/look.h"
#include "snapshot/secrets.h"
#include "util/log.h"
#include "util/mem.h"

struct facts_args {
    const char *file, *prefix;
};

/* clang-format off */
static const struct operand facts_operands[] = {
    OPERAND("FILE", facts_args, file, .required = true,
            .help = "a plain snapshot, a database file, or a data directory"),
    OPERAND_DONE,
};

static const struct opt facts_opts[] = {
    OPT_DONE,
};

static const struct opt secrets_opts[] = {
    OPT(STR, "prefix", facts_args, prefix, .arg = "P", .fallback = "/registry/secrets/",
        .help = "of the keys whose values ought to be encrypted"),
    OPT_DONE,
};
/* clang-format on */

static enum rc look_into(const struct facts_args *a, struct snap_look_options o,
                         struct snap_look *out, struct err *e)
{
    if (snap_look_open(a->file, &o, out, e) != RC_OK)
        return err_wrap(e, "looking into '%s'", a->file);
    return RC_OK;
}

/* ---- leases ----------------------------------------------------------------------- */

struct leases {
    struct snap_look look;
    uint64_t *attached; /* in the order of look.leases */
    uint64_t missing;
};

static void leases_end(struct leases *l)
{
    mem_free(l->attached);
    snap_look_clear(&l->look);
}

static enum rc make_leases(void *arg, struct rows *to, struct err *e)
{
    const struct leases *l = arg;

    for (size_t i = 0; i < l->look.lease_count; i++) {
        const struct mvcc_lease *lease = &l->look.leases[i];
        struct result *r = result_new();

        result_id(r, "Lease", "id", "id_hex", (uint64_t)lease->id);
        result_i64(r, "TTL", "ttl", lease->ttl);
        result_i64(r, "Remaining", "remaining_ttl", lease->remaining_ttl);
        result_u64(r, "Keys", "keys", l->attached[i]);
        TRY(rows_put(to, r, e));
    }
    return RC_OK;
}

static struct result *about_leases(void *arg)
{
    const struct leases *l = arg;
    struct result *r = result_new();

    result_u64(r, NULL, "count", l->look.lease_count);
    result_u64(r, NULL, "keys_of_missing_leases", l->missing);
    return r;
}

static enum rc leases(struct cli *c, const void *args, struct err *e)
{
    AT_END(leases_end) struct leases l = { 0 };
    const struct rows_source source = {
        .arg = &l, .make = make_leases, .about = about_leases, .key = "leases"
    };

    TRY(look_into(args, (struct snap_look_options){ 0 }, &l.look, e));
    TRY(snap_look_attached(&l.look, &l.attached, &l.missing, e));
    TRY(rows_show(c, &source, e));
    if (l.missing > 0)
        log_warn("%" PRIu64 " keys name a lease that does not exist: they never expire",
                 l.missing);
    return snap_look_intact(&l.look, e);
}

const struct command cmd_snapshot_leases = {
    .name = "snapshot leases",
    .summary = "the leases in a snapshot and their numbers of keys",
    .description =
        "Lists every lease with its time to live in seconds, what was left of it at the "
        "last checkpoint (0: there was none, and after a restore it begins anew), and "
        "the number of live keys that go when it ends.",
    .operands = facts_operands,
    .opts = facts_opts,
    .uses = CLI_OUTPUT | CLI_PROGRESS,
    .args_size = sizeof(struct facts_args),
    .run = leases,
};

/* ---- members ---------------------------------------------------------------------- */

/* What the raft configuration in the database calls a member. */
static const char *role_in(const struct mvcc_facts *facts, uint64_t id)
{
    const struct mvcc_conf_state *conf = &facts->conf_state;

    if (!facts->has_conf_state)
        return "";
    if (mvcc_ids_has(&conf->voters, id) || mvcc_ids_has(&conf->voters_outgoing, id))
        return "voter";
    if (mvcc_ids_has(&conf->learners, id) || mvcc_ids_has(&conf->learners_next, id))
        return "learner";
    return "absent";
}

static void show_urls(struct result *r, const char *label, const char *key,
                      const struct str_list *urls)
{
    AT_END(buf_clear) struct buf text = { 0 };
    struct json *list = json_new_array();
    struct err ignored;
    bool whole = true;

    for (size_t i = 0; i < urls->count; i++) {
        const char *url = urls->items[i];

        json_add_str(list, url);
        whole = whole && (i == 0 || buf_add(&text, ",", 1, &ignored) == RC_OK) &&
                buf_add(&text, url, strlen(url), &ignored) == RC_OK;
    }
    result_name(r, label, NULL,
                whole ? (struct bytes){ text.p, text.n } : bytes_str("(memory ran out)"));
    result_json(r, key, list);
}

static struct result *list_members(const struct mvcc_facts *facts)
{
    struct result *list = result_new_list();

    for (size_t i = 0; i < facts->member_count; i++) {
        const struct mvcc_member *m = &facts->members[i];

        result_next(list);
        result_id(list, "ID", "ID", "ID_hex", m->id);
        result_str(list, "Name", "name", m->name);
        show_urls(list, "Peer addrs", "peerURLs", &m->peer_urls);
        show_urls(list, "Client addrs", "clientURLs", &m->client_urls);
        result_bool(list, "Is learner", "isLearner", m->learner);
        result_str(list, "In ConfState", "conf_state", role_in(facts, m->id));
    }
    return list;
}

static struct result *list_ids(const struct mvcc_ids *ids)
{
    struct result *list = result_new_list();

    for (size_t i = 0; i < ids->count; i++) {
        result_next(list);
        result_id(list, "ID", "ID", "ID_hex", ids->items[i]);
    }
    return list;
}

static bool is_member(const struct mvcc_facts *facts, uint64_t id)
{
    for (size_t i = 0; i < facts->member_count; i++)
        if (facts->members[i].id == id)
            return true;
    return false;
}

/* Ids of the raft configuration that are no members. */
static enum rc find_strangers(const struct mvcc_facts *facts, struct mvcc_ids *out,
                              struct err *e)
{
    const struct mvcc_conf_state *conf = &facts->conf_state;
    const struct mvcc_ids *lists[] = { &conf->voters, &conf->learners,
                                       &conf->voters_outgoing, &conf->learners_next };

    for (size_t i = 0; facts->has_conf_state && i < sizeof lists / sizeof *lists; i++)
        for (size_t k = 0; k < lists[i]->count; k++) {
            uint64_t id = lists[i]->items[k];

            if (!is_member(facts, id) && !mvcc_ids_has(out, id))
                TRY(mvcc_ids_add(out, id, e));
        }
    return RC_OK;
}

static bool conf_state_differs(const struct mvcc_facts *facts,
                               const struct mvcc_ids *strangers)
{
    bool differs = strangers->count > 0;

    for (size_t i = 0; facts->has_conf_state && i < facts->member_count; i++) {
        const struct mvcc_member *m = &facts->members[i];

        differs |= strcmp(role_in(facts, m->id), m->learner ? "learner" : "voter") != 0;
    }
    return differs;
}

static enum rc members(struct cli *c, const void *args, struct err *e)
{
    AT_END(snap_look_clear) struct snap_look look = { 0 };
    AT_END(mvcc_ids_clear) struct mvcc_ids strangers = { 0 };
    OWNED(result) r = result_new();
    const struct mvcc_facts *facts = &look.facts;
    bool differs;

    TRY(look_into(args, (struct snap_look_options){ .no_keys = true }, &look, e));
    TRY(find_strangers(facts, &strangers, e));
    differs = conf_state_differs(facts, &strangers);
    result_u64(r, "Count", "count", facts->member_count);
    result_nest(r, "Members", "members", list_members(facts));
    result_nest(r, "Removed", "removed", list_ids(&facts->removed_members));
    result_bool(r, NULL, "has_conf_state", facts->has_conf_state);
    result_bool(r, NULL, "conf_state_differs", differs);
    result_nest(r, "In ConfState, but no members", "conf_state_only",
                list_ids(&strangers));
    TRY(cli_show(c, r, e));
    if (differs)
        log_warn("confState and the members differ; after a restore by etcd's own tools "
                 "that is usual, in a running cluster it is not");
    return RC_OK;
}

const struct command cmd_snapshot_members = {
    .name = "snapshot members",
    .summary = "the members that a snapshot was taken of",
    .description =
        "Lists the members in the database with their URLs, the ids of removed ones, and "
        "how the raft configuration (ConfState, etcd 3.5 and later) sees them. Etcd 3.4 "
        "and 3.5 believe their log and .snap files rather than this list.",
    .operands = facts_operands,
    .opts = facts_opts,
    .uses = CLI_OUTPUT | CLI_PROGRESS,
    .args_size = sizeof(struct facts_args),
    .run = members,
};

/* ---- check-secrets ---------------------------------------------------------------- */

/* Enough to see which they are; the count tells how many there are. */
enum { PLAIN_SHOWN = 100 };

struct secrets {
    struct result *plain; /* list, until it is nested */
    size_t shown;
};

static enum rc on_plain(void *arg, const struct snap_record *record, struct err *e)
{
    struct secrets *s = arg;

    (void)e;
    if (s->shown++ >= PLAIN_SHOWN)
        return RC_OK;
    result_next(s->plain);
    result_bytes(s->plain, "Key", "key", record->kv.key);
    result_i64(s->plain, "Mod", "mod_revision", record->kv.mod);
    return RC_OK;
}

static struct result *list_schemes(const struct snap_secrets *found)
{
    struct result *list = result_new_list();

    for (size_t i = 0; i < found->count; i++) {
        const struct snap_scheme *s = &found->schemes[i];

        result_next(list);
        result_str(list, "Provider", NULL, s->plain ? "(plain text)" : s->provider);
        result_str(list, NULL, "provider", s->plain ? NULL : s->provider);
        result_str(list, "Version", "version", s->version);
        result_str(list, "Key", "key_name", s->key);
        result_u64(list, "Live", "live", s->live);
        result_u64(list, "Superseded", "history", s->history);
    }
    return list;
}

static enum rc judge(const struct snap_secrets *found, struct err *e)
{
    if (found->plain_live > 0)
        return err_set(e, RC_DEGRADED,
                       "%" PRIu64 " values are stored in plain text" HINT
                       "set up encryption at rest in the API server, rewrite every "
                       "secret, compact, and guard this file and its copies",
                       found->plain_live);
    if (found->plain_history > 0)
        return err_set(e, RC_DEGRADED,
                       "%" PRIu64 " superseded values are still there in plain text" HINT
                       "compact and defragment; guard this file and its copies",
                       found->plain_history);
    return RC_OK;
}

static enum rc check_secrets(struct cli *c, const void *args, struct err *e)
{
    const struct facts_args *a = args;
    AT_END(snap_look_clear) struct snap_look look = { 0 };
    AT_END(snap_secrets_clear) struct snap_secrets found = { 0 };
    OWNED(result) r = result_new();
    OWNED(result) plain = result_new_list();
    struct secrets s = { .plain = plain };

    found.plain = on_plain;
    found.plain_arg = &s;
    TRY(look_into(a, (struct snap_look_options){ .prefix = bytes_str(a->prefix) }, &look,
                  e));
    TRY(snap_secrets_check(&found, &look.index, e));
    result_str(r, "Prefix", "prefix", a->prefix);
    result_u64(r, "Secrets", "secrets", snap_look_live(&look));
    result_u64(r, "Plain text", "plain", found.plain_live);
    result_u64(r, "Plain text, superseded", "plain_history", found.plain_history);
    result_nest(r, "How they are stored", "providers", list_schemes(&found));
    result_nest(r,
                s.shown > PLAIN_SHOWN ? "In plain text (the first 100)" : "In plain text",
                "plain_keys", GIVE(plain));
    TRY(cli_show(c, r, e));
    TRY(snap_look_intact(&look, e));
    return judge(&found, e);
}

const struct command cmd_snapshot_check_secrets = {
    .name = "snapshot check-secrets",
    .summary = "are the Secrets in a snapshot encrypted?",
    .description =
        "Tells which values below /registry/secrets/ are plain text and which begin with "
        "`k8s:enc:PROVIDER:`, as an API server with encryption at rest writes them, "
        "counted by provider and key. Superseded values count too: a snapshot holds them "
        "until they are compacted. Exit status 8 when any is plain text. No value is "
        "shown.",
    .operands = facts_operands,
    .opts = secrets_opts,
    .uses = CLI_OUTPUT | CLI_PROGRESS,
    .args_size = sizeof(struct facts_args),
    .run = check_secrets,
};
