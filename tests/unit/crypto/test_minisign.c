#include "crypto/minisign.h"

#include <stdio.h>
#include <sys/wait.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "util/os.h"

#define GOLDEN "tests/golden/minisign/"

struct golden {
    uint8_t *p;
    size_t n;
};
static void golden_end(struct golden *g)
{
    mem_free(g->p);
}

static struct golden golden(const char *name)
{
    char path[128];
    struct err e = { 0 };
    struct golden g = { 0 };

    snprintf(path, sizeof path, GOLDEN "%s", name);
    OK(os_read_file(path, 1 << 16, &g.p, &g.n, &e), &e);
    return g;
}
#define GOLDEN_FILE(name, file) AT_END(golden_end) struct golden name = golden(file)

static struct bytes all(struct golden g)
{
    return (struct bytes){ g.p, g.n };
}

static struct minisign_trust trust(void)
{
    struct minisign_trust t = { .count = 0 };
    struct err e = { 0 };

    OK(minisign_trust_add_file(&t, GOLDEN "signer.pub", &e), &e);
    return t;
}

static void store(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f);
    cr_assert(fputs(text, f) >= 0 && fclose(f) == 0);
}

static enum rc read_key(const char *file, const char *password,
                        struct minisign_secret *out, struct err *e)
{
    OWNED(secret) s = NULL;
    char path[128];

    snprintf(path, sizeof path, GOLDEN "%s", file);
    if (password != NULL)
        OK(secret_new(bytes_str(password), &s, e), e);
    return minisign_secret_read_file(path, s, out, e);
}

CASE(crypto_minisign, believes_what_minisign_signed)
{
    struct minisign_trust t = trust();
    const struct minisign_public *by = NULL;
    char comment[MINISIGN_COMMENT_MAX + 1], id[MINISIGN_ID_SIZE];
    struct err e = { 0 };
    GOLDEN_FILE(message, "message");
    GOLDEN_FILE(signature, "message.minisig");

    OK(minisign_verify(&t, all(message), all(signature), &by, comment, &e), &e);
    cr_assert_str_eq(comment, "trusted text");
    minisign_id_text(by->id, id);
    cr_assert_str_eq(id, "E479EA473DFB2259");
}

CASE(crypto_minisign, the_form_without_a_hash_is_refused_by_name)
{
    struct minisign_trust t = trust();
    const struct minisign_public *by = NULL;
    struct err e = { 0 };
    GOLDEN_FILE(message, "message");
    GOLDEN_FILE(signature, "old-form.minisig");

    cr_assert_eq(minisign_verify(&t, all(message), all(signature), &by, NULL, &e),
                 RC_CORRUPT);
    cr_assert_str_eq(e.why, "the signature is of minisign's old form, without a hash");
}

/* No byte of a signature file is free, but for the untrusted comment. */
CASE(crypto_minisign, any_flipped_bit_below_the_first_line_is_seen)
{
    struct minisign_trust t = trust();
    const struct minisign_public *by = NULL;
    GOLDEN_FILE(message, "message");
    GOLDEN_FILE(signature, "message.minisig");
    uint8_t *end = memchr(signature.p, '\n', signature.n);
    size_t seen = 0;

    for (uint8_t *at = end; at < signature.p + signature.n - 1; at++)
        for (int bit = 0; bit < 8; bit++, seen++) {
            struct err e = { 0 };
            enum rc rc;

            *at ^= (uint8_t)(1 << bit);
            rc = minisign_verify(&t, all(message), all(signature), &by, NULL, &e);
            cr_assert(rc == RC_CORRUPT || rc == RC_NOKEY, "at %td", at - signature.p);
            *at ^= (uint8_t)(1 << bit);
        }
    cr_assert_gt(seen, 1500);
}

CASE(crypto_minisign, every_truncation_is_seen)
{
    struct minisign_trust t = trust();
    const struct minisign_public *by = NULL;
    struct err e = { 0 };
    GOLDEN_FILE(message, "message");
    GOLDEN_FILE(signature, "message.minisig");

    for (size_t n = 0; n < signature.n - 1; n++)
        cr_assert_neq(minisign_verify(&t, all(message), (struct bytes){ signature.p, n },
                                      &by, NULL, &e),
                      RC_OK, "%zu bytes", n);
}

