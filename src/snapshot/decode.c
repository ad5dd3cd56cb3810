#include "snapshot/decode.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "filter/lane.h"
#include "filter/zstd.h"
#include "util/mem.h"
#include "util/os.h"

enum { HEAD = 35, NESTING_MAX = 2 };

/* Holds the first bytes back until they tell what they are, then puts the right decoder
 * in front of `next`. */
struct decode_sink {
    struct sink base;
    struct sink *decoder; /* owns what was `next`; NULL until the head is known */
    struct sink *rest;    /* `next` until then */
    const struct age_identities *ids;
    struct snap_kind *kind;
    uint8_t head[HEAD];
    size_t head_count;
    unsigned depth;
};

static enum rc decode_new(struct sink *next, const struct age_identities *ids,
                          struct snap_kind *kind, unsigned depth, struct sink **out,
                          struct err *e);

static enum rc open_age(struct decode_sink *d, struct err *e)
{
    struct sink *inner = NULL;

    if (d->ids == NULL)
        return err_set(e, RC_NOKEY,
                       "it is encrypted and no identity was given" HINT
                       "name the file with the secret key: --identity FILE");
    if (d->kind != NULL)
        d->kind->age = true;
    TRY(decode_new(GIVE(d->rest), d->ids, d->kind, d->depth + 1, &inner, e));
    return unseal_sink_new(inner, d->ids, &d->decoder, e);
}

static enum rc open_zstd(struct decode_sink *d, struct err *e)
{
    if (d->kind != NULL)
        d->kind->zstd = true;
    return unzstd_sink_new(GIVE(d->rest), SNAP_SIZE_MAX, &d->decoder, e);
}

static enum rc decide(struct decode_sink *d, struct err *e)
{
    struct bytes head = { d->head, d->head_count };

    if (snap_looks_age(head) && d->depth + 1 < NESTING_MAX)
        TRY(open_age(d, e));
    else if (snap_looks_zstd(head))
        TRY(open_zstd(d, e));
    else
        d->decoder = GIVE(d->rest);
    return sink_write(d->decoder, d->head, d->head_count, e);
}

static enum rc decode_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct decode_sink *d = (struct decode_sink *)s;

    if (d->decoder == NULL) {
        size_t take = n < HEAD - d->head_count ? n : HEAD - d->head_count;

        memcpy(d->head + d->head_count, p, take);
        d->head_count += take;
        if (d->head_count < HEAD)
            return RC_OK;
        TRY(decide(d, e));
        p += take;
        n -= take;
    }
    return sink_write(d->decoder, p, n, e);
}

static enum rc decode_finish(struct sink *s, struct err *e)
{
    struct decode_sink *d = (struct decode_sink *)s;

    if (d->decoder == NULL)
        TRY(decide(d, e));
    return sink_finish(d->decoder, e);
}

static void decode_release(struct sink *s)
{
    struct decode_sink *d = (struct decode_sink *)s;

    sink_free(d->decoder);
    sink_free(d->rest);
}

static const struct sink_ops decode_ops = {
    .name = "decode",
    .write = decode_write,
    .finish = decode_finish,
    .release = decode_release,
};

static enum rc decode_new(struct sink *next, const struct age_identities *ids,
                          struct snap_kind *kind, unsigned depth, struct sink **out,
                          struct err *e)
{
    OWNED(sink) rest = next;
    struct decode_sink *d = NULL;

    TRY(mem_new(&d, sizeof *d, "a decoder", e));
    *d = (struct decode_sink){
        .base.ops = &decode_ops,
        .rest = GIVE(rest),
        .ids = ids,
        .kind = kind,
        .depth = depth,
    };
    *out = &d->base;
    return RC_OK;
}

enum rc snap_decode_sink_new(struct sink *next, const struct age_identities *ids,
                             struct snap_kind *kind, struct sink **out, struct err *e)
{
    if (kind != NULL)
        *kind = (struct snap_kind){ 0 };
    return decode_new(next, ids, kind, 0, out, e);
}

static enum rc open_input(const char *file, int *fd, struct err *e)
{
    uint64_t size;

    if (strcmp(file, "-") != 0)
        return os_open_regular(file, fd, &size, e);
    *fd = dup(STDIN_FILENO);
    return *fd < 0 ? err_sys(e, RC_USAGE, "standard input is closed") : RC_OK;
}

/* file -> sha256 of what is stored -> decode -> lane -> chain */
static enum rc decode_into(const char *file, const struct age_identities *ids,
                           struct sink *chain, struct snap_kind *kind,
                           struct snap_stored *stored, struct err *e)
{
    OWNED(sink) head = chain;
    OWNED_FD int fd = -1;
    struct snap_stored s = { 0 };

    TRY(open_input(file, &fd, e));
    TRY(lane_sink_new(GIVE(head), (size_t)1 << 20, 4, &head, e));
    TRY(snap_decode_sink_new(GIVE(head), ids, kind, &head, e));
    TRY(sha256_sink_new(GIVE(head), s.sha256, &head, e));
    TRY(pump(fd, file, head, e));
    s.size = head->taken;
    if (stored != NULL)
        *stored = s;
    return RC_OK;
}

enum rc snap_decode_file(const char *file, const struct age_identities *ids,
                         struct sink *chain, struct snap_kind *kind,
                         struct snap_stored *stored, struct err *e)
{
    if (decode_into(file, ids, chain, kind, stored, e) != RC_OK)
        return err_wrap(e, "reading '%s'", file);
    return RC_OK;
}

enum rc snap_probe(const char *file, struct snap_kind *out, struct err *e)
{
    OWNED_FD int fd = -1;
    uint8_t head[HEAD];
    uint64_t size = 0;
    size_t got = 0;

    if (strcmp(file, "-") == 0)
        return err_set(e, RC_USAGE, "standard input cannot be read twice");
    TRY(os_open_regular(file, &fd, &size, e));
    TRY(os_read_some(fd, head, sizeof head, &got, file, e));
    out->age = snap_looks_age((struct bytes){ head, got });
    out->zstd = snap_looks_zstd((struct bytes){ head, got });
    return RC_OK;
}
