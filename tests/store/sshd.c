#include "tests/store/sshd.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/peer.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "util/clock.h"

enum { NOBODY = 65534, PATIENCE_MS = 30000 };

static const char config[] = "ListenAddress 127.0.0.1\n"
                             "PidFile none\n"
                             "StrictModes no\n"
                             "UsePAM yes\n"
                             "PasswordAuthentication no\n"
                             "KbdInteractiveAuthentication no\n"
                             "Subsystem sftp internal-sftp\n"
                             "ForceCommand internal-sftp\n"
                             "LogLevel VERBOSE\n";

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static void make_key(const char *path)
{
    char search[4096];
    const char *env[] = { search, NULL };
    const struct proc_options o = { .env = env };
    const char *const argv[] = { "ssh-keygen", "-q", "-t", "ed25519",   "-N",
                                 "",           "-f", path, (char *)NULL };
    struct proc p = { 0 };

    /* Debian's package in the cache brings its own when the system's is another. */
    snprintf(search, sizeof search, "PATH=%s:%s", getenv("PATH"),
             peer_path("tools/sshd/usr/bin"));
    proc_run(&p, &o, argv);
    cr_assert_eq(p.status, 0, "ssh-keygen: %s", p.err);
    proc_clear(&p);
}

static void trust(const struct sshd *d)
{
    char line[2048], key[1024] = "";
    FILE *f = fopen(path_in(d->dir, "host.pub"), "r");

    cr_assert_not_null(f);
    cr_assert_not_null(fgets(key, sizeof key, f));
    fclose(f);
    snprintf(line, sizeof line, "[127.0.0.1]:%d %s", d->port, key);
    write_text(d->known_hosts, line);
}

/* As root the server would want a user and a directory of the system for itself, so it
 * runs as nobody, who must be able to reach all it needs. */
static void hand_over(const struct sshd *d)
{
    if (geteuid() != 0)
        return;
    RUN(p, "chown", "-R", "65534:65534", d->dir);
    cr_assert_eq(p.status, 0, "%s", p.err);
    cr_assert_eq(chown(d->identity, 0, 0), 0);
}

static void copy_program(const struct sshd *d)
{
    RUN(p, "cp", peer_path("tools/sshd/usr/sbin/sshd"), d->dir);
    cr_assert_eq(p.status, 0, "%s", p.err);
    RUN(libraries, "cp", "-r", peer_path("tools/sshd/usr/lib/x86_64-linux-gnu"),
        path_in(d->dir, "lib"));
    cr_assert_eq(libraries.status, 0, "%s", libraries.err);
}

static bool answers(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;

    close(fd);
    return yes;
}

/* The server's children serve a connection each, perhaps with children of their own. */
static void signal_below(pid_t parent, int signal)
{
    char path[64], text[4096];
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    f = fopen(path, "r");
    if (f == NULL)
        return;
    size_t n = fread(text, 1, sizeof text - 1, f);

    fclose(f);
    text[n] = '\0';
    for (char *p = text, *end; (n = strtoul(p, &end, 10)) != 0; p = end) {
        signal_below((pid_t)n, signal);
        kill((pid_t)n, signal);
    }
}

static pid_t listener;

/* Connections outlive the server, and frozen ones everything. Before proc.h stops it. */
static void end_connections(void)
{
    if (listener > 0)
        signal_below(listener, SIGKILL);
}

static void serve(struct sshd *d)
{
    char program[600], libraries[700], conf[600], key[600], port[32], keys[700];
    const char *const as_nobody[] = { "setpriv",
                                      "--pdeathsig",
                                      "KILL",
                                      "--reuid=65534",
                                      "--regid=65534",
                                      "--clear-groups",
                                      "env",
                                      libraries,
                                      program,
                                      "-D",
                                      "-e",
                                      "-f",
                                      conf,
                                      "-h",
                                      key,
                                      "-p",
                                      port,
                                      "-o",
                                      keys,
                                      NULL };
    uint64_t end = clock_ms() + PATIENCE_MS;

    snprintf(program, sizeof program, "%s/sshd", d->dir);
    snprintf(libraries, sizeof libraries, "LD_LIBRARY_PATH=%s/lib", d->dir);
    snprintf(conf, sizeof conf, "%s/conf", d->dir);
    snprintf(key, sizeof key, "%s/host", d->dir);
    snprintf(port, sizeof port, "%d", d->port);
    snprintf(keys, sizeof keys, "AuthorizedKeysFile=%s/user.pub", d->dir);
    d->pid = proc_start(path_in(d->dir, "log"), as_nobody + (geteuid() == 0 ? 0 : 6));
    listener = d->pid;
    atexit(end_connections);
    while (!answers(d->port) && proc_runs(d->pid) && clock_ms() < end)
        clock_sleep_ms(20);
    cr_assert(proc_runs(d->pid), "sshd ended; see %s/log", d->dir);
}

void sshd_start(struct sshd *d)
{
    const struct passwd *user = getpwuid(geteuid() == 0 ? NOBODY : geteuid());

    if (!peer_available("tools/sshd"))
        cr_skip_test("no OpenSSH server in the peers' cache");
    *d = (struct sshd){ .dir = tmpdir_new(), .port = free_port() };
    cr_assert_not_null(user);
    snprintf(d->files, sizeof d->files, "%s/files", d->dir);
    snprintf(d->identity, sizeof d->identity, "%s/user", d->dir);
    snprintf(d->known_hosts, sizeof d->known_hosts, "%s/known_hosts", d->dir);
    snprintf(d->url, sizeof d->url, "sftp://%s@127.0.0.1:%d%s", user->pw_name, d->port,
             d->files);
    cr_assert_eq(mkdir(d->files, 0700), 0);
    make_key(path_in(d->dir, "host"));
    make_key(d->identity);
    write_text(path_in(d->dir, "conf"), config);
    trust(d);
    copy_program(d);
    hand_over(d);
    serve(d);
}

struct store_options sshd_options(const struct sshd *d)
{
    return (struct store_options){ .url = d->url,
                                   .identity_file = d->identity,
                                   .known_hosts = d->known_hosts };
}

void sshd_cut(const struct sshd *d)
{
    signal_below(d->pid, SIGKILL);
}

void sshd_freeze(const struct sshd *d)
{
    signal_below(d->pid, SIGSTOP);
}

void sshd_stop(struct sshd *d)
{
    sshd_cut(d);
    listener = 0;
    proc_stop(d->pid, SIGTERM);
    d->pid = 0;
}
