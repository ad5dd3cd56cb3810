/* What object stores do wrong, and what must come of it. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "storage/retry.h"
#include "storage/s3_inside.h"
#include "storage/s3_sign.h"
#include "tests/lib/case.h"
#include "tests/lib/fakes3.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "tests/store/contract.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/stop.h"

enum { MIB = 1 << 20, FOREVER = 100000 };

static struct store *open_at(const struct fakes3 *f, const char *place)
{
    const struct store_options o = { .url = fakes3_url(f, place),
                                     .deadline_ms = 20000,
                                     .stall_ms = 1000 };
    struct store *s = NULL;
    struct err e = { 0 };

    setenv("AWS_ACCESS_KEY_ID", "AK", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "SECRETCANARY", 1);
    retry_first_ms = 1;
    OK(store_open(&o, &s, &e), &e);
    return s;
}

static struct fakes3 *start_with(struct fakes3_rule rule)
{
    struct fakes3_script script = { .rules = { rule } };

    return fakes3_start(&script);
}

static enum rc put(struct store *s, const char *key, const char *text, struct err *e)
{
    return store_put_bytes(s, key, NULL, bytes_str(text), e);
}

static enum rc count(void *arg, const struct store_info *info, struct err *e)
{
    (void)info;
    (void)e;
    ++*(unsigned *)arg;
    return RC_OK;
}

CASE(s3, the_contract_holds)
{
    FAKES3 f = fakes3_start(&(struct fakes3_script){ .page = 3 });
    OWNED(store) s = open_at(f, "");
    OWNED(store) below = open_at(f, "some/where/");

    cr_assert_str_eq(store_name(s), "s3://bucket/");
    contract_holds(s, "", true);
    contract_holds(below, "", true);
    cr_assert_eq(fakes3_objects(f), 0);
}

CASE(s3, the_contract_holds_without_conditions)
{
    FAKES3 f = fakes3_start(&(struct fakes3_script){ .no_conditions = true });
    OWNED(store) s = open_at(f, "x");

    contract_holds(s, "", false);
}

/* ---- what passes by itself ---- */

static const struct {
    int status;
    const char *code;
} passing[] = { { 503, "SlowDown" },
                { 500, "InternalError" },
                { 429, NULL },
                { 502, NULL },
                { 400, "RequestTimeout" } };

CASE(s3, what_passes_by_itself_is_tried_again)
{
    static const char *const methods[] = { "PUT", "GET", "HEAD", "DELETE" };

    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        for (size_t m = 0; m < 4; m++) {
            FAKES3 f = start_with((struct fakes3_rule){ .method = methods[m],
                                                        .does = FAKES3_STATUS,
                                                        .status = passing[i].status,
                                                        .code = passing[i].code,
                                                        .times = 3 });
            OWNED(store) s = open_at(f, "p");
            struct err e = { 0 };

            /* A HEAD has no body to tell a code by. */
            if (m == 2 && passing[i].status == 400)
                continue;
            OK(put(s, "k", "text", &e), &e);
            cr_assert(store_holds(s, "k", "text"));
            cr_assert_str_eq(store_listing(s, ""), "k");
            OK(store_remove(s, "k", &e), &e);
            cr_assert_eq(fakes3_objects(f), 0);
        }
}

CASE(s3, who_never_answers_well_is_given_up)
{
    FAKES3 f = start_with((struct fakes3_rule){ .method = "PUT",
                                                .does = FAKES3_STATUS,
                                                .status = 503,
                                                .code = "SlowDown",
                                                .times = FOREVER });
    OWNED(store) s = open_at(f, "p");
    struct err e = { 0 };

    cr_assert_eq(put(s, "k", "text", &e), RC_NET);
    cr_assert(strstr(e.why, "the store asks to slow down (503 SlowDown)") != NULL, "%s",
              e.why);
    cr_assert(strstr(e.what, "gave up after 8 tries") != NULL, "%s", e.what);
    cr_assert_eq(fakes3_count(f, "PUT", "/bucket/p/k"), RETRY_TRIES);
}

CASE(s3, a_silent_store_is_asked_again)
{
    FAKES3 f = start_with((struct fakes3_rule){ .method = "PUT", .does = FAKES3_SILENT });
    OWNED(store) s = open_at(f, "p");
    struct err e = { 0 };

    OK(put(s, "k", "text", &e), &e);
    cr_assert(store_holds(s, "k", "text"));
}

