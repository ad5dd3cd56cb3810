#include "wal/read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/mem.h"
#include "util/stop.h"
#include "wal/cursor.h"
#include "wal/damage.h"
#include "wal/record.h"

const struct wal_summary *wal_summary(const struct wal *w)
{
    return &w->s;
}

const char *wal_verdict_name(enum wal_verdict v)
{
    static const char *const names[] = { "clean", "torn-tail", "damaged" };

    return names[v];
}

bool wal_mark_valid(const struct wal_summary *s, const struct wal_mark *m)
{
    return m->index <= s->state.commit;
}

void wal_free(struct wal *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; i < w->s.mark_count; i++)
        wal_mark_clear(&w->marks[i]);
    if (w->open != SIZE_MAX)
        wal_file_close(&w->file);
    mem_free(w->marks);
    mem_free(w->places);
    mem_free(w->segments);
    mem_free(w->dir);
    mem_free(w);
}

static enum rc open_segment(struct wal *w, size_t i, struct err *e)
{
    struct wal_file file = { .fd = -1 };

    if (w->open == i)
        return RC_OK;
    TRY(wal_file_open(w->dir, w->segments[i].name, &file, e));
    if (w->open != SIZE_MAX)
        wal_file_close(&w->file);
    w->file = file;
    w->open = i;
    return RC_OK;
}

/* ---- reading on, and stopping ------------------------------------------------------ */

static const char *etcd_text(enum wal_etcd etcd)
{
    static const char *const texts[] = {
        "etcd would start without noticing",
        "etcd would cut the log off here and start",
        "etcd would take this for the end and overwrite what follows",
        "etcd would refuse to start",
    };

    return texts[etcd];
}

static enum rc report(struct wal_cursor *c, enum wal_verdict verdict,
                      const struct wal_damage *d, struct err *e)
{
    struct wal_summary *s = &c->w->s;
    char behind[64] = "";

    s->verdict = verdict;
    s->damage = *d;
    if (d->follows)
        snprintf(behind, sizeof behind, "; a whole record follows at %" PRIu64,
                 d->follows_at);
    TRY(findings_add(
        c->w->findings, verdict == WAL_TORN_TAIL ? FINDING_WARN : FINDING_ERROR, d->code,
        FINDING_NO_PAGE, e, "%s: record %" PRIu64 " at offset %" PRIu64 ": %s%s",
        d->segment, d->record, d->offset, d->reason, behind));
    return findings_add(c->w->findings, FINDING_NOTE, "wal-etcd", FINDING_NO_PAGE, e,
                        "%s: offset %" PRIu64 ": %s", d->segment, d->offset,
                        etcd_text(d->etcd));
}

/* The damage at the cursor, without its reason. */
static struct wal_damage here(const struct wal_cursor *c)
{
    const struct wal_segment *s = &c->w->segments[c->segment];
    struct wal_damage d = { .offset = c->at, .record = s->records + 1 };

    memcpy(d.segment, s->name, sizeof d.segment);
    return d;
}

static bool is_last(const struct wal_cursor *c)
{
    return c->segment + 1 == c->w->s.segment_count;
}

static enum rc stop_at_fault(struct wal_cursor *c, enum wal_fault fault,
                             const struct wal_frame *frame, struct err *e)
{
    struct wal_damage d = here(c);
    struct wal_break b = {
        .file = &c->w->file,
        .at = c->at,
        .crc = c->crc,
        .last = is_last(c),
        .fault = fault,
        .frame = *frame,
    };
    enum wal_verdict verdict;

    TRY(wal_judge(&b, &d, &verdict, e));
    return report(c, verdict, &d, e);
}

/* The record is sound but cannot be what etcd wrote here. */
static enum rc stop_at_objection(struct wal_cursor *c, uint64_t size, struct err *e)
{
    struct wal_damage d = here(c);

    d.code = c->code;
    d.etcd = c->etcd;
    memcpy(d.reason, c->reason, sizeof d.reason);
    TRY(wal_find_frame(&c->w->file, c->at + size, &d.follows, &d.follows_at, e));
    return report(c, WAL_DAMAGED, &d, e);
}

/* At a length word of zero: only preallocated space may follow. */
static enum rc end_segment(struct wal_cursor *c, const struct wal_frame *frame,
                           struct err *e)
{
    bool zero;

    TRY(wal_zero_from(&c->w->file, c->at, &zero, e));
    return zero ? RC_OK : stop_at_fault(c, WAL_AT_END, frame, e);
}

