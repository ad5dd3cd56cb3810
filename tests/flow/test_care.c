/* Looking at a living cluster: status, hash, alarm, doctor, on real servers. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/flow/flow.h"
#include "util/str.h"
#include "wire/kv.h"
#include "wire/maintenance.h"

static const struct json *member_named(const struct json *list, const char *name)
{
    for (size_t i = 0; i < json_count(list); i++) {
        const char *is = json_get_str(json_at(list, i), "name");

        if (is != NULL && strcmp(is, name) == 0)
            return json_at(list, i);
    }
    cr_assert(false, "no member '%s'", name);
    return NULL;
}

static void state_is(const struct json *list, const char *name, const char *state)
{
    cr_assert_str_eq(flow_text(member_named(list, name), "state"), state, "%s", name);
}

/* One endpoint is enough to find all, and the figures are those that etcdctl prints. */
EACH_ETCD(care, status_finds_every_member)
{
    CLUSTER c = { 0 };
    OWNED(json) list = NULL;

    cluster_start(&c, b, &(struct cluster_options){ .members = 3 });
    TOOL(p, 0, "status", "-w", "json", "--endpoints", cluster_endpoint(&c, 1));
    flow_json(&p, &list);
    cr_assert_eq(json_count(list), 3);
    for (unsigned i = 0; i < 3; i++) {
        const struct json *m = member_named(list, c.members[i].name), *s;
        const char *told = CTL(&c, i, "endpoint", "status", "-w", "json");

        s = json_get(m, "Status");
        state_is(list, c.members[i].name, "up");
        cr_assert_eq(flow_number(s, "dbSize"), json_number(told, "dbSize"));
        cr_assert_eq(flow_number(s, "raftTerm"), json_number(told, "raftTerm"));
        cr_assert_eq((uint64_t)flow_number(s, "leader"),
                     (uint64_t)flow_number(json_get(member_named(list, "m0"), "Status"),
                                           "leader"));
        cr_assert_eq(flow_number(m, "quota"), 2147483648, "%s", b->name);
        cr_assert_str_eq(flow_text(m, "quota_source"),
                         b->minor >= 6 ? "status" : "metrics");
    }
    TOOL(text, 0, "status", "--endpoints", cluster_endpoint(&c, 0));
    for (char *save, *line = strtok_r(text.out, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save))
        cr_assert_leq(strlen(line), 80, "%s", line);
}

/* Killed, stopped, and all of them: each has its word, its sentence and its exit status.
 */
EACH_ETCD(care, status_tells_down_from_silent)
{
    CLUSTER c = { 0 };
    OWNED(json) list = NULL;
    const char *at;

    cluster_start(&c, b, &(struct cluster_options){ .members = 3 });
    at = cluster_endpoint(&c, 0);
    cluster_kill(&c, 1, SIGKILL);
    kill(c.members[2].pid, SIGSTOP);
    TOOL(p, 8, "status", "-w", "json", "--command-timeout", "1s", "--endpoints", at);
    kill(c.members[2].pid, SIGCONT);
    flow_json(&p, &list);
    state_is(list, "m0", "up");
    state_is(list, "m1", "down");
    state_is(list, "m2", "silent");
    cr_assert(strstr(flow_text(member_named(list, "m1"), "error"), "refused") != NULL);
    cr_assert(strstr(flow_text(member_named(list, "m2"), "error"), "within") != NULL);
    cluster_stop(&c);
    TOOL(q, 4, "status", "--endpoints", at);
    cr_assert(strstr(q.out, "down") != NULL, "%s", q.out);
}

CASE(care, watching_ends_with_an_interrupt, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c = { 0 };
    char text[8192] = "", *second;
    const char *log;
    pid_t pid;
    FILE *f;

    flow_need("3.6");
    cluster_start(&c, cluster_backend("3.6"), NULL);
    log = path_in(c.dir, "watch.log");
    pid = proc_start(log, (const char *const[]){ HOLDFAST_BIN, "status", "--watch",
                                                 "--interval", "100ms", "--endpoints",
                                                 cluster_endpoint(&c, 0), NULL });
    for (int i = 0; i < 300; i++) {
        f = fopen(log, "r");
        if (f != NULL) {
            text[fread(text, 1, sizeof text - 1, f)] = '\0';
            fclose(f);
        }
        second = strstr(text, "NAME");
        if (second != NULL && strstr(second + 1, "NAME") != NULL)
            break;
        usleep(50000);
    }
    cr_assert_eq(proc_stop(pid, SIGINT), 0, "%s", text);
    second = strstr(text, "NAME");
    cr_assert(second != NULL && strstr(second + 1, "NAME") != NULL, "%s", text);
}
