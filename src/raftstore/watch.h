/* Watches: who wants to know of which changes, and how far each was told.
 *
 * A watcher has the next revision it has not seen. Whenever the store has moved on, those
 * behind are shown what kvstore_changes has for them, a revision at a time and as long as
 * the client reads: a slow one falls behind and costs nothing. */
#ifndef RAFTSTORE_WATCH_H
#define RAFTSTORE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct node;
struct watch_stream;

struct watch_hub {
    struct watch_stream *streams;
    bool behind; /* somebody may be */
};

void watch_flush(struct node *n);
void watch_tick(struct node *n); /* progress reports */
void watch_end(struct node *n);  /* the member stops */

#endif
