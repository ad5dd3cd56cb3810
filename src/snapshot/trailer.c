#include "snapshot/trailer.h"

#include <string.h>

#include "util/mem.h"
#include "util/stop.h"
#include "util/str.h"

struct trailer_sink {
    struct sink base;
    struct sha256 *hash;             /* of all but the bytes held back */
    uint8_t held[SNAP_TRAILER_SIZE]; /* the last bytes seen so far */
    size_t held_count;
    bool optional;
    struct snap_trailer *out;
};

/* Hashes old held bytes and all new ones but the last 32. */
static enum rc hash_all_but_last(struct trailer_sink *f, const uint8_t *p, size_t n,
                                 struct err *e)
{
    size_t total = f->held_count + n;
    size_t out = total > sizeof f->held ? total - sizeof f->held : 0;
    size_t from_held = out < f->held_count ? out : f->held_count;

    TRY(sha256_add(f->hash, f->held, from_held, e));
    memmove(f->held, f->held + from_held, f->held_count - from_held);
    f->held_count -= from_held;
    TRY(sha256_add(f->hash, p, out - from_held, e));
    memcpy(f->held + f->held_count, p + (out - from_held), n - (out - from_held));
    f->held_count += n - (out - from_held);
    return RC_OK;
}

static enum rc trailer_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    TRY(hash_all_but_last((struct trailer_sink *)s, p, n, e));
    return sink_write(s->next, p, n, e);
}

/* Ends the digests: database bytes alone, and the whole file. */
static enum rc conclude(struct sha256 *hash, const uint8_t *held, size_t held_count,
                        struct snap_trailer *t, struct err *e)
{
    OWNED(sha256) whole = NULL;

    t->present = held_count == SNAP_TRAILER_SIZE && snap_has_trailer(t->size);
    if (!t->present)
        TRY(sha256_add(hash, held, held_count, e));
    TRY(sha256_copy(hash, &whole, e));
    if (t->present)
        TRY(sha256_add(whole, held, held_count, e));
    TRY(sha256_end(whole, t->whole, e));
    TRY(sha256_end(hash, t->database, e));
    t->matches = t->present && memcmp(t->database, held, SNAP_TRAILER_SIZE) == 0;
    return RC_OK;
}

enum rc snap_trailer_verdict(const struct snap_trailer *t, struct err *e)
{
    char digest[2 * SHA256_SIZE + 1];

    str_hex(digest, t->database, SHA256_SIZE);
    if (!t->present)
        return err_set(
            e, RC_CORRUPT,
            "no SHA-256 trailer: %llu bytes, a snapshot's size is 32 more than a "
            "multiple of 512" HINT
            "the file is truncated, or it is a copy of a member's db file "
            "(which restore takes with --skip-hash-check)",
            (unsigned long long)t->size);
    if (!t->matches)
        return err_set(e, RC_CORRUPT,
                       "the SHA-256 trailer does not match: the database bytes hash to "
                       "%s" HINT "the file was changed after it was taken; use another",
                       digest);
    return RC_OK;
}

static enum rc trailer_finish(struct sink *s, struct err *e)
{
    struct trailer_sink *f = (struct trailer_sink *)s;
    struct snap_trailer t = { .size = s->taken };

    TRY(conclude(f->hash, f->held, f->held_count, &t, e));
    *f->out = t;
    if (!f->optional && snap_trailer_verdict(&t, e) != RC_OK) {
        err_hint(e, "it was changed on its way from the member: try again");
        return e->code;
    }
    return sink_finish(s->next, e);
}

static void trailer_release(struct sink *s)
{
    sha256_free(((struct trailer_sink *)s)->hash);
}

static const struct sink_ops trailer_ops = {
    .name = "trailer",
    .write = trailer_write,
    .finish = trailer_finish,
    .release = trailer_release,
};

enum rc snap_trailer_sink_new(struct sink *next, bool optional, struct snap_trailer *out,
                              struct sink **sink, struct err *e)
{
    OWNED(sink) rest = next;
    OWNED(sha256) hash = NULL;
    struct trailer_sink *f = NULL;

    TRY(sha256_new(&hash, e));
    TRY(mem_new(&f, sizeof *f, "a trailer check", e));
    *f = (struct trailer_sink){
        .base = { .ops = &trailer_ops, .next = GIVE(rest) },
        .hash = GIVE(hash),
        .optional = optional,
        .out = out,
    };
    *sink = &f->base;
    return RC_OK;
}

enum { PIECE = 4 << 20 };

enum rc snap_trailer_read(struct bytes file, struct snap_trailer *out, struct err *e)
{
    size_t held = file.n < SNAP_TRAILER_SIZE ? file.n : SNAP_TRAILER_SIZE;
    struct snap_trailer t = { .size = file.n };
    OWNED(sha256) hash = NULL;

    TRY(sha256_new(&hash, e));
    for (size_t at = 0; at < file.n - held; at += PIECE) {
        size_t left = file.n - held - at;

        TRY(stop_check(e));
        TRY(sha256_add(hash, file.p + at, left < PIECE ? left : PIECE, e));
    }
    TRY(conclude(hash, file.p + (file.n - held), held, &t, e));
    *out = t;
    return RC_OK;
}

static enum rc hash_file(void *arg, struct err *e)
{
    struct snap_hashing *h = arg;

    return snap_trailer_read(h->file, &h->trailer, e);
}

enum rc snap_hashing_start(struct snap_hashing *h, struct bytes file, struct err *e)
{
    h->file = file;
    return task_start(&h->task, hash_file, h, e);
}

enum rc snap_hashing_join(struct snap_hashing *h, enum rc walked, struct err *e)
{
    struct err late = { 0 };
    enum rc rc = task_join(&h->task, &late);

    if (walked == RC_OK && rc != RC_OK)
        *e = late;
    return walked == RC_OK ? rc : walked;
}
