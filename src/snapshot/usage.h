/* Where the bytes are: the records of an index summed up by prefix, and what grew from
 * one database to another. */
#ifndef SNAPSHOT_USAGE_H
#define SNAPSHOT_USAGE_H

#include "snapshot/index.h"

/* The directory that `key` is counted under: its first `depth` parts with the slash
 * behind them, without its own name. "/registry/pods/default/web" is in "/registry/" at
 * depth 1, "/registry/pods/" at 2, "/registry/pods/default/" from 3 on. Kubernetes keeps
 * resources of API groups, and services, one level deeper, as in
 * /registry/cert-manager.io/certificates/ and /registry/services/specs/: those two parts
 * are one, so that depth 2 is a resource and depth 3 a namespace. */
struct bytes snap_usage_prefix(struct bytes key, unsigned depth);

struct snap_usage_row {
    struct bytes prefix;    /* borrowed from the file */
    uint64_t keys;          /* live */
    uint64_t live_bytes;    /* of their newest records, as they lie in the bucket */
    uint64_t history;       /* other records: superseded ones and tombstones */
    uint64_t history_bytes; /* a compaction frees at most these */
};

/* Zero-initialise, end with snap_usage_clear. 48 bytes a row while it is made, of which
 * there are no more than keys, and nearly always very few. */
struct snap_usage {
    struct snap_usage_row *rows; /* by all bytes, the most first; then by prefix */
    size_t count;
    struct snap_usage_row total;
};
void snap_usage_clear(struct snap_usage *u);

enum rc snap_usage_make(const struct snap_index *ix, unsigned depth,
                        struct snap_usage *out, struct err *e);

/* The same prefix in two databases; zero where it does not occur. */
struct snap_growth_row {
    struct bytes prefix;
    struct snap_usage_row before, after;
};
struct snap_growth {
    struct snap_growth_row *rows; /* by growth of all bytes, the most first */
    size_t count;
};
void snap_growth_clear(struct snap_growth *g);

/* Rows that differ. The databases must outlive it; the usages need not. */
enum rc snap_growth_make(const struct snap_usage *before, const struct snap_usage *after,
                         struct snap_growth *out, struct err *e);

/* Live bytes and history together. */
static inline uint64_t snap_usage_bytes(const struct snap_usage_row *r)
{
    return r->live_bytes + r->history_bytes;
}

#endif
