/* Looking at a living cluster: status, hash, alarm, doctor, on real servers. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/flow/flow.h"
#include "tests/flow/trouble.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"
#include "util/task.h"
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
EACH_BACKEND(care, status_finds_every_member)
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
EACH_BACKEND(care, status_tells_down_from_silent)
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

/* ---- hash ---------------------------------------------------------------------------
 */

static const char *vote_of(const struct json *answer, const char *name)
{
    return flow_text(member_named(json_get(answer, "members"), name), "vote");
}

/* Writes and compactions for a while, so that members are never all at one point. */
static void stir(void *arg, unsigned rounds)
{
    struct wire_client *w = arg;
    struct wire_header h = { 0 };
    struct err e = { 0 };

    for (unsigned i = 0; i < rounds; i++) {
        OK(wire_put(w, bytes_str("stirred"), bytes_str("x"), 0, &h, &e), &e);
        if (i % 5 == 4)
            OK(wire_compact(w, h.revision, false, &e), &e);
    }
}

struct stirrer {
    struct wire_client *w;
    volatile bool enough;
};

static enum rc stir_on(void *arg, struct err *e)
{
    struct stirrer *s = arg;

    (void)e;
    while (!s->enough)
        stir(s->w, 5);
    return RC_OK;
}

EACH_BACKEND(care, hash_is_never_a_false_alarm)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    struct stirrer s = { 0 };
    struct task task = { 0 };
    struct err e = { 0 };

    cluster_start(&c, b, &(struct cluster_options){ .members = 3 });
    flow_connect(&c, &w);
    TOOL(empty, 0, "hash", "--endpoints", cluster_endpoint(&c, 0));
    s.w = w;
    OK(task_start(&task, stir_on, &s, &e), &e);
    for (int i = 0; i < 6; i++) {
        HOLDFAST(p, "hash", "-w", "json", "--endpoints", cluster_endpoint(&c, 0));
        OWNED(json) o = NULL;

        flow_json(&p, &o);
        cr_assert_str_neq(flow_text(o, "verdict"), "divergent", "%s", p.out);
        cr_assert(p.status == 0 || p.status == 4, "%d %s", p.status, p.err);
    }
    s.enough = true;
    OK(task_join(&task, &e), &e);
    TOOL(still, 0, "hash", "--endpoints", cluster_endpoint(&c, 0));
    stir(w, 5);
    TOOL(compacted, 0, "hash", "--endpoints", cluster_endpoint(&c, 2));
}

/* For the first member. */
static void activate(struct wire_client *w, enum wire_alarm_type type)
{
    AT_END(wire_status_clear) struct wire_status s = { 0 };
    struct err e = { 0 };

    OK(wire_status_get(w, 0, &s, &e), &e);
    OK(wire_alarm_activate(w, (struct wire_alarm){ s.header.member_id, type }, &e), &e);
}

EACH_ETCD(care, hash_names_the_odd_one)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    OWNED(json) o = NULL;

    cluster_start(&c, b, &(struct cluster_options){ .members = 3 });
    flow_connect(&c, &w);
    trouble_diverge(&c, 1, w);
    TOOL(p, 8, "hash", "-w", "json", "--endpoints", cluster_endpoint(&c, 0));
    flow_json(&p, &o);
    cr_assert_str_eq(flow_text(o, "verdict"), "divergent");
    cr_assert_str_eq(vote_of(o, "m0"), "agrees");
    cr_assert_str_eq(vote_of(o, "m1"), "odd");
    cr_assert_str_eq(vote_of(o, "m2"), "agrees");
    cr_assert(strstr(p.err, "data of m1 differs") != NULL, "%s", p.err);
    TOOL(doctor, 8, "doctor", "--endpoints", cluster_endpoint(&c, 0));
    cr_assert(strstr(doctor.out, "CRIT  the data of m1 differs") != NULL, "%s",
              doctor.out);
    cr_assert(strstr(doctor.out, "Next:  holdfast snapshot save before-repair.db") !=
                  NULL,
              "%s", doctor.out);
    activate(w, WIRE_ALARM_CORRUPT);
    TOOL(refused, 5, "alarm", "disarm", "--yes", "--endpoints", cluster_endpoint(&c, 0));
    cr_assert(strstr(refused.err, "data of m1 differs") != NULL, "%s", refused.err);
}

/* ---- alarm --------------------------------------------------------------------------
 */

