#include "wire/call.h"

#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/stop.h"
#include "wire/outcome.h"

enum {
    /* libcurl 7.88 loses the server's answer when that comes before the request is all
     * sent, in almost every second refusal over plaintext; five tries leave 2 %. */
    BROKEN_TRIES = 5,
    NO_LEADER_WAIT_MS = 250,
    LOGIN_TRIES = 20,
    LOGIN_POLL_MS = 50,
};

static enum rc keep_one(void *arg, struct bytes message, struct err *e)
{
    struct buf *kept = arg;

    if (kept->p != NULL)
        return err_set(e, RC_CORRUPT, "more than one message answers a single call");
    TRY(buf_reserve(kept, message.n + 1, e)); /* + 1: p is set for an empty one too */
    return buf_add(kept, message.p, message.n, e);
}

static bool is_broken(const struct wire_client *c)
{
    return c->last.grpc_code < 0 && c->end == HTTP_BROKEN;
}

/* One endpoint, and for what may be repeated a few tries at it. */
static enum rc ask(struct wire_client *c, const struct wire_call *q, size_t endpoint,
                   struct buf *answer, struct err *e)
{
    struct wire_stream s = { .on_message = keep_one, .arg = answer };
    uint64_t until = clock_ms() + c->command_timeout_ms;
    enum rc rc;

    for (unsigned tries = 1;; tries++) {
        buf_clear(answer);
        rc = wire_exchange(c, q, endpoint, &s, e);
        if (rc == RC_OK && answer->p == NULL)
            return err_set(e, RC_NET, "the answer has no message");
        if (rc == RC_OK || q->writes || !is_broken(c) || tries == BROKEN_TRIES ||
            clock_ms() >= until)
            return rc;
    }
}

static enum rc check_header(struct wire_client *c, const struct wire_call *q,
                            size_t endpoint, const void *reply, struct wire_header *h,
                            struct err *e)
{
    const Etcdrpc__ResponseHeader *told = codec_child(reply, "header");
    struct wire_header header;

    if (told == NULL) /* Defragment and MoveLeader send none */
        return RC_OK;
    header = (struct wire_header){ told->cluster_id, told->member_id, told->revision,
                                   told->raft_term };
    TRY(wire_identity_check(c, endpoint, q->endpoint != WIRE_ANY, &header, e));
    if (h != NULL)
        *h = header;
    return RC_OK;
}

static enum rc ask_and_check(struct wire_client *c, const struct wire_call *q,
                             size_t endpoint, void **out, struct wire_header *h,
                             struct err *e)
{
    AT_END(codec_end) void *reply = NULL;
    AT_END(buf_clear) struct buf answer = { .cap_max = FRAME_MESSAGE_MAX + 64 };

    TRY(ask(c, q, endpoint, &answer, e));
    TRY(codec_unpack(q->reply, (struct bytes){ answer.p, answer.n }, &reply, e));
    TRY(check_header(c, q, endpoint, reply, h, e));
    *out = GIVE(reply);
    return RC_OK;
}

/* Before the first write to an endpoint whose cluster is pinned but has not been seen
 * there: a name that moved to another cluster must not be found out by the damage. A
 * login that may not ask is no reason to stop, the write will be judged by itself. */
static enum rc prove_cluster(struct wire_client *c, const struct wire_call *q,
                             size_t endpoint, struct err *e)
{
    Etcdrpc__StatusRequest request = ETCDRPC__STATUS_REQUEST__INIT;
    struct wire_call status = {
        .method = "Maintenance/Status",
        .request = &request,
        .reply = &etcdrpc__status_response__descriptor,
        .endpoint = WIRE_ANY,
        .lone = true,
    };
    AT_END(codec_end) void *reply = NULL;
    struct err refusal = { 0 };
    enum rc rc;

    if (!q->writes || c->cluster_id == 0 || c->endpoints[endpoint].known)
        return RC_OK;
    rc = ask_and_check(c, &status, endpoint, &reply, NULL, &refusal);
    if (rc == RC_OK || rc == RC_AUTH)
        return RC_OK;
    *e = refusal;
    c->last.unknown = false;
    return rc;
}

static enum rc ask_endpoint(struct wire_client *c, const struct wire_call *q,
                            size_t endpoint, void **out, struct wire_header *h,
                            struct err *e)
{
    TRY(prove_cluster(c, q, endpoint, e));
    return ask_and_check(c, q, endpoint, out, h, e);
}

/* Whether the next endpoint may be asked after this one failed. */
static bool may_go_on(const struct wire_client *c, const struct wire_call *q)
{
    const struct verdict *v;

    if (c->last.grpc_code < 0)
        return (c->last.detail == WIRE_UNREACHABLE || c->last.detail == WIRE_UNTRUSTED ||
                c->last.detail == WIRE_TIMEOUT) &&
               !c->last.unknown;
    v = outcome_judge(c->last.grpc_code, c->last.message);
    return q->writes ? v->unapplied : v->elsewhere;
}