static enum rc note_padding(struct wal_cursor *c, struct err *e)
{
    return findings_add(c->w->findings, FINDING_WARN, "wal-padding", FINDING_NO_PAGE, e,
                        "%s: the padding of the record at offset %" PRIu64
                        " is not zero; etcd does not look at it",
                        c->w->file.name, c->at);
}

/* One record; *more is false at the end of the segment and where reading stops. */
static enum rc read_record(struct wal_cursor *c, bool *more, struct err *e)
{
    struct wal_file *f = &c->w->file;
    struct wal_record record;
    struct wal_frame frame;
    enum wal_fault fault;
    struct bytes bytes;

    *more = false;
    TRY(wal_file_view(f, c->at, WAL_HEAD_MAX, &bytes, e));
    fault = wal_frame_parse(bytes, f->size - c->at, &frame);
    if (fault == WAL_AT_END)
        return end_segment(c, &frame, e);
    if (fault == WAL_SOUND) {
        TRY(wal_file_view(f, c->at, (size_t)frame.size, &bytes, e));
        fault = wal_frame_check(&frame, bytes, c->crc, &record);
    }
    if (fault != WAL_SOUND)
        return stop_at_fault(c, fault, &frame, e);
    TRY(wal_take(c, &record, e));
    if (c->code != NULL)
        return stop_at_objection(c, frame.size, e);
    if (!record.padded_clean)
        TRY(note_padding(c, e));
    c->crc = record.crc;
    c->at += frame.size;
    c->w->segments[c->segment].records++;
    c->w->s.records++;
    *more = true;
    return RC_OK;
}

static enum rc read_segment(struct wal_cursor *c, struct err *e)
{
    struct wal_segment *s = &c->w->segments[c->segment];
    bool more = true;

    TRY(stop_check(e));
    TRY(open_segment(c->w, c->segment, e));
    s->size = c->w->file.size;
    c->at = 0;
    if (s->size / WAL_WORD > UINT32_MAX)
        return err_set(e, RC_CORRUPT,
                       "'%s' has %" PRIu64 " bytes, no WAL segment is so "
                       "large",
                       s->name, s->size);
    while (more)
        TRY(read_record(c, &more, e));
    s->end = c->at;
    return RC_OK;
}

/* ---- the directory as a whole ------------------------------------------------------ */

/* Segments before a gap cannot be connected with those after it; etcd, too, needs the
 * newest ones. */
static enum rc find_start(struct wal_cursor *c, struct err *e)
{
    struct wal_summary *s = &c->w->s;
    struct wal_damage d = { .code = "wal-gap", .record = 1, .etcd = WAL_ETCD_REFUSES };

    for (size_t i = 1; i < s->segment_count; i++)
        if (c->w->segments[i].sequence != c->w->segments[i - 1].sequence + 1)
            s->first_read = i;
    c->segment = s->first_read;
    c->floor = c->w->segments[c->segment].first_index;
    c->floor -= c->floor > 0 ? 1 : 0;
    if (c->segment == 0)
        return RC_OK;
    memcpy(d.segment, c->w->segments[c->segment].name, sizeof d.segment);
    snprintf(d.reason, sizeof d.reason,
             "segment %" PRIu64 " comes after segment %" PRIu64
             ", those before it were not read",
             c->w->segments[c->segment].sequence,
             c->w->segments[c->segment - 1].sequence);
    return report(c, WAL_DAMAGED, &d, e);
}

static enum rc read_all(struct wal_cursor *c, struct err *e)
{
    struct wal_summary *s = &c->w->s;
    enum wal_verdict before = s->verdict;
    const struct wal_damage gap = s->damage;

    s->verdict = WAL_CLEAN;
    for (; c->segment < s->segment_count && s->verdict == WAL_CLEAN; c->segment++)
        TRY(read_segment(c, e));
    c->segment = c->segment > 0 ? c->segment - 1 : 0;
    if (before > s->verdict) {
        s->verdict = before;
        s->damage = gap;
    }
    return RC_OK;
}

/* What can only be said at the end. */
static enum rc judge_whole(struct wal_cursor *c, struct err *e)
{
    struct wal_summary *s = &c->w->s;
    uint64_t seen = c->w->segments[c->segment].records;
    struct wal_damage d = here(c);

