/* The S3 driver against real object stores. Each is started once, and one test asks it
 * everything, since a start costs more than the questions. */
#include <stdio.h>
#include <stdlib.h>

#include "storage/s3_inside.h"
#include "tests/flow/certs.h"
#include "tests/lib/case.h"
#include "tests/lib/objectstore.h"
#include "tests/lib/tmpdir.h"
#include "tests/store/contract.h"
#include "util/clock.h"
#include "util/mem.h"

enum { TIMEOUT_S = 240, MIB = 1 << 20 };

static struct store *open_with(const struct objectstore *o, const char *url)
{
    const struct store_options options = { .url = url,
                                           .credentials_file = o->credentials,
                                           .deadline_ms = 60000 };
    struct store *s = NULL;
    struct err e = { 0 };

    OK(store_open(&options, &s, &e), &e);
    return s;
}

static struct store *open_at(const struct objectstore *o, const char *place)
{
    return open_with(o, objectstore_url(o, place));
}

/* Around the size of a part, and two parts and more. */
static void sizes_come_back(struct store *s, size_t n)
{
    static const uint64_t sizes[] = { 5 * MIB + 1, 5 * MIB, 33 * MIB };
    struct store_info info;
    struct err e = { 0 };

    for (size_t i = 0; i < n; i++) {
        OK(store_put_pattern(s, "sized", NULL, sizes[i], &e), &e);
        cr_assert_eq(store_put_pattern(s, "sized", NULL, sizes[i], &e), RC_REFUSED);
        OK(store_stat(s, "sized", &info, &e), &e);
        cr_assert_eq(info.size, sizes[i]);
        cr_assert(store_has_pattern(s, "sized", sizes[i]));
        OK(store_remove(s, "sized", &e), &e);
    }
}

/* Whatever its age: Swift tells times up to a second in the future. */
static uint64_t sweep_all(struct store *s, const char *prefix)
{
    uint64_t swept = 0;
    struct err e = { 0 };

    OK(s3_sweep_older((struct s3 *)s, prefix, -60, &swept, &e), &e);
    return swept;
}

static void a_dropped_upload_leaves_no_parts(struct store *s)
{
    OWNED(sink) half = NULL;
    OWNED(text) piece = mem_zero(20 * MIB);
    struct err e = { 0 };

    OK(store_put_new(s, "half", NULL, &half, &e), &e);
    OK(sink_write(half, piece, 20 * MIB, &e), &e);
    sink_free(GIVE(half));
    cr_assert_eq(sweep_all(s, ""), 0);
    cr_assert_str_eq(store_listing(s, ""), "");
}

/* With a part on its way, and another one to come. */
static void the_gateway_may_die_under_way(struct objectstore *o, struct store *s)
{
    OWNED(sink) to = NULL;
    OWNED(text) piece = mem_zero(20 * MIB);
    struct store_info info;
    struct err e = { 0 };

    OK(store_put_new(s, "survivor", NULL, &to, &e), &e);
    OK(sink_write(to, piece, 20 * MIB, &e), &e);
    objectstore_crash(o);
    OK(sink_write(to, piece, 20 * MIB, &e), &e);
    OK(sink_finish(to, &e), &e);
    OK(store_stat(s, "survivor", &info, &e), &e);
    cr_assert_eq(info.size, 40 * MIB);
    OK(store_remove(s, "survivor", &e), &e);
}

/* What a crash leaves is an upload that nobody aborts. */
static void a_crash_is_swept(const struct objectstore *o, struct store *s)
{
    const char *body = "";
    uint64_t swept = 9;
    struct err e = { 0 };

    for (int i = 0; i < 2; i++)
        cr_assert_eq(objectstore_request(o, "POST",
                                         i == 0 ? "/plain/at/crash/1?uploads="
                                                : "/plain/at/other?uploads=",
                                         NULL, NULL, &body),
                     200, "%s", body);
    OK(store_sweep(s, "", &swept, &e), &e);
    cr_assert_eq(swept, 0, "somebody may still work on what is that young");
    cr_assert_eq(sweep_all(s, "crash/"), 1);
    cr_assert_eq(sweep_all(s, ""), 1);
    cr_assert_eq(sweep_all(s, ""), 0);
}

