#include "storage/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "tests/store/contract.h"

static struct store *open_at(const char *url)
{
    const struct store_options o = { .url = url, .allow_same_filesystem = true };
    struct store *s = NULL;
    struct err e = { 0 };

    OK(store_open(&o, &s, &e), &e);
    return s;
}

CASE(store, memory_holds_the_contract)
{
    OWNED(store) s = open_at("memory:");

    cr_assert_str_eq(store_name(s), "memory:");
    contract_holds(s, "", true);
    contract_holds(s, "some/where/", true);
}

CASE(store, a_directory_holds_the_contract)
{
    const char *dir = tmpdir_new();
    OWNED(store) s = open_at(dir);

    cr_assert_str_eq(store_name(s), dir);
    contract_holds(s, "", true);
    contract_holds(s, "some/where/", true);
    cr_assert_str_eq(dir_listing(dir), "", "no garbage, no empty directories");
}

CASE(store, a_file_url_is_a_directory)
{
    const char *dir = tmpdir_new();
    OWNED(store) s = NULL;
    struct err e = { 0 };
    char url[600];

    snprintf(url, sizeof url, "file://%s", dir);
    s = open_at(url);
    OK(store_put_bytes(s, "x", NULL, bytes_str("x"), &e), &e);
    cr_assert_str_eq(dir_listing(dir), "x");
}

CASE(store, places_that_say_nothing_are_refused)
{
    const char *const bad[] = { NULL,        "",        "ftp://host/x", "file://host/x",
                                "file:// x", "memory:x" };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct store_options o = { .url = bad[i] };
        OWNED(store) s = NULL;
        struct err e = { 0 };

        cr_assert_eq(store_open(&o, &s, &e), RC_USAGE, "%s", bad[i]);
        cr_assert_null(s);
    }
}

CASE(store, a_url_is_judged_by_its_text_alone)
{
    static const char *const good[] = {
        "/nowhere/at/all",
        "file:///nowhere/at/all",
        "memory:",
        "s3://bucket/prefix",
        "s3://bucket?endpoint=https://s3.example.com",
        "sftp://me@nowhere.invalid/dir",
    };
    static const char *const bad[] = {
        "",
        "file://relative",
        "s3://",
        "s3://b?endpoint=gopher://x",
        "s3://b?color=red",
        "sftp://host",
        "ftp://host/dir",
        "memory:x",
    };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct err e = { 0 };

        OK(store_check_url(good[i], &e), &e);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = { 0 };

        cr_assert_eq(store_check_url(bad[i], &e), RC_USAGE, "'%s'", bad[i]);
        cr_assert_str_not_empty(e.hint, "'%s': %s", bad[i], e.why);
    }
}

CASE(store, keys_are_checked_whoever_asks)
{
    char long_part[202], long_key[514];
    const char *const bad[] = { "",     "/x",     "x/",  "a//b", ".",       "..",
                                "../x", "a/../b", ".x",  "a/.x", "a b",     "a\nb",
                                "\xc3", "a\\b",   "a:b", "a%b",  long_part, long_key };
    AT_END(buf_clear) struct buf got = { 0 };
    OWNED(store) s = open_at("memory:");
    struct store_info info;

    memset(long_part, 'a', sizeof long_part);
    long_part[201] = '\0';
    for (size_t i = 0; i < sizeof long_key; i++)
        long_key[i] = i % 100 == 99 ? '/' : 'k';
    long_key[513] = '\0';
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        OWNED(sink) to = NULL;
        struct err e = { 0 };

        cr_assert_eq(store_put_new(s, bad[i], NULL, &to, &e), RC_USAGE, "'%s'", bad[i]);
        cr_assert_eq(store_get_bytes(s, bad[i], 9, &got, &e), RC_USAGE, "'%s'", bad[i]);
        cr_assert_eq(store_stat(s, bad[i], &info, &e), RC_USAGE, "'%s'", bad[i]);
        cr_assert_eq(store_remove(s, bad[i], &e), RC_USAGE, "'%s'", bad[i]);
    }
    long_part[200] = '\0';
    long_key[512] = '\0';
    for (int i = 0; i < 2; i++) {
        const char *key = i == 0 ? long_part : long_key;
        struct err e = { 0 };

        OK(store_put_bytes(s, key, NULL, bytes_str("x"), &e), &e);
        cr_assert(store_holds(s, key, "x"));
    }
}

static enum rc open_sftp(const char *url, const char *identity, const char *known,
                         struct err *e)
{
    const struct store_options o = { .url = url,
                                     .identity_file = identity,
                                     .known_hosts = known };
    OWNED(store) s = NULL;

    return store_open(&o, &s, e);
}

CASE(store, an_sftp_address_is_whole_and_a_host_vouched_for)
{
    const char *const bad[] = {
        "sftp://",         "sftp://host",   "sftp://host:0/x",   "sftp://host:70000/x",
        "sftp://host:a/x", "sftp:///x",     "sftp://u:p@host/x", "sftp://h/../x",
        "sftp://h/~/x",    "sftp://h/x/..", "sftp://h/x\n",      "sftp://a b/x"
    };
    const char *const good[] = { "sftp://host/x", "sftp://u@host:22/x/y",
                                 "sftp://u@[::1]:2022/x", "sftp://host/" };
    const char *here = "/dev/null", *file = "Makefile";

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err e = { 0 };

        cr_assert_eq(open_sftp(bad[i], file, file, &e), RC_USAGE, "%s", bad[i]);
        cr_assert(strstr(e.why, "is no SFTP address") != NULL, "%s", e.why);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct err e = { 0 };

        OK(open_sftp(good[i], file, file, &e), &e);
        cr_assert_eq(open_sftp(good[i], file, NULL, &e), RC_USAGE);
        cr_assert_str_eq(e.why, "SFTP needs a known_hosts file");
        cr_assert_eq(open_sftp(good[i], NULL, file, &e), RC_USAGE);
        cr_assert_str_eq(e.why, "SFTP needs a private key");
        cr_assert_eq(open_sftp(good[i], here, file, &e), RC_USAGE, "%s", e.why);
    }
}