CASE(crypto_minisign, a_key_that_is_not_believed_is_named)
{
    struct minisign_trust t = { .count = 0 };
    const struct minisign_public *by = NULL;
    struct err e = { 0 };
    GOLDEN_FILE(message, "message");
    GOLDEN_FILE(signature, "message.minisig");

    cr_assert_eq(minisign_verify(&t, all(message), all(signature), &by, NULL, &e),
                 RC_NOKEY);
    cr_assert_str_eq(e.why, "it is signed with the key E479EA473DFB2259, which is not "
                            "among those given");
}

/* Two keys with one id: the other one is tried as well. */
CASE(crypto_minisign, an_id_that_two_keys_share_hides_neither)
{
    struct minisign_trust t = trust(), both = { .count = 0 };
    struct minisign_public other = t.keys[0];
    const struct minisign_public *by = NULL;
    struct err e = { 0 };
    GOLDEN_FILE(message, "message");
    GOLDEN_FILE(signature, "message.minisig");

    other.key[0] ^= 1;
    OK(minisign_trust_add(&both, &other, &e), &e);
    OK(minisign_trust_add(&both, &t.keys[0], &e), &e);
    OK(minisign_trust_add(&both, &t.keys[0], &e), &e);
    cr_assert_eq(both.count, 2);
    OK(minisign_verify(&both, all(message), all(signature), &by, NULL, &e), &e);
    cr_assert_eq(by, &both.keys[1]);
}

CASE(crypto_minisign, reads_the_keys_that_minisign_wrote)
{
    static const char *const encrypted[] = { "password-ops.key", "password-mem.key" };
    AT_END(minisign_secret_wipe) struct minisign_secret plain = { 0 };
    struct minisign_trust t = trust();
    struct err e = { 0 };

    OK(read_key("signer.key", NULL, &plain, &e), &e);
    cr_assert_eq(plain.id, t.keys[0].id);
    cr_assert_arr_eq(plain.key, t.keys[0].key, 32);
    for (size_t i = 0; i < 2; i++) {
        AT_END(minisign_secret_wipe) struct minisign_secret s = { 0 };

        OK(read_key(encrypted[i], "correct horse", &s, &e), &e);
        cr_assert(memcmp(&s, &plain, sizeof s) == 0);
        cr_assert_eq(read_key(encrypted[i], "wrong horse", &s, &e), RC_NOKEY);
        cr_assert_eq(read_key(encrypted[i], NULL, &s, &e), RC_NOKEY);
    }
}

CASE(crypto_minisign, a_key_file_that_asks_for_all_memory_is_refused)
{
    AT_END(minisign_secret_wipe) struct minisign_secret s = { 0 };
    OWNED(secret) password = NULL;
    struct err e = { 0 };
    GOLDEN_FILE(file, "password-mem.key");
    uint8_t *line = (uint8_t *)memchr(file.p, '\n', file.n) + 1;

    memcpy(line + 52, "/////////////////////w", 20);
    OK(secret_new(bytes_str("x"), &password, &e), &e);
    cr_assert_eq(minisign_secret_parse(all(file), password, "k", &s, &e), RC_NOMEM, "%s",
                 e.why);
}

CASE(crypto_minisign, other_files_are_no_keys)
{
    AT_END(minisign_secret_wipe) struct minisign_secret s = { 0 };
    struct minisign_public k;
    struct err e = { 0 };
    GOLDEN_FILE(secret, "signer.key");
    GOLDEN_FILE(public, "signer.pub");

    cr_assert_eq(minisign_secret_parse(all(public), NULL, "k", &s, &e), RC_USAGE);
    cr_assert_eq(minisign_public_parse(all(secret), "k", &k, &e), RC_USAGE);
    for (size_t n = 0; n < secret.n - 1; n++)
        cr_assert_eq(
            minisign_secret_parse((struct bytes){ secret.p, n }, NULL, "k", &s, &e),
            RC_USAGE, "%zu", n);
    secret.p[180] ^= 1; /* a digit of the seed */
    cr_assert_eq(minisign_secret_parse(all(secret), NULL, "k", &s, &e), RC_USAGE);
    cr_assert_str_eq(e.why, "the signing key 'k' is damaged");
    cr_assert(s.id == 0);
}

