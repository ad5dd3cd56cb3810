#include "crypto/age_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "crypto/x25519.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "util/log.h"
#include "util/os.h"
#include "util/str.h"

#define RECIPIENT_A "age1xcwh0gy7kmd48n3ga9m584rccykswylpwjh6vcztktw34n86wvksx6n09j"
#define RECIPIENT_B "age12rxy2h5qnndkd7379m6xhth0jh0hj73n5j3nnsyq9f2kt2yu052qy0wh42"
#define IDENTITY_A \
    "AGE-SECRET-KEY-1XV6FM7J26H8N8ULD9PRE8VSG3HE9HYD5Z4SS9F5MGUSX5N0HPUWQFP5MLV"
#define IDENTITY_B \
    "AGE-SECRET-KEY-1VNKRL97QV4VGHSFJ6KV58DC80SCVP8KC3QZA2EVZ7MRUH2GZ9UESNW3PQ6"

static const char *write_file(const char *text, mode_t mode)
{
    const char *path = path_in(tmpdir_new(), "keys");
    OWNED_FD int fd = -1;
    struct err e = { 0 };

    OK(os_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, mode, &fd, &e), &e);
    OK(os_write_full(fd, text, strlen(text), path, &e), &e);
    cr_assert_eq(fchmod(fd, mode), 0);
    return path;
}

static void assert_hides_secrets(const struct err *e)
{
    cr_assert_null(strstr(e->what, "XV6FM7J26H8N8"), "%s", e->what);
    cr_assert_null(strstr(e->why, "XV6FM7J26H8N8"), "%s", e->why);
    cr_assert_null(strstr(e->hint, "XV6FM7J26H8N8"), "%s", e->hint);
}

CASE(crypto_age_keys, a_recipients_file_is_read_as_age_reads_it)
{
    OWNED(age_recipients) r = NULL;
    struct err e = { 0 };
    char text[AGE_RECIPIENT_SIZE];
    const char *path = write_file("# operations\n" RECIPIENT_A
                                  "\r\n\n# escrow\n#" RECIPIENT_A "\n" RECIPIENT_B,
                                  0644);

    OK(age_recipients_new(&r, &e), &e);
    OK(age_recipients_add_file(r, path, &e), &e);
    cr_assert_eq(r->count, 2);
    bech32_encode("age", &r->keys[1], text);
    cr_assert_str_eq(text, RECIPIENT_B);
    OK(age_recipients_add(r, RECIPIENT_A, &e), &e);
    cr_assert_eq(r->count, 2, "the same recipient counts once");
}

CASE(crypto_age_keys, an_identity_file_gives_its_recipients)
{
    OWNED(age_identities) ids = NULL;
    char text[AGE_RECIPIENT_SIZE];
    struct err e = { 0 };
    const char *path = write_file("# created: 2026-11-20T17:09:19Z\n# public key: "
                                  "x\n" IDENTITY_A "\n\n" IDENTITY_B "\n",
                                  0600);

    OK(age_identities_new(&ids, &e), &e);
    OK(age_identities_add_file(ids, path, &e), &e);
    cr_assert_eq(ids->count, 2);
    age_identity_recipient(ids->first, text);
    cr_assert_str_eq(text, RECIPIENT_A);
    age_identity_recipient(ids->first->next, text);
    cr_assert_str_eq(text, RECIPIENT_B);
}

static void keep_line(enum log_level level, const char *line, void *arg)
{
    cr_assert_eq(level, LOG_WARN_LEVEL);
    snprintf(arg, 256, "%s", line);
}

CASE(crypto_age_keys, an_identity_that_others_may_read_is_warned_of)
{
    OWNED(age_identities) ids = NULL;
    char line[256] = "";
    struct err e = { 0 };

    OK(age_identities_new(&ids, &e), &e);
    log_to(keep_line, line);
    OK(age_identities_add_file(ids, write_file(IDENTITY_A, 0600), &e), &e);
    cr_assert_str_eq(line, "");
    OK(age_identities_add_file(ids, write_file(IDENTITY_B, 0640), &e), &e);
    log_to(NULL, NULL);
    cr_assert(str_ends(line, "keys' holds a secret and others may read it (mode 0640): "
                             "chmod 600 it"),
              "%s", line);
}

struct refused {
    const char *text, *what, *why;
};

