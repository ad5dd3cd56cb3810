#include "tests/flow/lab.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/clock.h"

enum { PATIENCE_MS = 20000 };

const char *const lab_quick[] = { "--election-timeout=300", "--heartbeat-interval=30",
                                  NULL };

void lab_start(struct cluster *c, unsigned members)
{
    const struct cluster_options o = { .members = members, .flags = lab_quick };

    cluster_start(c, cluster_backend("lab"), &o);
}

/* NULL when nobody listens. */
static const char *ask(const struct cluster *c, unsigned i, const char *command)
{
    static char answer[512];
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    const struct timeval patience = { .tv_sec = 10 };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char line[256];
    size_t n = 0;
    ssize_t got = 0;

    snprintf(to.sun_path, sizeof to.sun_path, "%.80s/lab/control.sock",
             c->members[i].data_dir);
    snprintf(line, sizeof line, "%s\n", command);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
        send(fd, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line))
        while (n + 1 < sizeof answer &&
               (got = recv(fd, answer + n, sizeof answer - 1 - n, 0)) > 0) {
            n += (size_t)got;
            if (answer[n - 1] == '\n')
                break;
        }
    close(fd);
    answer[n] = '\0';
    return n == 0 ? NULL : answer;
}

const char *lab_say(const struct cluster *c, unsigned i, const char *command)
{
    const char *answer = ask(c, i, command);

    cr_assert_not_null(answer, "member %u does not answer '%s'", i, command);
    cr_assert_eq(strncmp(answer, "ok", 2), 0, "%s: %s", command, answer);
    return answer + 2;
}

unsigned lab_leader(const struct cluster *c)
{
    uint64_t end = clock_ms() + PATIENCE_MS;

    while (clock_ms() < end) {
        for (unsigned i = 0; i < c->count; i++) {
            const char *answer = c->members[i].pid == 0 ? NULL : ask(c, i, "status");

            if (answer != NULL && strstr(answer, "state leader") != NULL)
                return i;
        }
        clock_sleep_ms(20);
    }
    return CLUSTER_MAX;
}

static bool same(const struct cluster *c)
{
    struct cluster_hash first = { 0 };
    bool any = false;

    for (unsigned i = 0; i < c->count; i++) {
        struct cluster_hash h;

        if (c->members[i].pid == 0)
            continue;
        h = cluster_hashkv(c, i, 0);
        if (any && (h.hash != first.hash || h.revision != first.revision))
            return false;
        first = h;
        any = true;
    }
    return any;
}

void lab_agree(const struct cluster *c)
{
    uint64_t end = clock_ms() + PATIENCE_MS;

    while (!same(c)) {
        cr_assert_lt(clock_ms(), end, "the members do not agree");
        clock_sleep_ms(50);
    }
}

int lab_ends(struct cluster *c, unsigned i, const char *text)
{
    struct cluster_member *m = &c->members[i];
    uint64_t end = clock_ms() + PATIENCE_MS;
    int status;

    while (proc_runs(m->pid) && clock_ms() < end)
        clock_sleep_ms(20);
    cr_assert_not(proc_runs(m->pid), "member %u goes on", i);
    status = proc_stop(m->pid, SIGTERM);
    m->pid = 0;
    RUN(found, "grep", "-F", text, m->log);
    RUN(tail, "tail", "-n40", m->log);
    cr_assert_eq(found.status, 0, "'%s' is not in the log:\n%s", text, tail.out);
    return status;
}

void lab_refused(const struct cluster *c, unsigned i, const char *text,
                 const char *const args[])
{
    const char *out = "";

    cr_assert_not(cluster_ctl_try(c, i, args, &out), "%s: %s", args[0], out);
    cr_assert_not_null(strstr(out, text), "'%s' is not in: %s", text, out);
}

const char *lab_id(const struct cluster *c, unsigned i)
{
    static char ids[8][24];
    static unsigned turn;
    char *id = ids[turn++ % 8];
    const char *status = CTL(c, i, "endpoint", "status", "-w", "json");

    snprintf(id, 24, "%" PRIx64, (uint64_t)json_number(status, "member_id"));
    return id;
}

void lab_isolate(const struct cluster *c, unsigned i)
{
    for (unsigned k = 0; k < c->count; k++)
        if (k != i) {
            char command[32];

            snprintf(command, sizeof command, "cut m%u", k);
            lab_say(c, i, command);
        }
}

void lab_leaderless(const struct cluster *c, unsigned i)
{
    uint64_t end = clock_ms() + 20000;

    while (strstr(lab_say(c, i, "status"), "leader 0 ") == NULL) {
        cr_assert_lt(clock_ms(), end, "it still has a leader");
        clock_sleep_ms(20);
    }
}
