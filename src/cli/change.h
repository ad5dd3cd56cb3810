/* A change of members, from what the command line wants to what is shown: the plan, the
 * confirmation, the journal, the run and its result. */
#ifndef CLI_CHANGE_H
#define CLI_CHANGE_H

#include "cli/cluster.h"
#include "cli/keys.h"
#include "cli/resume.h"
#include "membership/run.h"
#include "membership/start.h"

struct change {
    struct cli *cli;
    struct cli_cluster k;
    struct membership_look look;
    struct member_plan plan;
    struct care_store *store; /* NULL: not opened, or there is none */
    struct resume past;
};

/* Looks at the cluster. The struct must not move afterwards. */
enum rc change_begin(struct change *h, struct cli *c, struct err *e);
void change_clear(struct change *h);

/* Options of the commands that add members. */
struct change_new_args {
    const char *backup, *client_url, *data_dir, *cert_dir;
    unsigned form;
    bool no_backup;
    uint64_t wait_ms;
    struct seal_args seal;
};

extern const char *const change_forms[];

#define CHANGE_START_OPTS(args, field)                                                  \
    OPT(CHOICE, "start-as", args, field.form, .choices = change_forms,                  \
        .fallback = "flags", .help = "how to show what starts the new member"),         \
        OPT(STR, "new-data-dir", args, field.data_dir, .arg = "DIR",                    \
            .fallback = "/var/lib/etcd", .help = "data directory on the new host"),     \
        OPT(STR, "new-cert-dir", args, field.cert_dir, .arg = "DIR",                    \
            .help = "where the new host has ca.crt, server.crt, server.key, peer.crt "  \
                    "and peer.key, for what is https; else /etc/etcd/pki, and "         \
                    "/etc/kubernetes/pki/etcd for a static pod"),                       \
        OPT(DURATION, "wait", args, field.wait_ms, .arg = "DURATION", .fallback = "5m", \
            .help = "how long the new member may take to start and to catch up; then "  \
                    "it is taken out again")

#define CHANGE_BACKUP_OPTS(args, field)                                            \
    OPT(STR, "backup", args, field.backup, .arg = "FILE",                          \
        .help = "where the snapshot goes that is taken first, as `snapshot save` " \
                "names it"),                                                       \
        OPT(FLAG, "no-backup", args, field.no_backup, .rival = "backup",           \
            .help = "take none"),                                                  \
        SEAL_OPTS(args, field.seal)

/* What a command wants done with the plan in h->plan. */
struct change_job {
    const char *kind;             /* "member remove" */
    const char *word, *is, *what; /* see cli_confirm_word; word NULL: the cluster's id */
    const char *detail;           /* for the journal; NULL: `what` */
    struct membership_new *fresh; /* NULL: none is added */
    size_t fresh_count;
    uint64_t adopted; /* a learner that is fresh[0], from a run that broke off; or 0 */
    const struct change_new_args *with; /* when members are added */
    const struct str_list *peer_urls;   /* for an update */
};

/* Looks into the journal for a run of the same job that broke off: into h->past. */
enum rc change_recall(struct change *h, const char *kind, const char *words,
                      struct err *e);

/* Drops the backup from the plan when none is wanted, or when the run that broke off has
 * taken it; RC_USAGE unless --backup or --no-backup was given. */
enum rc change_check_backup(struct change *h, const struct change_new_args *a,
                            struct err *e);

/* With --dry-run it shows the plan, and that is all. */
enum rc change_carry_out(struct change *h, const struct change_job *job, struct err *e);

/* "before" and "after" of each step, as a list. */
struct result *change_steps(const struct change *h, const struct change_job *job);

/* The advice about the voters there will be; NULL when there is none. */
const char *change_advice(const struct member_plan *p, char *out, size_t n);
void change_show_advice(struct result *r, const char *advice);

#endif
