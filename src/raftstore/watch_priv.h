/* One stream of watches and its watchers, for watch.c and watch_events.c. */
#ifndef RAFTSTORE_WATCH_PRIV_H
#define RAFTSTORE_WATCH_PRIV_H

#include "raftstore/node_priv.h"

struct watcher {
    struct watcher *next;
    int64_t id, next_revision;
    struct buf key, end;
    bool prev_kv, progress, fragment, no_put, no_delete;
    uint64_t told_at;
};

struct watch_stream {
    struct watch_stream *next;
    struct node *n;
    struct grpcd_call *call;
    struct watcher *watchers;
    int64_t next_id;
    bool full;           /* the client does not read */
    bool progress_asked; /* an answer is due when all are up to date */
};

/* Shows the watcher what it has not seen, as far as there is room. False when it was
 * canceled, because what it wants was compacted (it has been told). */
bool watch_show(struct watch_stream *s, struct watcher *w, struct err *e);

/* A response without events. */
struct watch_notice {
    int64_t id, compact_revision;
    bool created, canceled;
    const char *reason;
};
enum rc watch_say(struct watch_stream *s, const struct watch_notice *w, struct err *e);

#endif
