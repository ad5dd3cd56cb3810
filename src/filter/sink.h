/* A sink takes bytes. Filters are sinks that pass bytes on to another sink.
 *
 *     snapshot stream -> survey -> sha256 -> zstd -> seal -> sha256 -> file
 *
 * Bytes only ever move by being pushed. Reading is a loop, pump(), that pulls from a
 * descriptor and pushes into the first sink, so that there is one kind of chain and
 * one buffer discipline.
 *
 * Life of a chain: write* then finish once, then free. Free without finish is an
 * abort: the last sink must then leave nothing that a reader could mistake for a whole
 * object. A chain owns every sink after it. */
#ifndef FILTER_SINK_H
#define FILTER_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/sha256.h"
#include "util/bytes.h"
#include "util/err.h"
#include "util/own.h"

struct sink;

struct sink_ops {
    const char *name;

    /* Take all n bytes, or fail; a caller never retries a part. n > 0. */
    enum rc (*write)(struct sink *s, const uint8_t *p, size_t n, struct err *e);

    /* The bytes are complete: push on what is held back, then sink_finish(s->next).
     * NULL when nothing is ever held back; sink_finish then goes on to the next. */
    enum rc (*finish)(struct sink *s, struct err *e);

    /* Drop private state. May be NULL. Must not touch s->next. */
    void (*release)(struct sink *s);
};

/* Public so that filters can embed it as their first member. */
struct sink {
    const struct sink_ops *ops;
    struct sink *next; /* NULL in the last sink */
    uint64_t taken;    /* bytes accepted so far */
};

enum rc sink_write(struct sink *s, const void *p, size_t n, struct err *e);
enum rc sink_finish(struct sink *chain, struct err *e);
void sink_free(struct sink *chain); /* NULL is fine */
OWN_DEFINE(sink)

/* Constructors own `next` from the call on, even when they fail. */

/* Passes bytes on; the digest is written to the caller's memory at finish. */
enum rc sha256_sink_new(struct sink *next, uint8_t digest[static SHA256_SIZE],
                        struct sink **out, struct err *e);

/* Drops everything. */
enum rc null_sink_new(struct sink **out, struct err *e);

/* Appends to the caller's buffer, whose cap_max bounds it. */
enum rc buf_sink_new(struct buf *to, struct sink **out, struct err *e);

/* Pulls `fd` (named `name` in messages) to its end through the chain and finishes it.
 * Looks at stop_wanted() between pieces. */
enum rc pump(int fd, const char *name, struct sink *chain, struct err *e);

#endif
