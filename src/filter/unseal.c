#include "filter/seal.h"

#include <inttypes.h>

enum phase { IN_HEADER, IN_SALT, IN_PAYLOAD };

struct unseal_sink {
    struct sink base;
    const struct age_identities *ids;
    enum phase phase;
    bool broken; /* a call failed: nothing can be right any more */
    struct buf header;
    size_t line; /* where the header's current line begins */
    struct file_key key;
    struct stream stream;
    uint64_t payload_at; /* offset of the first chunk */
    size_t held;         /* bytes in `sealed` (in IN_SALT: of the salt) */
    uint8_t sealed[STREAM_SEALED];
    uint8_t plain[STREAM_CHUNK];
};

/* ---- header ---------------------------------------------------------------------- */

static enum rc read_header(struct unseal_sink *f, struct err *e)
{
    OWNED(age_header) h = NULL;

    TRY(age_header_parse((struct bytes){ f->header.p, f->header.n }, &h, e));
    TRY(age_unwrap(h, f->ids, &f->key, e));
    f->payload_at = f->header.n + STREAM_SALT;
    f->phase = IN_SALT;
    buf_clear(&f->header);
    return RC_OK;
}

/* Collects one line, or what there is of it. */
static enum rc take_header(struct unseal_sink *f, struct bytes *in, struct err *e)
{
    const uint8_t *end = memchr(in->p, '\n', in->n);
    size_t room = AGE_HEADER_MAX + 1 - f->header.n;
    size_t n = end == NULL ? in->n : (size_t)(end - in->p) + 1;
    struct bytes line;

    if (n > room)
        n = room;
    TRY(buf_add(&f->header, in->p, n, e));
    *in = (struct bytes){ in->p + n, in->n - n };
    line = (struct bytes){ f->header.p + f->line, f->header.n - f->line };
    if (f->header.n > AGE_HEADER_MAX)
        return read_header(f, e); /* says what is wrong with it */
    if (end == NULL)
        return RC_OK;
    f->line = f->header.n;
    return age_header_ends(line) ? read_header(f, e) : RC_OK;
}

static void take_some(struct unseal_sink *f, struct bytes *in, size_t full)
{
    size_t room = full - f->held, take = in->n < room ? in->n : room;

    memcpy(f->sealed + f->held, in->p, take);
    f->held += take;
    *in = (struct bytes){ in->p + take, in->n - take };
}

static enum rc take_salt(struct unseal_sink *f, struct bytes *in, struct err *e)
{
    take_some(f, in, STREAM_SALT);
    if (f->held < STREAM_SALT)
        return RC_OK;
    TRY(stream_init(&f->stream, &f->key, f->sealed, AEAD_OPEN, e));
    file_key_wipe(&f->key);
    f->held = 0;
    f->phase = IN_PAYLOAD;
    return RC_OK;
}

/* ---- payload --------------------------------------------------------------------- */

static enum rc damaged(const struct unseal_sink *f, uint64_t chunk, const char *why,
                       struct err *e)
{
    return err_set(e, RC_CORRUPT,
                   "the encrypted data is %s: chunk %" PRIu64 " at byte %" PRIu64, why,
                   chunk + 1, f->payload_at + chunk * STREAM_SEALED);
}

/* Opens a chunk as the last or not, and passes it on when it is authentic. */
static enum rc open_chunk(struct unseal_sink *f, struct bytes sealed, bool last,
                          bool *authentic, struct err *e)
{
    TRY(stream_open(&f->stream, sealed, last, f->plain, authentic, e));
    return *authentic ? sink_write(f->base.next, f->plain, sealed.n - AEAD_TAG, e)
                      : RC_OK;
}

/* A full chunk that more bytes follow, so that it cannot be the last. */
static enum rc open_middle(struct unseal_sink *f, struct bytes sealed, struct err *e)
{
    uint64_t chunk = f->stream.chunk;
    bool authentic;

    TRY(open_chunk(f, sealed, false, &authentic, e));
    if (authentic)
        return RC_OK;
    TRY(open_chunk(f, sealed, true, &authentic, e));
    if (authentic)
        return damaged(f, chunk, "followed by other data after its end", e);
    return damaged(f, chunk, "damaged", e);
}