/* ---- answers that are lost, or lie ---- */

/* A put whose answer does not come, in one request and in parts: it was carried out. */
CASE(s3, an_answer_that_got_lost_is_looked_for)
{
    static const struct fakes3_rule rules[] = {
        { .does = FAKES3_LOSE },
        { .does = FAKES3_LATE_ERROR, .status = 500, .code = "InternalError" },
        { .does = FAKES3_LATE_ERROR, .status = 504 },
    };

    for (size_t i = 0; i < 6; i++) {
        struct fakes3_rule rule = rules[i % 3];
        uint64_t size = i < 3 ? 1000 : 17 * MIB;

        rule.method = i < 3 ? "PUT" : "POST";
        rule.contains = i < 3 ? NULL : "uploadId";
        FAKES3 f = start_with(rule);
        OWNED(store) s = open_at(f, "p");
        struct err e = { 0 };

        OK(store_put_pattern(s, "k", NULL, size, &e), &e);
        cr_assert(store_has_pattern(s, "k", size));
        cr_assert(fakes3_objects(f) == 1 && fakes3_uploads(f) == 0);
    }
}

/* The same, and then the store is gone: nobody knows. */
CASE(s3, an_outcome_that_cannot_be_known_is_no_success)
{
    FAKES3 f = fakes3_start(&(struct fakes3_script){
        .rules = {
            { .method = "PUT", .does = FAKES3_LOSE },
            { .skip = 2, .does = FAKES3_STATUS, .status = 503, .times = FOREVER } } });
    OWNED(store) s = open_at(f, "p");
    struct err e = { 0 };

    cr_assert_eq(put(s, "k", "text", &e), RC_NET);
    cr_assert(strstr(e.why, "it is not known whether 'k' was stored") != NULL, "%s",
              e.why);
}

/* It looked free, and then somebody else took the key. */
CASE(s3, another_ones_object_is_not_ours)
{
    FAKES3 f = start_with(
        (struct fakes3_rule){ .method = "HEAD", .does = FAKES3_STATUS, .status = 404 });
    OWNED(store) s = open_at(f, "p");
    const struct store_put replace = { .replace = true };
    struct err e = { 0 };
    OWNED(sink) ours = NULL;

    OK(store_put_new(s, "k", NULL, &ours, &e), &e);
    OK(store_put_bytes(s, "k", &replace, bytes_str("theirs"), &e), &e);
    OK(sink_write(ours, "ours", 4, &e), &e);
    cr_assert_eq(sink_finish(ours, &e), RC_REFUSED, "%s", e.why);
    cr_assert(strstr(e.why, "'k' exists already in") != NULL, "%s", e.why);
    cr_assert(store_holds(s, "k", "theirs"));
}

CASE(s3, a_store_that_keeps_nothing_is_noticed)
{
    FAKES3 f =
        start_with((struct fakes3_rule){ .method = "PUT", .does = FAKES3_PRETEND });
    OWNED(store) s = open_at(f, "p");
    struct err e = { 0 };

    cr_assert_eq(put(s, "k", "ours", &e), RC_STORAGE);
    cr_assert(strstr(e.why, "the store answers that it took 'k', and shows none") != NULL,
              "%s", e.why);
}

CASE(s3, a_success_that_carries_an_error_is_none)
{
    for (unsigned times = 1; times <= FOREVER; times += FOREVER - 1) {
        FAKES3 f = start_with((struct fakes3_rule){ .method = "POST",
                                                    .contains = "uploadId",
                                                    .does = FAKES3_STATUS,
                                                    .status = 200,
                                                    .code = "InternalError",
                                                    .times = times });
        OWNED(store) s = open_at(f, "p");
        struct err e = { 0 };
        enum rc rc = store_put_pattern(s, "k", NULL, 17 * MIB, &e);

        cr_assert_eq(rc, times == 1 ? RC_OK : RC_NET, "%s", e.why);
        cr_assert_eq(fakes3_objects(f), times == 1);
        cr_assert_eq(fakes3_uploads(f), 0, "what cannot be completed is aborted");
    }
}

