#include "wal/cursor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/mem.h"

PRINTF_LIKE(4, 5)
static enum rc object(struct wal_cursor *c, const char *code, enum wal_etcd etcd,
                      const char *fmt, ...)
{
    va_list ap;

    c->code = code;
    c->etcd = etcd;
    va_start(ap, fmt);
    vsnprintf(c->reason, sizeof c->reason, fmt, ap);
    va_end(ap);
    return RC_OK;
}

/* A message that does not parse is a finding; no memory is a failure. */
static enum rc object_to_message(struct wal_cursor *c, const struct err *problem,
                                 struct err *e)
{
    if (problem->code != RC_CORRUPT)
        return err_set(e, problem->code, "%s", problem->why);
    return object(c, "wal-message", WAL_ETCD_REFUSES, "%.150s", problem->why);
}

static enum rc take_metadata(struct wal_cursor *c, struct bytes data, struct err *e)
{
    struct err problem = { 0 };

    if (c->has_metadata &&
        !bytes_equal((struct bytes){ c->metadata.p, c->metadata.n }, data))
        return object(c, "wal-metadata", WAL_ETCD_REFUSES,
                      "METADATA differs from that of the segments before");
    if (c->has_metadata)
        return RC_OK;
    if (wal_metadata_parse(data, &c->w->s.ids, &problem) != RC_OK)
        return object_to_message(c, &problem, e);
    c->has_metadata = true;
    return buf_add(&c->metadata, data.p, data.n, e);
}

uint64_t wal_last_entry(const struct wal_cursor *c)
{
    const struct wal_summary *s = &c->w->s;

    return s->entry_count > 0 ? s->first_index + s->entry_count - 1 : c->floor;
}

static const struct wal_mark *newest_mark(const struct wal *w)
{
    return w->s.mark_count == 0 ? NULL : &w->marks[w->s.mark_count - 1];
}

uint64_t wal_term_at(const struct wal *w, uint64_t index)
{
    const struct wal_mark *m = newest_mark(w);
    const struct wal_summary *s = &w->s;

    if (index >= s->first_index && index - s->first_index < s->entry_count)
        return w->places[index - s->first_index].term;
    return m != NULL && m->index == index ? m->term : 0;
}

static enum rc take_state(struct wal_cursor *c, struct bytes data, struct err *e)
{
    struct wal_state *was = &c->w->s.state, now;
    struct err problem = { 0 };

    if (wal_state_parse(data, &now, &problem) != RC_OK)
        return object_to_message(c, &problem, e);
    if (now.term < was->term || now.term < wal_term_at(c->w, wal_last_entry(c)))
        return object(c, "wal-term", WAL_ETCD_OPENS,
                      "the term of STATE goes back to %" PRIu64, now.term);
    if (now.commit < was->commit)
        TRY(findings_add(c->w->findings, FINDING_WARN, "wal-commit", FINDING_NO_PAGE, e,
                         "%s: commit goes back from %" PRIu64 " to %" PRIu64
                         " at offset %" PRIu64,
                         c->w->file.name, was->commit, now.commit, c->at));
    *was = now;
    return RC_OK;
}

static enum rc take_mark(struct wal_cursor *c, struct bytes data, struct err *e)
{
    struct wal *w = c->w;
    struct err problem = { 0 };
    struct wal_mark mark;

    if (w->marks == NULL)
        TRY(mem_new(&w->marks, WAL_MARKS_KEPT * sizeof mark, "snapshot marks", e));
    if (wal_mark_parse(data, &mark, &problem) != RC_OK)
        return object_to_message(c, &problem, e);
    if (w->s.mark_count == WAL_MARKS_KEPT) {
        wal_mark_clear(&w->marks[0]);
        memmove(&w->marks[0], &w->marks[1], --w->s.mark_count * sizeof mark);
    }
    w->marks[w->s.mark_count++] = mark;
    return RC_OK;
}

/* A log may only continue with the next index, overwrite what is not committed yet, or
 * start anew behind a snapshot that a leader sent. */
