/* Calls over a connection without a socket. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/unit/grpcd/rig.h"

static struct rig *opened(void)
{
    struct rig *r = calloc(1, sizeof *r);

    cr_assert(rig_open(r));
    return r;
}

static void done(struct rig *r)
{
    rig_close(r);
    cr_assert_eq(r->service.calls, 0, "%u calls were left", r->service.calls);
    free(r);
}

static void answered(const struct ask *a, const char *status, const char *message)
{
    cr_assert(a->closed, "still open");
    cr_assert_str_eq(a->http, "200");
    cr_assert_str_eq(a->type, "application/grpc");
    cr_assert_str_eq(a->status, status, "%s %s", a->status, a->message);
    cr_assert_str_eq(a->message, message);
}

static void got(const struct ask *a, const char *message)
{
    cr_assert_eq(a->got_n, strlen(message) + 5, "%zu bytes", a->got_n);
    cr_assert_eq(a->got[0], 0);
    cr_assert_eq(be32(a->got + 1), strlen(message));
    cr_assert_arr_eq(a->got + 5, message, strlen(message));
}

CASE(grpcd_conn, unary_is_answered_however_the_bytes_are_cut)
{
    for (size_t cut = 0; cut < 40; cut++) {
        struct rig *r = opened();
        r->cut = cut;
        struct ask *a = rig_ask(r, "/t.Desk/Echo", "hello", NULL);

        rig_run(r);
        answered(a, "0", "");
        got(a, "hello");
        done(r);
    }
}

CASE(grpcd_conn, errors_are_trailers_only_and_percent_encoded)
{
    struct rig *r = opened();
    struct ask *a = rig_ask(r, "/t.Desk/Fail", "", NULL);

    rig_run(r);
    answered(a, "5", "100%25 gone%0A%C3%A9");
    cr_assert_eq(a->got_n, 0);
    done(r);
}

CASE(grpcd_conn, what_is_not_served_is_refused_in_etcds_words)
{
    static const struct {
        const char *path, *message;
    } cases[] = {
        { "/t.Desk/Fly", "unknown method Fly for service t.Desk" },
        { "/t.Other/Fly", "unknown service t.Other" },
        { "/Fly", "malformed method name" },
    };
    struct rig *r = opened();

    for (size_t i = 0; i < 3; i++) {
        struct ask *a = rig_ask(r, cases[i].path, "x", NULL);

        rig_run(r);
        answered(a, "12", cases[i].message);
    }
    done(r);
}

CASE(grpcd_conn, broken_requests_get_a_code)
{
    static const struct {
        const char *body;
        size_t n;
        const char *status, *message;
    } cases[] = {
        { "\1\0\0\0\1x", 6, "13",
          "grpc: compressed flag set with identity or empty encoding" },
        { "\7\0\0\0\1x", 6, "13", "grpc: received unexpected payload format 7" },
        { "\0\0\x20\0\1x", 6, "8",
          "grpc: received message larger than max (2097153 vs. 2097152)" },
        { "\0\0\0\0\5x", 6, "13", "unexpected EOF" },
        { "", 0, "13", "the request ended without a message" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig *r = opened();
        struct ask *a = rig_ask_raw(r, "POST", "/t.Desk/Echo",
                                    (const uint8_t *)cases[i].body, cases[i].n, NULL);

        rig_run(r);
        answered(a, cases[i].status, cases[i].message);
        done(r);
    }
}

CASE(grpcd_conn, encodings_and_foreign_content_are_refused)
{
    struct rig *r = opened();
    const char *const gzip[] = { "grpc-encoding", "gzip", NULL };
    struct ask *a = rig_ask(r, "/t.Desk/Echo", "x", gzip);

    rig_run(r);
    answered(a, "12", "grpc: Decompressor is not installed for grpc-encoding \"gzip\"");
    done(r);
}

CASE(grpcd_conn, metadata_is_found)
{
    struct rig *r = opened();
    const char *const token[] = { "token", "abc.7", "token", "second", NULL };
    struct ask *a = rig_ask(r, "/t.Desk/Where", "", token),
               *b = rig_ask(r, "/t.Desk/Where", "", NULL);

    rig_run(r);
    got(a, "abc.7");
    got(b, "none");
    done(r);
}

CASE(grpcd_conn, messages_up_to_the_limit_pass)
{
    struct rig *r = opened();
    size_t n = 2 << 20;
    char *text = malloc(n + 1);

    memset(text, 'm', n);
    text[n] = '\0';
    struct ask *a = rig_ask(r, "/t.Desk/Echo", text, NULL);

    rig_run(r);
    answered(a, "0", "");
    got(a, text);
    free(text);
    done(r);
}

CASE(grpcd_conn, a_stream_waits_for_room)
{
    struct rig *r = opened();
    struct ask *a = rig_ask(r, "/t.Desk/Pour", "160", NULL),
               *empty = rig_ask(r, "/t.Desk/Pour", "e8", NULL);

    rig_run(r);
    answered(a, "0", "");
    cr_assert_eq(a->got_n, 160 * (65536 + 5));
    answered(empty, "0", "");
    cr_assert_eq(empty->got_n, 8 * 5);
    cr_assert_leq(r->desk.queued_max, 5 * 65536);
    done(r);
}

CASE(grpcd_conn, a_chat_goes_both_ways_and_can_pause)
{
    struct rig *r = opened();
    struct ask *a = rig_ask(r, "/t.Desk/Chat", NULL, NULL);

    rig_run(r);
    rig_say(r, a, "one", false);
    rig_run(r);
    got(a, "one");
    rig_say(r, a, "pause", false);
    rig_say(r, a, "later", true);
    rig_run(r);
    cr_assert_eq(a->got_n, 8 + 10);
    cr_assert_not(a->closed);
    cr_assert_eq(r->desk.ended, 0);
    grpcd_resume_reads(r->desk.held[0]);
    rig_run(r);
    cr_assert_eq(a->got_n, 8 + 10 + 10);
    cr_assert_eq(r->desk.ended, 1);
    answered(a, "0", "");
    done(r);
}

CASE(grpcd_conn, a_deadline_answers_and_cancels)
{
    struct rig *r = opened();
    const char *const soon[] = { "grpc-timeout", "50m", NULL };
    struct ask *a = rig_ask(r, "/t.Desk/Hold", "", soon);

    r->now = 1000;
    rig_run(r);
    cr_assert_eq(conn_deadline(r->conn), 1050);
    cr_assert_eq(grpcd_deadline(r->desk.held[0]), 1050);
    conn_tick(r->conn, 1049);
    rig_run(r);
    cr_assert_not(a->closed);
    conn_tick(r->conn, 1050);
    rig_run(r);
    answered(a, "4", "context deadline exceeded");
    cr_assert_eq(r->desk.canceled, 1);
    cr_assert(grpcd_canceled(r->desk.held[0]));
    cr_assert_eq(r->service.calls, 1, "the handler still has it");
    grpcd_reply(r->desk.held[0], (struct bytes){ 0 });
    done(r);
}

CASE(grpcd_conn, a_reset_cancels_once)
{
    struct rig *r = opened();
    struct ask *a = rig_ask(r, "/t.Desk/Hold", "", NULL);

    rig_run(r);
    nghttp2_submit_rst_stream(r->client, NGHTTP2_FLAG_NONE, a->id, NGHTTP2_CANCEL);
    rig_run(r);
    cr_assert_eq(r->desk.canceled, 1);
    rig_run(r);
    cr_assert_eq(r->desk.canceled, 1);
    grpcd_finish(r->desk.held[0], GRPCD_OK, NULL);
    done(r);
}

CASE(grpcd_conn, calls_outlive_their_connection)
{
    struct rig *r = opened();

    rig_ask(r, "/t.Desk/Hold", "", NULL);
    rig_ask(r, "/t.Desk/Hold", "", NULL);
    rig_run(r);
    cr_assert_eq(r->desk.held_count, 2);
    conn_free(r->conn);
    r->conn = NULL;
    cr_assert_eq(r->desk.canceled, 2);
    cr_assert_eq(r->service.calls, 2);
    cr_assert_null(grpcd_peer_name(r->desk.held[0]));
    cr_assert_str_eq(grpcd_meta(r->desk.held[0], ":path"), "/t.Desk/Hold");
    grpcd_reply(r->desk.held[0], (struct bytes){ 0 });
    grpcd_finish(r->desk.held[1], GRPCD_OK, NULL);
    done(r);
}

CASE(grpcd_conn, canceled_calls_cannot_be_piled_up)
{
    struct rig *r = opened();
    unsigned refused = 0;

    for (unsigned i = 0; i < 600; i++) {
        struct ask *a = rig_ask(r, "/t.Desk/Hold", "", NULL);

        rig_run(r);
        if (a->closed)
            refused += a->error == NGHTTP2_REFUSED_STREAM;
        else
            nghttp2_submit_rst_stream(r->client, 0, a->id, NGHTTP2_CANCEL);
        rig_run(r);
    }
    cr_assert_eq(r->desk.held_count, 512);
    cr_assert_eq(refused, 600 - 512);
    for (size_t i = 0; i < r->desk.held_count; i++)
        grpcd_finish(r->desk.held[i], GRPCD_OK, NULL);
    done(r);
}

CASE(grpcd_conn, many_streams_are_served_at_once)
{
    struct rig *r = opened();
    struct ask *asks[256];

    for (size_t i = 0; i < 256; i++)
        asks[i] = rig_ask(r, "/t.Desk/Hold", "", NULL);
    rig_run(r);
    cr_assert_eq(r->desk.held_count, 256);
    for (size_t i = 256; i-- > 0;)
        grpcd_reply(r->desk.held[i], bytes_str("late"));
    rig_run(r);
    for (size_t i = 0; i < 256; i++)
        got(asks[i], "late");
    done(r);
}

CASE(grpcd_conn, faults_stall_and_reset_and_drop)
{
    struct rig *r = opened();
    struct ask *a = rig_ask(r, "/t.Desk/Hold", "", NULL),
               *b = rig_ask(r, "/t.Desk/Hold", "", NULL);

    rig_run(r);
    grpcd_stall(r->desk.held[0], true);
    (void)grpcd_send(r->desk.held[0], bytes_str("stuck"));
    grpcd_reset(r->desk.held[1], NGHTTP2_INTERNAL_ERROR);
    rig_run(r);
    cr_assert_eq(a->got_n, 0);
    cr_assert(b->closed && b->error == NGHTTP2_INTERNAL_ERROR);
    cr_assert_eq(r->desk.canceled, 1);
    grpcd_finish(r->desk.held[1], GRPCD_OK, NULL);
    grpcd_stall(r->desk.held[0], false);
    rig_run(r);
    got(a, "stuck");
    grpcd_drop(r->desk.held[0]);
    cr_assert(conn_done(r->conn) && conn_dead(r->conn));
    cr_assert_eq(conn_output(r->conn).n, 0);
    grpcd_finish(r->desk.held[0], GRPCD_OK, NULL);
    done(r);
}

CASE(grpcd_conn, leaving_says_goaway_and_ends_with_the_last_call)
{
    struct rig *r = opened();
    struct ask *a = rig_ask(r, "/t.Desk/Hold", "", NULL);

    rig_run(r);
    conn_leave(r->conn);
    rig_run(r);
    cr_assert(r->goaway);
    cr_assert_not(conn_done(r->conn));
    grpcd_reply(r->desk.held[0], bytes_str("bye"));
    rig_run(r);
    got(a, "bye");
    cr_assert(conn_done(r->conn));
    done(r);
}

CASE(grpcd_conn, a_client_that_never_reads_is_refused_in_the_end)
{
    struct rig *r = opened();
    size_t n = 2 << 20, count;
    char *text = malloc(n + 1);

    memset(text, 'm', n);
    text[n] = '\0';
    /* The client grants no window for answers, and goes on asking. */
    nghttp2_settings_entry none = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0 };

    nghttp2_submit_settings(r->client, NGHTTP2_FLAG_NONE, &none, 1);
    rig_run(r);
    struct ask *last = NULL;

    for (count = 0; count < 100 && (last == NULL || !last->closed); count++) {
        last = rig_ask(r, "/t.Desk/Echo", text, NULL);
        rig_run(r);
    }
    cr_assert(last->closed && last->error == NGHTTP2_REFUSED_STREAM);
    cr_assert_eq(count, 33, "%zu", count);
    free(text);
    done(r);
}