CASE(s3, a_part_is_sent_again_alone)
{
    FAKES3 f =
        fakes3_start(&(struct fakes3_script){ .rules = { { .method = "PUT",
                                                           .contains = "partNumber=2",
                                                           .does = FAKES3_LOSE,
                                                           .times = 2 },
                                                         { .method = "PUT",
                                                           .contains = "partNumber=1",
                                                           .does = FAKES3_STATUS,
                                                           .status = 503 } } });
    OWNED(store) s = open_at(f, "p");
    struct err e = { 0 };

    OK(store_put_pattern(s, "k", NULL, 35 * MIB, &e), &e);
    cr_assert(store_has_pattern(s, "k", 35 * MIB));
    cr_assert_eq(fakes3_count(f, "PUT", "partNumber=1"), 2);
    cr_assert_eq(fakes3_count(f, "PUT", "partNumber=2"), 3);
    cr_assert_eq(fakes3_count(f, "PUT", "partNumber=3"), 1);
}

CASE(s3, a_part_that_never_arrives_ends_it)
{
    FAKES3 f = start_with((struct fakes3_rule){ .method = "PUT",
                                                .contains = "partNumber=2",
                                                .does = FAKES3_STATUS,
                                                .status = 507 });
    OWNED(store) s = open_at(f, "p");
    struct err e = { 0 };

    cr_assert_eq(store_put_pattern(s, "k", NULL, 60 * MIB, &e), RC_STORAGE);
    cr_assert_str_eq(e.why, "the store is full");
    cr_assert(fakes3_objects(f) == 0 && fakes3_uploads(f) == 0);
}

CASE(s3, a_stop_leaves_no_parts)
{
    FAKES3 f = fakes3_start(&(struct fakes3_script){ 0 });
    OWNED(store) s = open_at(f, "p");
    OWNED(sink) to = NULL;
    OWNED(text) piece = mem_zero(17 * MIB);
    struct err e = { 0 };

    OK(store_put_new(s, "k", NULL, &to, &e), &e);
    OK(sink_write(to, piece, 17 * MIB, &e), &e);
    stop_request();
    cr_assert_eq(sink_finish(to, &e), RC_INTERRUPTED, "%s", e.why);
    sink_free(GIVE(to));
    stop_reset();
    cr_assert(fakes3_objects(f) == 0 && fakes3_uploads(f) == 0);
}

/* ---- reading ---- */

enum { SIZE = 300000 };

static void read_with(struct fakes3_script script, enum rc expected, const char *why)
{
    FAKES3 f = fakes3_start(&script);
    OWNED(store) s = open_at(f, "p");
    OWNED(sink) nowhere = NULL;
    struct err e = { 0 };

    OK(store_put_pattern(s, "k", NULL, SIZE, &e), &e);
    if (expected == RC_OK) {
        cr_assert(store_has_pattern(s, "k", SIZE));
        return;
    }
    OK(null_sink_new(&nowhere, &e), &e);
    cr_assert_eq(store_get(s, "k", nowhere, &e), expected, "%s", e.why);
    cr_assert(strstr(e.why, why) != NULL, "%s", e.why);
}

CASE(s3, a_broken_read_is_taken_up_where_it_broke)
{
    static const size_t at[] = { 0, 1, 65536, SIZE - 1 };

    for (size_t i = 0; i < 4; i++)
        for (int ranges = 0; ranges < 2; ranges++)
            read_with((struct fakes3_script){ .rules = { { .method = "GET",
                                                           .does = FAKES3_CUT,
                                                           .at = at[i],
                                                           .times = 3 } },
                                              .no_ranges = ranges == 0 },
                      RC_OK, NULL);
}

CASE(s3, another_object_is_noticed)
{
    for (int ranges = 0; ranges < 2; ranges++)
        read_with(
            (struct fakes3_script){
                .rules = { { .method = "GET", .does = FAKES3_CUT, .at = 1000 },
                           { .method = "GET", .does = FAKES3_CHANGE } },
                .no_ranges = ranges == 0 },
            RC_CORRUPT, "'k' became another object while it was read");
}

