#include "wire/snapshot.h"

#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/fakeetcd.h"
#include "util/clock.h"
#include "util/stop.h"
#include "util/str.h"
#include "util/task.h"

/* Keeps what it is given; may refuse, or be slow. */
struct keeper {
    struct sink base;
    struct buf kept;
    uint64_t refuse_after, slow_ms;
};

static enum rc keep(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct keeper *k = (struct keeper *)s;

    if (k->slow_ms != 0)
        clock_sleep_ms(k->slow_ms);
    if (k->refuse_after != 0 && k->kept.n + n > k->refuse_after)
        return err_set(e, RC_STORAGE, "the disk is full");
    return buf_add(&k->kept, p, n, e);
}

static const struct sink_ops keeper_ops = { .name = "keeper", .write = keep };

/* One attempt against a script, and all that can be said about it. */
struct attempt {
    struct fake_script script;
    struct wire_snapshot_options options;
    uint64_t stall_ms;
    struct keeper to;
    enum rc rc;
    struct err err;
    struct wire_outcome last;
    struct wire_snapshot told;
    unsigned snapshots; /* how often it was asked for */
};

static void attempt_run(struct attempt *a)
{
    FAKE f = fake_start(&a->script);
    OWNED(wire_client) c = NULL;
    struct wire_options o = { .endpoints = fake_endpoint(f),
                              .stall_timeout_ms = a->stall_ms == 0 ? 5000 : a->stall_ms };

    a->to.base.ops = &keeper_ops;
    OK(wire_client_new(&o, &c, &a->err), &a->err);
    a->rc = wire_snapshot_take(c, 0, &a->options, &a->to.base, &a->told, &a->err);
    a->last = *wire_last(c);
    a->snapshots = fake_calls(f, "Maintenance/Snapshot");
}

static void attempt_clear(struct attempt *a)
{
    buf_clear(&a->to.kept);
}
#define ATTEMPT AT_END(attempt_clear) struct attempt

#define STEPS(...)                                      \
    .steps = (const struct fake_step[]){ __VA_ARGS__ }, \
    .step_count =                                       \
        sizeof(const struct fake_step[]){ __VA_ARGS__ } / sizeof(struct fake_step)
/* The same without a comma at the top, for initialisers in tables. */
#define SCRIPT(...)        \
    {                      \
        STEPS(__VA_ARGS__) \
    }

CASE(wire_snapshot, a_whole_stream_arrives_unchanged)
{
    static const uint64_t sizes[] = { 512, 4096, 32768, 33280, 300 << 10 };

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t announced = 0;
        ATTEMPT a = { .script = { .db_size = sizes[i], .snap_version = "3.6.0" },
                      .options.announced = &announced };

        attempt_run(&a);
        OK(a.rc, &a.err);
        cr_assert_eq(announced, sizes[i] + 32);
        cr_assert(a.told.db_size == sizes[i] && a.told.bytes == sizes[i] + 32 &&
                      a.to.kept.n == sizes[i] + 32,
                  "%zu bytes", (size_t)sizes[i]);
        cr_assert(memcmp(a.told.trailer, a.to.kept.p + sizes[i], 32) == 0);
        for (size_t at = 0; at < sizes[i]; at++)
            cr_assert_eq(a.to.kept.p[at], (uint8_t)(at * 7 + at / 512), "byte %zu", at);
        cr_assert_str_eq(a.told.version, "3.6.0");
        cr_assert_eq(a.told.messages, (sizes[i] + 32767) / 32768 + 1);
    }
}