CASE(grpcd_conn, a_flood_of_pings_that_reads_no_answers_is_cut_off)
{
    static const uint8_t ping[] = "\0\0\10\6\0\0\0\0\0flooding";
    struct rig *r = opened();
    unsigned sent = 0;

    rig_run(r);
    while (sent < 100000 && !conn_dead(r->conn)) {
        conn_feed(r->conn, (struct bytes){ ping, 17 }, 0);
        sent++;
    }
    cr_assert(conn_dead(r->conn), "%u pings wait for their answers", sent);
    cr_assert_leq(sent, 10001);
    done(r);
}

CASE(grpcd_conn, too_many_header_bytes_reset_the_stream)
{
    struct rig *r = opened();
    char *value = malloc(17000);

    memset(value, 'v', 16999);
    value[16999] = '\0';
    const char *const big[] = { "x-big", value, NULL };
    struct ask *a = rig_ask(r, "/t.Desk/Echo", "x", big);

    rig_run(r);
    cr_assert(a->closed && a->error != 0 && a->got_n == 0);
    struct ask *b = rig_ask(r, "/t.Desk/Echo", "x", NULL);

    rig_run(r);
    got(b, "x");
    free(value);
    done(r);
}

CASE(grpcd_conn, pages_are_served_over_http2_too)
{
    struct rig *r = opened();
    struct ask *a = rig_ask_raw(r, "GET", "/version", NULL, 0, NULL),
               *b = rig_ask_raw(r, "GET", "/nowhere", NULL, 0, NULL),
               *c = rig_ask_raw(r, "GET", "/version?broken", NULL, 0, NULL);

    rig_run(r);
    cr_assert(a->closed && strcmp(a->http, "200") == 0 && a->status[0] == '\0');
    cr_assert_str_eq(a->type, "application/json");
    cr_assert_arr_eq(a->got, "{\"etcdserver\"", 13);
    cr_assert_str_eq(b->http, "404");
    cr_assert_str_eq(c->http, "500");
    cr_assert_eq(c->got_n, strlen("Internal Server Error: the disk is gone"));
    done(r);
}

CASE(grpcd_conn, any_failed_allocation_loses_a_call_or_the_connection_and_nothing_else)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct rig *r = calloc(1, sizeof *r);

        r->desk.finish_when_canceled = true;
        if (rig_open(r)) {
            struct ask *a = rig_ask(r, "/t.Desk/Echo", "hello", NULL);
            struct ask *c = rig_ask(r, "/t.Desk/Chat", NULL, NULL);

            rig_ask(r, "/t.Desk/Fail", "", NULL);
            rig_ask(r, "/t.Desk/Pour", "3", NULL);
            rig_ask(r, "/t.Desk/Fly", "", NULL);
            rig_ask_raw(r, "GET", "/version", NULL, 0, NULL);
            rig_say(r, c, "talk", true);
            rig_run(r);
            if (a->closed && strcmp(a->status, "0") == 0)
                got(a, "hello");
        }
        runs = nth;
        done(r);
    }
    cr_assert_gt(runs, 30, "%u", runs);
}
