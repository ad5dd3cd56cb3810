#include "cli/commands.h"
#include "cli/keys.h"
#include "cli/repos.h"
#include "cli/state.h"
#include "repo/init.h"
#include "util/mem.h"

struct init_args {
    const char *url, *signing_key;
    struct repo_args place;
    struct seal_args seal;
    bool one_key;
};

/* clang-format off */
static const struct operand init_operands[] = {
    OPERAND("URL|DIR", init_args, url, .required = true,
            .help = "an empty place: a directory that exists, "
                    "s3://BUCKET/PREFIX?endpoint=URL, or sftp://USER@HOST/DIR"),
    OPERAND_DONE,
};

static const struct opt init_opts[] = {
    SEAL_KEYS_OPTS(init_args, seal),
    OPT(FLAG, "i-have-one-key", init_args, one_key,
        .help = "one recipient is enough: when its key is lost, so is every backup"),
    OPT(STR, "signing-key", init_args, signing_key, .arg = "FILE", .env = OPT_ENV_OWN,
        .help = "an existing minisign key without a password; else one is made in the "
                "state directory"),
    REPO_REACH_OPTS(init_args, place),
    OPT_DONE,
};
/* clang-format on */

static struct result *describe(const struct init_args *a, const struct repo_made *m)
{
    const struct store_traits *t = &m->identity.traits;
    struct result *r = result_new();

    result_str(r, "Repository", "repo", a->url);
    result_str(r, "Id", "id", m->identity.id);
    result_u64(r, "Recipients", "recipients", m->identity.recipients.count);
    result_str(r, "Signing key", "signing_key", m->signing_key);
    result_str(r, "Its id", "signing_key_id", m->key_id);
    result_str(r, "Its public half", "public_key", m->public_key);
    result_bool(r, "Never takes a key twice", "exclusive", t->exclusive);
    result_bool(r, "Object lock", "lockable", t->lockable);
    result_bool(r, "Keeps versions", "versioned", t->versioned);
    return r;
}

static enum rc init(struct cli *c, const void *args, struct err *e)
{
    const struct init_args *a = args;
    AT_END(repo_made_clear) struct repo_made made = { 0 };
    OWNED(age_recipients) to = NULL;
    OWNED(care_store) state = NULL;
    struct repo_init_options o = {
        .store = cli_store_options(&a->place, a->url),
        .one_key = a->one_key,
        .signing_key = a->signing_key,
    };

    TRY(cli_recipients(&a->seal, &to, e));
    cli_state_try(c, &state);
    o.recipients = to;
    o.state = state;
    TRY(repo_init(&o, &made, e));

    OWNED(result) r = describe(a, &made);

    return cli_show(c, r, e);
}

const struct command cmd_repo_init = {
    .name = "repo init",
    .summary = "make a repository for backups",
    .description =
        "Tries what the place can do, with an object of its own, and writes "
        "holdfast.json: "
        "for whom backups will be encrypted and whose signatures count. The place must "
        "be "
        "empty, and must not share its file system with an etcd of this host: a "
        "full disk stops etcd.\n\n"
        "Backups are encrypted for the recipients alone, so a stolen backup host or "
        "store "
        "opens none of them. Name two recipients whose keys lie in different places. "
        "Records are signed; keep the public half of the signing key where backups will "
        "be restored (--public-key), for a store can forge everything else.",
    .examples =
        "holdfast keygen -o ops.key; holdfast keygen -o safe.key\n"
        "holdfast repo init /mnt/backup -r age1... -r age1...\n"
        "holdfast repo init 's3://backups?endpoint=https://s3.example' -R keys.txt\n",
    .operands = init_operands,
    .opts = init_opts,
    .uses = CLI_OUTPUT | CLI_STATE,
    .args_size = sizeof(struct init_args),
    .run = init,
};
