#include "storage/s3_url.h"

#include <stdlib.h>

#include "storage/s3_time.h"
#include "tests/lib/case.h"
#include "util/clock.h"
#include "util/own.h"

CASE(s3_url, says_where_a_bucket_is)
{
    static const struct {
        const char *url, *bucket, *prefix, *host, *region;
        bool tls, virtual_host;
    } rows[] = {
        { "s3://backups", "backups", "", "s3.us-east-1.amazonaws.com", "us-east-1", true,
          true },
        { "s3://backups/", "backups", "", "s3.us-east-1.amazonaws.com", "us-east-1", true,
          true },
        { "s3://backups/a/b?region=eu-central-1", "backups", "a/b/",
          "s3.eu-central-1.amazonaws.com", "eu-central-1", true, true },
        { "s3://backups/a/?endpoint=https://minio:9000/", "backups", "a/", "minio:9000",
          "us-east-1", true, false },
        { "s3://backups?endpoint=http%3A%2F%2F10.0.0.1&style=virtual", "backups", "",
          "10.0.0.1", "us-east-1", false, true },
        { "s3://backups?style=path&region=x", "backups", "", "s3.x.amazonaws.com", "x",
          true, false },
        /* The ports that libcurl does not write into the Host header. */
        { "s3://backups?endpoint=https://h:443", "backups", "", "h", "us-east-1", true,
          false },
        { "s3://backups?endpoint=http://[::1]:80", "backups", "", "[::1]", "us-east-1",
          false, false },
    };

    unsetenv("AWS_REGION");
    unsetenv("AWS_DEFAULT_REGION");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AT_END(s3_place_clear) struct s3_place p = { 0 };
        struct err e = { 0 };

        OK(s3_place_parse(rows[i].url, &p, &e), &e);
        cr_assert_str_eq(p.bucket, rows[i].bucket, "%s", rows[i].url);
        cr_assert_str_eq(p.prefix, rows[i].prefix, "%s", rows[i].url);
        cr_assert_str_eq(p.host, rows[i].host, "%s", rows[i].url);
        cr_assert_str_eq(p.region, rows[i].region, "%s", rows[i].url);
        cr_assert(p.tls == rows[i].tls && p.virtual_host == rows[i].virtual_host, "%s",
                  rows[i].url);
    }
}

CASE(s3_url, the_region_may_come_from_the_environment)
{
    AT_END(s3_place_clear) struct s3_place p = { 0 };
    struct err e = { 0 };

    unsetenv("AWS_REGION");
    setenv("AWS_DEFAULT_REGION", "eu-west-1", 1);
    OK(s3_place_parse("s3://backups", &p, &e), &e);
    cr_assert_str_eq(p.host, "s3.eu-west-1.amazonaws.com");
}

CASE(s3_url, what_says_nothing_is_refused)
{
    static const char *const bad[] = {
        "s3://backups?endpoint=",
        "s3://backups?endpoint=h",
        "s3://backups?endpoint=http:/",
        "s3://",
        "s3:///x",
        "s3://ab",
        "s3://-abc",
        "s3://user:password@host/x",
        "s3://backups//x",
        "s3://backups/a b",
        "s3://backups/a%20b",
        "s3://backups?endpoint=minio:9000",
        "s3://backups?endpoint=ftp://minio",
        "s3://backups?endpoint=http://",
        "s3://backups?endpoint=http://h/path",
        "s3://backups?endpoint=http://user:pass@h",
        "s3://backups?endpoint=http://h&endpoint=http://g",
        "s3://backups?region=",
        "s3://backups?region=eu/../x",
        "s3://backups?style=both",
        "s3://backups?style=path&style=path",
        "s3://backups?unknown=1",
        "s3://backups?endpoint=%zz",
        "s3://backups?endpoint=http://h%00x",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        AT_END(s3_place_clear) struct s3_place p = { 0 };
        struct err e = { 0 };

        cr_assert_eq(s3_place_parse(bad[i], &p, &e), RC_USAGE, "%s", bad[i]);
    }
}

static void target(const char *url, const char *key, const struct s3_param *query,
                   struct s3_target *out)
{
    AT_END(s3_place_clear) struct s3_place p = { 0 };
    struct err e = { 0 };

    OK(s3_place_parse(url, &p, &e), &e);
    OK(s3_target_make(&p, key, query, out, &e), &e);
}

CASE(s3_url, requests_are_written_canonically)
{
    const struct s3_param query[] = {
        { "uploads", "" }, { "prefix", "a/b c~+" }, { "list-type", "2" }, { NULL, NULL }
    };
    AT_END(s3_target_clear) struct s3_target path = { 0 };
    AT_END(s3_target_clear) struct s3_target virtual = { 0 };
    AT_END(s3_target_clear) struct s3_target bucket = { 0 };

    target("s3://backups/p?endpoint=http://h:1", "k/x", query, &path);
    cr_assert_str_eq(path.host, "h:1");
    cr_assert_str_eq(path.path, "/backups/p/k/x");
    cr_assert_str_eq(path.query, "list-type=2&prefix=a%2Fb%20c~%2B&uploads=");
    cr_assert_str_eq(path.url, "http://h:1/backups/p/k/x?list-type=2&prefix="
                               "a%2Fb%20c~%2B&uploads=");
    target("s3://backups/p", "k", NULL, &virtual);
    cr_assert_str_eq(virtual.host, "backups.s3.us-east-1.amazonaws.com");
    cr_assert_str_eq(virtual.url, "https://backups.s3.us-east-1.amazonaws.com/p/k");
    target("s3://backups/p?endpoint=https://h", NULL, NULL, &bucket);
    cr_assert_str_eq(bucket.url, "https://h/backups");
}

CASE(s3_url, decodes_names_of_lists)
{
    char good[] = "a%2Fb+c%2b%C3%a9", cut[] = "a%2", bad[] = "%zz", nul[] = "a%00b";

    cr_assert(s3_decode(good));
    cr_assert_str_eq(good, "a/b c+\xc3\xa9");
    cr_assert(!s3_decode(cut) && !s3_decode(bad) && !s3_decode(nul));
}

CASE(s3_url, reads_and_writes_times)
{
    int64_t t = 0;
    char text[32];

    cr_assert(s3_time_from_iso("2013-05-24T00:00:01.25Z", &t));
    cr_assert_eq(t, 1369353601250);
    cr_assert(s3_time_from_iso("2013-05-24T00:00:01.123456789Z", &t));
    cr_assert_eq(t, 1369353601123);
    cr_assert(!s3_time_from_iso("2013-05-24T00:00:01+02:00", &t));
    cr_assert(!s3_time_from_iso("2013-05-24", &t));
    clock_utc_at(1369353600, text);
    cr_assert_str_eq(text, "2013-05-24T00:00:00Z");
    s3_time_stamp(text, 1369353600);
    cr_assert_str_eq(text, "20130524T000000Z");
}
