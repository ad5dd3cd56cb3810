#include "crypto/bech32.h"

#include <ctype.h>
#include <string.h>

static const char digits[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

enum { DATA_DIGITS = 52, SUM_DIGITS = 6 };

/* The checksum is the remainder of a polynomial over 5-bit symbols. */
static uint32_t add_symbol(uint32_t sum, uint32_t symbol)
{
    static const uint32_t generator[] = { 0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
                                          0x2a1462b3 };
    uint32_t top = sum >> 25;

    sum = (sum & 0x1ffffff) << 5 ^ symbol;
    for (unsigned i = 0; i < 5; i++)
        if ((top >> i & 1) != 0)
            sum ^= generator[i];
    return sum;
}

/* Computed over lower case, whatever case the text is in. */
static uint32_t add_prefix(const char *prefix)
{
    uint32_t sum = 1;

    for (const char *c = prefix; *c != '\0'; c++)
        sum = add_symbol(sum, (uint32_t)tolower((unsigned char)*c) >> 5);
    sum = add_symbol(sum, 0);
    for (const char *c = prefix; *c != '\0'; c++)
        sum = add_symbol(sum, (uint32_t)tolower((unsigned char)*c) & 31);
    return sum;
}

/* The i-th group of five bits, filled up with zeros at the end. */
static uint32_t symbol_at(const struct key *k, size_t i)
{
    size_t bit = i * 5;
    uint32_t pair = (uint32_t)k->b[bit / 8] << 8;

    if (bit / 8 + 1 < sizeof k->b)
        pair |= k->b[bit / 8 + 1];
    return pair >> (11 - bit % 8) & 31;
}

void bech32_encode(const char *prefix, const struct key *k, char *out)
{
    uint32_t sum = add_prefix(prefix);
    char *at = stpcpy(stpcpy(out, prefix), "1");

    for (size_t i = 0; i < DATA_DIGITS; i++) {
        sum = add_symbol(sum, symbol_at(k, i));
        *at++ = digits[symbol_at(k, i)];
    }
    for (int i = 0; i < SUM_DIGITS; i++)
        sum = add_symbol(sum, 0);
    sum ^= 1;
    for (int i = SUM_DIGITS - 1; i >= 0; i--)
        *at++ = digits[sum >> (5 * i) & 31];
    *at = '\0';
    if (isupper((unsigned char)*prefix))
        for (char *c = out; c < at; c++)
            *c = (char)toupper((unsigned char)*c);
}

static bool symbol_of(uint8_t c, bool upper, uint32_t *out)
{
    const char *at;

    if (upper ? islower(c) != 0 : isupper(c) != 0)
        return false;
    at = memchr(digits, tolower(c), sizeof digits - 1);
    if (at == NULL)
        return false;
    *out = (uint32_t)(at - digits);
    return true;
}

static enum rc decode_symbols(const uint8_t *p, uint32_t sum, bool upper, struct key *out,
                              struct err *e)
{
    uint32_t bits = 0, symbol;
    unsigned held = 0;
    size_t used = 0;

    for (size_t i = 0; i < DATA_DIGITS + SUM_DIGITS; i++) {
        if (!symbol_of(p[i], upper, &symbol))
            return err_set(e, RC_USAGE, "character %zu after its '1' cannot be in a key",
                           i + 1);
        sum = add_symbol(sum, symbol);
        bits = bits << 5 | symbol;
        held += 5;
        if (held >= 8 && used < sizeof out->b) {
            held -= 8;
            out->b[used++] = (uint8_t)(bits >> held);
        }
        if (i == DATA_DIGITS - 1 && (bits & 15) != 0)
            return err_set(e, RC_USAGE, "its last bits are not zero");
    }
    return sum == 1 ? RC_OK
                    : err_set(e, RC_USAGE,
                              "its checksum does not match" HINT
                              "a character was lost or mistyped");
}

enum rc bech32_decode(struct bytes text, const char *prefix, struct key *out,
                      struct err *e)
{
    AT_END(key_wipe) struct key k = { 0 };
    size_t n = strlen(prefix);

    if (!bytes_starts(text, prefix) || text.n == n || text.p[n] != '1')
        return err_set(e, RC_USAGE, "it does not begin with %s1", prefix);
    if (text.n != n + 1 + DATA_DIGITS + SUM_DIGITS)
        return err_set(e, RC_USAGE, "it has %zu characters instead of %zu", text.n,
                       n + 1 + DATA_DIGITS + SUM_DIGITS);
    TRY(decode_symbols(text.p + n + 1, add_prefix(prefix),
                       isupper((unsigned char)*prefix) != 0, &k, e));
    *out = k;
    return RC_OK;
}
