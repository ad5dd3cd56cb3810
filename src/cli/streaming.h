/* How a member's database is streamed: the options of the commands that take a snapshot,
 * and what they mean. */
#ifndef CLI_STREAMING_H
#define CLI_STREAMING_H

#include "cli/opt.h"
#include "snapshot/save.h"

struct stream_args {
    const char *from;
    struct opt_auto rate;
    uint64_t stall_timeout_ms; /* for struct cli_connection, before it connects */
};

#define STREAM_OPTS(args, field)                                                         \
    OPT(STR, "from", args, field.from, .arg = "leader|follower|ENDPOINT",                \
        .help = "take it from this member; else a caught-up follower, then the leader"), \
        OPT(SIZE_AUTO, "rate", args, field.rate, .arg = "B/S|auto", .fallback = "auto",  \
            .help = "read at most this much a second, 0 for no limit; auto is 200 MB/s " \
                    "from a member on this host and no limit otherwise"),                \
        OPT(DURATION, "stall-timeout", args, field.stall_timeout_ms, .arg = "DURATION",  \
            .fallback = "30s",                                                           \
            .help = "longest wait for the next piece of the database")

/* Member and pace into *o. */
void cli_stream(const struct wire_client *w, const struct stream_args *a,
                struct snap_save_options *o);

#endif
