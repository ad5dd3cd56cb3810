#include "raftstore/options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "util/str.h"

enum kind { TEXT, SIZE, NUMBER, DURATION, FLAG, STATE, MINOR, IGNORED };

struct option {
    const char *name, *value, *help;
    enum kind kind;
    size_t at;
};

#define AT(field) offsetof(struct node_options, field)

/* clang-format off */
static const struct option options[] = {
    { "name", "NAME", "this member's name in --initial-cluster", TEXT, AT(name) },
    { "data-dir", "DIR", "its data; also an etcd's, or one that a restore made", TEXT, AT(data_dir) },
    { "listen-client-urls", "URL", "where clients are served", TEXT, AT(listen_client) },
    { "advertise-client-urls", "URL", "what the member list says", TEXT, AT(advertise_client) },
    { "listen-peer-urls", "URL", "where members are served", TEXT, AT(listen_peer) },
    { "initial-advertise-peer-urls", "URL", "what other members are told", TEXT, AT(advertise_peer) },
    { "initial-cluster", "NAME=URL,...", "all members of a new cluster", TEXT, AT(initial_cluster) },
    { "initial-cluster-state", "new|existing", "found a cluster, or join one", STATE, AT(existing) },
    { "initial-cluster-token", "TEXT", "tells clusters of equal URLs apart", TEXT, AT(token) },
    { "force-new-cluster", NULL, "go on alone, without the other members", FLAG, AT(force_new_cluster) },
    { "quota-backend-bytes", "SIZE", "raise NOSPACE above it", SIZE, AT(quota) },
    { "heartbeat-interval", "MS", "between two heartbeats", NUMBER, AT(heartbeat_ms) },
    { "election-timeout", "MS", "without a heartbeat before an election", NUMBER, AT(election_ms) },
    { "snapshot-count", "N", "log entries between raft snapshots", NUMBER, AT(snapshot_count) },
    { "max-request-bytes", "N", "largest request", NUMBER, AT(max_request_bytes) },
    { "max-txn-ops", "N", "most operations in one transaction", NUMBER, AT(max_txn_ops) },
    { "watch-progress-notify-interval", "TIME", "between progress reports of a watch", DURATION, AT(progress_ms) },
    { "experimental-watch-progress-notify-interval", "TIME", NULL, DURATION, AT(progress_ms) },
    { "cert-file", "FILE", "certificate of the client port", TEXT, AT(cert) },
    { "key-file", "FILE", "its key", TEXT, AT(key) },
    { "trusted-ca-file", "FILE", "who signs clients' certificates", TEXT, AT(trusted_ca) },
    { "client-cert-auth", NULL, "refuse clients without a certificate", FLAG, AT(client_cert_auth) },
    { "control-socket", "PATH", "Unix socket that takes faults (DIR/lab/control.sock)", TEXT, AT(control) },
    { "etcd-version", "3.4|3.5|3.6|3.7", "whose answers are given", MINOR, AT(minor) },
    { "help", NULL, "show this", FLAG, AT(help) },
    { "version", NULL, "show the version", FLAG, AT(version) },
    /* What a script that starts an etcd may say, and what changes nothing here. */
    { "logger", "", NULL, IGNORED, 0 },
    { "log-level", "", NULL, IGNORED, 0 },
    { "log-outputs", "", NULL, IGNORED, 0 },
    { "listen-metrics-urls", "", NULL, IGNORED, 0 },
    { "auto-compaction-retention", "", NULL, IGNORED, 0 },
    { "auto-compaction-mode", "", NULL, IGNORED, 0 },
    { "backend-batch-interval", "", NULL, IGNORED, 0 },
    { "backend-batch-limit", "", NULL, IGNORED, 0 },
    { "unsafe-no-fsync", NULL, NULL, IGNORED, 0 },
};
/* clang-format on */

static const struct option *find(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0)
            return &options[i];
    return NULL;
}

static enum rc store(const struct option *o, const char *value, void *to, struct err *e)
{
    bool good = true;

    switch (o->kind) {
    case TEXT:
        *(const char **)to = value;
        break;
    case SIZE:
        good = str_to_size(value, to);
        break;
    case NUMBER:
        good = str_to_u64(value, to) && *(uint64_t *)to > 0;
        break;
    case DURATION:
        good = str_to_duration(value, to) && *(uint64_t *)to > 0;
        break;
    case FLAG:
        good = strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
        *(bool *)to = strcmp(value, "true") == 0;
        break;
    case STATE:
        good = strcmp(value, "new") == 0 || strcmp(value, "existing") == 0;
        *(bool *)to = strcmp(value, "existing") == 0;
        break;
    case MINOR:
        good = strlen(value) == 3 && strncmp(value, "3.", 2) == 0 && value[2] >= '4' &&
               value[2] <= '7';
        *(int *)to = value[2] - '0';
        break;
    case IGNORED:
        break;
    }
    if (!good)
        return err_set(e, RC_USAGE, "--%s cannot be '%s'", o->name, value);
    return RC_OK;
}

static enum rc take(char **argv, int *i, int argc, struct node_options *out,
                    struct err *e)
{
    const char *text = argv[*i], *name = text + strspn(text, "-");
    const char *equals = strchr(name, '=');
    size_t n = equals == NULL ? strlen(name) : (size_t)(equals - name);
    const struct option *o = find(name, n);
    const char *value = equals == NULL ? NULL : equals + 1;

    if (o == NULL || name == text || name - text > 2)
        return err_set(e, RC_USAGE, "unknown argument '%s'" HINT "see --help", text);
    if (value == NULL && o->value == NULL)
        value = "true";
    else if (value == NULL && ++*i < argc)
        value = argv[*i];
    if (value == NULL)
        return err_set(e, RC_USAGE, "--%s needs a value", o->name);
    return store(o, value, (char *)out + o->at, e);
}

static enum rc complete(struct node_options *o, struct err *e)
{
    if (o->data_dir == NULL)
        return err_set(e, RC_USAGE, "--data-dir is missing");
    if (o->advertise_client == NULL)
        o->advertise_client = o->listen_client;
    if (o->advertise_peer == NULL)
        o->advertise_peer = o->listen_peer;
    if ((o->cert == NULL) != (o->key == NULL))
        return err_set(e, RC_USAGE, "--cert-file and --key-file go together");
    if (o->client_cert_auth && (o->trusted_ca == NULL || o->cert == NULL))
        return err_set(e, RC_USAGE,
                       "--client-cert-auth needs --cert-file and --trusted-ca-file");
    if (o->election_ms < 5 * o->heartbeat_ms)
        return err_set(e, RC_USAGE,
                       "--election-timeout must be five times --heartbeat-interval");
    return RC_OK;
}

enum rc options_parse(int argc, char **argv, struct node_options *out, struct err *e)
{
    *out = (struct node_options){
        .name = "default",
        .listen_client = "http://127.0.0.1:2379",
        .listen_peer = "http://127.0.0.1:2380",
        .token = "etcd-cluster",
        .quota = UINT64_C(2) << 30,
        .heartbeat_ms = 100,
        .election_ms = 1000,
        .snapshot_count = 10000,
        .progress_ms = 600000,
        .max_request_bytes = 1572864,
        .max_txn_ops = 128,
        .minor = 6,
    };
    for (int i = 1; i < argc; i++)
        TRY(take(argv, &i, argc, out, e));
    return out->help || out->version ? RC_OK : complete(out, e);
}

void options_help(void (*line)(const char *name, const char *value, const char *help))
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (options[i].help != NULL)
            line(options[i].name, options[i].value, options[i].help);
}