CASE(s3, what_was_changed_on_its_way_is_refused)
{
    read_with((struct fakes3_script){ .rules = { { .method = "GET",
                                                   .does = FAKES3_HEADER,
                                                   .raw = "Content-Encoding: gzip" } } },
              RC_CORRUPT, "'k' was changed on its way: encoded as gzip");
    read_with(
        (struct fakes3_script){
            .rules = { { .method = "GET", .does = FAKES3_CUT, .at = 1000 },
                       { .method = "GET",
                         .does = FAKES3_RAW,
                         .raw = "HTTP/1.1 206 X\r\nContent-Range: bytes 7-9/300000"
                                "\r\nContent-Length: 3\r\n\r\nabc" } } },
        RC_CORRUPT, "the store sends another part of 'k' than asked");
}

/* ---- lists ---- */

CASE(s3, lists_are_set_right)
{
    FAKES3 f = fakes3_start(&(struct fakes3_script){ .odd_lists = true });
    OWNED(store) s = open_at(f, "p");
    struct err e = { 0 };

    OK(put(s, "b", "x", &e), &e);
    OK(put(s, "a", "x", &e), &e);
    OK(put(s, "c/d", "x", &e), &e);
    cr_assert_str_eq(store_listing(s, ""), "a b c/d");
}

static void list_with(struct fakes3_script script, const char *why)
{
    FAKES3 f = fakes3_start(&script);
    OWNED(store) s = open_at(f, "p");
    struct err e = { 0 };
    unsigned n = 0;

    OK(put(s, "a", "x", &e), &e);
    OK(put(s, "b", "x", &e), &e);
    cr_assert_eq(store_list(s, "", count, &n, &e), RC_CORRUPT, "%s", e.why);
    cr_assert(strstr(e.why, why) != NULL, "%s", e.why);
    cr_assert_eq(n, 0, "nobody is told half a list");
}

#define LIST_ANSWER(text)                             \
    (struct fakes3_script)                            \
    {                                                 \
        .rules = {                                    \
            { .contains = "list-type",                \
              .does = FAKES3_RAW,                     \
              .raw = "HTTP/1.1 200 OK\r\n\r\n" text } \
        }                                             \
    }

CASE(s3, lists_that_make_no_sense_are_refused)
{
    list_with((struct fakes3_script){ .page = 1, .circles = true },
              "goes round in circles");
    list_with(LIST_ANSWER("<L><IsTruncated>true</IsTruncated></L>"),
              "goes round in circles");
    list_with(LIST_ANSWER("<L><Contents><Size>-1</Size></Contents></L>"),
              "a size that is no number");
    list_with(LIST_ANSWER("<!DOCTYPE L [<!ENTITY a \"aaaa\">]><L>&a;</L>"),
              "a document type, which is not taken");
    list_with(LIST_ANSWER("{}"), "the answer is no XML");
    list_with(LIST_ANSWER(""), "the answer is no XML");
}

CASE(s3, nothing_that_is_answered_is_unbounded)
{
    static char flood[200000];
    struct fakes3_rule rule = { .method = "GET", .does = FAKES3_RAW, .raw = flood };
    size_t n;

    n = (size_t)snprintf(flood, sizeof flood, "HTTP/1.1 200 OK\r\n");
    while (n + 40 < sizeof flood)
        n += (size_t)snprintf(flood + n, sizeof flood - n, "x-junk: 0123456789\r\n");
    list_with((struct fakes3_script){ .rules = { rule } },
              "the answer has more than 64 KiB of headers");
    for (n = 0; n + 40 < sizeof flood;)
        n += (size_t)snprintf(flood + n, sizeof flood - n, "HTTP/1.1 100 X\r\n\r\n");
    list_with((struct fakes3_script){ .rules = { rule } },
              "the answer has more than 64 KiB of headers");
    n = (size_t)snprintf(flood, sizeof flood, "HTTP/1.1 200 OK\r\netag: ");
    memset(flood + n, 'e', 5000);
    snprintf(flood + n + 5000, 10, "\r\n\r\n");
    list_with((struct fakes3_script){ .rules = { rule } },
              "the store's header etag is too long, or no text");
}

/* ---- who may, and where ---- */

CASE(s3, expired_credentials_are_read_again_once)
{
    for (unsigned times = 1; times <= 2; times++) {
        FAKES3 f = start_with((struct fakes3_rule){ .method = "GET",
                                                    .does = FAKES3_STATUS,
                                                    .status = 400,
                                                    .code = "ExpiredToken",
                                                    .times = times });
        OWNED(store) s = open_at(f, "p");
        struct err e = { 0 };
        unsigned n = 0;

        cr_assert_eq(store_list(s, "", count, &n, &e), times == 1 ? RC_OK : RC_AUTH);
        cr_assert_eq(fakes3_count(f, "GET", "list-type"), 2);
    }
}

