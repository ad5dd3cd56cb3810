/* The repository that a command works on: the options that name it and say how to reach
 * it, and what several commands show of its backups. */
#ifndef CLI_REPOS_H
#define CLI_REPOS_H

#include "cli/cli.h"
#include "cli/connect.h"
#include "repo/job.h"
#include "repo/repo.h"

struct repo_args {
    const char *repo, *cluster;
    const char *cacert, *credentials, *profile, *ssh_key, *known_hosts;
    struct str_list public_keys;
    bool allow_same_filesystem;
};

/* How to reach a place, whichever it is. */
#define REPO_REACH_OPTS(args, field)                                                     \
    OPT(STR, "repo-cacert", args, field.cacert, .arg = "FILE", .env = OPT_ENV_OWN,       \
        .help = "S3: the CA bundle, instead of the system's"),                           \
        OPT(STR, "repo-credentials", args, field.credentials, .arg = "FILE",             \
            .env = OPT_ENV_OWN,                                                          \
            .help =                                                                      \
                "S3: credentials as the AWS tools write them; else AWS_* variables"),    \
        OPT(STR, "repo-profile", args, field.profile, .arg = "NAME", .env = OPT_ENV_OWN, \
            .help = "S3: the section of that file"),                                     \
        OPT(STR, "ssh-key", args, field.ssh_key, .arg = "FILE", .env = OPT_ENV_OWN,      \
            .help = "SFTP: the private key"),                                            \
        OPT(STR, "known-hosts", args, field.known_hosts, .arg = "FILE",                  \
            .env = OPT_ENV_OWN,                                                          \
            .help = "SFTP: the hosts that are known; others are refused"),               \
        OPT(FLAG, "allow-same-filesystem", args, field.allow_same_filesystem,            \
            .env = OPT_ENV_OWN,                                                          \
            .help = "a directory may lie beside an etcd's data; a tenth of the "         \
                    "file system stays free")

/* `must`: are --repo and --cluster required? */
#define REPO_OPTS(args, field, must)                                                \
    OPT(STR, "repo", args, field.repo, .arg = "URL|DIR", .env = OPT_ENV_OWN,        \
        .required = must,                                                           \
        .help = "the repository: a directory, s3://BUCKET/PREFIX?endpoint=URL, or " \
                "sftp://USER@HOST/DIR"),                                            \
        OPT(STR, "cluster", args, field.cluster, .arg = "NAME", .env = OPT_ENV_OWN, \
            .required = must, .help = "the cluster's name in the repository"),      \
        OPT(LIST, "public-key", args, field.public_keys, .arg = "KEY|FILE",         \
            .env = OPT_ENV_OWN,                                                     \
            .help = "believe the records that this minisign key signed; else what " \
                    "this host remembers"),                                         \
        REPO_REACH_OPTS(args, field)

/* For commands that write to it. */
struct repo_job_args {
    const char *signing_key;
    uint64_t wait_ms;
};

#define REPO_JOB_OPTS(args, field)                                                      \
    OPT(STR, "signing-key", args, field.signing_key, .arg = "FILE", .env = OPT_ENV_OWN, \
        .help = "minisign key that signs the records; else the one in the state "       \
                "directory"),                                                           \
        OPT(DURATION, "wait", args, field.wait_ms, .arg = "DURATION", .fallback = "0",  \
            .help = "how long to wait for another job's end; else exit status 11 at "   \
                    "once")

struct cli_repo {
    struct care_store *state;
    struct minisign_trust trust;
    struct repo *repo;
};
void cli_repo_clear(struct cli_repo *r);

/* Keys as texts, or files with them. */
enum rc cli_public_keys(const struct str_list *texts, struct minisign_trust *out,
                        struct err *e);

/* The place alone, as store_open wants it. */
struct store_options cli_store_options(const struct repo_args *a, const char *url);

enum rc cli_repo_open(struct cli *c, const struct repo_args *a, struct cli_repo *out,
                      struct err *e);
/* A job that writes, with a connection to the cluster for the lock where the store has
 * none; nothing is connected to before it is needed. */
struct cli_job {
    struct cli_login login;
    struct wire_client *client;
    struct repo_job_options options;
};
enum rc cli_job_init(struct cli *c, const struct repo_job_args *a, struct cli_job *out,
                     struct err *e);
void cli_job_clear(struct cli_job *j);

/* "12" or "latest", which is 0; RC_USAGE. NULL is latest. */
enum rc cli_sequence(const char *text, uint64_t *out, struct err *e);

/* Says so when there is no record of that cluster: a mistyped name looks just like it. */
void cli_note_empty(const struct chain *log, const char *cluster);

/* One backup as `list` shows it, into the record at hand. */
void show_backup(struct result *r, const struct record *x, const struct str_list *tags);

#endif