/* N7, N8, N10, N11: streams that contradict themselves. DB is 256 KiB. */
static const struct {
    const char *name;
    struct fake_script script;
    enum wire_detail detail;
    enum rc rc;
    const char *why;
} bad[] = {
    { "no messages", SCRIPT(FAKE_DO(FAKE_STATUS, 0)), WIRE_BAD_STREAM, RC_CORRUPT,
      "the stream is empty" },
    { "empty messages for ever",
      SCRIPT(FAKE_DO(FAKE_DATA, 65536), FAKE_DO(FAKE_EMPTY, 1000000)), WIRE_READ_ERROR,
      RC_CORRUPT,
      "the member sends empty messages with 196608 bytes still to come: its disk "
      "probably "
      "returned a read error" },
    { "empty from the start", SCRIPT(FAKE_DO(FAKE_EMPTY, 1000000)), WIRE_READ_ERROR,
      RC_CORRUPT,
      "the member sends empty messages with 262144 bytes still to come: its disk "
      "probably "
      "returned a read error" },
    { "cut, with a clean end", SCRIPT(FAKE_DO(FAKE_DATA, 65536)), WIRE_BAD_STREAM,
      RC_CORRUPT, "the stream ended 196608 bytes before the database did" },
    { "no trailer", SCRIPT(FAKE_DO(FAKE_REST, 0)), WIRE_BAD_STREAM, RC_CORRUPT,
      "the stream ended without its SHA-256 trailer" },
    { "half a trailer", SCRIPT(FAKE_DO(FAKE_REST, 0), FAKE_DO(FAKE_HALF_TRAILER, 31)),
      WIRE_BAD_STREAM, RC_CORRUPT, "the stream ended without its SHA-256 trailer" },
    { "two trailers",
      SCRIPT(FAKE_DO(FAKE_REST, 0), FAKE_DO(FAKE_TRAILER, 0), FAKE_DO(FAKE_TRAILER, 0)),
      WIRE_BAD_STREAM, RC_CORRUPT,
      "64 bytes follow the database instead of a trailer of 32" },
    { "merged trailer", SCRIPT(FAKE_DO(FAKE_DATA, 65536), FAKE_DO(FAKE_MERGED, 0)),
      WIRE_BAD_STREAM, RC_CORRUPT,
      "message 3 brings 196640 bytes and leaves 0, but 196608 were still to come" },
    { "data after the end", SCRIPT(FAKE_DO(FAKE_REST, 0), FAKE_DO(FAKE_DATA, 512)),
      WIRE_BAD_STREAM, RC_CORRUPT,
      "512 bytes follow the database instead of a trailer of 32" },
    { "empty after the end", SCRIPT(FAKE_DO(FAKE_REST, 0), FAKE_DO(FAKE_EMPTY, 9)),
      WIRE_BAD_STREAM, RC_CORRUPT, "an empty message follows the database" },
    { "a repeated blob",
      SCRIPT(FAKE_DO(FAKE_DATA, 32768), FAKE_DO(FAKE_REPEAT, 0), FAKE_DO(FAKE_REST, 0)),
      WIRE_BAD_STREAM, RC_CORRUPT,
      "message 2 brings 32768 bytes and leaves 229376, but 229376 were still to come" },
    { "remaining grows", SCRIPT(FAKE_DO(FAKE_DATA, 512), FAKE_DO(FAKE_LIE, 1)),
      WIRE_BAD_STREAM, RC_CORRUPT,
      "message 2 brings 512 bytes and leaves 261121, but 261632 were still to come" },
    { "remaining shrinks too much",
      SCRIPT(FAKE_DO(FAKE_DATA, 512), FAKE_DO(FAKE_REMAINING, 0)), WIRE_BAD_STREAM,
      RC_CORRUPT,
      "message 2 brings 512 bytes and leaves 0, but 261632 were still to come" },
    { "remaining wraps", SCRIPT(FAKE_DO(FAKE_REMAINING, UINT64_MAX)), WIRE_BAD_STREAM,
      RC_CORRUPT,
      "the stream begins with 512 bytes and announces 18446744073709551615 more, which "
      "is "
      "no database" },
    { "no multiple of 512", SCRIPT(FAKE_DO(FAKE_LIE, 1)), WIRE_BAD_STREAM, RC_CORRUPT,
      "the stream begins with 512 bytes and announces 261633 more, which is no "
      "database" },
    { "too large", SCRIPT(FAKE_DO(FAKE_REMAINING, 1ull << 40)), WIRE_BAD_STREAM,
      RC_CORRUPT,
      "the member announces a database of 1099511628288 bytes, the limit is 67502080" },
    { "an oversized message",
      SCRIPT(FAKE_DO(FAKE_DATA, 512), FAKE_DO(FAKE_FRAME, 8388609)), WIRE_BAD_STREAM,
      RC_CORRUPT,
      "the server announced a message of 8388609 bytes, the limit is 8388608" },
    { "length 0xffffffff", SCRIPT(FAKE_DO(FAKE_FRAME, UINT32_MAX)), WIRE_BAD_STREAM,
      RC_CORRUPT,
      "the server announced a message of 4294967295 bytes, the limit is 8388608" },
    { "compressed", SCRIPT({ .what = FAKE_FRAME, .n = 3, .m = 1 }), WIRE_BAD_STREAM,
      RC_CORRUPT,
      "the server sent a message with the compression flag 1, although no compression "
      "was "
      "offered" },
    { "garbage", SCRIPT(FAKE_DO(FAKE_GARBAGE, 40)), WIRE_BAD_STREAM, RC_CORRUPT,
      "40 bytes are no valid SnapshotResponse message" },
    { "cut inside a message",
      SCRIPT(FAKE_DO(FAKE_DATA, 512), FAKE_DO(FAKE_FRAME, 100), FAKE_DO(FAKE_STATUS, 0)),
      WIRE_FINE, RC_NET, "the stream ended 5 bytes into a message" },
    { "no status after all data",
      SCRIPT(FAKE_DO(FAKE_REST, 0), FAKE_DO(FAKE_TRAILER, 0), FAKE_DO(FAKE_NO_STATUS, 0)),
      WIRE_UNREACHABLE, RC_NET, "the answer ended without a gRPC status" },
    { "a second status",
      SCRIPT(FAKE_DO(FAKE_REST, 0), FAKE_DO(FAKE_TRAILER, 0),
             FAKE_DO(FAKE_TWO_STATUSES, 14)),
      WIRE_UNAVAILABLE, RC_NET, "no reason given (gRPC Unavailable)" },
    { "a success after the failure",
      SCRIPT(FAKE_DO(FAKE_REST, 0), FAKE_DO(FAKE_TRAILER, 0),
             { .what = FAKE_TWO_STATUSES, .n = 0, .m = 14 }),
      WIRE_UNAVAILABLE, RC_NET, "no reason given (gRPC Unavailable)" },
    { "reset", SCRIPT(FAKE_DO(FAKE_DATA, 65536), FAKE_DO(FAKE_RESET, 2)),
      WIRE_UNREACHABLE, RC_NET,
      "the connection broke: HTTP/2 stream 1 was not closed cleanly: INTERNAL_ERROR "
      "(err 2)" },
};

