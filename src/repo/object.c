#include "repo/object.h"

#include <inttypes.h>
#include <string.h>

#include "util/log.h"
#include "util/mem.h"

struct object_sink {
    struct sink base;
    const struct manifest *m;
    struct sha256 *hash;
};

static enum rc other_size(const struct manifest *m, uint64_t size, struct err *e)
{
    return err_set(e, RC_CORRUPT,
                   "'%s' has %s%" PRIu64 " bytes, and %" PRIu64 " were stored" HINT
                   "it was cut or replaced: use another backup, or a copy of the "
                   "repository",
                   m->object_key, size > m->object_size ? "at least " : "", size,
                   m->object_size);
}

static enum rc object_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct object_sink *o = (struct object_sink *)s;

    if (s->taken + n > o->m->object_size)
        return other_size(o->m, s->taken + n, e);
    TRY(sha256_add(o->hash, p, n, e));
    progress("reading the backup", s->taken + n, o->m->object_size);
    return sink_write(s->next, p, n, e);
}

static enum rc object_finish(struct sink *s, struct err *e)
{
    struct object_sink *o = (struct object_sink *)s;
    uint8_t digest[SHA256_SIZE];

    if (s->taken != o->m->object_size)
        return other_size(o->m, s->taken, e);
    TRY(sha256_end(o->hash, digest, e));
    if (memcmp(digest, o->m->object_sha256, sizeof digest) != 0)
        return err_set(e, RC_CORRUPT,
                       "'%s' is not what was stored: its SHA-256 is another one" HINT
                       "use another backup, or a copy of the repository",
                       o->m->object_key);
    return sink_finish(s->next, e);
}

static void object_release(struct sink *s)
{
    sha256_free(((struct object_sink *)s)->hash);
}

static const struct sink_ops object_ops = {
    .name = "object",
    .write = object_write,
    .finish = object_finish,
    .release = object_release,
};

enum rc repo_object_sink_new(struct sink *next, const struct manifest *m,
                             struct sink **out, struct err *e)
{
    OWNED(sink) rest = next;
    OWNED(sha256) hash = NULL;
    struct object_sink *o = NULL;

    TRY(sha256_new(&hash, e));
    TRY(mem_new(&o, sizeof *o, "an object's digest", e));
    *o = (struct object_sink){
        .base = { .ops = &object_ops, .next = GIVE(rest) },
        .m = m,
        .hash = GIVE(hash),
    };
    *out = &o->base;
    return RC_OK;
}

static enum rc read_through(struct store *s, const struct manifest *m, struct sink *next,
                            struct err *e)
{
    OWNED(sink) chain = next;
    enum rc rc;

    TRY(repo_object_sink_new(GIVE(chain), m, &chain, e));
    rc = store_get(s, m->object_key, chain, e);
    if (rc == RC_NOTFOUND)
        return err_set(e, RC_CORRUPT,
                       "its record is there, and its object '%s' is not" HINT
                       "it was deleted: use another backup, or a copy of the repository",
                       m->object_key);
    return rc;
}

enum rc repo_object_read(struct repo *r, const struct manifest *m, struct sink *next,
                         struct err *e)
{
    return read_through(r->store, m, next, e);
}

enum rc repo_object_check(struct store *s, const struct manifest *m, struct err *e)
{
    struct sink *nowhere = NULL;

    TRY(null_sink_new(&nowhere, e));
    return read_through(s, m, nowhere, e);
}

enum rc repo_object_wrap(const struct record *x, const char *doing, struct err *e)
{
    return err_wrap(e, "%s backup %" PRIu64 " of '%s'", doing, x->sequence, x->cluster);
}