CASE(s3, redirects_are_told_and_not_followed)
{
    FAKES3 there = fakes3_start(&(struct fakes3_script){ 0 });
    char moved[300];

    snprintf(moved, sizeof moved,
             "HTTP/1.1 307 Moved\r\nLocation: %s/x\r\nx-amz-bucket-region: eu-west-1\r\n"
             "Content-Length: 0\r\n\r\n",
             strstr(fakes3_url(there, ""), "http"));
    FAKES3 f = start_with(
        (struct fakes3_rule){ .does = FAKES3_RAW, .raw = moved, .times = FOREVER });
    OWNED(store) s = open_at(f, "p");
    struct err e = { 0 };

    cr_assert_eq(put(s, "k", "x", &e), RC_USAGE);
    cr_assert_str_eq(e.hint, "write region=eu-west-1 into the URL");
    cr_assert_eq(fakes3_count(there, NULL, ""), 0);
}

static void gather(enum log_level level, const char *line, void *arg)
{
    struct buf *to = arg;
    struct err e = { 0 };

    (void)level;
    OK(buf_add(to, line, strlen(line), &e), &e);
}

CASE(s3, nothing_that_is_said_holds_a_secret)
{
    FAKES3 f = fakes3_start(&(struct fakes3_script){
        .rules = { { .method = "PUT", .does = FAKES3_STATUS, .status = 503, .times = 2 },
                   { .method = "PUT",
                     .does = FAKES3_STATUS,
                     .status = 403,
                     .code = "SignatureDoesNotMatch" } } });
    OWNED(store) s = open_at(f, "p");
    AT_END(buf_clear) struct buf said = { 0 };
    struct err e = { 0 };

    log_to(gather, &said);
    cr_assert_eq(put(s, "k", "x", &e), RC_AUTH);
    log_to(NULL, NULL);
    gather(LOG_INFO_LEVEL, e.what, &said);
    gather(LOG_INFO_LEVEL, e.why, &said);
    gather(LOG_INFO_LEVEL, e.hint, &said);
    cr_assert(memmem(said.p, said.n, "trying again", 12) != NULL);
    cr_assert_null(memmem(said.p, said.n, "CANARY", 6));
    cr_assert_null(memmem(said.p, said.n, "Signature=", 10));
}

/* Who may only put cannot see whether the key is free, nor what came of it. */
CASE(s3, who_may_only_put_can_put)
{
    FAKES3 f = start_with((struct fakes3_rule){
        .method = "HEAD", .does = FAKES3_STATUS, .status = 403, .times = FOREVER });
    OWNED(store) s = open_at(f, "p");
    const struct store_put locked = { .keep_until = clock_unix_ms() / 1000 + 60 };
    struct err e = { 0 };

    OK(put(s, "k", "text", &e), &e);
    cr_assert(store_holds(s, "k", "text"));
    cr_assert_eq(put(s, "k", "again", &e), RC_REFUSED, "%s", e.why);
    cr_assert_neq(store_put_bytes(s, "l", &locked, bytes_str("x"), &e), RC_OK,
                  "a lock that cannot be read back is none");
}

enum { NOON = 1763726400 }; /* when the fake's clock stands still */

CASE(s3, a_lock_that_is_not_in_force_is_refused)
{
    const struct store_put locked = { .keep_until = NOON + 3600 };
    FAKES3 f = fakes3_start(&(struct fakes3_script){ .no_locks = true });
    OWNED(store) s = open_at(f, "p");
    struct err e = { 0 };

    cr_assert_eq(store_put_bytes(s, "k", &locked, bytes_str("x"), &e), RC_REFUSED);
    cr_assert_eq(fakes3_objects(f), 0, "what cannot be kept as asked is not kept");
}