CASE(wire_snapshot, streams_that_contradict_themselves_are_refused, .timeout = 60)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ATTEMPT a = { .script = bad[i].script };

        attempt_run(&a);
        cr_assert_eq(a.rc, bad[i].rc, "%s: %s %s", bad[i].name, rc_name(a.rc), a.err.why);
        cr_assert_str_eq(a.err.why, bad[i].why, "%s: %s", bad[i].name, a.err.why);
        cr_assert_eq(a.last.detail, bad[i].detail, "%s: %d", bad[i].name, a.last.detail);
        cr_assert(strncmp(a.err.what, "Snapshot at http://127.0.0.1:", 29) == 0, "%s",
                  a.err.what);
        cr_assert_eq(a.told.bytes, 0, "%s: the result stays untouched", bad[i].name);
    }
}

/* What a stream may do without harm. */
static const struct {
    const char *name;
    struct fake_script script;
} odd[] = {
    { "trailer in two messages",
      SCRIPT(FAKE_DO(FAKE_REST, 0), FAKE_DO(FAKE_HALF_TRAILER, 7),
             FAKE_DO(FAKE_HALF_TRAILER, 25)) },
    { "two empty messages in a row",
      SCRIPT(FAKE_DO(FAKE_DATA, 512), FAKE_DO(FAKE_EMPTY, 2), FAKE_DO(FAKE_DATA, 512),
             FAKE_DO(FAKE_EMPTY, 2), FAKE_DO(FAKE_REST, 0), FAKE_DO(FAKE_TRAILER, 0)) },
    { "unknown fields",
      SCRIPT(FAKE_DO(FAKE_UNKNOWN, 0), FAKE_DO(FAKE_REST, 0), FAKE_DO(FAKE_TRAILER, 0)) },
    { "a pause", SCRIPT(FAKE_DO(FAKE_DATA, 512), FAKE_DO(FAKE_NAP, 30),
                        FAKE_DO(FAKE_REST, 0), FAKE_DO(FAKE_TRAILER, 0)) },
};