static enum rc count(void *arg, const struct store_info *info, struct err *e)
{
    uint64_t *n = arg;

    (void)e;
    cr_assert_eq(info->size, *n % 10);
    (*n)++;
    return RC_OK;
}

/* More than a page, and names in between that are no keys. */
static void a_long_list_has_pages(const struct objectstore *o, struct store *s)
{
    enum { KEYS = 1013 };
    uint64_t n = 0;
    struct err e = { 0 };

    for (unsigned i = 0; i < KEYS; i++) {
        char key[32];
        S3_ANSWER a = { 0 };
        struct s3_call c = { .operation = "PutObject",
                             .method = "PUT",
                             .key = key,
                             .body = { (const uint8_t *)"0123456789", i % 10 } };

        snprintf(key, sizeof key, "many/%05u", i);
        OK(s3_run((struct s3 *)s, &c, &a, &e), &e);
    }
    cr_assert_eq(objectstore_request(o, "PUT", "/plain/at/many/00001%20%2B%C3%A9%26.x",
                                     NULL, "x", NULL),
                 200);
    OK(store_list(s, "many/", count, &n, &e), &e);
    cr_assert_eq(n, KEYS);
}

static void who_is_not_let_in_is_told(const struct objectstore *o)
{
    const struct store_options options = { .url = objectstore_url(o, "plain/at"),
                                           .credentials_file = path_in(o->dir, "wrong") };
    OWNED(store) nobody = NULL;
    OWNED(store) nowhere = open_at(o, "nosuchbucket");
    struct store_info info;
    struct err e = { 0 };
    FILE *f = fopen(options.credentials_file, "w");

    fprintf(f, "[default]\naws_access_key_id=%s\naws_secret_access_key=x\n", o->access);
    fclose(f);
    OK(store_open(&options, &nobody, &e), &e);
    cr_assert_eq(store_list(nobody, "", count, NULL, &e), RC_AUTH, "%s", e.why);
    cr_assert(strstr(e.why, "the secret key is not that of the access key") != NULL, "%s",
              e.why);
    cr_assert_eq(store_stat(nobody, "x", &info, &e), RC_AUTH);
    cr_assert(strstr(e.hint, "s3:GetObject") != NULL, "%s", e.hint);
    cr_assert_eq(store_list(nowhere, "", count, NULL, &e), RC_NOTFOUND);
    cr_assert(strstr(e.why, "there is no bucket 'nosuchbucket'") != NULL, "%s", e.why);
}

/* With a lock that is in force, in one request and in parts. */
static void a_lock_is_in_force(struct store *s, uint64_t size)
{
    int64_t until = clock_unix_ms() / 1000 + 3600;
    const struct store_put locked = { .keep_until = until };
    struct store_info info;
    struct err e = { 0 };
    char key[32];

    snprintf(key, sizeof key, "locked-%llu", (unsigned long long)size);
    OK(store_put_pattern(s, key, &locked, size, &e), &e);
    OK(store_stat(s, key, &info, &e), &e);
    cr_assert_eq(info.locked_until, until);
    cr_assert_eq(store_remove(s, key, &e), RC_REFUSED);
    cr_assert(strstr(e.why, "is locked against deletion until 20") != NULL, "%s", e.why);
    cr_assert(store_has_pattern(s, key, size));
}

static void a_lock_that_is_ignored_is_refused(struct store *s)
{
    const struct store_put locked = { .keep_until = clock_unix_ms() / 1000 + 3600 };
    struct err e = { 0 };

    cr_assert_eq(store_put_bytes(s, "locked", &locked, bytes_str("x"), &e), RC_REFUSED,
                 "%s", e.why);
    cr_assert_eq(store_put_pattern(s, "locked", &locked, 17 * MIB, &e), RC_REFUSED, "%s",
                 e.why);
    cr_assert_str_eq(store_listing(s, ""), "");
    cr_assert_eq(sweep_all(s, ""), 0);
}