static enum rc take_payload(struct unseal_sink *f, struct bytes *in, struct err *e)
{
    if (f->held == STREAM_SEALED) {
        f->held = 0;
        return open_middle(f, BYTES_OF(f->sealed), e);
    }
    if (f->held == 0 && in->n > STREAM_SEALED) {
        TRY(open_middle(f, (struct bytes){ in->p, STREAM_SEALED }, e));
        *in = (struct bytes){ in->p + STREAM_SEALED, in->n - STREAM_SEALED };
        return RC_OK;
    }
    take_some(f, in, STREAM_SEALED);
    return RC_OK;
}

static enum rc open_last(struct unseal_sink *f, struct err *e)
{
    struct bytes sealed = { f->sealed, f->held };
    uint64_t chunk = f->stream.chunk;
    bool authentic;

    if (f->held < AEAD_TAG)
        return damaged(f, chunk, "truncated", e);
    if (f->held == AEAD_TAG && chunk > 0)
        return damaged(f, chunk, "damaged (its last chunk is empty)", e);
    TRY(open_chunk(f, sealed, true, &authentic, e));
    if (authentic)
        return RC_OK;
    if (f->held < STREAM_SEALED)
        return damaged(f, chunk, "truncated or damaged", e);
    TRY(open_chunk(f, sealed, false, &authentic, e));
    if (authentic)
        return damaged(f, chunk + 1, "truncated", e);
    return damaged(f, chunk, "damaged", e);
}

/* ---- sink ------------------------------------------------------------------------ */

/* A caller that goes on after a failure must not get the rest of a broken file, nor
 * finish it. So the sink counts as broken during each call and is mended at its end. */
static enum rc enter(struct unseal_sink *f, struct err *e)
{
    if (f->broken)
        return err_set(e, RC_CORRUPT, "the encrypted data was found damaged before");
    f->broken = true;
    return RC_OK;
}

static enum rc take(struct unseal_sink *f, struct bytes *in, struct err *e)
{
    switch (f->phase) {
    case IN_HEADER:
        return take_header(f, in, e);
    case IN_SALT:
        return take_salt(f, in, e);
    case IN_PAYLOAD:
        break;
    }
    return take_payload(f, in, e);
}

static enum rc unseal_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct unseal_sink *f = (struct unseal_sink *)s;
    struct bytes in = { p, n };

    TRY(enter(f, e));
    while (in.n > 0)
        TRY(take(f, &in, e));
    f->broken = false;
    return RC_OK;
}

static enum rc unseal_finish(struct sink *s, struct err *e)
{
    struct unseal_sink *f = (struct unseal_sink *)s;

    TRY(enter(f, e));
    if (f->phase == IN_HEADER)
        TRY(read_header(f, e)); /* without its last line: says so */
    if (f->phase == IN_SALT)
        return err_set(e, RC_CORRUPT,
                       "the age header is malformed: truncated before the "
                       "encrypted data");
    TRY(open_last(f, e));
    return sink_finish(s->next, e);
}

static void unseal_release(struct sink *s)
{
    struct unseal_sink *f = (struct unseal_sink *)s;

    buf_clear(&f->header);
    stream_clear(&f->stream);
    file_key_wipe(&f->key);
    mem_wipe(f->plain, sizeof f->plain);
}

static const struct sink_ops unseal_ops = {
    .name = "unseal",
    .write = unseal_write,
    .finish = unseal_finish,
    .release = unseal_release,
};

enum rc unseal_sink_new(struct sink *next, const struct age_identities *ids,
                        struct sink **out, struct err *e)
{
    OWNED(sink) rest = next;
    struct unseal_sink *f = NULL;

    TRY(mem_new(&f, sizeof *f, "a decryption filter", e));
    f->base = (struct sink){ .ops = &unseal_ops, .next = GIVE(rest) };
    f->ids = ids;
    f->header.cap_max = AGE_HEADER_MAX + 1;
    return unarmor_sink_new(&f->base, ARMOR_DETECT, out, e);
}