EACH_BACKEND(care, alarms_are_listed_and_disarmed_when_their_reason_is_gone)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    const char *at;

    cluster_start(&c, b, NULL);
    at = cluster_endpoint(&c, 0);
    flow_connect(&c, &w);
    TOOL(none, 0, "alarm", "list", "-w", "json", "--endpoints", at);
    cr_assert_str_eq(none.out, "[]\n");
    activate(w, WIRE_ALARM_NOSPACE);
    activate(w, WIRE_ALARM_CORRUPT);
    TOOL(listed, 8, "alarm", "list", "--endpoints", at);
    cr_assert(strstr(listed.out, "NOSPACE") != NULL && strstr(listed.out, "CORRUPT"),
              "%s", listed.out);
    TOOL(status, 8, "status", "--endpoints", at);
    cr_assert(strstr(status.out, "NOSPACE CORRUPT") != NULL, "%s", status.out);
    TOOL(doctor, 8, "doctor", "--endpoints", at);
    cr_assert(strstr(doctor.out, "alarm NOSPACE is raised for m0") != NULL, "%s",
              doctor.out);
    TOOL(dry, 0, "alarm", "disarm", "--dry-run", "--endpoints", at);
    TOOL(still, 8, "alarm", "list", "--endpoints", at);
    TOOL(one, 0, "alarm", "disarm", "--yes", "--type", "nospace", "--member", "m0",
         "--endpoints", at);
    TOOL(left, 8, "alarm", "list", "--endpoints", at);
    cr_assert(strstr(left.out, "NOSPACE") == NULL, "%s", left.out);
    TOOL(unasked, 2, "alarm", "disarm", "--endpoints", at);
    TOOL(all, 0, "alarm", "disarm", "--yes", "--endpoints", at);
    TOOL(gone, 0, "alarm", "list", "--endpoints", at);
    TOOL(fine, 0, "status", "--endpoints", at);
}

/* ---- doctor -------------------------------------------------------------------------
 */

static bool has_finding(const struct json *o, const char *code)
{
    const struct json *all = json_get(o, "findings");

    for (size_t i = 0; i < json_count(all); i++)
        if (strcmp(json_get_str(json_at(all, i), "code"), code) == 0)
            return true;
    return false;
}

static void quorum_is(const struct json *o, int64_t up, int64_t tolerates)
{
    const struct json *q = json_get(o, "quorum");

    cr_assert_eq(flow_number(q, "voters"), 3);
    cr_assert_eq(flow_number(q, "needed"), 2);
    cr_assert_eq(flow_number(q, "up"), up);
    cr_assert_eq(flow_number(q, "tolerates"), tolerates);
}

/* One after the other: all well, one stopped, one of them killed too, all gone. */
EACH_BACKEND(care, doctor_follows_a_cluster_to_its_end)
{
    CLUSTER c = { 0 };
    OWNED(json) well = NULL;
    OWNED(json) edge = NULL;
    OWNED(json) lost = NULL;
    OWNED(json) gone = NULL;
    const char *at;
    unsigned leader;

    cluster_start(&c, b, &(struct cluster_options){ .members = 3 });
    TOOL(p, 0, "doctor", "-w", "json", "--endpoints", cluster_endpoint(&c, 0));
    flow_json(&p, &well);
    leader = (unsigned)flow_text(well, "leader")[1] - '0';
    at = cluster_endpoint(&c, leader);
    cr_assert_str_eq(flow_text(well, "verdict"), "healthy", "%s", p.out);
    cr_assert_str_eq(flow_text(well, "data"), "equal");
    cr_assert_eq(json_count(json_get(well, "members")), 3);
    quorum_is(well, 3, 1);
    kill(c.members[(leader + 1) % 3].pid, SIGSTOP);
    TOOL(q, 8, "doctor", "-w", "json", "--command-timeout", "1500ms", "--endpoints", at);
    flow_json(&q, &edge);
    quorum_is(edge, 2, 0);
    cr_assert(has_finding(edge, "quorum-edge") && has_finding(edge, "member-down"));
    cr_assert(strstr(q.out, " is silent: it takes connections and answers nothing") !=
                  NULL,
              "%s", q.out);
    cluster_kill(&c, (leader + 2) % 3, SIGKILL);
    TOOL(r, 8, "doctor", "-w", "json", "--command-timeout", "1500ms", "--endpoints", at);
    kill(c.members[(leader + 1) % 3].pid, SIGCONT);
    flow_json(&r, &lost);
    cr_assert_str_eq(flow_text(lost, "verdict"), "no-quorum", "%s", r.out);
    quorum_is(lost, 1, 0);
    cluster_stop(&c);
    TOOL(s, 4, "doctor", "-w", "json", "--endpoints", at);
    flow_json(&s, &gone);
    cr_assert_str_eq(flow_text(gone, "verdict"), "unreachable");
}

/* An election is no loss: whoever asks right after a leader's death is told of the one
 * that is down, and of nothing else. */
