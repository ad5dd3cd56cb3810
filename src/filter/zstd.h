/* Compression as a filter. What zstd_sink writes is one ordinary zstd frame, so that
 * `zstd -d` alone opens it; what unzstd_sink reads is whatever `zstd -d` reads:
 * frames and skippable frames, one after another, and nothing else.
 *
 * A kilobyte can claim to be a terabyte, so the inflating side never runs without a
 * limit, and its window (its memory) is bounded too. */
#ifndef FILTER_ZSTD_H
#define FILTER_ZSTD_H

#include "filter/sink.h"

/* Compresses at `level` (zstd's own numbers, 1 to 19) with a content checksum, on
 * `workers` further threads; 0, or a library without threads, compresses on the
 * caller's. RC_USAGE when zstd knows no such level. */
enum rc zstd_sink_new(struct sink *next, int level, int workers, struct sink **out,
                      struct err *e);

/* Inflates. Writing or finishing fails with RC_CORRUPT when the input is no zstd data,
 * is damaged, ends inside a frame, has anything but frames in it, asks for a window
 * above 128 MiB, or inflates to more than `limit` bytes; `next` never gets a byte
 * beyond the limit. */
enum rc unzstd_sink_new(struct sink *next, uint64_t limit, struct sink **out,
                        struct err *e);

#endif
