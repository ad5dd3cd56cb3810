#include <inttypes.h>
#include <string.h>

#include "storage/sftp_inside.h"
#include "storage/temp.h"
#include "util/mem.h"

enum {
    HEAD_MAX = 1 << 20, /* smaller objects are kept, and can be sent again */
    ROOM_MIN = 64 << 20,
};

struct remote_put {
    struct sink base;
    struct remote *place;
    char *key, *path, *part;
    struct buf head; /* everything so far, unless `upload` is there */
    struct sftp_upload *upload;
    bool replace;
    bool begun;   /* there may be a temporary file */
    bool renamed; /* perhaps: the answer may have got lost */
    bool stored;
};

static struct bytes head_of(const struct remote_put *p)
{
    return (struct bytes){ p->head.p, p->head.n };
}

static enum rc overflow(struct remote_put *p, struct err *e)
{
    p->begun = true;
    TRY(sftp_upload_new(p->place->sftp, p->part, &p->upload, e));
    TRY(sftp_upload_write(p->upload, head_of(p), e));
    buf_clear(&p->head);
    return RC_OK;
}

static enum rc remote_write(struct sink *s, const uint8_t *b, size_t n, struct err *e)
{
    struct remote_put *p = (struct remote_put *)s;

    if (p->upload == NULL && p->head.n + n <= HEAD_MAX)
        return buf_add(&p->head, b, n, e);
    if (p->upload == NULL)
        TRY(overflow(p, e));
    return sftp_upload_write(p->upload, (struct bytes){ b, n }, e);
}

static enum rc try_upload(struct remote *r, void *arg, struct err *e)
{
    struct remote_put *p = arg;
    OWNED(sftp_upload) u = NULL;

    p->begun = true;
    TRY(sftp_upload_new(r->sftp, p->part, &u, e));
    TRY(sftp_upload_write(u, head_of(p), e));
    return sftp_upload_finish(u, e);
}

static enum rc look(struct remote *r, const char *path, bool *there, uint64_t *size,
                    struct err *e)
{
    struct sftp_facts facts = { 0 };
    struct err missing = { 0 };
    enum rc rc = sftp_stat(r->sftp, path, &facts, &missing);

    if (rc != RC_OK && rc != RC_NOTFOUND) {
        *e = missing;
        return rc;
    }
    *there = rc == RC_OK;
    *size = facts.size;
    return RC_OK;
}

static enum rc try_size(struct remote *r, void *arg, struct err *e)
{
    const struct remote_put *p = arg;
    uint64_t size = 0;
    bool there = false;

    TRY(look(r, p->part, &there, &size, e));
    if (there && size == p->base.taken)
        return RC_OK;
    return err_set(e, RC_STORAGE,
                   "%s holds %" PRIu64 " bytes of '%s' and not the %" PRIu64
                   " that were sent",
                   r->base.name, size, p->key, p->base.taken);
}

/* What a rename came to whose answer got lost, or that the server just calls a failure.
 */
static enum rc judge_names(struct remote *r, struct remote_put *p, bool *ours,
                           struct err *e)
{
    bool there = false, waits = false;
    uint64_t size = 0, ignored = 0;

    TRY(look(r, p->path, &there, &size, e));
    TRY(look(r, p->part, &waits, &ignored, e));
    *ours = p->renamed && there && !waits && size == p->base.taken;
    if (there && !*ours && !p->replace)
        return store_taken(&r->base, p->key, e);
    return RC_OK;
}

static enum rc try_publish(struct remote *r, void *arg, struct err *e)
{
    struct remote_put *p = arg;
    struct err refusal = { 0 };
    bool ours = false;
    enum rc rc;

    TRY(judge_names(r, p, &ours, e));
    if (ours)
        return RC_OK;
    p->renamed = true;
    rc = sftp_rename(r->sftp, p->part, p->path, p->replace, &refusal);
    if (rc == RC_OK)
        return RC_OK;
    if (rc != RC_NET)
        TRY(judge_names(r, p, &ours, e));
    if (ours)
        return RC_OK;
    *e = refusal;
    return rc;
}

static enum rc remote_finish(struct sink *s, struct err *e)
{
    struct remote_put *p = (struct remote_put *)s;

    if (p->upload == NULL)
        TRY(remote_persist(p->place, try_upload, p, e));
    else
        TRY(sftp_upload_finish(p->upload, e));
    TRY(remote_persist(p->place, try_size, p, e));
    TRY(remote_persist(p->place, try_publish, p, e));
    p->stored = true;
    return RC_OK;
}

static void remote_release(struct sink *s)
{
    struct remote_put *p = (struct remote_put *)s;

    sftp_upload_free(p->upload);
    if (p->begun && !p->stored)
        remote_drop(p->place, p->part, p->key);
    buf_clear(&p->head);
    mem_free(p->key);
    mem_free(p->path);
    mem_free(p->part);
}

static const struct sink_ops put_ops = {
    .name = "sftp",
    .write = remote_write,
    .finish = remote_finish,
    .release = remote_release,
};

static enum rc part_of(const struct remote *r, const char *key, char **out, struct err *e)
{
    const char *slash = strrchr(key, '/'), *base = slash == NULL ? key : slash + 1;
    char part[256];

    TRY(temp_name(base, part, e));
    return str_format(out, e, "%s/%.*s%s", r->root, (int)(base - key), key, part);
}

struct room {
    uint64_t left;
    bool known;
};

static enum rc try_room(struct remote *r, void *arg, struct err *e)
{
    struct room *room = arg;

    return sftp_free_space(r->sftp, r->root[0] == '\0' ? "/" : r->root, &room->left,
                           &room->known, e);
}

static enum rc check_room(struct remote *r, const char *key, uint64_t size, struct err *e)
{
    char need[32], left[32];
    struct room room = { 0 };

    if (size <= HEAD_MAX)
        return RC_OK;
    TRY(remote_persist(r, try_room, &room, e));
    if (!room.known || (room.left > ROOM_MIN && room.left - ROOM_MIN >= size))
        return RC_OK;
    str_size(need, sizeof need, size);
    str_size(left, sizeof left, room.left);
    return err_set(e, RC_STORAGE,
                   "not enough room for '%s': it takes %s, and %s are free in %s", key,
                   need, left, r->base.name);
}

static enum rc try_taken(struct remote *r, void *arg, struct err *e)
{
    const struct remote_put *p = arg;
    bool there = false;
    uint64_t size;

    TRY(look(r, p->path, &there, &size, e));
    return there ? store_taken(&r->base, p->key, e) : RC_OK;
}

static enum rc begin(struct remote_put *p, const char *key, const struct store_put *o,
                     struct err *e)
{
    struct remote *r = p->place;

    TRY(str_format(&p->key, e, "%s", key));
    TRY(remote_path(r, key, &p->path, e));
    TRY(part_of(r, key, &p->part, e));
    TRY(remote_check_root(r, e));
    TRY(check_room(r, key, o->expected_size, e));
    return p->replace ? RC_OK : remote_persist(r, try_taken, p, e);
}

enum rc remote_put_new(struct store *s, const char *key, const struct store_put *o,
                       struct sink **out, struct err *e)
{
    OWNED(sink) made = NULL;
    struct remote_put *p = NULL;

    TRY(mem_new(&p, sizeof *p, "an object under way", e));
    made = &p->base;
    p->base = (struct sink){ .ops = &put_ops };
    p->place = (struct remote *)s;
    p->replace = o->replace;
    TRY(begin(p, key, o, e));
    *out = GIVE(made);
    return RC_OK;
}
