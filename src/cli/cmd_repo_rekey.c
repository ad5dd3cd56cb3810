#include "cli/commands.h"
#include "cli/keys.h"
#include "cli/repos.h"
#include "cli/state.h"
#include "cli/version.h"
#include "repo/rekey.h"

struct rekey_args {
    const char *url, *signing_key;
    struct repo_args place;
    struct seal_args seal;
    struct str_list believe, retire;
    bool one_key;
};

/* clang-format off */
static const struct operand rekey_operands[] = {
    OPERAND("URL|DIR", rekey_args, url, .required = true, .help = "the repository"),
    OPERAND_DONE,
};

static const struct opt rekey_opts[] = {
    OPT(LIST, "believe", rekey_args, believe, .arg = "KEY|FILE",
        .help = "from now on the records that this minisign key signed count, too"),
    OPT(LIST, "retire", rekey_args, retire, .arg = "KEY-ID",
        .help = "what this key signed so far stays good, and nothing that it signs "
                "later counts"),
    /* Not from the environment: what is set there for backups is no wish to change it. */
    OPT(LIST, "recipient", rekey_args, seal.recipients, .letter = 'r', .arg = "AGE1...",
        .help = "encrypt backups for this age recipient from now on, and for nobody who "
                "is not named here"),
    OPT(LIST, "recipients-file", rekey_args, seal.recipients_files, .letter = 'R',
        .arg = "FILE", .help = "the same for the recipients in this file, one a line"),
    OPT(FLAG, "i-have-one-key", rekey_args, one_key,
        .help = "one recipient is enough: when its key is lost, so is every backup"),
    OPT(STR, "signing-key", rekey_args, signing_key, .arg = "FILE", .env = OPT_ENV_OWN,
        .help = "the key that signs this change, one that is believed and stays; else "
                "the one in the state directory"),
    OPT(LIST, "public-key", rekey_args, place.public_keys, .arg = "KEY|FILE",
        .env = OPT_ENV_OWN,
        .help = "believe what this minisign key signed; else what this host remembers"),
    REPO_REACH_OPTS(rekey_args, place),
    OPT_DONE,
};
/* clang-format on */

static enum rc rekey(struct cli *c, const void *args, struct err *e)
{
    const struct rekey_args *a = args;
    struct minisign_trust believe = { 0 }, trust = { 0 };
    OWNED(age_recipients) to = NULL;
    OWNED(care_store) state = NULL;
    struct repo_rekeyed done = { 0 };
    struct repo_rekey_options o = {
        .repo = { .store = cli_store_options(&a->place, a->url),
                  .cluster = "any",
                  .trust = &trust,
                  .tool = "holdfast " HOLDFAST_VERSION },
        .signing_key = a->signing_key,
        .believe = &believe,
        .retire = &a->retire,
        .one_key = a->one_key,
    };

    TRY(cli_public_keys(&a->believe, &believe, e));
    TRY(cli_public_keys(&a->place.public_keys, &trust, e));
    TRY(cli_recipients(&a->seal, &to, e));
    cli_state_try(c, &state);
    o.repo.state = state;
    o.recipients = to;
    TRY(repo_rekey(&o, &done, e));

    OWNED(result) r = result_new();

    result_str(r, "Repository", "repo", a->url);
    result_u64(r, "Keys that sign", "signing_keys", done.keys);
    result_u64(r, "Retired now", "retired", done.retired);
    result_u64(r, "Recipients", "recipients", done.recipients);
    return cli_show(c, r, e);
}

const struct command cmd_repo_rekey = {
    .name = "repo rekey",
    .summary = "change whose signatures count, and who can read",
    .description =
        "A repository outlives its keys. --believe adds a signing key; hosts that "
        "remember the old one learn the new one from it. --retire ends one: every "
        "record that it has signed so far stays good, in each cluster's log up to the "
        "newest record that there is now, and what it signs later is a stray that "
        "nobody believes. So a key that was stolen can do no more, and a host that was "
        "away in between is told so until it is given the new key (--public-key).\n\n"
        "New recipients (-r, -R) are those of backups from now on; what is stored "
        "opens with the keys that it was encrypted for, so keep them.",
    .examples = "holdfast keygen --signing -o new.key\n"
                "holdfast repo rekey /mnt/backup --believe new.key.pub\n"
                "# once each host that takes backups has new.key\n"
                "holdfast repo rekey /mnt/backup --retire KEY-ID --signing-key new.key\n",
    .operands = rekey_operands,
    .opts = rekey_opts,
    .uses = CLI_OUTPUT | CLI_STATE,
    .args_size = sizeof(struct rekey_args),
    .run = rekey,
};
