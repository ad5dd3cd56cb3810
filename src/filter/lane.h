/* A lane: everything after it runs on a thread of its own, so that receiving, hashing
 * and storing overlap. Bytes are copied into a ring of blocks; when the ring is full
 * the writer waits, so memory stays at block_size * blocks. */
#ifndef FILTER_LANE_H
#define FILTER_LANE_H

#include "filter/sink.h"

/* Both sizes at least 1; 4 blocks of 1 MiB suit files and networks.
 *
 * A failure further down is returned by the next write, and by every call after it;
 * finish waits until everything after the lane has finished. Dropping the chain waits
 * for the block under way and no more, and finishes nothing. */
enum rc lane_sink_new(struct sink *next, size_t block_size, size_t blocks,
                      struct sink **out, struct err *e);

/* For who makes bytes and need not copy them: memory of the lane's, *n of at least one
 * byte, and the word that the first n of it are filled. In between nothing else is done
 * with the lane. */
enum rc lane_sink_lend(struct sink *lane, uint8_t **p, size_t *n, struct err *e);
void lane_sink_filled(struct sink *lane, size_t n);

#endif
