/* Sums by prefix, growth, and what counts as a secret. */
#include <stdio.h>

#include "inspect_fixture.h"
#include "snapshot/look.h"
#include "snapshot/secrets.h"
#include "snapshot/usage.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"

#define LOOK AT_END(snap_look_clear) struct snap_look

static void look_into(const char *path, struct snap_look *out)
{
    struct err e = { 0 };

    OK(snap_look_open(path, &(struct snap_look_options){ 0 }, out, &e), &e);
}

CASE(snapshot_usage, knows_what_the_parts_of_a_key_are)
{
    static const struct {
        const char *key;
        unsigned depth;
        const char *prefix;
    } cases[] = {
        { "/registry/pods/default/web", 0, "" },
        { "/registry/pods/default/web", 1, "/registry/" },
        { "/registry/pods/default/web", 2, "/registry/pods/" },
        { "/registry/pods/default/web", 3, "/registry/pods/default/" },
        { "/registry/pods/default/web", 9, "/registry/pods/default/" },
        { "/registry/nodes/n1", 2, "/registry/nodes/" },
        { "/registry/nodes/n1", 3, "/registry/nodes/" },
        { "/registry/health", 2, "/registry/" },
        { "/registry/cert-manager.io/certificates/ns/x", 2,
          "/registry/cert-manager.io/certificates/" },
        { "/registry/cert-manager.io/certificates/ns/x", 3,
          "/registry/cert-manager.io/certificates/ns/" },
        { "/registry/services/specs/ns/x", 2, "/registry/services/specs/" },
        { "/registry/services/x", 2, "/registry/services/" },
        { "/other.io/a/b/c", 2, "/other.io/a/" },
        { "plain", 2, "" },
        { "a/b", 2, "a/" },
        { "/", 2, "" },
        { "//", 1, "//" },
        { "", 2, "" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes got = snap_usage_prefix(bytes_str(cases[i].key), cases[i].depth);

        cr_assert(bytes_is(got, cases[i].prefix), "%s at %u: '%.*s'", cases[i].key,
                  cases[i].depth, (int)got.n, got.p);
    }
}

/* Records are 17 or 18 bytes of revision and the message: 2 bytes before the key, and 2
 * each for create, mod and version. */
static const struct event shop[] = {
    { .main = 2, .create = 2, .version = 1, .key = TEXT("/a/x") },
    { .main = 3, .create = 2, .version = 2, .key = TEXT("/a/x") },
    { .main = 4, .create = 4, .version = 1, .key = TEXT("/a") },
    { .main = 5, .create = 5, .version = 1, .key = TEXT("/a/y") },
    { .main = 6, .key = TEXT("/a/y") },
    { .main = 7, .create = 7, .version = 1, .key = TEXT("/b/z") },
    { .main = 8, .create = 8, .version = 1, .key = TEXT("/c") },
};

CASE(snapshot_usage, sums_live_and_superseded_records)
{
    AT_END(snap_usage_clear) struct snap_usage u = { 0 };
    LOOK look = { 0 };
    struct err e = { 0 };

    look_into(invented_file(&(struct invented){ .events = shop, .event_count = 7 }),
              &look);
    OK(snap_usage_make(&look.index, 2, &u, &e), &e);
    cr_assert_eq(u.count, 3u, "/a/, /b/ and none");
    cr_assert(bytes_is(u.rows[0].prefix, "/a/"));
    cr_assert_eq(u.rows[0].keys, 1u);
    cr_assert_eq(u.rows[0].live_bytes, 29u);
    cr_assert_eq(u.rows[0].history, 3u);
    cr_assert_eq(u.rows[0].history_bytes, 29u + 29 + 24);
    /* "/a" and "/c" stand on both sides of "/a/" and "/b/", and yet are one row. */
    cr_assert(bytes_is(u.rows[1].prefix, ""));
    cr_assert_eq(u.rows[1].keys, 2u);
    cr_assert_eq(u.rows[1].live_bytes, 54u);
    cr_assert(bytes_is(u.rows[2].prefix, "/b/"));
    cr_assert_eq(u.total.keys, 4u);
    cr_assert_eq(u.total.history, 3u);
    cr_assert_eq(snap_usage_bytes(&u.total), 29u + 82 + 54 + 29);
}

CASE(snapshot_usage, adds_up_to_all_records_at_every_depth)
{
    static struct tale t;
    LOOK look = { 0 };
    uint64_t bytes = 0;
    struct err e = { 0 };

    tale_begin(&t, 11);
    tale_go_on(&t, 300);
    look_into(tale_file(&t), &look);
    for (size_t i = 0; i < look.index.count; i++)
        bytes += snap_index_size(&look.index, i);
    for (unsigned depth = 0; depth < 30; depth++) {
        AT_END(snap_usage_clear) struct snap_usage u = { 0 };
        struct snap_usage_row sum = { 0 };

        OK(snap_usage_make(&look.index, depth, &u, &e), &e);
        for (size_t i = 0; i < u.count; i++) {
            sum.keys += u.rows[i].keys;
            sum.history += u.rows[i].history;
            sum.live_bytes += snap_usage_bytes(&u.rows[i]);
            cr_assert(i == 0 ||
                      snap_usage_bytes(&u.rows[i - 1]) >= snap_usage_bytes(&u.rows[i]));
        }
        cr_assert_eq(sum.keys, snap_look_live(&look), "depth %u", depth);
        cr_assert_eq(sum.keys + sum.history, t.count, "depth %u", depth);
        cr_assert_eq(sum.live_bytes, bytes, "depth %u", depth);
    }
}

CASE(snapshot_usage, tells_what_grew_and_what_shrank)
{
    static const struct event later[] = {
        { .main = 20, .create = 20, .version = 1, .key = TEXT("/a/x") },
        { .main = 21, .create = 21, .version = 1, .key = TEXT("/b/z") },
        { .main = 22,
          .create = 22,
          .version = 1,
          .key = TEXT("/d/new"),
          .value = TEXT("much longer than all the rest of it") },
    };
    AT_END(snap_usage_clear) struct snap_usage before = { 0 };
    AT_END(snap_usage_clear) struct snap_usage after = { 0 };
    AT_END(snap_growth_clear) struct snap_growth g = { 0 };
    LOOK a = { 0 };
    LOOK b = { 0 };
    struct err e = { 0 };

    look_into(invented_file(&(struct invented){ .events = shop, .event_count = 7 }), &a);
    look_into(invented_file(&(struct invented){ .events = later, .event_count = 3 }), &b);
    OK(snap_usage_make(&a.index, 2, &before, &e), &e);
    OK(snap_usage_make(&b.index, 2, &after, &e), &e);
    OK(snap_growth_make(&before, &after, &g, &e), &e);
    cr_assert_eq(g.count, 3u, "/b/ is as it was");
    cr_assert(bytes_is(g.rows[0].prefix, "/d/"));
    cr_assert_eq(g.rows[0].before.keys, 0u);
    cr_assert_eq(g.rows[0].after.keys, 1u);
    cr_assert(bytes_is(g.rows[1].prefix, ""));
    cr_assert_eq(g.rows[1].after.keys, 0u);
    cr_assert(bytes_is(g.rows[2].prefix, "/a/"), "shrank most");
}

/* ---- secrets ---------------------------------------------------------------------- */

CASE(snapshot_secrets, knows_what_not_to_show)
{
    static const struct bytes key = TEXT("/registry/configmaps/a");

    cr_assert(snap_is_secret(TEXT("/registry/secrets/ns/a"), TEXT("")));
    cr_assert(snap_is_secret(TEXT("/kubernetes.io/secrets/ns/a"), TEXT("")));
    cr_assert_not(snap_is_secret(TEXT("/registry/secretsmanager/a"), TEXT("x")));
    cr_assert(snap_is_secret(key, TEXT("a\0-----BEGIN RSA PRIVATE KEY-----\nMII")));
    cr_assert(snap_is_secret(key, TEXT("-----BEGIN PRIVATE KEY-----")));
    cr_assert_not(snap_is_secret(key, TEXT("-----BEGIN CERTIFICATE-----")));
    cr_assert_not(snap_is_secret(key, TEXT("")));
}

CASE(snapshot_secrets, reads_what_the_api_server_writes_in_front)
{
    struct snap_encryption s = { 0 };

    cr_assert(snap_encryption_read(TEXT("k8s:enc:aescbc:v1:key1:\x01\x02:x"), &s));
    cr_assert(bytes_is(s.provider, "aescbc") && bytes_is(s.version, "v1") &&
              bytes_is(s.key, "key1"));
    cr_assert(snap_encryption_read(TEXT("k8s:enc:kms:"), &s));
    cr_assert(bytes_is(s.provider, "kms") && s.version.n == 0 && s.key.n == 0);
    cr_assert_not(snap_encryption_read(TEXT("k8s:enc:"), &s));
    cr_assert_not(snap_encryption_read(TEXT("k8s:enc:never-ends"), &s));
    cr_assert_not(snap_encryption_read(TEXT("k8s\0secret"), &s));
    cr_assert_not(snap_encryption_read(TEXT(""), &s));
}

static enum rc remember(void *arg, const struct snap_record *record, struct err *e)
{
    (void)e;
    *(struct bytes *)arg = record->kv.key;
    return RC_OK;
}

CASE(snapshot_secrets, counts_live_and_superseded_values_by_provider)
{
    static const struct event events[] = {
        { .main = 2, .create = 2, .version = 1, .key = TEXT("s/a"), .value = TEXT("p") },
        { .main = 3, .create = 3, .version = 1, .key = TEXT("s/b"), .value = TEXT("p") },
        { .main = 4,
          .create = 2,
          .version = 2,
          .key = TEXT("s/a"),
          .value = TEXT("k8s:enc:kms:v2:vault:\xff") },
        { .main = 5,
          .create = 5,
          .version = 1,
          .key = TEXT("s/c"),
          .value = TEXT("k8s:enc:kms:v2:vault:\xfe") },
        { .main = 6, .key = TEXT("s/c") },
    };
    AT_END(snap_secrets_clear) struct snap_secrets s = { 0 };
    struct bytes plain = { 0 };
    LOOK look = { 0 };
    struct err e = { 0 };

    look_into(invented_file(&(struct invented){ .events = events, .event_count = 5 }),
              &look);
    s.plain = remember;
    s.plain_arg = &plain;
    OK(snap_secrets_check(&s, &look.index, &e), &e);
    cr_assert_eq(s.count, 2u);
    cr_assert(s.schemes[0].plain && s.schemes[0].live == 1 && s.schemes[0].history == 1);
    cr_assert_str_eq(s.schemes[1].provider, "kms");
    cr_assert_str_eq(s.schemes[1].key, "vault");
    cr_assert(s.schemes[1].live == 1 && s.schemes[1].history == 1);
    cr_assert(s.plain_live == 1 && s.plain_history == 1);
    cr_assert(bytes_is(plain, "s/b"));
}

/* A forged file may name as many providers as it has values. */
CASE(snapshot_secrets, lumps_together_what_is_too_much)
{
    enum { MANY = 300 };
    static struct event events[MANY];
    static char values[MANY][32], keys[MANY][16];
    AT_END(snap_secrets_clear) struct snap_secrets s = { 0 };
    LOOK look = { 0 };
    struct err e = { 0 };
    uint64_t live = 0;

    for (int i = 0; i < MANY; i++) {
        snprintf(values[i], sizeof values[i], "k8s:enc:p%d:v1:k:", i);
        snprintf(keys[i], sizeof keys[i], "%d", i);
        events[i] = (struct event){ .main = 2 + i,
                                    .create = 2 + i,
                                    .version = 1,
                                    .key = bytes_str(keys[i]),
                                    .value = bytes_str(values[i]) };
    }
    look_into(invented_file(&(struct invented){ .events = events, .event_count = MANY }),
              &look);
    OK(snap_secrets_check(&s, &look.index, &e), &e);
    cr_assert_eq(s.count, 101u);
    cr_assert_str_eq(s.schemes[100].provider, "others");
    for (size_t i = 0; i < s.count; i++)
        live += s.schemes[i].live;
    cr_assert_eq(live, (uint64_t)MANY);
}

CASE(snapshot_usage, survives_when_memory_runs_out)
{
    const char *path = golden_file("etcd-3.5");
    LOOK look = { 0 };
    unsigned failures = 0;

    look_into(path, &look);
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        AT_END(snap_usage_clear) struct snap_usage u = { 0 };
        AT_END(snap_growth_clear) struct snap_growth g = { 0 };
        AT_END(snap_secrets_clear) struct snap_secrets s = { 0 };
        struct err e = { 0 };
        enum rc rc = snap_usage_make(&look.index, 3, &u, &e);

        if (rc == RC_OK)
            rc = snap_growth_make(&u, &u, &g, &e);
        if (rc == RC_OK)
            rc = snap_secrets_check(&s, &look.index, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
        failures += rc == RC_NOMEM;
    }
    cr_assert_geq(failures, 3u);
}
