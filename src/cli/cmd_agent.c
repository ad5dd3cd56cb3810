#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/config.h"
#include "agent/zone.h"
#include "cli/commands.h"
#include "cli/state.h"
#include "cli/version.h"
#include "util/clock.h"
#include "util/log.h"

#define USUAL_CONFIG "/etc/holdfast/holdfast.yaml"
enum { PATH_SIZE = 4096, TIME_SIZE = 32 };

struct agent_args {
    const char *config;
    bool once;
};

/* clang-format off */
static const struct opt agent_opts[] = {
    OPT(STR, "config", agent_args, config, .letter = 'c', .arg = "FILE",
        .env = OPT_ENV_OWN, .fallback = USUAL_CONFIG,
        .help = "what is to be done, and when"),
    OPT(FLAG, "once", agent_args, once,
        .help = "do each job once, whatever its schedule says, and end: for timers and "
                "CronJobs"),
    OPT_DONE,
};
/* clang-format on */

static enum rc own_path(char out[static PATH_SIZE], struct err *e)
{
    const ssize_t n = readlink("/proc/self/exe", out, PATH_SIZE - 1);

    if (n <= 0)
        return err_sys(e, RC_INTERNAL, "cannot tell where this program lies");
    out[n] = '\0';
    return RC_OK;
}

static enum rc agent(struct cli *c, const void *args, struct err *e)
{
    const struct agent_args *a = args;
    AT_END(mem_end) char *usual = NULL;
    char self[PATH_SIZE];

    TRY(own_path(self, e));
    TRY(cli_state_path(c, &usual, e));
    return agent_run(&(struct agent_options){ .config = a->config,
                                              .program = self,
                                              .version = HOLDFAST_VERSION,
                                              .state_dir = usual,
                                              .once = a->once },
                     e);
}

const struct command cmd_agent = {
    .name = "agent",
    .summary = "do backups and other jobs by schedule",
    .description =
        "Reads a configuration and does what it says when it is due: backups, checks of "
        "what is stored, pruning, restore drills, compaction and defragmentation of one "
        "or several clusters. Each job is one of this program's own commands, run with "
        "the least priority in a process of its own; one at a time per cluster.\n\n"
        "A job that was missed is done once when the agent is back, one that failed is "
        "tried again after a minute, two, four, up to an hour. Of several agents with "
        "the same jobs one does each; the others see that it is done.\n\n"
        "SIGHUP reads the configuration again; one with a mistake in it is told of, and "
        "the old one stays. SIGTERM ends the agent, and a job under way with it, which "
        "leaves nothing half done. Under systemd it says when it is ready and feeds the "
        "watchdog.\n\n"
        "/metrics and /healthz are served where `listen` says; /healthz answers 503 "
        "when a cluster's newest proved backup is older than its `max_age`.",
    .examples = "# is the file right?\n"
                "holdfast config check /etc/holdfast/holdfast.yaml\n"
                "# run it\n"
                "holdfast agent --config /etc/holdfast/holdfast.yaml\n",
    .opts = agent_opts,
    .uses = CLI_STATE,
    .args_size = sizeof(struct agent_args),
    .run = agent,
};

/* ---- config check --------------------------------------------------------------------
 */

struct check_args {
    const char *config;
};

static const struct operand check_operands[] = {
    OPERAND("FILE", check_args, config, .help = "the configuration; " USUAL_CONFIG),
    OPERAND_DONE,
};

static void show_time(int64_t at, char out[static TIME_SIZE])
{
    const time_t t = (time_t)at;
    struct tm tm;

    strftime(out, TIME_SIZE, "%Y-%m-%dT%H:%M:%S%z", localtime_r(&t, &tm));
}

/* A job begun now would be due again at that time. */
static void add_job(struct result *r, const struct agent_cluster *c, enum agent_kind k,
                    int64_t now)
{
    const struct agent_job *j = agent_job_of(c, k);
    struct schedule_past past = { .last = now };
    char next[TIME_SIZE];

    if (j == NULL)
        return;
    show_time(schedule_due(&j->when, &past, now), next);
    result_next(r);
    result_str(r, "Cluster", "cluster", c->name);
    result_str(r, "Job", "job", agent_kind_name(k));
    result_str(r, "Schedule", "schedule", j->schedule);
    result_str(r, "Next", "next", j->paused == YAML_YES ? "paused" : next);
}

/* A disk may not be mounted yet, or this be another machine: no mistake of the text. */
static void look_at_files(const struct agent_cluster *c)
{
    static const struct agent_store nothing;
    static const struct agent_job no_job;
    const struct agent_store *s = c->store == NULL ? &nothing : c->store;
    const struct agent_job *d = c->drill == NULL ? &no_job : c->drill;
    const char *const files[][2] = {
        { "cacert", c->cacert },
        { "cert", c->cert },
        { "key", c->key },
        { "password_file", c->password_file },
        { "recipients_file", c->recipients_file },
        { "signing_key", c->signing_key },
        { "identity", c->identity },
        { "store's cacert", s->cacert },
        { "credentials_file", s->credentials_file },
        { "ssh_key", s->ssh_key },
        { "known_hosts", s->known_hosts },
        { "drill's etcd", d->etcd },
        { "drill's scratch", d->scratch },
        { "drill's report_dir", d->report_dir },
    };

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct err e = { 0 };

        if (files[i][1] == NULL || access(files[i][1], R_OK) == 0)
            continue;
        (void)err_sys(&e, RC_NOTFOUND, "cluster '%s': %s '%s' cannot be read here",
                      c->name, files[i][0], files[i][1]);
        log_warn("%s", e.why);
    }
}

static enum rc check(struct cli *c, const void *args, struct err *e)
{
    const struct check_args *a = args;
    OWNED(agent_config) f = NULL;
    OWNED(result) r = result_new_list();

    TRY(agent_config_load(a->config != NULL ? a->config : USUAL_CONFIG, &f, e));
    TRY(zone_use(f->time_zone, e));
    for (unsigned i = 0; i < f->clusters_count; i++) {
        look_at_files(&f->clusters[i]);
        for (unsigned k = 0; k < AGENT_KINDS; k++)
            add_job(r, &f->clusters[i], k, clock_unix_ms() / 1000);
    }
    return cli_show(c, r, e);
}

const struct command cmd_config_check = {
    .name = "config check",
    .summary = "is the agent's configuration right?",
    .description =
        "Reads the configuration as the agent would, and shows each job with "
        "the time at which it is due next. A mistake in form is named with its "
        "line, one in meaning with cluster and job; a file that is named and "
        "cannot be read is a warning. Nothing is contacted or changed.",
    .examples = "holdfast config check /etc/holdfast/holdfast.yaml\n",
    .operands = check_operands,
    .uses = CLI_OUTPUT,
    .args_size = sizeof(struct check_args),
    .run = check,
};
