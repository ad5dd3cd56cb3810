/* holdfast-lab: one member of the embedded store, for rehearsals and tests. */
#include <stdio.h>

#include "raftstore/node.h"
#include "util/log.h"
#include "util/process.h"

static void print_option(const char *name, const char *value, const char *help)
{
    char left[64];

    snprintf(left, sizeof left, "--%s %s", name, value == NULL ? "" : value);
    printf("  %-40s %s\n", left, help);
}

static void print_help(void)
{
    puts("usage: holdfast-lab --data-dir DIR [--flag value]...\n\n"
         "One member of a small etcd, for rehearsals and tests; never for production.\n"
         "Its data directory is an etcd's.\n");
    options_help(print_option);
}

static void to_stderr(enum log_level level, const char *line, void *arg)
{
    (void)arg;
    fprintf(stderr, "holdfast-lab: %s%s\n", level == LOG_WARN_LEVEL ? "warning: " : "",
            line);
}

static int complain(const struct err *e)
{
    fprintf(stderr, "holdfast-lab: error: %s%s%s\n", e->what, e->what[0] ? ": " : "",
            e->why);
    if (e->hint[0] != 0)
        fprintf(stderr, "hint: %s\n", e->hint);
    return rc_exit_status(e->code);
}

static enum rc serve(const struct node_options *o, struct err *e)
{
    OWNED(node) n = NULL;

    TRY(node_open(o, &n, e));
    log_info("ready: clients at %s, members at %s", o->listen_client, o->listen_peer);
    return node_run(n, e);
}

int main(int argc, char **argv)
{
    struct node_options o;
    struct err e = { 0 };

    process_fill_standard_fds();
    log_to(to_stderr, NULL);
    if (options_parse(argc, argv, &o, &e) != RC_OK)
        return complain(&e);
    if (o.help || o.version) {
        if (o.help)
            print_help();
        else
            puts("holdfast-lab 0.1.0");
        return 0;
    }
    return serve(&o, &e) == RC_OK ? 0 : complain(&e);
}
