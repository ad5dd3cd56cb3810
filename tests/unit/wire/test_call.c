/* Failover, identity, login: what happens around a call. */
#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/fakeetcd.h"
#include "tests/lib/fault.h"
#include "tests/lib/proc.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/stop.h"
#include "util/str.h"
#include "wire/cluster.h"
#include "wire/kv.h"
#include "wire/maintenance.h"
#include "wire/outcome.h"

#define ANSWERS(...) \
    .answers = __VA_ARGS__, .answer_count = sizeof __VA_ARGS__ / sizeof *__VA_ARGS__

static struct wire_client *client(const char *endpoints, uint64_t cluster_id)
{
    struct wire_options o = { .endpoints = endpoints,
                              .cluster_id = cluster_id,
                              .command_timeout_ms = 1000 };
    struct wire_client *c = NULL;
    struct err e = { 0 };

    OK(wire_client_new(&o, &c, &e), &e);
    return c;
}

static enum rc put(struct wire_client *c, struct err *e)
{
    return wire_put(c, bytes_str("k"), bytes_str("v"), 0, NULL, e);
}

static enum rc status(struct wire_client *c, size_t i, struct err *e)
{
    struct wire_status s = { 0 };

    TRY(wire_status_get(c, i, &s, e));
    wire_status_clear(&s);
    return RC_OK;
}

static enum rc members(struct wire_client *c, struct err *e)
{
    struct wire_members m = { 0 };

    TRY(wire_member_list(c, WIRE_ANY, false, &m, e));
    wire_members_clear(&m);
    return RC_OK;
}

/* ---- endpoints ------------------------------------------------------------------------
 */

