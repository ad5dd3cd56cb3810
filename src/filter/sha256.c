#include "filter/sink.h"

#include <string.h>

#include "util/mem.h"

struct sha256_sink {
    struct sink base;
    struct sha256 *hash;
    uint8_t *digest; /* the caller's; set when the chain is finished, never before */
};

static enum rc sha256_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct sha256_sink *f = (struct sha256_sink *)s;

    TRY(sha256_add(f->hash, p, n, e));
    return sink_write(s->next, p, n, e);
}

static enum rc sha256_finish(struct sink *s, struct err *e)
{
    struct sha256_sink *f = (struct sha256_sink *)s;
    uint8_t digest[SHA256_SIZE];

    TRY(sha256_end(f->hash, digest, e));
    TRY(sink_finish(s->next, e));
    memcpy(f->digest, digest, sizeof digest);
    return RC_OK;
}

static void sha256_release(struct sink *s)
{
    sha256_free(((struct sha256_sink *)s)->hash);
}

static const struct sink_ops sha256_ops = {
    .name = "sha256",
    .write = sha256_write,
    .finish = sha256_finish,
    .release = sha256_release,
};

enum rc sha256_sink_new(struct sink *next, uint8_t digest[static SHA256_SIZE],
                        struct sink **out, struct err *e)
{
    OWNED(sink) rest = next;
    OWNED(sha256) hash = NULL;
    struct sha256_sink *f = NULL;

    TRY(sha256_new(&hash, e));
    TRY(mem_new(&f, sizeof *f, "a SHA-256 filter", e));
    *f = (struct sha256_sink){
        .base = { .ops = &sha256_ops, .next = GIVE(rest) },
        .hash = GIVE(hash),
        .digest = digest,
    };
    *out = &f->base;
    return RC_OK;
}
