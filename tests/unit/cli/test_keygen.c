#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "crypto/minisign.h"
#include "sample.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "util/mem.h"
#include "util/os.h"

struct place {
    struct sample s;
    char dir[32], key[64];
};

static void arrive(struct place *p)
{
    sample_begin(&p->s);
    p->s.cli.commands = cli_commands;
    snprintf(p->dir, sizeof p->dir, "/tmp/keygen-XXXXXX");
    cr_assert_not_null(mkdtemp(p->dir));
    snprintf(p->key, sizeof p->key, "%s/k", p->dir);
}

static const char *public_of(const struct place *p)
{
    static char path[80];

    snprintf(path, sizeof path, "%s.pub", p->key);
    return path;
}

static void leave(struct place *p)
{
    unlink(p->key);
    unlink(public_of(p));
    cr_assert_eq(rmdir(p->dir), 0, "something else was left in %s", p->dir);
    sample_end(&p->s);
}

CASE(cli_keygen, writes_a_private_file_and_never_over_another)
{
    AT_END(mem_end) uint8_t *text = NULL, *again = NULL;
    struct place p;
    struct stat st;
    struct err e;
    size_t n, m;

    arrive(&p);
    cr_assert_eq(SAMPLE_RUN(&p.s, "keygen", "-o", p.key), 0, "%s",
                 printer_text(&p.s.err));
    cr_assert_null(strstr(printer_text(&p.s.out), "SECRET"));
    cr_assert_null(strstr(printer_text(&p.s.err), "SECRET"));
    cr_assert_eq(stat(p.key, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    OK(os_read_file(p.key, 1000, &text, &n, &e), &e);
    cr_assert_eq(SAMPLE_RUN(&p.s, "keygen", "-o", p.key), 5);
    OK(os_read_file(p.key, 1000, &again, &m, &e), &e);
    cr_assert(n == m && memcmp(text, again, n) == 0);
    leave(&p);
}

CASE(cli_keygen, prints_the_identity_and_names_the_recipient)
{
    struct place p;

    arrive(&p);
    cr_assert_eq(SAMPLE_RUN(&p.s, "keygen"), 0);
    cr_assert_not_null(strstr(printer_text(&p.s.out), "\nAGE-SECRET-KEY-1"));
    cr_assert_not_null(strstr(printer_text(&p.s.err), " age1"));
    cr_assert_null(strstr(printer_text(&p.s.err), "SECRET"));
    leave(&p);
}

CASE(cli_keygen, a_failed_write_leaves_no_file)
{
    static const enum fault_point points[] = { FAULT_WRITE, FAULT_FSYNC };

    for (size_t i = 0; i < 2; i++) {
        unsigned runs = 0;

        FAULT_SWEEP(points[i], nth, EIO) {
            struct place p;
            int status;

            arrive(&p);
            status = SAMPLE_RUN(&p.s, "keygen", "-o", p.key);
            cr_assert(status == (access(p.key, F_OK) == 0 ? 0 : 6), "point %zu, call %u",
                      i, nth);
            runs = nth;
            leave(&p);
        }
        cr_assert_gt(runs, 1, "point %zu never failed", i);
    }
}

CASE(cli_keygen, a_signing_key_comes_as_a_pair)
{
    AT_END(minisign_secret_wipe) struct minisign_secret secret = { 0 };
    struct minisign_trust trust = { .count = 0 };
    struct place p;
    struct stat st;
    struct err e;

    arrive(&p);
    cr_assert_eq(SAMPLE_RUN(&p.s, "keygen", "--signing", "-o", p.key), 0, "%s",
                 printer_text(&p.s.err));
    cr_assert_str_eq(printer_text(&p.s.out), "");
    cr_assert_not_null(strstr(printer_text(&p.s.err), "public key: RW"));
    cr_assert(stat(p.key, &st) == 0 && (st.st_mode & 0777) == 0600);
    OK(minisign_secret_read_file(p.key, NULL, &secret, &e), &e);
    OK(minisign_trust_add_file(&trust, public_of(&p), &e), &e);
    cr_assert(trust.keys[0].id == secret.id &&
              memcmp(trust.keys[0].key, secret.key, sizeof secret.key) == 0);
    leave(&p);
}

/* Neither half of a pair goes over what is there, and nothing is made then. */
CASE(cli_keygen, no_half_of_a_pair_goes_over_another_file)
{
    struct place p;
    FILE *f;

    arrive(&p);
    f = fopen(p.key, "w");
    cr_assert(f != NULL && fclose(f) == 0);
    cr_assert_eq(SAMPLE_RUN(&p.s, "keygen", "--signing", "-o", p.key), 5);
    cr_assert_neq(access(public_of(&p), F_OK), 0);
    cr_assert_eq(rename(p.key, public_of(&p)), 0);
    cr_assert_eq(SAMPLE_RUN(&p.s, "keygen", "--signing", "-o", p.key), 5);
    cr_assert_neq(access(p.key, F_OK), 0);
    leave(&p);
}

CASE(cli_keygen, a_signing_key_on_stdout_is_one_text)
{
    AT_END(minisign_secret_wipe) struct minisign_secret secret = { 0 };
    struct place p;
    struct err e;

    arrive(&p);
    cr_assert_eq(SAMPLE_RUN(&p.s, "keygen", "--signing"), 0);
    OK(minisign_secret_parse(bytes_str(printer_text(&p.s.out)), NULL, "-", &secret, &e),
       &e);
    leave(&p);
}
