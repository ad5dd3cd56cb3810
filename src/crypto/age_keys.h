/* For whom a file is sealed, and who opens it: age's recipients and identities.
 *
 * A recipient is public ("age1..."), an identity secret ("AGE-SECRET-KEY-1...");
 * age-keygen makes a pair of them, and so does age_keygen(). Instead of recipients a
 * file can have one passphrase. Kinds that need a plugin, SSH keys or post-quantum
 * keys are refused by name. Both lists wipe their secrets when freed. */
#ifndef CRYPTO_AGE_KEYS_H
#define CRYPTO_AGE_KEYS_H

#include "crypto/bech32.h"
#include "crypto/key.h"
#include "crypto/secret.h"
#include "util/err.h"
#include "util/own.h"

#define AGE_RECIPIENT_PREFIX "age"
#define AGE_IDENTITY_PREFIX "AGE-SECRET-KEY-"

enum {
    AGE_RECIPIENTS_MAX = 64, /* one stanza each */
    AGE_KEY_FILE_MAX = 1 << 20,
    AGE_RECIPIENT_SIZE = BECH32_SIZE(AGE_RECIPIENT_PREFIX), /* with the NUL */
    AGE_IDENTITY_SIZE = BECH32_SIZE(AGE_IDENTITY_PREFIX),
    AGE_KEYGEN_SIZE = 256,
};

/* Either keys or a passphrase; the fields are read by crypto/age.c. */
struct age_recipients {
    struct key keys[AGE_RECIPIENTS_MAX];
    size_t count;
    struct secret *passphrase;
};

enum rc age_recipients_new(struct age_recipients **out, struct err *e);
void age_recipients_free(struct age_recipients *r);
OWN_DEFINE(age_recipients)

/* "age1...". One that is there already is not added again. RC_USAGE for anything else
 * ("unsupported recipient" when age itself or a plugin of it might accept it). */
enum rc age_recipients_add(struct age_recipients *r, const char *text, struct err *e);

/* One recipient a line; empty lines and lines that begin with '#' are skipped.
 * RC_USAGE names the line, or says that there was no recipient. */
enum rc age_recipients_add_file(struct age_recipients *r, const char *path,
                                struct err *e);

/* RC_USAGE beside other recipients: the format wants a passphrase to be alone. */
enum rc age_recipients_set_passphrase(struct age_recipients *r,
                                      const struct secret *passphrase, struct err *e);

/* One key pair, or one passphrase. */
struct age_identity {
    struct age_identity *next;
    struct key secret, point;
    struct secret *passphrase; /* NULL for a key pair */
};

struct age_identities {
    struct age_identity *first;
    size_t count;
};

enum rc age_identities_new(struct age_identities **out, struct err *e);
void age_identities_free(struct age_identities *ids);
OWN_DEFINE(age_identities)

/* As above for "AGE-SECRET-KEY-1...". No message quotes any part of an identity. A
 * file that others may read is accepted with a warning, as age does. */
enum rc age_identities_add(struct age_identities *ids, const char *text, struct err *e);
enum rc age_identities_add_file(struct age_identities *ids, const char *path,
                                struct err *e);
enum rc age_identities_add_passphrase(struct age_identities *ids,
                                      const struct secret *passphrase, struct err *e);

/* The recipient that belongs to a key pair. */
void age_identity_recipient(const struct age_identity *id,
                            char recipient[static AGE_RECIPIENT_SIZE]);

/* A new key pair: the text of an identity file exactly as age-keygen writes it, which
 * the caller wipes, and the recipient that it contains. */
enum rc age_keygen(char file[static AGE_KEYGEN_SIZE],
                   char recipient[static AGE_RECIPIENT_SIZE], struct err *e);

#endif