EACH_BACKEND(care, doctor_lets_an_election_end)
{
    CLUSTER c = { 0 };
    OWNED(json) well = NULL;
    OWNED(json) o = NULL;
    unsigned leader;

    cluster_start(&c, b, &(struct cluster_options){ .members = 3 });
    TOOL(p, 0, "doctor", "-w", "json", "--endpoints", cluster_endpoint(&c, 0));
    flow_json(&p, &well);
    leader = (unsigned)flow_text(well, "leader")[1] - '0';
    cluster_kill(&c, leader, SIGKILL);
    TOOL(q, 8, "doctor", "-w", "json", "--endpoints",
         cluster_endpoint(&c, (leader + 1) % 3));
    flow_json(&q, &o);
    quorum_is(o, 2, 0);
    cr_assert(!has_finding(o, "quorum-lost") && !has_finding(o, "no-leader"), "%s",
              q.out);
}

CASE(care, doctor_fits_a_terminal, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c = { 0 };

    flow_need("3.5");
    cluster_start(&c, cluster_backend("3.5"), &(struct cluster_options){ .members = 2 });
    TOOL(p, 0, "doctor", "--endpoints", cluster_endpoint(&c, 0));
    cr_assert(strstr(p.out, "two voters need both") != NULL, "%s", p.out);
    for (char *save, *line = strtok_r(p.out, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save))
        cr_assert_leq(strlen(line), 80, "%s", line);
}

static const char make_certificates[] =
    "set -e; cd \"$1\"\n"
    "ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "
    "300 -subj \"/CN=$1\" -keyout $1.key -out $1.crt; }\n"
    "sign() {\n"
    "  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj \"/CN=$1\" "
    "-keyout $1.key -out $1.csr\n"
    "  printf 'subjectAltName=IP:127.0.0.1\n' > ext\n"
    "  openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days $2 "
    "-extfile ext -out $1.crt\n"
    "}\n"
    "ca ca; ca stranger; sign server 20; sign client 200; sign old -1\n";

/* Certificates that nobody trusts, or that have expired, are told with their days. */
EACH_ETCD(care, doctor_reads_certificates)
{
    CLUSTER c = { 0 };
    OWNED(json) soon = NULL;
    OWNED(json) over = NULL;
    const char *dir = tmpdir_new(), *ca = path_in(dir, "ca.crt"), *at;
    char swap[1200];

    PEER(made, "sh", "-c", make_certificates, "sh", dir);
    cluster_start(&c, b, &(struct cluster_options){ .tls_dir = dir });
    at = cluster_endpoint(&c, 0);
    TOOL(p, 8, "doctor", "-w", "json", "--cacert", ca, "--cert",
         path_in(dir, "client.crt"), "--key", path_in(dir, "client.key"), "--endpoints",
         at);
    flow_json(&p, &soon);
    cr_assert_eq(json_count(json_get(soon, "certificates")), 3, "%s", p.out);
    cr_assert(has_finding(soon, "cert-expiring"), "%s", p.out);
    TOOL(stranger, 7, "status", "--cacert", path_in(dir, "stranger.crt"), "--endpoints",
         at);
    cr_assert(strstr(stranger.out, "barred") != NULL, "%s", stranger.out);
    snprintf(swap, sizeof swap,
             "cd '%s' && cp old.crt server.crt && cp old.key "
             "server.key",
             dir);
    PEER(swapped, "sh", "-c", swap);
    TOOL(expired, 7, "status", "--cacert", ca, "--endpoints", at);
    cr_assert(strstr(expired.err, "expired") != NULL, "%s", expired.err);
    TOOL(q, 4, "doctor", "-w", "json", "--cacert", ca, "--endpoints", at);
    flow_json(&q, &over);
    cr_assert(has_finding(over, "cert-expired"), "%s", q.out);
    cr_assert(strstr(flow_text(over, "next"), "openssl s_client") != NULL, "%s", q.out);
}

/* A user without the root role learns what it may, and is told what it may not. */
EACH_BACKEND(care, permissions_that_are_missing_are_named)
{
    CLUSTER c = { 0 };
    const char *at;

    cluster_start(&c, b, NULL);
    at = cluster_endpoint(&c, 0);
    CTL(&c, 0, "user", "add", "root:secret");
    CTL(&c, 0, "user", "add", "reader:secret");
    CTL(&c, 0, "user", "grant-role", "root", "root");
    CTL(&c, 0, "auth", "enable");
    TOOL(fine, 0, "doctor", "--user", "root:secret", "--endpoints", at);
    TOOL(hash, 7, "hash", "--user", "reader:secret", "--endpoints", at);
    cr_assert(strstr(hash.err, "role root") != NULL, "%s", hash.err);
    TOOL(wrong, 7, "status", "--user", "root:wrong", "--endpoints", at);
    cr_assert(strstr(wrong.out, "barred") != NULL, "%s", wrong.out);
}