CASE(wire_snapshot, harmless_oddities_are_taken, .timeout = 60)
{
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        ATTEMPT a = { .script = odd[i].script };

        attempt_run(&a);
        cr_assert_eq(a.rc, RC_OK, "%s: %s", odd[i].name, a.err.why);
        cr_assert_eq(a.told.bytes, (256 << 10) + 32, "%s", odd[i].name);
    }
}

/* libcurl 7.88 ends the transfer at a GOAWAY, and calls it complete. */
CASE(wire_snapshot, a_goaway_never_makes_half_a_stream_whole)
{
    ATTEMPT a = { .script = SCRIPT(FAKE_DO(FAKE_DATA, 65536), FAKE_DO(FAKE_GOAWAY, 0),
                                   FAKE_DO(FAKE_REST, 0), FAKE_DO(FAKE_TRAILER, 0)) };

    attempt_run(&a);
    if (a.rc == RC_OK)
        cr_assert_eq(a.told.bytes, (256 << 10) + 32);
    else
        cr_assert_str_eq(a.err.why, "the answer ended without a gRPC status");
}

/* The digest is the chain's to check: what came is what is told. */
CASE(wire_snapshot, a_wrong_trailer_is_told_as_it_came)
{
    ATTEMPT right = { 0 };
    ATTEMPT wrong = { .script =
                          SCRIPT(FAKE_DO(FAKE_REST, 0), FAKE_DO(FAKE_BAD_TRAILER, 0)) };
    ATTEMPT zero = { .script =
                         SCRIPT(FAKE_DO(FAKE_REST, 0), FAKE_DO(FAKE_ZERO_TRAILER, 0)) };

    attempt_run(&right);
    attempt_run(&wrong);
    attempt_run(&zero);
    cr_assert(right.rc == RC_OK && wrong.rc == RC_OK && zero.rc == RC_OK);
    cr_assert(memcmp(wrong.told.trailer, wrong.to.kept.p + wrong.told.db_size, 32) == 0);
    right.told.trailer[7] ^= 1;
    cr_assert(memcmp(wrong.told.trailer, right.told.trailer, 32) == 0);
    cr_assert(zero.told.trailer[0] == 0 && zero.told.trailer[31] == 0);
}

/* N2: however many bytes arrive before the connection ends, it is a failure. */
CASE(wire_snapshot, a_cut_after_any_byte_is_a_failure, .timeout = 120)
{
    for (uint64_t k = 1;; k += k < 900 ? 1 : 37) {
        ATTEMPT a = { .script = { .db_size = 1024, .close_after = k },
                      .options.max_bytes = 1 << 20 };

        attempt_run(&a);
        if (a.rc == RC_OK) {
            cr_assert_eq(a.told.bytes, 1056, "the whole stream fits in %lu bytes", k);
            cr_assert_gt(k, 1100, "%lu", k);
            break;
        }
        cr_assert_eq(a.rc, RC_NET, "cut after %lu: %s %s", k, rc_name(a.rc), a.err.why);
        cr_assert_eq(a.last.detail, WIRE_UNREACHABLE, "cut after %lu", k);
    }
}