CASE(crypto_age_keys, other_recipients_are_refused_by_name)
{
#define USE "': it is "
    static const struct refused bad[] = {
        { "age1pq1l4cxsn8wzv5mjugywmaqshuq7hdmvqvpy06ca9f0dd6pmemfdl9q4sj", "",
          "unsupported recipient 'age1pq1l4cxsn8wzv5mjugywmaqshuq7hdmvqvpy...' "
          "is a post-quantum key" },
        { "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "",
          "for the plugin yubikey" },
        { "age1tag1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "",
          "for the plugin tag" },
        { "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN me@host", "", "an ssh-ed25519 key" },
        { "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC me@host", "", "an ssh-rsa key" },
        { "sk-ssh-ed25519@openssh.com AAAA", "", "an SSH key" },
        { "github:somebody", "", "a GitHub user" },
    };
    OWNED(age_recipients) r = NULL;
    struct err e = { 0 };

    OK(age_recipients_new(&r, &e), &e);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *kind = strstr(bad[i].why, "is ");

        cr_assert_eq(age_recipients_add(r, bad[i].text, &e), RC_USAGE, "%s", bad[i].text);
        cr_assert(strncmp(e.why, "unsupported recipient '", 23) == 0, "%s", e.why);
        cr_assert(str_ends(e.why, kind == NULL ? bad[i].why : kind), "%s", e.why);
        cr_assert_str_eq(e.hint, "use an X25519 recipient (age1... from age-keygen)");
    }
    cr_assert_eq(r->count, 0);
}

CASE(crypto_age_keys, what_is_no_recipient_is_refused_with_the_reason)
{
    static const struct refused bad[] = {
        { "", "'' is not a recipient", "it does not begin with age1" },
        { "hello", "'hello' is not a recipient", "it does not begin with age1" },
        { RECIPIENT_A " ", "'" RECIPIENT_A " ' is not a recipient",
          "it has 63 characters instead of 62" },
        { "age1\x1b[m", "'age1\\x1b[m' is not a recipient",
          "it has 7 characters instead of 62" },
        { "age1xcwh0gy7kmd48n3ga9m584rccykswylpwjh6vcztktw34n86wvksx6n09k",
          "'age1xcwh0gy7kmd48n3ga9m584rccykswylpwjh6vcztktw34n86wvksx6n09k' is not a "
          "recipient",
          "its checksum does not match" },
        { "age1ur4h5lpmgxu2u9jku0a0r87ydtdqnr0tnsetrlvxvgz3vh6fhqqqzyt4v9",
          "'age1ur4h5lpmgxu2u9jku0a0r87ydtdqnr0tnsetrlvxvgz3vh6fhqqqzyt4v9' is not a "
          "recipient",
          "it is a point of low order, which protects nothing" },
        { IDENTITY_A, "",
          "this is an identity, which is secret; give its recipient (age1...) instead" },
    };
    OWNED(age_recipients) r = NULL;
    struct err e = { 0 };

    OK(age_recipients_new(&r, &e), &e);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(age_recipients_add(r, bad[i].text, &e), RC_USAGE, "%s", bad[i].text);
        cr_assert_str_eq(e.what, bad[i].what);
        cr_assert_str_eq(e.why, bad[i].why);
        assert_hides_secrets(&e);
    }
}

CASE(crypto_age_keys, other_identities_are_refused_by_name_and_never_quoted)
{
    static const struct refused bad[] = {
        { "AGE-SECRET-KEY-PQ-1XV6FM7J26H8N8", "",
          "unsupported identity: it is a post-quantum key" },
        { "AGE-PLUGIN-YUBIKEY-1XV6FM7J26H8N8", "",
          "unsupported identity: it is a key of an age plugin" },
        { "-----BEGIN OPENSSH PRIVATE KEY-----", "",
          "unsupported identity: it is an SSH key" },
        { "-----BEGIN AGE ENCRYPTED FILE-----", "",
          "unsupported identity: it is an encrypted identity file" },
        { "age-encryption.org/v1", "",
          "unsupported identity: it is an encrypted identity file" },
        { RECIPIENT_A, "",
          "this is a recipient, which is public; opening needs its identity "
          "(AGE-SECRET-KEY-1...)" },
        { IDENTITY_A "X", "this is not an identity",
          "it has 75 characters instead of 74" },
        { "age-secret-key-1xv6fm7j26h8n8uld9pre8vsg3he9hyd5z4ss9f5mgusx5n0hpuwqfp5mlv",
          "this is not an identity", "it does not begin with AGE-SECRET-KEY-1" },
    };
    OWNED(age_identities) ids = NULL;
    struct err e = { 0 };

    OK(age_identities_new(&ids, &e), &e);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(age_identities_add(ids, bad[i].text, &e), RC_USAGE, "%s",
                     bad[i].text);
        cr_assert_str_eq(e.what, bad[i].what);
        cr_assert_str_eq(e.why, bad[i].why);
        assert_hides_secrets(&e);
    }
    cr_assert_eq(ids->count, 0);
}

