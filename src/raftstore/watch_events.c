#include "codec/message.h"
#include "codec/pb.h"
#include "raftstore/serve.h"
#include "raftstore/watch_priv.h"

enum {
    BATCH_BYTES = 1 << 20,       /* a response ends with the revision that passes it */
    FRAGMENT_BYTES = 1536 << 10, /* etcd: max-request-bytes and some */
    EVENT_DELETE = 1,
    FIELD_KEY = 1,
    FIELD_MOD = 3,
};

/* What one response is made of. */
struct batch {
    struct watch_stream *s;
    struct watcher *w;
    struct buf events;
    int64_t last; /* revision of the last record looked at */
    bool cut;     /* there is more */
};

static void batch_clear(struct batch *b)
{
    buf_clear(&b->events);
}

static struct bytes key_of(struct bytes stored)
{
    struct pb_reader r = pb_reader_of(stored);
    struct pb_field f;

    while (pb_next(&r, &f))
        if (f.tag == PB_TAG(FIELD_KEY, PB_BYTES))
            return f.bytes;
    return (struct bytes){ 0 };
}

/* A deletion's record has only the key; its event has the revision, too. */
static enum rc put_kv(struct buf *out, const struct kvstore_record *r, struct err *e)
{
    AT_END(buf_clear) struct buf kv = { .cap_max = SIZE_MAX / 2 };

    if (!r->tombstone)
        return pb_put_bytes(out, 2, r->stored, e);
    TRY(buf_add(&kv, r->stored.p, r->stored.n, e));
    TRY(pb_put_u64(&kv, FIELD_MOD, (uint64_t)r->main, e));
    return pb_put_bytes(out, 2, (struct bytes){ kv.p, kv.n }, e);
}

static enum rc put_event(struct batch *b, struct bytes key,
                         const struct kvstore_record *r, struct err *e)
{
    AT_END(buf_clear) struct buf event = { .cap_max = SIZE_MAX / 2 };
    struct kvstore_record before;
    bool found = false;
    struct err none;

    if (r->tombstone)
        TRY(pb_put_u64(&event, 1, EVENT_DELETE, e));
    TRY(put_kv(&event, r, e));
    /* What was compacted meanwhile is simply left out, as etcd does. */
    if (b->w->prev_kv &&
        kvstore_get(machine_kv(b->s->n->fsm.machine), key, r->main - 1, &before, &found,
                    &none) == RC_OK &&
        found)
        TRY(pb_put_bytes(&event, 3, before.stored, e));
    return pb_put_bytes(&b->events, 11, (struct bytes){ event.p, event.n }, e);
}

static enum rc send_batch(struct batch *b, bool fragment, struct err *e)
{
    AT_END(buf_clear) struct buf m = { .cap_max = SIZE_MAX / 2 };

    TRY(serve_header(b->s->n, 0, &m, e));
    if (b->w->id != 0)
        TRY(pb_put_u64(&m, 2, (uint64_t)b->w->id, e));
    if (fragment)
        TRY(pb_put_u64(&m, 7, 1, e));
    TRY(buf_add(&m, b->events.p, b->events.n, e));
    b->events.n = 0;
    b->w->told_at = uv_now(&b->s->n->loop);
    if (!grpcd_send(b->s->call, (struct bytes){ m.p, m.n }))
        b->s->full = true;
    return RC_OK;
}

static enum rc on_change(void *arg, const struct kvstore_record *r, bool *stop,
                         struct err *e)
{
    struct batch *b = arg;
    struct bytes key = key_of(r->stored);
    const struct kvstore_span span = { { b->w->key.p, b->w->key.n },
                                       { b->w->end.p, b->w->end.n } };

    /* Only between two revisions may a response end. */
    if (r->main != b->last && b->events.n > BATCH_BYTES) {
        *stop = b->cut = true;
        return RC_OK;
    }
    b->last = r->main;
    if ((r->tombstone ? b->w->no_delete : b->w->no_put) || !kvstore_span_has(span, key))
        return RC_OK;
    if (b->w->fragment && b->events.n > FRAGMENT_BYTES)
        TRY(send_batch(b, true, e));
    return put_event(b, key, r, e);
}

static enum rc show_once(struct watch_stream *s, struct watcher *w, bool *more,
                         struct err *e)
{
    const struct kvstore *kv = machine_kv(s->n->fsm.machine);
    AT_END(batch_clear) struct batch b = { .s = s, .w = w };

    b.events.cap_max = SIZE_MAX / 2;
    TRY(kvstore_changes(kv, w->next_revision, on_change, &b, e));
    if (b.events.n > 0)
        TRY(send_batch(&b, false, e));
    w->next_revision = b.cut ? b.last + 1 : kvstore_revision(kv) + 1;
    *more = b.cut;
    return RC_OK;
}

enum rc watch_say(struct watch_stream *s, const struct watch_notice *w, struct err *e)
{
    AT_END(buf_clear) struct buf m = { 0 };

    TRY(serve_header(s->n, 0, &m, e));
    if (w->id != 0)
        TRY(pb_put_u64(&m, 2, (uint64_t)w->id, e));
    if (w->created)
        TRY(pb_put_u64(&m, 3, 1, e));
    if (w->canceled)
        TRY(pb_put_u64(&m, 4, 1, e));
    if (w->compact_revision != 0)
        TRY(pb_put_u64(&m, 5, (uint64_t)w->compact_revision, e));
    if (w->reason != NULL)
        TRY(pb_put_bytes(&m, 6, bytes_str(w->reason), e));
    if (!grpcd_send(s->call, (struct bytes){ m.p, m.n }))
        s->full = true;
    return RC_OK;
}

bool watch_show(struct watch_stream *s, struct watcher *w, struct err *e)
{
    const struct kvstore *kv = machine_kv(s->n->fsm.machine);
    bool more = true;

    if (w->next_revision > kvstore_revision(kv))
        return true;
    if (w->next_revision < kvstore_compacted(kv)) {
        (void)!watch_say(s,
                         &(struct watch_notice){
                             .id = w->id,
                             .canceled = true,
                             .compact_revision = kvstore_compacted(kv),
                         },
                         e);
        return false;
    }
    while (more && !s->full)
        if (show_once(s, w, &more, e) != RC_OK)
            return false;
    return true;
}
