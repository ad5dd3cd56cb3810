/* Ed25519 signatures as minisign makes and checks them: the same key files, the same
 * signature files, so that whoever has only minisign can check what we signed.
 *
 *     untrusted comment: ...
 *     base64 of "ED", key id (8), signature of BLAKE2b-512 of the message (64)
 *     trusted comment: ...
 *     base64 of the signature of (signature, trusted comment) (64)
 *
 * Only the prehashed form "ED" is made and accepted; the older "Ed" is refused by name.
 */
#ifndef CRYPTO_MINISIGN_H
#define CRYPTO_MINISIGN_H

#include "crypto/key.h"
#include "crypto/secret.h"
#include "util/bytes.h"
#include "util/err.h"

enum {
    MINISIGN_ID_SIZE = 17,         /* 16 upper-case digits as minisign prints them, NUL */
    MINISIGN_COMMENT_MAX = 255,    /* of a trusted comment, without the NUL */
    MINISIGN_PUBLIC_SIZE = 128,    /* a public key file's text */
    MINISIGN_SECRET_SIZE = 320,    /* a secret key file's text */
    MINISIGN_SIGNATURE_SIZE = 640, /* a signature file's text */
    MINISIGN_TRUSTED_MAX = 16,     /* keys in one list */
};

struct minisign_public {
    uint64_t id;
    uint8_t key[32];
};

/* AT_END(minisign_secret_wipe) struct minisign_secret s = { 0 }; */
struct minisign_secret {
    uint64_t id;
    struct key seed;
    uint8_t key[32]; /* the public half */
};
static inline void minisign_secret_wipe(struct minisign_secret *s)
{
    mem_wipe(s, sizeof *s);
}

/* Keys that are believed, in the order they were given. `bound` is for whoever counts
 * what is signed (catalog/chain.h): the first number that the key may not sign any more;
 * 0: there is none. */
struct minisign_trust {
    struct minisign_public keys[MINISIGN_TRUSTED_MAX];
    uint64_t bound[MINISIGN_TRUSTED_MAX];
    size_t count;
};

enum rc minisign_generate(struct minisign_secret *out, struct err *e);
struct minisign_public minisign_public_of(const struct minisign_secret *s);
void minisign_id_text(uint64_t id, char out[static MINISIGN_ID_SIZE]);

/* Key files as `minisign -G -W` writes them: the secret one without a password, to be
 * wiped by the caller. */
void minisign_public_text(const struct minisign_public *k,
                          char out[static MINISIGN_PUBLIC_SIZE]);
enum rc minisign_secret_text(const struct minisign_secret *s,
                             char out[static MINISIGN_SECRET_SIZE], struct err *e);

/* A public key file's text, or only its line of base64 (as for `minisign -P`). RC_USAGE
 * names `name`. */
enum rc minisign_public_parse(struct bytes text, const char *name,
                              struct minisign_public *out, struct err *e);

/* RC_USAGE when it is full; one that is there already is not added again. */
enum rc minisign_trust_add(struct minisign_trust *t, const struct minisign_public *k,
                           struct err *e);
enum rc minisign_trust_add_file(struct minisign_trust *t, const char *path,
                                struct err *e);

/* A secret key file's text. `password` may be NULL; RC_NOKEY when one is needed or when
 * it is the wrong one, RC_USAGE for anything that is no key file of minisign, RC_NOMEM
 * when its key derivation wants more than half of the machine's memory. */
enum rc minisign_secret_parse(struct bytes text, const struct secret *password,
                              const char *name, struct minisign_secret *out,
                              struct err *e);
enum rc minisign_secret_read_file(const char *path, const struct secret *password,
                                  struct minisign_secret *out, struct err *e);

/* Signs `message`; the text of a signature file with NUL. `comment` is the trusted one:
 * one line of at most MINISIGN_COMMENT_MAX bytes, without control characters but tabs. */
enum rc minisign_sign(const struct minisign_secret *s, struct bytes message,
                      const char *comment, char out[static MINISIGN_SIGNATURE_SIZE],
                      struct err *e);

/* Does one of the keys of `t` vouch for `message` with this signature file? Then *by
 * points into `t`, and `comment` (unless NULL) has the trusted comment. RC_NOKEY when it
 * was made with a key that is not in the list, RC_CORRUPT when it is false or no
 * signature file. */
enum rc minisign_verify(const struct minisign_trust *t, struct bytes message,
                        struct bytes signature, const struct minisign_public **by,
                        char comment[MINISIGN_COMMENT_MAX + 1], struct err *e);

#endif
