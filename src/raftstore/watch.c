#include "raftstore/watch.h"

#include "codec/message.h"
#include "raftstore/serve.h"
#include "raftstore/watch_priv.h"
#include "util/mem.h"

enum { NO_WATCH = -1 };

static void watcher_free(struct watcher *w)
{
    buf_clear(&w->key);
    buf_clear(&w->end);
    mem_free(w);
}

static struct watcher **place(struct watch_stream *s, int64_t id)
{
    struct watcher **at = &s->watchers;

    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static void drop(struct watcher **at)
{
    struct watcher *w = *at;

    *at = w->next;
    watcher_free(w);
}

/* The call must have been finished, or is by `code`. */
static void stream_end(struct watch_stream *s, int code, const char *message)
{
    struct watch_stream **at = &s->n->watches.streams;

    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    while (s->watchers != NULL)
        drop(&s->watchers);
    grpcd_finish(s->call, (enum grpcd_code)code, message);
    mem_free(s);
}

/* ---- showing ---------------------------------------------------------------------- */

static void stream_flush(struct watch_stream *s)
{
    int64_t revision = kvstore_revision(machine_kv(s->n->fsm.machine));
    bool current = true;
    struct err e;

    for (struct watcher **at = &s->watchers; *at != NULL && !s->full;) {
        if (!watch_show(s, *at, &e)) {
            drop(at);
            continue;
        }
        current = current && (*at)->next_revision > revision;
        at = &(*at)->next;
    }
    if (s->progress_asked && current && !s->full) {
        s->progress_asked = false;
        (void)!watch_say(s, &(struct watch_notice){ .id = NO_WATCH }, &e);
    }
}

void watch_flush(struct node *n)
{
    if (!n->watches.behind)
        return;
    n->watches.behind = false;
    for (struct watch_stream *s = n->watches.streams; s != NULL; s = s->next)
        if (!s->full)
            stream_flush(s);
}

void watch_tick(struct node *n)
{
    uint64_t now = uv_now(&n->loop);
    int64_t revision = kvstore_revision(machine_kv(n->fsm.machine));
    struct err e;

    for (struct watch_stream *s = n->watches.streams; s != NULL; s = s->next)
        for (struct watcher *w = s->watchers; w != NULL && !s->full; w = w->next)
            if (w->progress && now - w->told_at >= n->o.progress_ms &&
                w->next_revision > revision) {
                w->told_at = now;
                (void)!watch_say(s, &(struct watch_notice){ .id = w->id }, &e);
            }
}

void watch_end(struct node *n)
{
    while (n->watches.streams != NULL)
        stream_end(n->watches.streams, GRPCD_UNAVAILABLE, "etcdserver: server stopped");
}

/* ---- creating --------------------------------------------------------------------- */

static int64_t choose_id(struct watch_stream *s, int64_t wanted)
{
    if (wanted != 0)
        return *place(s, wanted) == NULL ? wanted : NO_WATCH;
    while (*place(s, s->next_id) != NULL)
        s->next_id++;
    return s->next_id++;
}

static enum rc copy_span(struct watcher *w, const Etcdrpc__WatchCreateRequest *r,
                         struct err *e)
{
    static const uint8_t zero = 0;
    struct bytes key = codec_bytes(&r->key), end = codec_bytes(&r->range_end);

    /* No key: from the first one on (etcd watch.go, recvLoop). */
    if (key.n == 0)
        key = (struct bytes){ &zero, 1 };
    TRY(buf_add(&w->key, key.p, key.n, e));
    return end.n == 0 ? RC_OK : buf_add(&w->end, end.p, end.n, e);
}

static enum rc new_watcher(struct watch_stream *s, const Etcdrpc__WatchCreateRequest *r,
                           struct watcher **out, struct err *e)
{
    int64_t revision = kvstore_revision(machine_kv(s->n->fsm.machine));
    struct watcher *w;
    enum rc rc;