CASE(wire_call, endpoints_get_the_scheme_that_etcdctl_gives_them)
{
    static const struct {
        const char *given, *want;
        bool skip_verify;
    } rows[] = {
        { "127.0.0.1:2379", "http://127.0.0.1:2379", false },
        { "127.0.0.1:2379", "https://127.0.0.1:2379", true },
        { "http://a:1", "http://a:1", true },
        { " https://a.b:65535/ ", "https://a.b:65535", false },
        { "https://a", "https://a", false },
        { "[::1]:2379", "http://[::1]:2379", false },
        { "https://[::1]", "https://[::1]", false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        OWNED(wire_client) c = NULL;
        struct wire_options o = { .endpoints = rows[i].given,
                                  .insecure_skip_tls_verify = rows[i].skip_verify };
        struct err e = { 0 };

        OK(wire_client_new(&o, &c, &e), &e);
        cr_assert_str_eq(wire_endpoint(c, 0), rows[i].want, "%s", rows[i].given);
    }
}

CASE(wire_call, unusable_options_are_refused)
{
    static const struct {
        struct wire_options o;
        const char *why;
    } rows[] = {
        { { .endpoints = NULL }, "no endpoint is given" },
        { { .endpoints = " , " }, "no endpoint is given" },
        { { .endpoints = "localhost" },
          "endpoint localhost is not of the form [http[s]://]host:port" },
        { { .endpoints = "a:0" },
          "endpoint a:0 is not of the form [http[s]://]host:port" },
        { { .endpoints = ":2379" },
          "endpoint :2379 is not of the form [http[s]://]host:port" },
        { { .endpoints = "a:65536" },
          "endpoint a:65536 is not of the form [http[s]://]host:port" },
        { { .endpoints = "http://a:1/path" },
          "endpoint http://a:1/path is not of the form [http[s]://]host:port" },
        { { .endpoints = "u:p@a:1" },
          "endpoint u:p@a:1 is not of the form [http[s]://]host:port" },
        { { .endpoints = "http://[::1" },
          "endpoint http://[::1 is not of the form [http[s]://]host:port" },
        { { .endpoints = "a:1:2" },
          "endpoint a:1:2 is not of the form [http[s]://]host:port" },
        { { .endpoints = "https://" },
          "endpoint https:// is not of the form [http[s]://]host:port" },
        { { .endpoints = "[::1]x:1" },
          "endpoint [::1]x:1 is not of the form [http[s]://]host:port" },
        { { .endpoints = "unix:///s" },
          "endpoint unix:///s: only http:// and https:// are known" },
        { { .endpoints = "a:1", .user = "root" }, "no password is given for user root" },
        { { .endpoints = "a:1", .token = "a\nb" }, "the token contains a line break" },
        { { .endpoints = "a:1", .user = "u", .token = "t" },
          "give either a user or a token, not both" },
        { { .endpoints = "a:1", .cert = "/dev/null" },
          "a client certificate and its key must be given together" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_client *c = NULL;
        struct err e = { 0 };

        cr_assert_eq(wire_client_new(&rows[i].o, &c, &e), RC_USAGE, "%s", rows[i].why);
        cr_assert_str_eq(e.why, rows[i].why);
        cr_assert_null(c);
    }
    struct wire_options o = { .endpoints = "a:1", .cacert = "/nonexistent/ca" };
    struct wire_client *c = NULL;
    struct err e = { 0 };

    cr_assert_eq(wire_client_new(&o, &c, &e), RC_USAGE);
    cr_assert_str_eq(e.what, "cannot use the CA certificate /nonexistent/ca");
}

/* ---- failover -------------------------------------------------------------------------
 */

CASE(wire_call, a_dead_endpoint_goes_to_the_back)
{
    FAKE f = fake_start(&(struct fake_script){ 0 });
    AT_END(mem_end) char *both = NULL;
    struct err e = { 0 };

    OK(str_format(&both, &e, "127.0.0.1:%d,%s", free_port(), fake_endpoint(f)), &e);
    OWNED(wire_client) c = client(both, 0);

    OK(members(c, &e), &e);
    cr_assert_eq(wire_last(c)->endpoint, 1);
    OK(put(c, &e), &e); /* nobody saw the first try: a write may go on too */
    cr_assert_eq(status(c, 0, &e), RC_NET);
    cr_assert_str_eq(e.why, "cannot connect: Connection refused");
    cr_assert_eq(wire_last(c)->detail, WIRE_UNREACHABLE);
}

CASE(wire_call, all_reasons_are_told_when_all_endpoints_fail)
{
    static const struct fake_answer busy[] = { { .method = "Cluster/MemberList",
                                                 .status = 14,
                                                 .text = "etcdserver: server stopped" } };
    FAKE f = fake_start(&(struct fake_script){ ANSWERS(busy) });
    AT_END(mem_end) char *both = NULL, *want = NULL;
    int port = free_port();
    struct err e = { 0 };

    OK(str_format(&both, &e, "127.0.0.1:%d,%s", port, fake_endpoint(f)), &e);
    OK(str_format(&want, &e,
                  "no endpoint answered: http://127.0.0.1:%d: cannot connect: Connection "
                  "refused; %s: etcdserver: server stopped (gRPC Unavailable)",
                  port, fake_endpoint(f)),
       &e);
    OWNED(wire_client) c = client(both, 0);

    cr_assert_eq(members(c, &e), RC_NET);
    cr_assert_str_eq(e.why, want);
    cr_assert_str_eq(e.hint, "ask another member");
}

/* A write that may have been made is not made again, anywhere. */
CASE(wire_call, a_write_with_unknown_outcome_is_never_repeated)
{
    static const struct fake_answer cases[][1] = {
        { { .method = "KV/Put", .drop = true } },
        { { .method = "KV/Put", .hang = true } },
        { { .method = "KV/Put", .status = 14, .text = "etcdserver: request timed out" } },
        { { .method = "KV/Put", .status = 14, .text = "etcdserver: leader changed" } },
        { { .method = "KV/Put", .status = 4, .text = "context deadline exceeded" } },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        FAKE bad = fake_start(&(struct fake_script){ ANSWERS(cases[i]) });
        FAKE good = fake_start(&(struct fake_script){ 0 });
        AT_END(mem_end) char *both = NULL;
        struct err e = { 0 };

        OK(str_format(&both, &e, "%s,%s", fake_endpoint(bad), fake_endpoint(good)), &e);
        OWNED(wire_client) c = client(both, 0);

        cr_assert_eq(put(c, &e), RC_NET, "case %zu", i);
        cr_assert(wire_last(c)->unknown, "case %zu", i);
        cr_assert_str_eq(e.hint,
                         "whether it was done is unknown: look before doing it again");
        cr_assert_eq(fake_calls(bad, "KV/Put"), 1, "case %zu", i);
        cr_assert_eq(fake_calls(good, "KV/Put"), 0, "case %zu", i);
    }
}

CASE(wire_call, a_write_that_was_certainly_not_made_goes_on)
{
    static const struct fake_answer cases[][1] = {
        { { .method = "KV/Put",
            .status = 9,
            .text = "etcdserver: rpc not supported for learner" } },
        { { .method = "KV/Put", .status = 8, .text = "etcdserver: too many requests" } },
        { { .method = "KV/Put", .status = 14, .text = "etcdserver: no leader" } },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        FAKE bad = fake_start(&(struct fake_script){ ANSWERS(cases[i]) });
        FAKE good = fake_start(&(struct fake_script){ 0 });
        AT_END(mem_end) char *both = NULL;
        struct err e = { 0 };

        OK(str_format(&both, &e, "%s,%s", fake_endpoint(bad), fake_endpoint(good)), &e);
        OWNED(wire_client) c = client(both, 0);

        OK(put(c, &e), &e);
        cr_assert_eq(fake_calls(good, "KV/Put"), 1, "case %zu", i);
    }
}

CASE(wire_call, a_read_is_tried_everywhere)
{
    static const struct fake_answer cases[][1] = {
        { { .method = "Cluster/MemberList", .drop = true } },
        { { .method = "Cluster/MemberList", .hang = true } },
        { { .method = "Cluster/MemberList",
            .status = 14,
            .text = "etcdserver: leader changed" } },
        { { .method = "Cluster/MemberList", .status = 13 } },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        FAKE bad = fake_start(&(struct fake_script){ ANSWERS(cases[i]) });
        FAKE good = fake_start(&(struct fake_script){ 0 });
        AT_END(mem_end) char *both = NULL;
        struct err e = { 0 };

        OK(str_format(&both, &e, "%s,%s", fake_endpoint(bad), fake_endpoint(good)), &e);
        OWNED(wire_client) c = client(both, 0);

        OK(members(c, &e), &e);
        cr_assert_eq(wire_last(c)->endpoint, 1, "case %zu", i);
    }
}

CASE(wire_call, a_passing_lack_of_a_leader_is_waited_out)
{
    static const struct fake_answer twice[] = {
        { .method = "KV/Put", .status = 14, .text = "etcdserver: no leader", .times = 2 }
    };
    FAKE f = fake_start(&(struct fake_script){ ANSWERS(twice) });
    OWNED(wire_client) c = client(fake_endpoint(f), 0);
    struct err e = { 0 };

    OK(put(c, &e), &e);
    cr_assert_eq(fake_calls(f, "KV/Put"), 3);
}

CASE(wire_call, a_silent_server_ends_at_the_command_timeout)
{
    static const struct fake_answer hang[] = { { .method = "Maintenance/Status",
                                                 .hang = true } };
    FAKE f = fake_start(&(struct fake_script){ ANSWERS(hang) });
    OWNED(wire_client) c = client(fake_endpoint(f), 0);
    uint64_t from = clock_ms();
    struct err e = { 0 };

    cr_assert_eq(status(c, 0, &e), RC_NET);
    cr_assert_str_eq(e.why, "no complete answer within 1000 ms");
    cr_assert_eq(wire_last(c)->detail, WIRE_TIMEOUT);
    cr_assert_lt(clock_ms() - from, 2500);
    stop_request();
    cr_assert_eq(status(c, 0, &e), RC_INTERRUPTED);
    stop_reset();
}

/* ---- identity
 * --------------------------------------------------------------------------- */

CASE(wire_call, another_cluster_is_refused)
{
    FAKE f = fake_start(&(struct fake_script){ .cluster_id = 0xabc });
    OWNED(wire_client) c = client(fake_endpoint(f), 0);
    AT_END(mem_end) char *want = NULL;
    struct err e = { 0 };

    OK(status(c, 0, &e), &e);
    cr_assert_eq(wire_cluster_id(c), 0xabc);
    fake_become(f, 0xdef, 0x11);
    cr_assert_eq(members(c, &e), RC_REFUSED);
    OK(str_format(&want, &e, "%s belongs to cluster def, not to cluster abc",
                  fake_endpoint(f)),
       &e);
    cr_assert_str_eq(e.why, want);
    cr_assert_eq(wire_last(c)->detail, WIRE_OTHER_CLUSTER);
    cr_assert_eq(put(c, &e), RC_REFUSED);
}

CASE(wire_call, a_pinned_cluster_is_proved_before_the_first_write)
{
    FAKE f = fake_start(&(struct fake_script){ .cluster_id = 0xabc });
    OWNED(wire_client) wrong = client(fake_endpoint(f), 0x123);
    OWNED(wire_client) right = client(fake_endpoint(f), 0xabc);
    struct err e = { 0 };

    cr_assert_eq(put(wrong, &e), RC_REFUSED);
    cr_assert_eq(fake_calls(f, "KV/Put"), 0, "nothing was written");
    cr_assert_not(wire_last(wrong)->unknown);
    OK(put(right, &e), &e);
    OK(put(right, &e), &e);
    cr_assert_eq(fake_calls(f, "Maintenance/Status"), 2, "once a client");
}

CASE(wire_call, endpoints_of_two_clusters_do_not_mix)
{
    FAKE a = fake_start(&(struct fake_script){ .cluster_id = 0xaa });
    FAKE b = fake_start(&(struct fake_script){ .cluster_id = 0xbb });
    AT_END(mem_end) char *both = NULL;
    struct err e = { 0 };

    OK(str_format(&both, &e, "%s,%s", fake_endpoint(a), fake_endpoint(b)), &e);
    OWNED(wire_client) c = client(both, 0);

    OK(status(c, 0, &e), &e);
    cr_assert_eq(status(c, 1, &e), RC_REFUSED);
}

CASE(wire_call, a_load_balancer_is_noticed)
{
    FAKE f = fake_start(&(struct fake_script){ .member_id = 0xa });
    OWNED(wire_client) c = client(fake_endpoint(f), 0);
    AT_END(mem_end) char *want = NULL;
    struct err e = { 0 };

    OK(status(c, 0, &e), &e);
    fake_become(f, 0xc1, 0xb);
    OK(members(c, &e), &e); /* for what any member may answer it does not matter */
    cr_assert_eq(status(c, 0, &e), RC_REFUSED);
    OK(str_format(&want, &e, "%s answered as member a before, and now as member b",
                  fake_endpoint(f)),
       &e);
    cr_assert_str_eq(e.why, want);
    cr_assert_eq(wire_last(c)->detail, WIRE_OTHER_MEMBER);
}

/* ---- login
 * ------------------------------------------------------------------------------ */

struct login {
    const char *password;
    unsigned asked;
};

static enum rc give_password(void *arg, char **out, struct err *e)
{
    struct login *l = arg;

    l->asked++;
    if (l->password == NULL)
        return err_set(e, RC_USAGE, "no terminal to ask for a password");
    return str_format(out, e, "%s", l->password);
}

static struct wire_client *logged_in(struct fake *f, struct login *l)
{
    struct wire_options o = { .endpoints = fake_endpoint(f),
                              .user = "root",
                              .password = give_password,
                              .password_arg = l,
                              .command_timeout_ms = 1000 };
    struct wire_client *c = NULL;
    struct err e = { 0 };

    OK(wire_client_new(&o, &c, &e), &e);
    return c;
}

CASE(wire_call, a_token_serves_until_it_is_lost)
{
    FAKE f = fake_start(
        &(struct fake_script){ .user = "root", .password = "pw", .token_uses = 3 });
    struct login l = { .password = "pw" };
    OWNED(wire_client) c = logged_in(f, &l);
    struct err e = { 0 };

    for (int i = 0; i < 7; i++)
        OK(i % 2 == 0 ? status(c, 0, &e) : put(c, &e), &e);
    cr_assert_eq(l.asked, 3);
    cr_assert_eq(fake_calls(f, "Auth/Authenticate"), 3);
}

CASE(wire_call, a_token_that_never_works_is_renewed_once)
{
    static const struct fake_answer never[] = {
        { .method = "Maintenance/Status",
          .status = 16,
          .text = "etcdserver: invalid auth token" }
    };
    FAKE f = fake_start(
        &(struct fake_script){ .user = "root", .password = "pw", ANSWERS(never) });
    struct login l = { .password = "pw" };
    OWNED(wire_client) c = logged_in(f, &l);
    struct err e = { 0 };

    cr_assert_eq(status(c, 0, &e), RC_AUTH);
    cr_assert_eq(wire_last(c)->detail, WIRE_TOKEN_LOST);
    cr_assert_eq(l.asked, 2, "no loop of logins: %u", l.asked);
    cr_assert_str_eq(e.why, "etcdserver: invalid auth token (gRPC Unauthenticated)");
}

/* A member takes the token for a lost one until it has applied the login. */
CASE(wire_call, a_new_token_has_a_moment_to_come_around)
{
    static const struct fake_answer soon[] = { { .method = "Maintenance/Status",
                                                 .status = 16,
                                                 .text = "etcdserver: invalid auth token",
                                                 .times = 6 } };
    FAKE f = fake_start(
        &(struct fake_script){ .user = "root", .password = "pw", ANSWERS(soon) });
    struct login l = { .password = "pw" };
    OWNED(wire_client) c = logged_in(f, &l);
    struct err e = { 0 };

    OK(status(c, 0, &e), &e);
    cr_assert_eq(l.asked, 2);
    cr_assert_eq(fake_calls(f, "Maintenance/Status"), 7);
}

CASE(wire_call, a_learner_says_how_it_is_without_a_login)
{
    static const struct fake_answer learner[] = {
        { .method = "Auth/Authenticate",
          .status = 14,
          .text = "etcdserver: rpc not supported for learner" }
    };
    FAKE f = fake_start(&(struct fake_script){ ANSWERS(learner) });
    struct login l = { .password = "pw" };
    OWNED(wire_client) c = logged_in(f, &l);
    struct err e = { 0 };

    OK(status(c, 0, &e), &e);
}

CASE(wire_call, login_failures_say_so)
{
    FAKE f = fake_start(&(struct fake_script){ .user = "root", .password = "pw" });
    FAKE off = fake_start(&(struct fake_script){ 0 });
    struct login wrong = { .password = "WRONG" }, none = { 0 }, any = { .password = "x" };
    OWNED(wire_client) c = logged_in(f, &wrong);
    OWNED(wire_client) silent = logged_in(f, &none);
    OWNED(wire_client) open = logged_in(off, &any);
    struct err e = { 0 };

    cr_assert_eq(status(c, 0, &e), RC_AUTH);
    cr_assert_str_eq(e.why, "etcdserver: authentication failed, invalid user ID or "
                            "password (gRPC InvalidArgument)");
    cr_assert_eq(wire_last(c)->detail, WIRE_LOGIN_FAILED);
    cr_assert_null(strstr(e.what, "WRONG"));
    cr_assert_eq(status(silent, 0, &e), RC_USAGE);
    cr_assert_str_eq(e.why, "no terminal to ask for a password");
    OK(status(open, 0, &e), &e); /* a cluster without authentication asks for nothing */
    OK(status(open, 0, &e), &e);
    cr_assert_eq(any.asked, 1);
}

/* ---- answers that are none
 * ---------------------------------------------------------------- */

CASE(wire_call, what_is_not_grpc_says_what_it_is)
{
    static const struct {
        struct fake_script script;
        const char *why;
    } rows[] = {
        { { .content_type = "text/html" },
          "the answer is not gRPC (HTTP status 200, text/html)" },
        { { .http_status = 502 },
          "the answer is not gRPC (HTTP status 502, application/grpc)" },
        { { .junk_headers = 100 }, "the answer has more than 64 KiB of headers" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        FAKE f = fake_start(&rows[i].script);
        OWNED(wire_client) c = client(fake_endpoint(f), 0);
        struct err e = { 0 };

        cr_assert_neq(status(c, 0, &e), RC_OK, "%s", rows[i].why);
        cr_assert_str_eq(e.why, rows[i].why);
    }
}

CASE(wire_call, answers_without_sense_are_refused)
{
    static const struct fake_answer cases[][1] = {
        { { .method = "Maintenance/Status", .message = "", .size = 0 } },
        { { .method = "Maintenance/Status", .message = "\xff\xff", .size = 2 } },
        { { .method = "Maintenance/Status", .status = 0 } },
        { { .method = "Maintenance/Status", .message = "\x12\x02", .size = 2 } },
    };
    static const enum rc want[] = { RC_OK, RC_CORRUPT, RC_NET, RC_CORRUPT };

    for (size_t i = 0; i < 4; i++) {
        FAKE f = fake_start(&(struct fake_script){ ANSWERS(cases[i]) });
        OWNED(wire_client) c = client(fake_endpoint(f), 0);
        struct err e = { 0 };

        cr_assert_eq(status(c, 0, &e), want[i], "case %zu: %s", i, e.why);
    }
}

/* ---- outcomes
 * ----------------------------------------------------------------------------- */

CASE(wire_call, each_grpc_code_has_a_meaning)
{
    static const enum rc want[] = { RC_OK,      RC_NET,      RC_NET,     RC_USAGE,
                                    RC_NET,     RC_NOTFOUND, RC_REFUSED, RC_AUTH,
                                    RC_NET,     RC_REFUSED,  RC_NET,     RC_USAGE,
                                    RC_REFUSED, RC_NET,      RC_NET,     RC_CORRUPT,
                                    RC_AUTH,    RC_NET };
    char scratch[16];

    for (int code = 0; code <= 17; code++)
        cr_assert_eq(outcome_judge(code, "something new")->rc, want[code], "code %d",
                     code);
    cr_assert_eq(outcome_judge(-5, "x")->rc, RC_NET);
    cr_assert_str_eq(outcome_code_name(16, scratch), "Unauthenticated");
    cr_assert_str_eq(outcome_code_name(17, scratch), "code 17");
    cr_assert_str_eq(outcome_code_name(INT32_MAX, scratch), "code 83647");
}

CASE(wire_call, the_text_tells_what_the_code_does_not)
{
    static const struct {
        int code;
        const char *text;
        enum wire_detail detail;
        enum rc rc;
    } rows[] = {
        { 2, "auth: user name is empty", WIRE_NO_LOGIN, RC_AUTH },
        { 3, "etcdserver: user name is empty", WIRE_NO_LOGIN, RC_AUTH },
        { 2, "auth: permission denied", WIRE_PERMISSION, RC_AUTH },
        { 7, "etcdserver: permission denied", WIRE_PERMISSION, RC_AUTH },
        { 16, "etcdserver: invalid auth token", WIRE_TOKEN_LOST, RC_AUTH },
        { 3, "etcdserver: revision of auth store is old", WIRE_TOKEN_LOST, RC_AUTH },
        { 3, "etcdserver: authentication failed, invalid user ID or password",
          WIRE_LOGIN_FAILED, RC_AUTH },
        { 9, "etcdserver: authentication is not enabled", WIRE_AUTH_OFF, RC_REFUSED },
        { 14, "etcdserver: no leader", WIRE_NO_LEADER, RC_NET },
        { 14, "etcdserver: request timed out, possibly due to connection lost",
          WIRE_TIMEOUT, RC_NET },
        { 14, "etcdserver: unhealthy cluster", WIRE_UNHEALTHY, RC_REFUSED },
        { 9, "etcdserver: not leader", WIRE_NOT_LEADER, RC_REFUSED },
        { 9, "etcdserver: rpc not supported for learner", WIRE_LEARNER, RC_REFUSED },
        { 11, "etcdserver: mvcc: required revision has been compacted", WIRE_COMPACTED,
          RC_NOTFOUND },
        { 11, "etcdserver: mvcc: required revision is a future revision",
          WIRE_FUTURE_REVISION, RC_NOTFOUND },
        { 8, "etcdserver: mvcc: database space exceeded", WIRE_NO_SPACE, RC_STORAGE },
        { 15, "etcdserver: corrupt cluster", WIRE_CORRUPT_ALARM, RC_CORRUPT },
        { 5, "etcdserver: member not found", WIRE_NOT_FOUND, RC_NOTFOUND },
        { 9, "etcdserver: user name not found", WIRE_NOT_FOUND, RC_NOTFOUND },
        { 9, "etcdserver: Peer URLs already exists", WIRE_EXISTS, RC_REFUSED },
        { 12, "unknown method AuthStatus for service etcdserverpb.Auth",
          WIRE_UNIMPLEMENTED, RC_REFUSED },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct verdict *v = outcome_judge(rows[i].code, rows[i].text);

        cr_assert(v->detail == rows[i].detail && v->rc == rows[i].rc, "%s", rows[i].text);
        cr_assert(!v->unapplied || v->elsewhere, "%s", rows[i].text);
    }
}

CASE(wire_call, grpc_messages_are_decoded_and_made_safe)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        { "", "" },
        { "plain", "plain" },
        { "a%20b%25", "a b%" },
        { "%C3%A9", "\xc3\xa9" },
        { "%1b[2J%0a", "\\x1b[2J\\x0a" },
        { "%", "%" },
        { "%4", "%4" },
        { "%zz%41", "%zzA" },
        { "%00", "\\x00" },
    };
    char out[64], tiny[16];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        outcome_decode(bytes_str(rows[i].in), out, sizeof out);
        cr_assert_str_eq(out, rows[i].out, "%s", rows[i].in);
    }
    outcome_decode(bytes_str("a text that is much too long for it"), tiny, sizeof tiny);
    cr_assert_str_eq(tiny, "a text t...");
}

/* ---- memory
 * ------------------------------------------------------------------------------- */

CASE(wire_call, every_allocation_may_fail, .timeout = 60)
{
    FAKE f = fake_start(&(struct fake_script){ .user = "root", .password = "pw" });
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        OWNED(wire_client) c = NULL;
        struct login l = { .password = "pw" };
        struct wire_options o = { .endpoints = fake_endpoint(f),
                                  .user = "root",
                                  .password = give_password,
                                  .password_arg = &l };
        struct err e = { 0 };
        enum rc rc = wire_client_new(&o, &c, &e);

        if (rc == RC_OK)
            rc = status(c, 0, &e);
        if (rc == RC_OK)
            rc = members(c, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s %s", nth, rc_name(rc),
                  e.why);
        runs = nth;
    }
    cr_assert_gt(runs, 40, "the sweep ended after %u runs", runs);
}
