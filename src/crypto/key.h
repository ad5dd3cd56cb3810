/* Key material of fixed size that ends wiped:
 *     AT_END(key_wipe) struct key k = { 0 };                                   */
#ifndef CRYPTO_KEY_H
#define CRYPTO_KEY_H

#include <stdint.h>

#include "util/mem.h"
#include "util/own.h"

/* A symmetric key, or an X25519 scalar or point. */
struct key {
    uint8_t b[32];
};

/* What an age header carries, wrapped once for each recipient. */
struct file_key {
    uint8_t b[16];
};

static inline void key_wipe(struct key *k)
{
    mem_wipe(k, sizeof *k);
}

static inline void file_key_wipe(struct file_key *k)
{
    mem_wipe(k, sizeof *k);
}

#endif
