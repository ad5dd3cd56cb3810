/* The SFTP driver against OpenSSH's server. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/retry.h"
#include "tests/lib/case.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "tests/store/contract.h"
#include "tests/store/sshd.h"

enum { BIG = (3 << 20) + 77 };

static struct sshd server;

static void set_up(void)
{
    retry_first_ms = 1;
    sshd_start(&server);
}

static void tear_down(void)
{
    sshd_stop(&server);
}

#define SFTP(name) CASE(sftp, name, .init = set_up, .fini = tear_down, .timeout = 120)

static struct store *open_with(const struct store_options *o)
{
    struct store *s = NULL;
    struct err e = { 0 };

    OK(store_open(o, &s, &e), &e);
    return s;
}

static struct store *open_server(void)
{
    const struct store_options o = sshd_options(&server);

    return open_with(&o);
}

SFTP(holds_the_contract)
{
    OWNED(store) s = open_server();

    cr_assert_str_eq(store_name(s), server.url);
    contract_holds(s, "", false);
    contract_holds(s, "some/where/", false);
    cr_assert_str_eq(dir_listing(server.files), "", "no garbage, no empty directories");
}

SFTP(files_are_private)
{
    OWNED(store) s = open_server();
    struct err e = { 0 };
    struct stat st;

    OK(store_put_pattern(s, "deep/big", NULL, BIG, &e), &e);
    cr_assert_eq(stat(path_in(server.files, "deep/big"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600);
    cr_assert_eq(stat(path_in(server.files, "deep"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0700);
}

/* ---- trust
 * ------------------------------------------------------------------------------ */

static void refused(const struct store_options *o, enum rc expected, const char *why)
{
    OWNED(store) s = open_with(o);
    struct store_info info;
    struct err e = { 0 };

    cr_assert_eq(store_stat(s, "x", &info, &e), expected, "%s / %s", e.what, e.why);
    cr_assert(strstr(e.why, why) != NULL, "%s", e.why);
}

static const char *text_file(const char *name, const char *text)
{
    const char *path = path_in(tmpdir_new(), name);
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
    cr_assert_eq(chmod(path, 0600), 0);
    return path;
}

SFTP(a_host_that_nobody_vouches_for_is_refused)
{
    struct store_options o = sshd_options(&server);
    char line[200];

    snprintf(line, sizeof line,
             "[127.0.0.1]:%d ssh-ed25519 "
             "AAAAC3NzaC1lZDI1NTE5AAAAIGXzLzWe6YVKHc9ceYVhGXTqBFZaaaVJnWXDfsrmwZcO\n",
             server.port);
    o.known_hosts = text_file("other", line);
    refused(&o, RC_AUTH, "this may be another machine");
    o.known_hosts = text_file("empty", "");
    refused(&o, RC_AUTH, "is not in '");
    cr_assert_str_eq(dir_listing(server.files), "");
}

SFTP(a_key_that_is_not_let_in_is_told)
{
    struct store_options o = sshd_options(&server);
    const char *key = path_in(tmpdir_new(), "key");

    RUN(p, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key);
    cr_assert_eq(p.status, 0, "%s", p.err);
    o.identity_file = key;
    refused(&o, RC_AUTH, "does not let");
}

SFTP(nobody_listening_is_told_after_some_tries)
{
    const struct store_options o = sshd_options(&server);

    sshd_stop(&server);
    refused(&o, RC_NET, "");
}

SFTP(a_root_that_is_missing_is_not_made)
{
    struct store_options o = sshd_options(&server);
    char url[800];
    struct err e = { 0 };

    snprintf(url, sizeof url, "%s/not/mounted", server.url);
    o.url = url;
    OWNED(store) s = open_with(&o);
    OWNED(sink) to = NULL;

    cr_assert_eq(store_put_new(s, "x", NULL, &to, &e), RC_NOTFOUND, "%s", e.why);
    cr_assert_str_eq(e.hint, "make the directory first, or mount what belongs there");
    cr_assert_str_eq(dir_listing(server.files), "");
}

/* ---- connections that break
 * --------------------------------------------------------------- */

struct cutting {
    struct sink base;
    struct sink *to;
    unsigned cuts;
};

static enum rc cut_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct cutting *c = (struct cutting *)s;

    if (s->taken > (c->cuts + 1) * (uint64_t)(BIG / 4) && c->cuts < 3) {
        c->cuts++;
        sshd_cut(&server);
    }
    return sink_write(c->to, p, n, e);
}

