#include "tests/flow/shell.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"

static void link_program(const char *dir, const char *name, const char *program)
{
    cr_assert(symlink(program, path_in(dir, name)) == 0, "%s", program);
}

/* One folder a cluster. */
static const char *programs(const struct cluster *c)
{
    static char dir[600];

    snprintf(dir, sizeof dir, "%s/bin", c->dir);
    if (mkdir(dir, 0700) != 0)
        return dir;
    link_program(dir, "holdfast", HOLDFAST_BIN);
    link_program(dir, "etcd", cluster_tool(c->backend, "etcd"));
    link_program(dir, "etcdctl", cluster_tool(c->backend, "etcdctl"));
    return dir;
}

const char *const *shell_argv(const struct cluster *c, const char *commands)
{
    static const char script[] =
        "PATH=\"$1:$PATH\"; export PATH; cd \"$2\" || exit; eval \"$3\"";
    static const char *argv[8];

    argv[0] = "sh";
    argv[1] = "-c";
    argv[2] = script;
    argv[3] = "sh";
    argv[4] = programs(c);
    argv[5] = c->dir;
    argv[6] = commands;
    return argv;
}

/* The server takes the shell's place, so that it is the server that is stopped later. */
void shell_start_member(struct cluster *c, unsigned i, const char *commands)
{
    char text[8192];

    snprintf(text, sizeof text,
             "at=$(command -v etcd); etcd() { exec \"$at\" \"$@\"; }\n%s", commands);
    c->members[i].pid = proc_start(c->members[i].log, shell_argv(c, text));
}
