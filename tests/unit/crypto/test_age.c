#include "crypto/age.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/case.h"

static struct age_recipients *recipients(const char *const *texts)
{
    struct age_recipients *r = NULL;
    struct err e = { 0 };

    OK(age_recipients_new(&r, &e), &e);
    for (; *texts != NULL; texts++)
        OK(age_recipients_add(r, *texts, &e), &e);
    return r;
}

static void new_pair(char recipient[AGE_RECIPIENT_SIZE], struct age_identities *ids)
{
    char file[AGE_KEYGEN_SIZE];
    struct err e = { 0 };

    OK(age_keygen(file, recipient, &e), &e);
    *strrchr(file, '\n') = '\0';
    if (ids != NULL)
        OK(age_identities_add(ids, strrchr(file, '\n') + 1, &e), &e);
}

static void stream_end(struct stream *s)
{
    stream_clear(s);
}

/* The header of a new file, without the salt behind it. */
static struct age_header *new_header(const struct age_recipients *to)
{
    AT_END(buf_clear) struct buf start = { 0 };
    AT_END(stream_end) struct stream s = { 0 };
    struct age_header *h = NULL;
    struct err e = { 0 };

    OK(age_begin(to, &start, &s, &e), &e);
    OK(age_header_parse((struct bytes){ start.p, start.n - STREAM_SALT }, &h, &e), &e);
    return h;
}

CASE(crypto_age, each_recipient_opens_the_same_key)
{
    struct age_identities *ids[3] = { 0 };
    char text[3][AGE_RECIPIENT_SIZE];
    struct file_key k[3];
    struct err e = { 0 };

    for (int i = 0; i < 3; i++) {
        OK(age_identities_new(&ids[i], &e), &e);
        new_pair(text[i], ids[i]);
    }
    OWNED(age_recipients)
    to = recipients((const char *[]){ text[0], text[1], text[2], NULL });
    OWNED(age_header) h = new_header(to);

    cr_assert_eq(h->count, 3);
    for (int i = 0; i < 3; i++) {
        OK(age_unwrap(h, ids[i], &k[i], &e), &e);
        cr_assert(memcmp(&k[0], &k[i], sizeof k[0]) == 0, "recipient %d", i);
        age_identities_free(ids[i]);
    }
}

static void parse_file(const struct buf *text, struct age_header **out)
{
    struct err e = { 0 };

    OK(age_header_parse((struct bytes){ text->p, text->n }, out, &e), &e);
}

CASE(crypto_age, nobody_can_open_it_without_a_recipient)
{
    AT_END(buf_clear) struct buf start = { 0 };
    OWNED(age_recipients) to = NULL;
    struct stream s = { 0 };
    struct err e = { 0 };

    OK(age_recipients_new(&to, &e), &e);
    cr_assert_eq(age_begin(to, &start, &s, &e), RC_USAGE);
    cr_assert_str_eq(e.why, "there is no recipient to encrypt for");
    cr_assert_null(s.aead);
}

CASE(crypto_age, a_file_for_others_says_for_whom_it_is)
{
    AT_END(buf_clear) struct buf text = { 0 };
    OWNED(age_identities) ids = NULL;
    OWNED(age_header) h = NULL;
    char recipient[AGE_RECIPIENT_SIZE];
    struct age_stanza ssh = { bytes_str("ssh-ed25519 xyz"), { 0 } };
    struct age_stanza odd = { bytes_str("mlkem768x25519 %$"), { 0 } };
    struct file_key k = { { 1 } };
    struct err e = { 0 };

    OK(age_identities_new(&ids, &e), &e);
    new_pair(recipient, ids);
    new_pair(recipient, NULL);
    OWNED(age_recipients) to = recipients((const char *[]){ recipient, NULL });
    OWNED(age_header) other = new_header(to);

    OK(age_header_write_begin(&text, &e), &e);
    OK(age_header_write_stanza(&text, &ssh, &e), &e);
    OK(age_header_write_stanza(&text, &other->stanzas[0], &e), &e);
    OK(age_header_write_stanza(&text, &odd, &e), &e);
    OK(age_header_write_stanza(&text, &ssh, &e), &e);
    OK(age_header_write_end(&text, &k, &e), &e);
    parse_file(&text, &h);
    cr_assert_eq(age_unwrap(h, ids, &k, &e), RC_NOKEY);
    cr_assert_str_eq(e.why, "none of the 1 identities given opens this age file");
    cr_assert_str_eq(e.hint,
                     "it has 4 recipients (2 ssh-ed25519, 1 X25519, 1 mlkem768x25519); "
                     "X25519 needs its identity file, scrypt its passphrase");
    cr_assert_eq(k.b[0], 1, "the output was touched");
}

