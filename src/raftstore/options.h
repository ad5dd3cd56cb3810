/* What a member is started with: etcd's flags, by etcd's names. */
#ifndef RAFTSTORE_OPTIONS_H
#define RAFTSTORE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct node_options {
    const char *name, *data_dir;
    const char *listen_client, *advertise_client; /* one URL each */
    const char *listen_peer, *advertise_peer;
    const char *initial_cluster, *token;
    bool existing, force_new_cluster;
    uint64_t quota; /* bytes; 0: none */
    uint64_t heartbeat_ms, election_ms, snapshot_count;
    uint64_t progress_ms; /* of idle watches that asked for progress */
    uint64_t max_request_bytes, max_txn_ops;
    const char *cert, *key, *trusted_ca; /* TLS of the client port; NULL: plain */
    bool client_cert_auth;
    const char *control; /* path of the control socket; NULL: lab/control.sock */
    int minor;           /* whose etcd we are: 4 to 7 */
    bool help, version;
};

/* Fills *out from "--name=value", "--name value" and "--flag". Values borrow from argv.
 * RC_USAGE names the argument. */
enum rc options_parse(int argc, char **argv, struct node_options *out, struct err *e);

/* Calls `line` for each option with the text for a help page. */
void options_help(void (*line)(const char *name, const char *value, const char *help));

#endif