    TRY(mem_new(&w, sizeof *w, "a watch", e));
    rc = copy_span(w, r, e);
    if (rc != RC_OK) {
        watcher_free(w);
        return rc;
    }
    w->next_revision = r->start_revision > 0 ? r->start_revision : revision + 1;
    w->prev_kv = r->prev_kv;
    w->progress = r->progress_notify;
    w->fragment = r->fragment;
    w->told_at = uv_now(&s->n->loop);
    for (size_t i = 0; i < r->n_filters; i++) {
        w->no_put |= r->filters[i] == ETCDRPC__WATCH_FILTER__NOPUT;
        w->no_delete |= r->filters[i] == ETCDRPC__WATCH_FILTER__NODELETE;
    }
    *out = w;
    return RC_OK;
}

static bool empty_span(const struct watcher *w)
{
    const struct bytes key = { w->key.p, w->key.n }, end = { w->end.p, w->end.n };

    static const uint8_t zero = 0;

    /* "\0" is the end of all keys. */
    return end.n > 0 && !bytes_equal(end, (struct bytes){ &zero, 1 }) &&
           bytes_compare(key, end) >= 0;
}

/* Of a refusal etcd tells the client the whole error, and not only its text. */
static const char *whole(const char *refused)
{
    static const char *const errors[] = {
        "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
        "rpc error: code = InvalidArgument desc = etcdserver: user name is empty",
        "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
    };

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (strcmp(strstr(errors[i], "etcdserver: "), refused) == 0)
            return errors[i];
    return refused;
}

/* Why it may not be created, or NULL. */
static const char *refusal(struct watch_stream *s, const struct watcher *w)
{
    struct caller who;
    struct refusal_text no = serve_gate(s->n, s->call, 0, &who);
    const struct kvstore_span span = { { w->key.p, w->key.n }, { w->end.p, w->end.n } };

    if (no.code != 0)
        return whole(no.message);
    if (machine_auth_enabled(s->n->fsm.machine) && who.user == NULL)
        return whole("etcdserver: user name is empty");
    if (machine_auth_enabled(s->n->fsm.machine) &&
        !machine_may_read(s->n->fsm.machine, who.user, span))
        return whole("etcdserver: permission denied");
    return empty_span(w) ? "mvcc: watcher range is empty" : NULL;
}

static void create(struct watch_stream *s, const Etcdrpc__WatchCreateRequest *r)
{
    struct watch_notice notice = { .id = NO_WATCH, .created = true };
    struct watcher *w = NULL, **end = &s->watchers;
    struct err e;

    if (new_watcher(s, r, &w, &e) != RC_OK)
        return;
    notice.reason = refusal(s, w);
    if (notice.reason == NULL) {
        notice.id = choose_id(s, r->watch_id);
        if (notice.id == NO_WATCH)
            notice.reason = "mvcc: duplicate watch ID provided on the WatchStream";
    }
    notice.canceled = notice.reason != NULL;
    (void)!watch_say(s, &notice, &e);
    if (notice.canceled) {
        watcher_free(w);
        return;
    }
    w->id = notice.id;
    while (*end != NULL)
        end = &(*end)->next;
    *end = w;
    s->n->watches.behind = true;
}

static void cancel(struct watch_stream *s, int64_t id)
{
    struct watcher **at = place(s, id);
    struct err e;

    if (*at == NULL)
        return;
    drop(at);
    (void)!watch_say(s, &(struct watch_notice){ .id = id, .canceled = true }, &e);
}

/* ---- the stream ------------------------------------------------------------------- */

static void on_message(struct grpcd_call *call, struct bytes request, void *state)
{
    AT_END(codec_end) Etcdrpc__WatchRequest *r = NULL;
    struct watch_stream *s = state;
    struct err e;

    (void)call;
    if (codec_unpack(&etcdrpc__watch_request__descriptor, request, &r, &e) != RC_OK) {
        stream_end(s, GRPCD_INTERNAL, e.why);
        return;
    }
    switch (r->req_case) {
    case ETCDRPC__WATCH_REQUEST__REQ_CREATE_REQUEST:
        create(s, r->create_request);
        break;
    case ETCDRPC__WATCH_REQUEST__REQ_CANCEL_REQUEST:
        cancel(s, r->cancel_request->watch_id);
        break;
    case ETCDRPC__WATCH_REQUEST__REQ_PROGRESS_REQUEST:
        s->progress_asked = true;
        s->n->watches.behind = true;
        break;
    case ETCDRPC__WATCH_REQUEST__REQ__NOT_SET:
    case _ETCDRPC__WATCH_REQUEST__REQ__CASE_IS_INT_SIZE:
        break;
    }
}

static void on_room(struct grpcd_call *call, void *state)
{
    struct watch_stream *s = state;

    (void)call;
    s->full = false;
    s->n->watches.behind = true;
}

static void on_canceled(struct grpcd_call *call, void *state)
{
    (void)call;
    stream_end(state, GRPCD_CANCELED, NULL);
}

/* A client that will send no more still listens: etcd goes on, and so do we. */
static const struct grpcd_hooks hooks = {
    .message = on_message,
    .room = on_room,
    .canceled = on_canceled,
};

void serve_watch(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    struct caller who;
    struct watch_stream *s;

    (void)request;
    if (!serve_enter(n, call, 0, &who))
        return;
    s = mem_zero(sizeof *s);
    if (s == NULL) {
        grpcd_finish(call, GRPCD_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    *s = (struct watch_stream){ .n = n, .call = call, .next = n->watches.streams };
    n->watches.streams = s;
    grpcd_hook(call, &hooks, s);
}