    d.code = "wal-head";
    if (!c->has_metadata && s->verdict != WAL_DAMAGED) {
        d.etcd = WAL_ETCD_REFUSES;
        snprintf(d.reason, sizeof d.reason, "the log has no METADATA");
        return report(c, WAL_DAMAGED, &d, e);
    }
    if (seen < 2 && s->verdict == WAL_CLEAN) {
        snprintf(d.reason, sizeof d.reason, "the segment has no head");
        return report(c, WAL_TORN_TAIL, &d, e);
    }
    if (s->verdict == WAL_DAMAGED || s->state.commit <= s->last_index)
        return RC_OK;
    d.code = "wal-commit";
    d.etcd = WAL_ETCD_REFUSES;
    snprintf(d.reason, sizeof d.reason,
             "commit is %" PRIu64 " but the log ends at %" PRIu64 ": its end is lost",
             s->state.commit, s->last_index);
    return report(c, WAL_DAMAGED, &d, e);
}

/* Marks beyond the commit index: a crash between the two writes, or a damaged STATE. */
static enum rc settle_marks(struct wal_cursor *c, struct err *e)
{
    struct wal_summary *s = &c->w->s;

    s->last_index = wal_last_entry(c);
    s->last_term = s->entry_count == 0 ? 0 : wal_term_at(c->w, s->last_index);
    for (size_t i = 0; i < s->mark_count; i++) {
        const struct wal_mark *m = &c->w->marks[i];

        if (!wal_mark_valid(s, m)) {
            TRY(findings_add(c->w->findings, FINDING_WARN, "wal-mark", FINDING_NO_PAGE, e,
                             "the snapshot mark at index %" PRIu64
                             " is beyond commit %" PRIu64 ", etcd ignores it",
                             m->index, s->state.commit));
        } else if (m->index > s->last_index ||
                   (m->index == s->last_index && s->last_term == 0)) {
            s->last_index = m->index;
            s->last_term = m->term;
        }
    }
    if (s->entry_count == 0)
        s->first_index = s->last_index + 1;
    return RC_OK;
}

static void cursor_end(struct wal_cursor *c)
{
    buf_clear(&c->metadata);
}

static enum rc read_log(struct wal *w, struct err *e)
{
    AT_END(cursor_end) struct wal_cursor c = { .w = w };

    TRY(find_start(&c, e));
    TRY(read_all(&c, e));
    w->s.crc = c.crc;
    TRY(settle_marks(&c, e));
    return judge_whole(&c, e);
}

enum rc wal_open(const char *dir, struct findings *f, struct wal **out, struct err *e)
{
    OWNED(wal) w = NULL;

    TRY(mem_new(&w, sizeof *w, "a WAL", e));
    w->open = SIZE_MAX;
    w->findings = f;
    w->dir = mem_str(dir);
    if (w->dir == NULL)
        return err_set(e, RC_NOMEM, "no memory for a path");
    TRY(wal_segment_list(dir, f, &w->segments, &w->s.segment_count, e));
    if (read_log(w, e) != RC_OK)
        return err_wrap(e, "reading the WAL in '%s'", dir);
    w->findings = NULL;
    w->s.segments = w->segments;
    w->s.marks = w->marks;
    *out = GIVE(w);
    return RC_OK;
}

static enum rc changed(const struct wal *w, uint64_t index, struct err *e)
{
    return err_set(e, RC_CORRUPT,
                   "entry %" PRIu64 " is no longer where it was in '%s'" HINT
                   "stop the member, or read a copy of its directory",
                   index, w->file.name);
}

enum rc wal_entry_at(struct wal *w, uint64_t index, struct wal_entry *out, struct err *e)
{
    const struct wal_summary *s = &w->s;
    struct wal_frame frame;
    struct wal_entry entry;
    struct bytes bytes;
    uint64_t at;

    if (index < s->first_index || index - s->first_index >= s->entry_count)
        return err_set(e, RC_NOTFOUND, "the log has no entry %" PRIu64, index);
    const struct wal_place *p = &w->places[index - s->first_index];

    at = (uint64_t)p->slot * WAL_WORD;
    TRY(open_segment(w, p->segment, e));
    TRY(wal_file_view(&w->file, at, WAL_HEAD_MAX, &bytes, e));
    if (at >= w->file.size ||
        wal_frame_parse(bytes, w->file.size - at, &frame) != WAL_SOUND)
        return changed(w, index, e);
    TRY(wal_file_view(&w->file, at, (size_t)frame.size, &bytes, e));
    bytes = (struct bytes){ bytes.p + frame.data_at, (size_t)frame.data_size };
    if (wal_entry_parse(bytes, &entry, e) != RC_OK || entry.index != index ||
        entry.term != p->term)
        return changed(w, index, e);
    *out = entry;
    return RC_OK;
}