CASE(crypto_minisign, a_public_key_may_be_its_line_alone)
{
    struct minisign_trust t = trust();
    struct minisign_public k;
    struct err e = { 0 };

    OK(minisign_public_parse(
           bytes_str("RWRZIvs9R+p55CygwUtYEk0Kw68uqLTvyWuJC/jn5PTFPsT5tOmOZMOE"), "-P",
           &k, &e),
       &e);
    cr_assert(k.id == t.keys[0].id && memcmp(k.key, t.keys[0].key, 32) == 0);
}

/* A key pair of ours, in files as minisign wants them. */
struct pair {
    const char *dir;
    struct minisign_secret secret;
};

static struct pair pair_new(void)
{
    struct pair p = { .dir = tmpdir_new() };
    char public[MINISIGN_PUBLIC_SIZE], secret[MINISIGN_SECRET_SIZE];
    struct minisign_public k;
    struct err e = { 0 };

    OK(minisign_generate(&p.secret, &e), &e);
    k = minisign_public_of(&p.secret);
    minisign_public_text(&k, public);
    OK(minisign_secret_text(&p.secret, secret, &e), &e);
    store(path_in(p.dir, "k.pub"), public);
    store(path_in(p.dir, "k.key"), secret);
    store(path_in(p.dir, "m"), "a message");
    return p;
}

CASE(crypto_minisign, minisign_believes_what_we_signed)
{
    struct pair p = pair_new();
    char text[MINISIGN_SIGNATURE_SIZE];
    struct err e = { 0 };

    OK(minisign_sign(&p.secret, bytes_str("a message"), "holdfast record 7", text, &e),
       &e);
    store(path_in(p.dir, "m.minisig"), text);
    RUN(good, "minisign", "-V", "-p", path_in(p.dir, "k.pub"), "-m", path_in(p.dir, "m"));
    cr_assert_eq(good.status, 0, "%s", good.err);
    cr_assert_not_null(strstr(good.out, "Trusted comment: holdfast record 7"));
    store(path_in(p.dir, "m"), "a massage");
    RUN(bad, "minisign", "-V", "-p", path_in(p.dir, "k.pub"), "-m", path_in(p.dir, "m"));
    cr_assert_neq(bad.status, 0);
}

CASE(crypto_minisign, minisign_signs_with_our_key_file)
{
    AT_END(mem_end) uint8_t *signature = NULL;
    struct pair p = pair_new();
    struct minisign_trust t = { .count = 0 };
    const struct minisign_public *by = NULL;
    struct err e = { 0 };
    size_t n = 0;

    RUN(sign, "minisign", "-S", "-s", path_in(p.dir, "k.key"), "-m", path_in(p.dir, "m"));
    cr_assert_eq(sign.status, 0, "%s", sign.err);
    OK(minisign_trust_add_file(&t, path_in(p.dir, "k.pub"), &e), &e);
    OK(os_read_file(path_in(p.dir, "m.minisig"), 4096, &signature, &n, &e), &e);
    OK(minisign_verify(&t, bytes_str("a message"), (struct bytes){ signature, n }, &by,
                       NULL, &e),
       &e);
}

CASE(crypto_minisign, two_keys_are_never_the_same)
{
    AT_END(minisign_secret_wipe) struct minisign_secret a = { 0 }, b = { 0 };
    struct err e = { 0 };

    OK(minisign_generate(&a, &e), &e);
    OK(minisign_generate(&b, &e), &e);
    cr_assert(a.id != b.id && memcmp(a.seed.b, b.seed.b, 32) != 0);
}

CASE(crypto_minisign, a_comment_with_a_line_end_is_not_signed)
{
    char text[MINISIGN_SIGNATURE_SIZE];
    struct pair p = pair_new();
    struct err e = { 0 };

    cr_assert_eq(minisign_sign(&p.secret, bytes_str("m"), "a\nb", text, &e), RC_INTERNAL);
}
