/* The same checks while the file goes by in file order, as Maintenance.Snapshot sends
 * it: pages are assembled, opened and forgotten; what remains of each is its kind,
 * extent, first and last key, and for branches the children with their bounds (about 50
 * bytes a page; revision keys packed). When all bytes are in, the tree is put together
 * from these facts and the same findings come out as from bolt_walk().
 *
 * Whoever wants the pairs sees the leaves twice: first their content, in file order, when
 * nobody can say yet whether a page is reachable; at the end the ids of the reachable
 * leaves, in key order. */
#ifndef BOLTDB_STREAM_H
#define BOLTDB_STREAM_H

#include "boltdb/page.h"
#include "boltdb/walk.h"

struct bolt_stream_visitor {
    void *arg;
    /* A well-formed leaf went by, perhaps a stale free page. Its pairs that are buckets
     * belong to the root bucket. */
    enum rc (*leaf)(void *arg, const struct bolt_page *page, struct err *e);
    /* At finish, in key order: a bucket begins; a reachable leaf of it. A bucket that is
     * stored inline lies in the root leaf `page` as element `element`: the visitor gets
     * its name and pairs through `inlined` (copied by the stream), without `reached`. */
    enum rc (*bucket)(void *arg, struct bytes name, struct err *e);
    enum rc (*reached)(void *arg, uint64_t page, struct err *e);
    enum rc (*inlined)(void *arg, struct bytes key, struct bytes value, uint64_t page,
                       struct err *e);
};

struct bolt_stream;

/* `v` is copied. Memory beyond `memory_max` (0: no limit) makes bolt_stream_write give
 * up checking the tree: finish then reports it (checked == false). */
enum rc bolt_stream_new(const struct bolt_stream_visitor *v, size_t memory_max,
                        struct bolt_stream **out, struct err *e);
void bolt_stream_free(struct bolt_stream *s);
OWN_DEFINE(bolt_stream)

/* Any piece sizes. Errors: only RC_NOMEM and what the visitor returns; damage becomes a
 * finding at finish. Bytes after the high-water mark (the trailer) are ignored. */
enum rc bolt_stream_write(struct bolt_stream *s, const uint8_t *p, size_t n,
                          struct err *e);

/* Meta in force, known once both meta pages went by; NULL before or when neither is good.
 */
const struct bolt_meta *bolt_stream_meta(const struct bolt_stream *s);

enum rc bolt_stream_finish(struct bolt_stream *s, struct findings *f,
                           struct bolt_walk_result *out, bool *checked, struct err *e);

#endif