static enum rc check_entry(struct wal_cursor *c, const struct wal_entry *entry)
{
    const struct wal_mark *m = newest_mark(c->w);
    uint64_t last = wal_last_entry(c), i = entry->index;
    struct err problem = { 0 };
    struct wal_change change;

    if (i == 0)
        return object(c, "wal-index", WAL_ETCD_REFUSES, "the entry has index 0");
    if (i <= c->w->s.state.commit)
        return object(c, "wal-index", WAL_ETCD_OPENS,
                      "entry %" PRIu64 " overwrites a committed one (commit is %" PRIu64
                      ")",
                      i, c->w->s.state.commit);
    if (i - 1 > last && (m == NULL || m->index < i - 1))
        return object(c, "wal-index", WAL_ETCD_REFUSES,
                      "entry %" PRIu64 " follows entry %" PRIu64, i, last);
    if (entry->term < wal_term_at(c->w, i - 1))
        return object(c, "wal-term", WAL_ETCD_OPENS,
                      "the term of entry %" PRIu64 " goes back to %" PRIu64, i,
                      entry->term);
    /* A STATE read as an ENTRY looks like a change that changes nothing. */
    if (entry->type != WAL_ENTRY_NORMAL && entry->data.n == 0)
        return object(c, "wal-message", WAL_ETCD_OPENS,
                      "entry %" PRIu64 " is an empty member change", i);
    if (entry->type == WAL_ENTRY_CONF_CHANGE &&
        (wal_change_parse(entry->data, &change, &problem) != RC_OK ||
         change.node_id == 0))
        return object(c, "wal-message", WAL_ETCD_REFUSES,
                      "entry %" PRIu64 " is no valid member change", i);
    return RC_OK;
}

static enum rc place_entry(struct wal_cursor *c, const struct wal_entry *entry,
                           struct err *e)
{
    struct wal *w = c->w;
    struct wal_summary *s = &w->s;
    uint64_t i = entry->index;

    if (s->entry_count == 0 || i < s->first_index || i - 1 > wal_last_entry(c)) {
        s->first_index = i;
        s->entry_count = 0;
    }
    s->entry_count = i - s->first_index;
    if (s->entry_count == w->place_cap) {
        size_t cap = w->place_cap == 0 ? 1024 : w->place_cap * 2;
        struct wal_place *more = mem_resize(w->places, cap, sizeof *more);

        if (more == NULL)
            return err_set(e, RC_NOMEM, "no memory for a table of %zu entries", cap);
        w->places = more;
        w->place_cap = cap;
    }
    w->places[s->entry_count++] = (struct wal_place){
        .term = entry->term,
        .segment = (uint32_t)c->segment,
        .slot = (uint32_t)(c->at / WAL_WORD),
    };
    return RC_OK;
}

static enum rc take_entry(struct wal_cursor *c, struct bytes data, struct err *e)
{
    struct err problem = { 0 };
    struct wal_entry entry;

    if (wal_entry_parse(data, &entry, &problem) != RC_OK)
        return object_to_message(c, &problem, e);
    TRY(check_entry(c, &entry));
    return c->code != NULL ? RC_OK : place_entry(c, &entry, e);
}

enum rc wal_take(struct wal_cursor *c, const struct wal_record *r, struct err *e)
{
    static const enum wal_type head[] = { WAL_CRC, WAL_METADATA };
    struct wal_segment *s = &c->w->segments[c->segment];

    if (s->records < 2 && r->type != head[s->records])
        return object(c, "wal-head", WAL_ETCD_OPENS,
                      "the segment does not begin with CRC and METADATA");
    switch (r->type) {
    case WAL_METADATA:
        return take_metadata(c, r->data, e);
    case WAL_ENTRY:
        return take_entry(c, r->data, e);
    case WAL_STATE:
        return take_state(c, r->data, e);
    case WAL_SNAPSHOT:
        return take_mark(c, r->data, e);
    case WAL_CRC:
        break;
    }
    return RC_OK;
}
