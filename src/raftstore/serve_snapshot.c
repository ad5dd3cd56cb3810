#include "codec/message.h"
#include "crypto/sha256.h"
#include "raftstore/node_priv.h"
#include "raftstore/picture.h"
#include "raftstore/serve.h"
#include "util/mem.h"
#include "util/os.h"

enum { BLOB = 32 << 10, EMPTY_EVERY_MS = 1 };

/* One stream. It ends when the call and the handles have. */
struct shot {
    struct node *n;
    struct grpcd_call *call; /* NULL once it is finished */
    struct picture picture;
    struct sha256 *hash;
    uv_poll_t poll;
    uv_timer_t timer; /* of the endless one */
    uint64_t at, size;
    unsigned handles;
    bool stalled;
};

static void on_closed(uv_handle_t *handle)
{
    struct shot *s = handle->data;

    if (--s->handles > 0)
        return;
    picture_clear(&s->picture);
    sha256_free(s->hash);
    mem_free(s);
}

static void end(struct shot *s, int code, const char *message)
{
    if (s->call == NULL)
        return;
    grpcd_finish(s->call, (enum grpcd_code)code, message);
    s->call = NULL;
    uv_close((uv_handle_t *)&s->poll, on_closed);
    uv_close((uv_handle_t *)&s->timer, on_closed);
}

static enum rc send_blob(struct shot *s, struct bytes blob, uint64_t remaining,
                         bool *room, struct err *e)
{
    static char version[] = "3.6.0";
    Etcdrpc__SnapshotResponse m;
    AT_END(buf_clear) struct buf b = { 0 };

    etcdrpc__snapshot_response__init(&m);
    m.blob = codec_field(blob);
    m.remaining_bytes = remaining;
    version[2] = (char)('0' + s->n->o.minor);
    if (s->n->o.minor >= 6)
        m.version = version;
    TRY(codec_pack(&m, &b, e));
    *room = grpcd_send(s->call, (struct bytes){ b.p, b.n });
    return RC_OK;
}

/* Where a fault ends the stream; the size when none does. */
static uint64_t fault_at(const struct shot *s)
{
    const struct faults *f = &s->n->faults;
    uint64_t at = f->stall_snapshot ? s->size / 2 : s->size;

    return f->truncate_after != 0 && f->truncate_after < at ? f->truncate_after : at;
}

static enum rc send_piece(struct shot *s, bool *room, struct err *e)
{
    static uint8_t piece[BLOB];
    uint64_t end = fault_at(s);
    size_t n = end - s->at < BLOB ? (size_t)(end - s->at) : BLOB;

    TRY(os_pread_full(s->picture.fd, piece, n, s->at, "a snapshot", e));
    TRY(sha256_add(s->hash, piece, n, e));
    s->at += n;
    /* The digest is of the whole database; a flipped bit must not match it. */
    if (s->n->faults.corrupt_snapshot && s->at >= s->size / 2 && s->at - n < s->size / 2)
        piece[n / 2] ^= 1;
    return send_blob(s, (struct bytes){ piece, n }, s->size - s->at, room, e);
}

static enum rc send_digest(struct shot *s, struct err *e)
{
    uint8_t digest[SHA256_SIZE];
    bool room;

    TRY(sha256_end(s->hash, digest, e));
    return send_blob(s, BYTES_OF(digest), 0, &room, e);
}

static bool broken_off(struct shot *s)
{
    if (s->at < fault_at(s))
        return false;
    if (!s->stalled && s->n->faults.truncate_after != 0)
        grpcd_drop(s->call);
    else if (!s->stalled)
        grpcd_stall(s->call, true);
    s->stalled = true;
    return true;
}

/* As much as there is room for; the rest when hooks.room says so. */
static void go_on(struct shot *s)
{
    bool room = true;
    enum rc rc = RC_OK;
    struct err e;

    while (s->at < s->size && room && rc == RC_OK) {
        if (broken_off(s))
            return;
        rc = send_piece(s, &room, &e);
    }
    if (rc == RC_OK && s->at < s->size)
        return;
    if (rc == RC_OK)
        rc = send_digest(s, &e);
    end(s, rc == RC_OK ? GRPCD_OK : GRPCD_INTERNAL, rc == RC_OK ? NULL : e.why);
}

static void on_drawn(uv_poll_t *poll, int status, int events)
{
    struct shot *s = poll->data;
    struct err e;

    (void)status;
    (void)events;
    uv_poll_stop(poll);
    if (picture_wait(&s->picture, &s->size, &e) != RC_OK ||
        sha256_new(&s->hash, &e) != RC_OK)
        end(s, GRPCD_INTERNAL, e.why);
    else
        go_on(s);
}

static void on_room(struct grpcd_call *call, void *state)
{
    struct shot *s = state;

    (void)call;
    if (s->hash != NULL)
        go_on(s);
}

static void on_canceled(struct grpcd_call *call, void *state)
{
    (void)call;
    end(state, GRPCD_CANCELED, NULL);
}

/* A server that cannot read its file and does not notice (etcd does this when a read of
 * the backend fails half-way). */
static void on_empty(uv_timer_t *timer)
{
    struct shot *s = timer->data;

    if (s->call != NULL)
        (void)grpcd_send(s->call, (struct bytes){ 0 });
}

static const struct grpcd_hooks hooks = { .canceled = on_canceled, .room = on_room };

void serve_snapshot(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    struct caller who;
    struct shot *s;
    struct err e;

    (void)request;
    if (!serve_enter(n, call, GATE_LEARNER | GATE_ROOT | GATE_BARE, &who))
        return;
    s = mem_zero(sizeof *s);
    if (s == NULL || picture_take(n->fsm.machine, n->lab_dir, &s->picture, &e) != RC_OK) {
        grpcd_finish(call, GRPCD_UNAVAILABLE, s == NULL ? "out of memory" : e.why);
        mem_free(s);
        return;
    }
    s->n = n;
    s->call = call;
    s->handles = 2;
    s->poll.data = s->timer.data = s;
    uv_poll_init(&n->loop, &s->poll, s->picture.done);
    uv_timer_init(&n->loop, &s->timer);
    grpcd_hook(call, &hooks, s);
    if (n->faults.endless_snapshot)
        uv_timer_start(&s->timer, on_empty, EMPTY_EVERY_MS, EMPTY_EVERY_MS);
    else
        uv_poll_start(&s->poll, UV_READABLE | UV_DISCONNECT, on_drawn);
}