CASE(s3, a_lock_ends_by_the_clock_of_the_store)
{
    for (int minutes = -1; minutes <= 1; minutes += 2) {
        const struct store_put locked = { .keep_until = NOON + minutes * 60 };
        FAKES3 f = fakes3_start(&(struct fakes3_script){ 0 });
        OWNED(store) s = open_at(f, "p");
        struct store_info info;
        struct err e = { 0 };

        OK(store_put_bytes(s, "k", &locked, bytes_str("x"), &e), &e);
        OK(store_stat(s, "k", &info, &e), &e);
        cr_assert_eq(info.locked_until, locked.keep_until);
        cr_assert_eq(store_remove(s, "k", &e), minutes < 0 ? RC_OK : RC_REFUSED);
        cr_assert_eq(fakes3_objects(f), minutes < 0 ? 0 : 1);
    }
}

/* ---- what is left over ---- */

CASE(s3, only_old_uploads_are_swept)
{
    static const struct {
        const char *initiated;
        unsigned swept;
    } rows[] = { { NULL, 1 },
                 { "2025-11-20T11:59:59.000Z", 1 },
                 { "2025-11-20T12:00:01.000Z", 0 }, /* a day before its own clock */
                 { "soon", 0 } };

    for (size_t i = 0; i < 4; i++) {
        FAKES3 f =
            fakes3_start(&(struct fakes3_script){ .initiated = rows[i].initiated });
        OWNED(store) s = open_at(f, "p");
        S3_ANSWER a = { 0 };
        struct s3_call c = { .operation = "CreateMultipartUpload",
                             .method = "POST",
                             .key = "x/k",
                             .query = { { "uploads", "" } },
                             .body = bytes_str("") };
        uint64_t swept = 9;
        struct err e = { 0 };

        OK(s3_run((struct s3 *)s, &c, &a, &e), &e);
        OK(store_sweep(s, "y/", &swept, &e), &e);
        cr_assert(swept == 0 && fakes3_uploads(f) == 1);
        OK(store_sweep(s, "x/", &swept, &e), &e);
        cr_assert(swept == rows[i].swept && fakes3_uploads(f) == 1 - rows[i].swept,
                  "row %zu: %llu", i, (unsigned long long)swept);
    }
}

CASE(s3, a_store_that_lists_no_uploads_has_none_to_sweep)
{
    for (int known = 0; known < 2; known++) {
        FAKES3 f = start_with((struct fakes3_rule){ .contains = "uploads=",
                                                    .does = FAKES3_STATUS,
                                                    .status = known == 0 ? 501 : 403 });
        OWNED(store) s = open_at(f, "p");
        uint64_t swept = 9;
        struct err e = { 0 };

        cr_assert_eq(store_sweep(s, "", &swept, &e), known == 0 ? RC_OK : RC_AUTH);
        cr_assert_eq(swept, 0);
    }
}

/* ---- options ---- */

CASE(s3, unusable_options_are_refused_at_once)
{
    const char *dir = tmpdir_new();
    const struct store_options rows[] = {
        { .url = "s3://x" },
        { .url = "s3://bucket?endpoint=nowhere" },
        { .url = "s3://bucket", .cacert = path_in(dir, "none") },
        { .url = "s3://bucket", .credentials_file = path_in(dir, "none") },
    };

    setenv("AWS_ACCESS_KEY_ID", "AK", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "SK", 1);
    for (size_t i = 0; i < 4; i++) {
        struct store *s = NULL;
        struct err e = { 0 };

        cr_assert_eq(store_open(&rows[i], &s, &e), i == 3 ? RC_NOTFOUND : RC_USAGE, "%s",
                     e.why);
        cr_assert_null(s);
    }
}

static enum rc make_request(struct err *e)
{
    AT_END(s3_place_clear) struct s3_place p = { 0 };
    AT_END(s3_target_clear) struct s3_target target = { 0 };
    AT_END(str_list_clear) struct str_list lines = { 0 };
    const struct s3_keys keys = { .access = "A", .secret = "S", .token = "T" };
    const struct s3_param query[] = { { "prefix", "x" }, { NULL, NULL } };
    struct s3_signing q = { .method = "GET",
                            .region = "r",
                            .target = &target,
                            .headers = &lines,
                            .payload = "P" };

    TRY(s3_place_parse("s3://bucket/x?endpoint=http://h&region=r", &p, e));
    TRY(s3_target_make(&p, "key", query, &target, e));
    return s3_sign(&q, &keys, e);
}

CASE(s3, every_allocation_of_a_request_may_fail)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct err e = { 0 };
        enum rc rc = make_request(&e);

        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
        runs = nth;
    }
    cr_assert_gt(runs, 20);
}
