/* The header of an age file (age-encryption.org/v1), as text and as stanzas.
 *
 *     age-encryption.org/v1
 *     -> X25519 XEl0dJ6y3C7KZkgmgWUicg63EyXJiwBJW8PdYJ/cYBE
 *     qRS0AMjdjPvZ/WT08U2KL4G+PIooA3hy38SvLpvaC1E
 *     --- HK2NmOBN9Dpq0Gw6xMCuhFcQlQLvZ/wQUi/2scLG75s
 *
 * Each stanza wraps the same file key for one recipient; the last line authenticates
 * everything before it with a key made from the file key. A text has one reading and
 * every reading one text: parsing and writing again gives the same bytes, so that
 * nobody can change a header without breaking it. Nothing here trusts the text. */
#ifndef CRYPTO_AGE_HEADER_H
#define CRYPTO_AGE_HEADER_H

#include "crypto/key.h"
#include "util/bytes.h"
#include "util/err.h"

enum {
    AGE_HEADER_MAX = 64 << 10, /* bytes; the format has no limit, attackers need one */
    AGE_STANZAS_MAX = 64,
    AGE_MAC = 32,
};

struct age_stanza {
    struct bytes
        args; /* one or more words between single spaces; the first is the kind */
    struct bytes body;
};

/* Owns the memory its stanzas point into. */
struct age_header {
    struct age_stanza stanzas[AGE_STANZAS_MAX];
    size_t count;
    struct bytes authenticated; /* the text that the MAC covers */
    uint8_t mac[AGE_MAC];
    uint8_t *text, *bodies;
};

/* Does this line, which need not be whole, begin the last line of a header? A reader
 * that collects lines stops after it. */
bool age_header_ends(struct bytes line);

/* `text` is one whole header. RC_CORRUPT says which line is malformed, or that the text
 * ends too early, or that this is no age file at all. */
enum rc age_header_parse(struct bytes text, struct age_header **out, struct err *e);
void age_header_free(struct age_header *h);
OWN_DEFINE(age_header)

/* The i-th word of a stanza's arguments, empty when there is none. */
struct bytes age_stanza_arg(const struct age_stanza *s, size_t i);

/* Appended in this order, a header is: begin, one or more stanzas, the line that
 * authenticates what `out` then holds. */
enum rc age_header_write_begin(struct buf *out, struct err *e);
enum rc age_header_write_stanza(struct buf *out, const struct age_stanza *s,
                                struct err *e);
enum rc age_header_write_end(struct buf *out, const struct file_key *k, struct err *e);
/* The same with a MAC that is known already. */
enum rc age_header_write_mac(struct buf *out, const uint8_t mac[static AGE_MAC],
                             struct err *e);

/* RC_CORRUPT when the header was changed after it was written. */
enum rc age_header_check(const struct age_header *h, const struct file_key *k,
                         struct err *e);

#endif
