#include "crypto/base64.h"

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(struct bytes data, char *out)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t n = 0;

    for (size_t i = 0; i < data.n; i++) {
        bits = bits << 8 | data.p[i];
        for (held += 8; held >= 6; held -= 6)
            out[n++] = digits[bits >> (held - 6) & 63];
    }
    if (held > 0)
        out[n++] = digits[bits << (6 - held) & 63];
    return n;
}

size_t base64_encode_padded(struct bytes data, char *out)
{
    size_t n = base64_encode(data, out);

    while (n % 4 != 0)
        out[n++] = '=';
    return n;
}

static int digit_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct bytes text, uint8_t *out, size_t *n)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t used = 0;

    for (size_t i = 0; i < text.n; i++) {
        int v = digit_value(text.p[i]);

        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[used++] = (uint8_t)(bits >> held);
        }
    }
    /* Six bits left over are a digit that carries no byte. */
    if (held == 6 || (bits & ((1u << held) - 1)) != 0)
        return false;
    *n = used;
    return true;
}

bool base64_decode_padded(struct bytes text, uint8_t *out, size_t *n)
{
    if (text.n % 4 != 0)
        return false;
    for (int i = 0; i < 2 && text.n > 0 && text.p[text.n - 1] == '='; i++)
        text.n--;
    return base64_decode(text, out, n);
}