/* N1: cut at every message, by FIN and by RST. */
CASE(wire_snapshot, a_cut_at_any_message_is_a_failure, .timeout = 60)
{
    for (uint64_t n = 0; n <= 256 << 10; n += 32768)
        for (enum fake_what how = FAKE_CLOSE; how <= FAKE_ABORT; how++) {
            ATTEMPT a = { .script = SCRIPT(FAKE_DO(FAKE_DATA, n), FAKE_DO(how, 0)) };

            attempt_run(&a);
            cr_assert_eq(a.rc, RC_NET, "cut after %lu: %s", n, a.err.why);
            cr_assert_leq(a.to.kept.n, n, "cut after %lu", n);
        }
}

/* N12: the whole stream came, and then the server says that it failed. */
CASE(wire_snapshot, each_status_after_all_data_is_a_failure, .timeout = 60)
{
    static const enum rc want[] = {
        RC_OK,      RC_NET,  RC_NET, RC_USAGE,   RC_NET,  RC_NOTFOUND,
        RC_REFUSED, RC_AUTH, RC_NET, RC_REFUSED, RC_NET,  RC_USAGE,
        RC_REFUSED, RC_NET,  RC_NET, RC_CORRUPT, RC_AUTH, RC_NET,
    };

    for (uint64_t code = 0; code <= 17; code++) {
        ATTEMPT a = { .script = SCRIPT(FAKE_DO(FAKE_REST, 0), FAKE_DO(FAKE_TRAILER, 0),
                                       { .what = FAKE_STATUS,
                                         .n = code,
                                         .text = "disk%20on%0Afire%1b[31m %zz%" }) };

        attempt_run(&a);
        cr_assert_eq(a.rc, want[code], "code %lu: %s", code, a.err.why);
        cr_assert_eq(a.last.grpc_code, (int)code);
        if (code != 0)
            cr_assert(strstr(a.err.why, "disk on\\x0afire\\x1b[31m %zz% (gRPC ") ==
                          a.err.why,
                      "%s", a.err.why);
        cr_assert_eq(a.snapshots, 1, "code %lu: no second try", code);
    }
}

/* N3: silence at each place. */
CASE(wire_snapshot, a_stall_ends_at_its_deadline, .timeout = 60)
{
    for (uint64_t n = 0; n <= 65536; n += 32768) {
        ATTEMPT a = { .script = SCRIPT(FAKE_DO(FAKE_DATA, n), FAKE_DO(FAKE_STALL, 0)),
                      .stall_ms = 300 };
        uint64_t from = clock_ms();

        attempt_run(&a);
        cr_assert(a.rc == RC_NET && a.last.detail == WIRE_STALLED, "%s", a.err.why);
        cr_assert(strncmp(a.err.why, "no payload arrived for ", 23) == 0, "%s",
                  a.err.why);
        cr_assert_lt(clock_ms() - from, 3000);
        cr_assert_eq(a.to.kept.n, n);
    }
}

/* N4, by time: empty messages are no progress even when they come in twos. */
CASE(wire_snapshot, messages_are_no_progress)
{
    static struct fake_step steps[400];

    for (size_t i = 0; i < 400; i += 2) {
        steps[i] = (struct fake_step){ .what = FAKE_NAP, .n = 50 };
        steps[i + 1] = (struct fake_step){ .what = FAKE_FRAME, .n = 0 };
    }
    steps[1] = (struct fake_step){ .what = FAKE_DATA, .n = 512 };
    ATTEMPT a = { .script = { .steps = steps, .step_count = 400 }, .stall_ms = 300 };

    attempt_run(&a);
    cr_assert(a.rc != RC_OK, "empty messages leave 0 bytes: %s", a.err.why);
}