static void probes_find(struct store *s, struct store_traits expected)
{
    struct store_traits t;
    struct err e = { 0 };

    OK(store_probe(s, "in/", &t, &e), &e);
    cr_assert(t.exclusive == expected.exclusive && t.lockable == expected.lockable &&
                  t.versioned == expected.versioned,
              "exclusive %d, lockable %d, versioned %d", t.exclusive, t.lockable,
              t.versioned);
    cr_assert_str_eq(store_listing(s, ""), "");
}

static void the_other_style_works(const struct objectstore *o)
{
    char url[256];
    struct err e = { 0 };

    snprintf(url, sizeof url, "s3://plain/at?endpoint=http://localhost:%d&style=virtual",
             o->port);
    OWNED(store) s = open_with(o, url);

    OK(store_put_bytes(s, "virtual/x", NULL, bytes_str("x"), &e), &e);
    cr_assert_str_eq(store_listing(s, "virtual/"), "virtual/x");
    OK(store_remove(s, "virtual/x", &e), &e);
}

static void only_the_ca_that_is_given_counts(const struct objectstore *o,
                                             const char *certs)
{
    const char *const cas[] = { "ca.crt", "stranger.crt", NULL };
    char url[256];

    snprintf(url, sizeof url, "s3://plain/at?endpoint=https://localhost:%d", o->tls_port);
    for (int i = 0; i < 3; i++) {
        struct store_options options = { .url = url, .credentials_file = o->credentials };
        OWNED(store) s = NULL;
        struct err e = { 0 };
        uint64_t n = 0;

        if (cas[i] != NULL)
            options.cacert = path_in(certs, cas[i]);
        OK(store_open(&options, &s, &e), &e);
        cr_assert_eq(store_list(s, "", count, &n, &e), i == 0 ? RC_OK : RC_AUTH, "%s",
                     e.why);
        cr_assert(i == 0 || strstr(e.hint, "the object store's certificate") != NULL,
                  "%s", e.hint);
    }
}

CASE(s3, radosgw, .timeout = TIMEOUT_S)
{
    const char *certs = certificates();
    OBJECTSTORE o = { 0 };

    objectstore_start(&o, "radosgw", certs);
    objectstore_bucket(&o, "plain", 0);
    objectstore_bucket(&o, "locks", OBJECTSTORE_LOCKS);
    OWNED(store) plain = open_at(&o, "plain/at");
    OWNED(store) locks = open_at(&o, "locks/at/");

    contract_holds(plain, "", true);
    contract_holds(locks, "some/where/", false);
    probes_find(plain, (struct store_traits){ .exclusive = true });
    probes_find(locks, (struct store_traits){ .lockable = true, .versioned = true });
    sizes_come_back(plain, 3);
    a_dropped_upload_leaves_no_parts(plain);
    the_gateway_may_die_under_way(&o, plain);
    a_crash_is_swept(&o, plain);
    a_lock_that_is_ignored_is_refused(plain);
    a_lock_is_in_force(locks, 1000);
    a_lock_is_in_force(locks, 17 * MIB);
    the_other_style_works(&o);
    only_the_ca_that_is_given_counts(&o, certs);
    who_is_not_let_in_is_told(&o);
    a_long_list_has_pages(&o, plain);
}

/* Neither If-None-Match nor locks, although it answers 200 to some of it. */
CASE(s3, swift, .timeout = TIMEOUT_S)
{
    OBJECTSTORE o = { 0 };

    objectstore_start(&o, "swift", NULL);
    objectstore_bucket(&o, "plain", 0);
    OWNED(store) plain = open_at(&o, "plain/at");

    contract_holds(plain, "", false);
    probes_find(plain, (struct store_traits){ 0 });
    sizes_come_back(plain, 1);
    a_dropped_upload_leaves_no_parts(plain);
    a_crash_is_swept(&o, plain);
    a_lock_that_is_ignored_is_refused(plain);
    who_is_not_let_in_is_told(&o);
}