CASE(crypto_age_keys, files_are_refused_with_name_and_line)
{
    OWNED(age_recipients) r = NULL;
    OWNED(age_identities) ids = NULL;
    struct err e = { 0 };

    OK(age_recipients_new(&r, &e), &e);
    OK(age_identities_new(&ids, &e), &e);
    cr_assert_eq(
        age_recipients_add_file(r, write_file("# a\n\n" RECIPIENT_A "\nage1", 0644), &e),
        RC_USAGE);
    cr_assert(strncmp(e.what, "line 4 of '", 11) == 0, "%s", e.what);
    cr_assert_str_eq(e.why,
                     "'age1' is not a recipient: it has 4 characters instead of 62");
    cr_assert_eq(age_recipients_add_file(r, write_file("# nobody\n\n", 0644), &e),
                 RC_USAGE);
    cr_assert(str_ends(e.why, "keys' contains no key"), "%s", e.why);
    cr_assert_eq(age_identities_add_file(ids, write_file("", 0600), &e), RC_USAGE);
    cr_assert_eq(age_identities_add_file(ids, write_file("\n" IDENTITY_A "?", 0600), &e),
                 RC_USAGE);
    cr_assert(strncmp(e.what, "line 2 of '", 11) == 0, "%s", e.what);
    assert_hides_secrets(&e);
    cr_assert_eq(age_identities_add_file(ids, "/nonexistent/keys", &e), RC_NOTFOUND);
    cr_assert_eq(age_identities_add_file(ids, "/", &e), RC_USAGE);
    cr_assert_str_eq(e.why, "'/' is a directory, not a file");
}

CASE(crypto_age_keys, a_passphrase_stands_alone)
{
    OWNED(age_recipients) r = NULL;
    OWNED(age_recipients) other = NULL;
    OWNED(secret) word = NULL;
    struct err e = { 0 };

    OK(secret_new(bytes_str("correct horse"), &word, &e), &e);
    OK(age_recipients_new(&r, &e), &e);
    OK(age_recipients_set_passphrase(r, word, &e), &e);
    cr_assert_eq(age_recipients_add(r, RECIPIENT_A, &e), RC_USAGE);
    cr_assert_str_eq(e.why, "a passphrase and recipients exclude each other");
    cr_assert_eq(age_recipients_set_passphrase(r, word, &e), RC_USAGE);
    OK(age_recipients_new(&other, &e), &e);
    OK(age_recipients_add(other, RECIPIENT_A, &e), &e);
    cr_assert_eq(age_recipients_set_passphrase(other, word, &e), RC_USAGE);
}

CASE(crypto_age_keys, there_is_a_limit_of_recipients)
{
    OWNED(age_recipients) r = NULL;
    char text[AGE_RECIPIENT_SIZE];
    struct key secret, point;
    struct err e = { 0 };

    OK(age_recipients_new(&r, &e), &e);
    for (int i = 0; i <= AGE_RECIPIENTS_MAX; i++) {
        OK(x25519_generate(&secret, &point, &e), &e);
        bech32_encode("age", &point, text);
        if (i < AGE_RECIPIENTS_MAX)
            OK(age_recipients_add(r, text, &e), &e);
    }
    cr_assert_eq(age_recipients_add(r, text, &e), RC_USAGE);
    cr_assert_str_eq(e.why, "there are more than 64 recipients");
}

CASE(crypto_age_keys, survive_a_lack_of_memory)
{
    const char *path = write_file(IDENTITY_A "\n" IDENTITY_B "\n", 0600);
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, ENOMEM) {
        OWNED(age_identities) ids = NULL;
        struct err e = { 0 };
        enum rc rc = age_identities_new(&ids, &e);

        if (rc == RC_OK)
            rc = age_identities_add_file(ids, path, &e);
        runs = nth;
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "run %u: %s", nth, e.why);
    }
    cr_assert_eq(runs, 5, "four allocations, one clean run");
}

CASE(crypto_age_keys, keygen_writes_what_age_keygen_writes)
{
    OWNED(age_identities) ids = NULL;
    char file[AGE_KEYGEN_SIZE], recipient[AGE_RECIPIENT_SIZE], same[AGE_RECIPIENT_SIZE];
    char expected[AGE_KEYGEN_SIZE];
    struct err e = { 0 };

    OK(age_keygen(file, recipient, &e), &e);
    OK(age_identities_new(&ids, &e), &e);
    OK(age_identities_add_file(ids, write_file(file, 0600), &e), &e);
    cr_assert_eq(ids->count, 1);
    age_identity_recipient(ids->first, same);
    cr_assert_str_eq(same, recipient);
    snprintf(expected, sizeof expected, "# created: %.20s\n# public key: %s\n%.74s\n",
             file + 11, recipient, strstr(file, "AGE-SECRET-KEY-1"));
    cr_assert_str_eq(file, expected);
    cr_assert(file[15] == '-' && file[21] == 'T' && file[30] == 'Z', "%s", file);
}