/* N5: each byte resets the stall clock, so the average is watched too. */
CASE(wire_snapshot, a_drip_is_too_slow, .timeout = 30)
{
    ATTEMPT a = { .script = { .db_size = 1024, STEPS(FAKE_DO(FAKE_DRIP, 20)) },
                  .stall_ms = 300 };
    uint64_t from = clock_ms();

    attempt_run(&a);
    cr_assert(a.rc == RC_NET && a.last.detail == WIRE_STALLED, "%s", a.err.why);
    cr_assert(strstr(a.err.why, "less than 16384 bytes a second") != NULL, "%s",
              a.err.why);
    cr_assert_lt(clock_ms() - from, 3000);
}

/* N6: a sink that cannot follow must not hold the server's transaction for ever. */
CASE(wire_snapshot, a_slow_sink_ends_the_stream, .timeout = 60)
{
    ATTEMPT a = { .script = { .db_size = 4 << 20 },
                  .options.rate_min = 10 << 20,
                  .stall_ms = 300,
                  .to.slow_ms = 20 };

    attempt_run(&a);
    cr_assert(a.rc == RC_NET && a.last.detail == WIRE_STALLED, "%s", a.err.why);
}

CASE(wire_snapshot, what_the_sink_says_goes_up)
{
    ATTEMPT a = { .to.refuse_after = 100000 };

    attempt_run(&a);
    cr_assert_eq(a.rc, RC_STORAGE);
    cr_assert_str_eq(a.err.why, "the disk is full");
    cr_assert_eq(a.snapshots, 1);
}

CASE(wire_snapshot, the_limit_comes_from_the_member)
{
    ATTEMPT small = { .script = { .db_size = 4096 }, .options.max_bytes = 4095 };
    ATTEMPT exact = { .script = { .db_size = 4096 }, .options.max_bytes = 4096 };
    ATTEMPT grown = { .script = { .db_size = 80 << 20, .snapshot_db_size = 1 << 20 } };

    attempt_run(&small);
    cr_assert_eq(small.rc, RC_CORRUPT);
    cr_assert_eq(small.to.kept.n, 0, "nothing is written before the refusal");
    attempt_run(&exact);
    OK(exact.rc, &exact.err);
    attempt_run(&grown);
    cr_assert_str_eq(grown.err.why,
                     "the member announces a database of 83886080 bytes, the limit is "
                     "68681728");
}

static enum rc stop_soon(void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    clock_sleep_ms(200);
    stop_request();
    return RC_OK;
}

CASE(wire_snapshot, a_wanted_stop_ends_a_silent_stream)
{
    ATTEMPT a = { .script = SCRIPT(FAKE_DO(FAKE_DATA, 512), FAKE_DO(FAKE_STALL, 0)) };
    struct task t = { 0 };
    uint64_t from = clock_ms();

    OK(task_start(&t, stop_soon, NULL, &a.err), &a.err);
    attempt_run(&a);
    cr_assert_eq(a.rc, RC_INTERRUPTED, "%s", a.err.why);
    cr_assert_lt(clock_ms() - from, 1200);
    cr_assert_eq(task_join(&t, &a.err), RC_OK);
    stop_reset();
}

static enum rc give_password(void *arg, char **out, struct err *e)
{
    unsigned *asked = arg;

    ++*asked;
    return str_format(out, e, "pw");
}

/* N19: the token is forgotten between Status and Snapshot. */
CASE(wire_snapshot, a_lost_token_is_renewed_before_the_first_byte)
{
    struct fake_script script = { .user = "root", .password = "pw", .token_uses = 1 };
    FAKE f = fake_start(&script);
    OWNED(wire_client) c = NULL;
    struct keeper to = { .base.ops = &keeper_ops };
    struct wire_snapshot told = { 0 };
    unsigned asked = 0;
    struct wire_options o = { .endpoints = fake_endpoint(f),
                              .user = "root",
                              .password = give_password,
                              .password_arg = &asked };
    struct err e = { 0 };

    OK(wire_client_new(&o, &c, &e), &e);
    OK(wire_snapshot_take(c, 0, &(struct wire_snapshot_options){ 0 }, &to.base, &told,
                          &e),
       &e);
    cr_assert_eq(asked, 2);
    cr_assert_eq(told.bytes, (256 << 10) + 32);
    buf_clear(&to.kept);
}