/* Somebody who may read a file adds a stanza for a friend: the MAC tells. */
CASE(crypto_age, a_changed_header_is_refused)
{
    AT_END(buf_clear) struct buf text = { 0 };
    OWNED(age_identities) ids = NULL;
    OWNED(age_header) changed = NULL;
    char recipient[AGE_RECIPIENT_SIZE];
    struct age_stanza friend = { bytes_str("friend"), bytes_str("key") };
    struct file_key k;
    struct err e = { 0 };

    OK(age_identities_new(&ids, &e), &e);
    new_pair(recipient, ids);
    OWNED(age_recipients) to = recipients((const char *[]){ recipient, NULL });
    OWNED(age_header) h = new_header(to);

    OK(age_header_write_begin(&text, &e), &e);
    OK(age_header_write_stanza(&text, &h->stanzas[0], &e), &e);
    OK(age_header_write_stanza(&text, &friend, &e), &e);
    OK(age_header_write_mac(&text, h->mac, &e), &e);
    parse_file(&text, &changed);
    cr_assert_eq(age_unwrap(changed, ids, &k, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "the age header was changed: its MAC does not match");
}

/* Three rounds of scrypt at full strength: a few seconds. */
CASE(crypto_age, a_passphrase_opens_its_file_and_another_does_not)
{
    OWNED(age_recipients) to = NULL;
    OWNED(age_identities) right = NULL;
    OWNED(age_identities) wrong = NULL;
    OWNED(secret) word = NULL;
    OWNED(secret) other = NULL;
    struct err e = { 0 };
    struct file_key k;

    OK(secret_new(bytes_str("correct horse"), &word, &e), &e);
    OK(secret_new(bytes_str("battery staple"), &other, &e), &e);
    OK(age_recipients_new(&to, &e), &e);
    OK(age_recipients_set_passphrase(to, word, &e), &e);
    OWNED(age_header) h = new_header(to);

    cr_assert(bytes_is(age_stanza_arg(&h->stanzas[0], 0), "scrypt"));
    cr_assert(bytes_is(age_stanza_arg(&h->stanzas[0], 2), "18"));
    OK(age_identities_new(&right, &e), &e);
    OK(age_identities_add_passphrase(right, word, &e), &e);
    OK(age_unwrap(h, right, &k, &e), &e);
    OK(age_identities_new(&wrong, &e), &e);
    OK(age_identities_add_passphrase(wrong, other, &e), &e);
    cr_assert_eq(age_unwrap(h, wrong, &k, &e), RC_NOKEY);
    cr_assert_str_eq(e.hint, "it has 1 recipient (1 scrypt); X25519 needs its identity "
                             "file, scrypt its passphrase");
}

/* ---- randomness ----------------------------------------------------------------------
 */

enum { FILES = 1000, PARTS = 16 + 16 + 32 };

/* File key, salt and ephemeral share of a new file, one after the other. */
static void random_parts(const struct age_recipients *to,
                         const struct age_identities *ids, uint8_t out[PARTS])
{
    AT_END(buf_clear) struct buf start = { 0 };
    AT_END(stream_end) struct stream s = { 0 };
    OWNED(age_header) h = NULL;
    struct err e = { 0 };
    struct file_key k;

    OK(age_begin(to, &start, &s, &e), &e);
    OK(age_header_parse((struct bytes){ start.p, start.n - STREAM_SALT }, &h, &e), &e);
    OK(age_unwrap(h, ids, &k, &e), &e);
    memcpy(out, k.b, 16);
    memcpy(out + 16, start.p + start.n - STREAM_SALT, 16);
    memcpy(out + 32, age_stanza_arg(&h->stanzas[0], 1).p, 32);
}

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}
static int by_salt(const void *a, const void *b)
{
    return memcmp((const uint8_t *)a + 16, (const uint8_t *)b + 16, 16);
}
static int by_share(const void *a, const void *b)
{
    return memcmp((const uint8_t *)a + 32, (const uint8_t *)b + 32, 32);
}

CASE(crypto_age, nothing_random_is_used_twice)
{
    static int (*const orders[])(const void *, const void *) = { by_key, by_salt,
                                                                 by_share };
    static uint8_t files[FILES][PARTS];
    OWNED(age_identities) ids = NULL;
    char recipient[AGE_RECIPIENT_SIZE];
    struct err e = { 0 };

    OK(age_identities_new(&ids, &e), &e);
    new_pair(recipient, ids);
    OWNED(age_recipients) to = recipients((const char *[]){ recipient, NULL });
    for (int i = 0; i < FILES; i++)
        random_parts(to, ids, files[i]);
    for (size_t o = 0; o < 3; o++) {
        qsort(files, FILES, PARTS, orders[o]);
        for (int i = 1; i < FILES; i++)
            cr_assert_neq(orders[o](files[i - 1], files[i]), 0, "order %zu", o);
    }
}

/* A generator seeded before fork() would give both processes the same keys. */
CASE(crypto_age, nothing_random_is_used_twice_across_fork)
{
    uint8_t before[PARTS], here[PARTS], there[PARTS];
    OWNED(age_identities) ids = NULL;
    char recipient[AGE_RECIPIENT_SIZE];
    struct err e = { 0 };
    int fds[2], status;

    OK(age_identities_new(&ids, &e), &e);
    new_pair(recipient, ids);
    OWNED(age_recipients) to = recipients((const char *[]){ recipient, NULL });
    random_parts(to, ids, before);
    cr_assert_eq(pipe(fds), 0);
    pid_t child = fork();

    if (child == 0) {
        random_parts(to, ids, there);
        _exit(write(fds[1], there, PARTS) == PARTS ? 0 : 1);
    }
    random_parts(to, ids, here);
    cr_assert_eq(read(fds[0], there, PARTS), PARTS);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(by_key(here, there) != 0 && by_salt(here, there) != 0 &&
              by_share(here, there) != 0);
    close(fds[0]);
    close(fds[1]);
}
