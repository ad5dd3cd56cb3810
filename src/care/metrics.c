#include "care/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MAX = 32, LINE_MAX_BYTES = 512 };

struct histogram {
    const char *prefix; /* up to the bound */
    double bound[BUCKETS_MAX], count[BUCKETS_MAX];
    size_t n;
};

/* "NAME VALUE": the value, when the line begins with the name. */
static bool value_of(const char *line, const char *name, double *out)
{
    size_t n = strlen(name);
    char *end;
    double v;

    if (strncmp(line, name, n) != 0 || line[n] != ' ')
        return false;
    v = strtod(line + n + 1, &end);
    if (end == line + n + 1 || !isfinite(v) || v < 0)
        return false;
    *out = v;
    return true;
}

/* `name_bucket{le="0.001"} 12` */
static void take_bucket(struct histogram *h, const char *line)
{
    size_t n = strlen(h->prefix);
    char *end;
    double bound, count;

    if (strncmp(line, h->prefix, n) != 0 || h->n == BUCKETS_MAX)
        return;
    bound = strtod(line + n, &end); /* also +Inf */
    if (end == line + n || strncmp(end, "\"} ", 3) != 0)
        return;
    count = strtod(end + 3, NULL);
    if (isnan(bound) || !isfinite(count) || count < 0)
        return;
    h->bound[h->n] = bound;
    h->count[h->n++] = count;
}

/* Counts are cumulative and bounds rise. */
static struct care_latency summarize(const struct histogram *h)
{
    struct care_latency l = { 0 };

    if (h->n == 0)
        return l;
    l.count = h->count[h->n - 1];
    for (size_t i = 0; i < h->n; i++)
        if (h->count[i] >= 0.99 * l.count) {
            l.p99_ms = isinf(h->bound[i]) ? HUGE_VAL : h->bound[i] * 1000;
            return l;
        }
    return l;
}

/* The next line, cut to the buffer; false at the end. */
static bool next_line(struct bytes *text, char line[static LINE_MAX_BYTES])
{
    const uint8_t *end;
    size_t n;

    if (text->n == 0)
        return false;
    end = memchr(text->p, '\n', text->n);
    n = end == NULL ? text->n : (size_t)(end - text->p);
    snprintf(line, LINE_MAX_BYTES, "%.*s",
             (int)(n < LINE_MAX_BYTES ? n : LINE_MAX_BYTES - 1), (const char *)text->p);
    n += end == NULL ? 0 : 1;
    text->p += n;
    text->n -= n;
    return true;
}

void care_metrics_read(struct bytes text, struct care_metrics *out)
{
    struct histogram fsync = { .prefix = "etcd_disk_wal_fsync_duration_seconds_bucket"
                                         "{le=\"" };
    struct histogram commit = { .prefix =
                                    "etcd_disk_backend_commit_duration_seconds_bucket"
                                    "{le=\"" };
    char line[LINE_MAX_BYTES];

    *out = (struct care_metrics){ .quota = -1,
                                  .leader_changes = -1,
                                  .started = -1,
                                  .defrags = -1,
                                  .compacted = -1,
                                  .slow_watchers = -1 };
    while (next_line(&text, line)) {
        value_of(line, "etcd_server_quota_backend_bytes", &out->quota);
        value_of(line, "etcd_server_leader_changes_seen_total", &out->leader_changes);
        value_of(line, "process_start_time_seconds", &out->started);
        value_of(line, "etcd_disk_defrag_inflight", &out->defrags);
        value_of(line, "etcd_debugging_mvcc_compact_revision", &out->compacted);
        value_of(line, "etcd_debugging_mvcc_slow_watcher_total", &out->slow_watchers);
        take_bucket(&fsync, line);
        take_bucket(&commit, line);
    }
    out->wal_fsync = summarize(&fsync);
    out->backend_commit = summarize(&commit);
}