static void move_to_back(struct wire_client *c)
{
    size_t failed = c->order[0];

    memmove(c->order, c->order + 1, (c->count - 1) * sizeof *c->order);
    c->order[c->count - 1] = failed;
}

/* Several endpoints failed: each reason counts, the last one least of all. */
static void add_reason(char *text, size_t n, const char *url, const char *why)
{
    size_t used = strlen(text);

    snprintf(text + used, n - used, "%s%s: %.200s", used == 0 ? "" : "; ", url, why);
}

static enum rc ask_any(struct wire_client *c, const struct wire_call *q, void **out,
                       struct wire_header *h, struct err *e)
{
    char reasons[sizeof e->why] = "";
    enum rc rc = RC_OK;

    for (size_t n = 0; n < c->count; n++) {
        size_t endpoint = c->order[0];

        rc = ask_endpoint(c, q, endpoint, out, h, e);
        if (rc == RC_OK || !may_go_on(c, q))
            return rc;
        add_reason(reasons, sizeof reasons, c->endpoints[endpoint].url, e->why);
        move_to_back(c);
    }
    if (c->count > 1) {
        char hint[sizeof e->hint];

        memcpy(hint, e->hint, sizeof hint);
        return err_set(e, rc, "no endpoint answered: %s" HINT "%s", reasons, hint);
    }
    return rc;
}

/* An election takes a second; only a cluster that stays without a leader is news. */
static enum rc ask_patiently(struct wire_client *c, const struct wire_call *q, void **out,
                             struct wire_header *h, struct err *e)
{
    uint64_t until = clock_ms() + c->command_timeout_ms;

    for (;;) {
        enum rc rc = q->endpoint == WIRE_ANY ? ask_any(c, q, out, h, e)
                                             : ask_endpoint(c, q, q->endpoint, out, h, e);

        if (rc == RC_OK || c->last.detail != WIRE_NO_LEADER ||
            clock_ms() + NO_LEADER_WAIT_MS >= until || stop_wanted())
            return rc;
        clock_sleep_ms(NO_LEADER_WAIT_MS);
    }
}

enum rc wire_call_failed(struct wire_client *c, const struct wire_call *q, struct err *e)
{
    size_t used = strlen(e->hint);

    if (c->last.unknown)
        err_hint(e, "whether it was done is unknown: look before doing it again");
    else if (e->code == RC_AUTH && q->role != NULL && c->last.grpc_code > 0)
        snprintf(e->hint + used, sizeof e->hint - used, "; this call needs %s", q->role);
    return err_wrap(e, "%s at %s failed", strchr(q->method, '/') + 1,
                    c->endpoints[c->last.endpoint].url);
}

/* After a login: one member has it from another, and for a moment takes the new token for
 * a lost one. */
static enum rc ask_anew(struct wire_client *c, const struct wire_call *q, void **reply,
                        struct wire_header *h, struct err *e)
{
    enum rc rc = ask_patiently(c, q, reply, h, e);

    for (int i = 0; i < LOGIN_TRIES && rc == RC_AUTH; i++) {
        if (c->last.detail != WIRE_TOKEN_LOST || stop_wanted())
            break;
        clock_sleep_ms(LOGIN_POLL_MS);
        rc = ask_patiently(c, q, reply, h, e);
    }
    return rc;
}

enum rc wire_call(struct wire_client *c, const struct wire_call *q, void *out,
                  struct wire_header *h, struct err *e)
{
    AT_END(codec_end) void *reply = NULL;
    enum rc rc;

    TRY(wire_login_once(c, e));
    rc = ask_patiently(c, q, &reply, h, e);
    /* Refused for its token, the call had no effect: even a write may be repeated. */
    if (rc == RC_AUTH && wire_login_again(c)) {
        TRY(wire_login(c, e));
        rc = ask_anew(c, q, &reply, h, e);
    }
    if (rc != RC_OK)
        return wire_call_failed(c, q, e);
    if (out != NULL) {
        memcpy(out, &reply, sizeof reply);
        reply = NULL;
    }
    return RC_OK;
}

enum rc wire_change(struct wire_client *c, const char *method, const void *request,
                    const ProtobufCMessageDescriptor *reply, void *out, struct err *e)
{
    const struct wire_call q = {
        .method = method,
        .request = request,
        .reply = reply,
        .endpoint = WIRE_ANY,
        .role = WIRE_ROOT,
        .writes = true,
    };

    return wire_call(c, &q, out, NULL, e);
}
