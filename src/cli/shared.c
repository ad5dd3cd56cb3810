/* The options that several commands share, with etcdctl's names and defaults. */
#include "cli/cli.h"

/* clang-format off */
static const struct opt connection_opts[] = {
    OPT(CSV, "endpoints", cli, connection.endpoints, .env = OPT_ENV_ETCDCTL,
        .arg = "HOST:PORT,...", .fallback = "127.0.0.1:2379",
        .help = "members to talk to; may be repeated"),
    OPT(STR, "cacert", cli, connection.cacert, .env = OPT_ENV_ETCDCTL, .arg = "FILE",
        .help = "CA bundle that must have signed the server's certificate"),
    OPT(STR, "cert", cli, connection.cert, .env = OPT_ENV_ETCDCTL, .arg = "FILE",
        .help = "client certificate"),
    OPT(STR, "key", cli, connection.key, .env = OPT_ENV_ETCDCTL, .arg = "FILE",
        .help = "private key of the client certificate"),
    OPT(STR, "user", cli, connection.user, .env = OPT_ENV_ETCDCTL, .arg = "NAME",
        .help = "etcd user; without a password from elsewhere it is asked for"),
    OPT(STR, "password", cli, connection.password, .env = OPT_ENV_ETCDCTL,
        .arg = "TEXT", .secret = true,
        .help = "password of the user; others can read it on the command line"),
    OPT(STR, "password-file", cli, connection.password_file, .env = OPT_ENV_OWN,
        .arg = "FILE", .rival = "password",
        .help = "file whose first line is the password"),
    OPT(DURATION, "dial-timeout", cli, connection.dial_timeout_ms,
        .env = OPT_ENV_ETCDCTL, .arg = "DURATION", .fallback = "2s",
        .help = "longest wait for a connection"),
    OPT(DURATION, "command-timeout", cli, connection.command_timeout_ms,
        .env = OPT_ENV_ETCDCTL, .arg = "DURATION", .fallback = "5s",
        .help = "longest wait for one answer"),
    OPT(FLAG, "insecure-skip-tls-verify", cli, connection.insecure_skip_tls_verify,
        .env = OPT_ENV_ETCDCTL,
        .help = "accept any server certificate; for tests only"),
    OPT_DONE,
};

static const char *const formats[] = {
    [RENDER_SIMPLE] = "simple", [RENDER_TABLE] = "table",
    [RENDER_JSON] = "json", [RENDER_FIELDS] = "fields", NULL,
};

static const struct opt output_opts[] = {
    OPT(CHOICE, "write-out", cli, format, .letter = 'w', .env = OPT_ENV_ETCDCTL,
        .choices = formats, .fallback = "simple", .help = "form of the result"),
    OPT(FLAG, "json", cli, json, .rival = "write-out", .help = "short for -w json"),
    OPT_DONE,
};

static const char *const progress_modes[] = {
    [PROGRESS_AUTO] = "auto", [PROGRESS_PLAIN] = "plain",
    [PROGRESS_JSON] = "json", [PROGRESS_NONE] = "none", NULL,
};

static const struct opt progress_opts[] = {
    OPT(CHOICE, "progress", cli, progress, .env = OPT_ENV_OWN,
        .choices = progress_modes, .fallback = "auto",
        .help = "auto redraws a line on a terminal, and elsewhere writes one every "
                "10 s; json writes one object a line"),
    OPT_DONE,
};

static const struct opt yes_opts[] = {
    OPT(FLAG, "yes", cli, yes, .letter = 'y', .help = "do not ask for confirmation"),
    OPT_DONE,
};

static const struct opt dry_run_opts[] = {
    OPT(FLAG, "dry-run", cli, dry_run, .help = "say what would be done, and do nothing"),
    OPT_DONE,
};

static const struct opt state_opts[] = {
    OPT(STR, "state-dir", cli, state_dir, .env = OPT_ENV_OWN, .arg = "DIR",
        .help = "where samples and the journal are kept; else "
                "$XDG_STATE_HOME/holdfast or ~/.local/state/holdfast"),
    OPT_DONE,
};

static const struct {
    unsigned use;
    struct cli_group group;
} shared[] = {
    { CLI_DRY_RUN,    { "Safety",     dry_run_opts } },
    { CLI_YES,        { "Safety",     yes_opts } },
    { CLI_CONNECTION, { "Connection", connection_opts } },
    { CLI_OUTPUT,     { "Output",     output_opts } },
    { CLI_PROGRESS,   { "Output",     progress_opts } },
    { CLI_STATE,      { "State",      state_opts } },
};
/* clang-format on */

void cli_groups(const struct command *cmd, struct cli_group out[static CLI_GROUPS_MAX])
{
    static const struct opt none[] = { OPT_DONE };
    size_t n = 0;

    out[n++] = (struct cli_group){ "Options", cmd->opts == NULL ? none : cmd->opts };
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
        if ((cmd->uses & shared[i].use) != 0)
            out[n++] = shared[i].group;
    if (n < CLI_GROUPS_MAX)
        out[n] = (struct cli_group){ NULL, NULL };
}