SFTP(a_read_goes_on_where_it_was_cut)
{
    static const struct sink_ops ops = { .name = "cutting", .write = cut_write };
    AT_END(buf_clear) struct buf got = { 0 };
    OWNED(store) s = open_server();
    OWNED(sink) to = NULL;
    struct err e = { 0 };

    OK(store_put_pattern(s, "big", NULL, BIG, &e), &e);
    OK(buf_sink_new(&got, &to, &e), &e);
    struct cutting c = { .base.ops = &ops, .to = to };

    OK(store_get(s, "big", &c.base, &e), &e);
    cr_assert_eq(c.cuts, 3);
    cr_assert_eq(got.n, BIG);
    OK(store_put_bytes(s, "again", NULL, (struct bytes){ got.p, got.n }, &e), &e);
    cr_assert(store_has_pattern(s, "again", BIG));
}

SFTP(a_large_put_that_is_cut_leaves_nothing)
{
    static uint8_t piece[1 << 20];
    OWNED(store) s = open_server();
    OWNED(sink) to = NULL;
    struct err e = { 0 };
    enum rc rc = RC_OK;

    OK(store_put_new(s, "deep/big", NULL, &to, &e), &e);
    for (int i = 0; i < 3; i++)
        OK(sink_write(to, piece, sizeof piece, &e), &e);
    sshd_cut(&server);
    for (int i = 0; i < 8 && rc == RC_OK; i++)
        rc = sink_write(to, piece, sizeof piece, &e);
    if (rc == RC_OK)
        rc = sink_finish(to, &e);
    cr_assert_eq(rc, RC_NET, "%s", e.why);
    sink_free(GIVE(to));
    cr_assert_str_eq(store_listing(s, ""), "");
    cr_assert_str_eq(dir_listing(server.files), "");
}

SFTP(a_small_put_is_sent_again)
{
    OWNED(store) s = open_server();
    OWNED(sink) to = NULL;
    struct err e = { 0 };

    OK(store_put_new(s, "small", NULL, &to, &e), &e);
    OK(sink_write(to, "small", 5, &e), &e);
    sshd_cut(&server);
    OK(sink_finish(to, &e), &e);
    cr_assert(store_holds(s, "small", "small"));
    sshd_cut(&server);
    cr_assert_str_eq(store_listing(s, ""), "small");
    sshd_cut(&server);
    OK(store_remove(s, "small", &e), &e);
}

SFTP(a_server_that_freezes_is_given_up)
{
    static uint8_t piece[1 << 20];
    struct store_options o = sshd_options(&server);
    struct err e = { 0 };
    enum rc rc = RC_OK;

    o.stall_ms = 2000;
    o.deadline_ms = 4000;
    OWNED(store) s = open_with(&o);
    OWNED(sink) to = NULL;

    OK(store_put_new(s, "big", NULL, &to, &e), &e);
    for (int i = 0; i < 3; i++)
        OK(sink_write(to, piece, sizeof piece, &e), &e);
    sshd_freeze(&server);
    for (int i = 0; i < 64 && rc == RC_OK; i++)
        rc = sink_write(to, piece, sizeof piece, &e);
    cr_assert_eq(rc, RC_NET, "%s", e.why);
    cr_assert(strstr(e.why, "hardly anything moved for") != NULL, "%s", e.why);
}

/* ---- what others left
 * --------------------------------------------------------------------- */

SFTP(only_old_leftovers_are_swept)
{
    const struct timespec old[] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
    const char *left = path_in(server.files, "a/.x.holdfast-01234567.part");
    const char *fresh = path_in(server.files, "a/.y.holdfast-01234567.part");
    const char *other = path_in(server.files, "a/.other");
    OWNED(store) s = open_server();
    struct err e = { 0 };
    uint64_t swept = 0;

    OK(store_put_bytes(s, "a/x", NULL, bytes_str("x"), &e), &e);
    RUN(p, "touch", left, fresh, other);
    cr_assert_eq(p.status, 0);
    cr_assert_eq(utimensat(AT_FDCWD, left, old, 0), 0);
    cr_assert_eq(mkdir(path_in(server.files, "b"), 0777), 0);
    cr_assert_eq(chmod(path_in(server.files, "b"), 0777), 0);
    OK(store_sweep(s, "", &swept, &e), &e);
    cr_assert_eq(swept, 1);
    cr_assert_str_eq(dir_listing(path_in(server.files, "a")),
                     ".other .y.holdfast-01234567.part x");
    cr_assert_str_eq(dir_listing(server.files), "a", "an empty directory went, too");
    cr_assert_str_eq(store_listing(s, ""), "a/x");
}
