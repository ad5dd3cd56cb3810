/* The same checks while the file goes by in file order, as Maintenance.Snapshot sends
 * it: pages are assembled, opened and forgotten; what remains of each is its kind,
 * extent, first and last key, and for branches the children with their bounds (about 60
 * bytes a page; revision keys packed), put aside in a spool. When all bytes are in, the
 * tree is put together from these facts and the same findings come out as from
 * bolt_walk().
 *
 * Nobody can say which pages are in use before the tree is whole. A free page may hold
 * anything, also an old header that claims the pages after it, so every page boundary is
 * taken for a possible page start, inside the extent of another page too. What turns out
 * to be no page, such as a value that looks like one, is never reached and does no harm.
 *
 * A page is looked at when its whole extent is there; extents overlap, and the bytes
 * since the oldest unfinished one are held. Pages of more than BOLT_STREAM_EXTENT_MAX
 * (etcd limits a request to 1.5 MiB unless told otherwise) are not looked at: should one
 * be reachable, the verdict is "not checked", never a wrong one.
 *
 * Whoever wants the pairs sees the leaves twice: first their content, when it is complete
 * and nobody can say yet whether the page is reachable; at the end the ids of the
 * reachable leaves, in key order. */
#ifndef BOLTDB_STREAM_H
#define BOLTDB_STREAM_H

#include "boltdb/page.h"
#include "boltdb/walk.h"

enum { BOLT_STREAM_EXTENT_MAX = 32 << 20 };

/* Any of them may be NULL. */
struct bolt_stream_visitor {
    void *arg;
    /* A well-formed leaf went by, perhaps a stale free page. Its pairs that are buckets
     * belong to the root bucket. *note, 0 before, comes back when it is reached. */
    enum rc (*leaf)(void *arg, const struct bolt_page *page, uint32_t *note,
                    struct err *e);
    /* At finish, in key order: a bucket begins; a reachable leaf of it. A bucket that is
     * stored inline in the root leaf `page` gives its pairs through `inlined` (kept by
     * the stream), without `reached`. */
    enum rc (*bucket)(void *arg, struct bytes name, struct err *e);
    enum rc (*reached)(void *arg, uint64_t page, uint32_t note, struct err *e);
    enum rc (*inlined)(void *arg, struct bytes key, struct bytes value, uint64_t page,
                       struct err *e);
};

struct bolt_stream;

/* `v` is copied. Beyond `resident` bytes (0: no limit) facts go to a temporary file.
 * Memory beyond `memory_max` (0: no limit), as when there can be no such file, makes
 * bolt_stream_write give up checking the tree: finish then reports it (checked == false).
 */
enum rc bolt_stream_new(const struct bolt_stream_visitor *v, size_t resident,
                        size_t memory_max, struct bolt_stream **out, struct err *e);
void bolt_stream_free(struct bolt_stream *s);
OWN_DEFINE(bolt_stream)

/* For a file as bolt_builder writes it: page follows page, none of them free, without a
 * freelist, and the first two come last. So what goes by at a place where no page begins
 * is not looked at, and leaves go by in key order, bucket after bucket. In place of the
 * first two pages anything is written, zeros most likely; their content is given to
 * bolt_stream_head once, between the last write and finish. It is RC_CORRUPT when that
 * names another page size. A page whose extent is not there is then a finding like one
 * without a header. */
enum rc bolt_stream_new_built(const struct bolt_stream_visitor *v, uint32_t page_size,
                              struct bolt_stream **out, struct err *e);
enum rc bolt_stream_head(struct bolt_stream *s, struct bytes head, struct err *e);

/* Any piece sizes; pages that lie whole in a piece are not copied. Errors: only RC_NOMEM
 * and what the visitor returns; damage becomes a finding at finish. Bytes after the
 * high-water mark (the trailer) are ignored. */
enum rc bolt_stream_write(struct bolt_stream *s, const uint8_t *p, size_t n,
                          struct err *e);

/* Meta in force, known once the first 64 KiB went by; NULL before or when neither is
 * good. */
const struct bolt_meta *bolt_stream_meta(const struct bolt_stream *s);

/* Findings as from bolt_walk and bolt_file_open; ERROR "meta-bad" when there is no valid
 * meta page, "truncated" when bytes are missing (the tree is then left alone). *checked
 * is false when pages were too large or memory_max too small to tell. RC_STORAGE when
 * the temporary file fails. Call once. */
enum rc bolt_stream_finish(struct bolt_stream *s, struct findings *f,
                           struct bolt_walk_result *out, bool *checked, struct err *e);

#endif
