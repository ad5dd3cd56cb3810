#include "wal/message.h"

#include "codec/pb.h"
#include "util/mem.h"

/* Far from any number that etcd gave a field. */
enum { OWN_FIELD = 100 };

void wal_conf_clear(struct wal_conf *c)
{
    mem_free(c->voters);
    mem_free(c->learners);
    *c = (struct wal_conf){ 0 };
}

void wal_mark_clear(struct wal_mark *m)
{
    wal_conf_clear(&m->conf);
    wal_conf_clear(&m->counted);
}

void wal_snapshot_clear(struct wal_snapshot *s)
{
    wal_conf_clear(&s->conf);
}

static enum rc refuse(const struct pb_reader *r, struct bytes p, const char *what,
                      struct err *e)
{
    return err_set(e, RC_CORRUPT, "no valid %s: byte %zu of %zu", what, pb_offset(r, p),
                   p.n);
}

/* A field that is unknown, or has the wrong wire type: refused at its own place, hence
 * the return to `from`. */
static enum rc unexpected(struct pb_reader *r, const uint8_t *from, struct bytes p,
                          const char *what, struct err *e)
{
    r->at = from;
    return refuse(r, p, what, e);
}

/* Messages of nothing but numbers: fields 1..count into values[0..count-1]. */
static enum rc parse_numbers(struct bytes p, const char *what, uint64_t *values,
                             size_t count, struct err *e)
{
    struct pb_reader r = pb_reader_of(p);
    const uint8_t *from = r.at;
    struct pb_field f;

    for (; pb_next(&r, &f); from = r.at) {
        uint32_t number = f.tag >> 3;

        if ((f.tag & 7) != PB_VARINT || number > count)
            return unexpected(&r, from, p, what, e);
        values[number - 1] = f.value;
    }
    return pb_done(&r) ? RC_OK : refuse(&r, p, what, e);
}

enum rc wal_metadata_parse(struct bytes p, struct wal_metadata *out, struct err *e)
{
    uint64_t v[2] = { 0 };

    TRY(parse_numbers(p, "METADATA", v, 2, e));
    *out = (struct wal_metadata){ .node_id = v[0], .cluster_id = v[1] };
    return RC_OK;
}

enum rc wal_state_parse(struct bytes p, struct wal_state *out, struct err *e)
{
    uint64_t v[3] = { 0 };

    TRY(parse_numbers(p, "STATE", v, 3, e));
    *out = (struct wal_state){ .term = v[0], .vote = v[1], .commit = v[2] };
    return RC_OK;
}

enum rc wal_entry_parse(struct bytes p, struct wal_entry *out, struct err *e)
{
    struct pb_reader r = pb_reader_of(p);
    const uint8_t *from = r.at;
    struct wal_entry entry = { 0 };
    struct pb_field f;

    for (; pb_next(&r, &f); from = r.at) {
        if (f.tag == PB_TAG(1, PB_VARINT) && f.value <= WAL_ENTRY_CONF_CHANGE_V2)
            entry.type = (enum wal_entry_type)f.value;
        else if (f.tag == PB_TAG(2, PB_VARINT))
            entry.term = f.value;
        else if (f.tag == PB_TAG(3, PB_VARINT))
            entry.index = f.value;
        else if (f.tag == PB_TAG(4, PB_BYTES))
            entry.data = f.bytes;
        else if (f.tag == PB_TAG(OWN_FIELD, PB_BYTES))
            entry.note = f.bytes;
        else
            return unexpected(&r, from, p, "ENTRY", e);
    }
    if (!pb_done(&r) || (entry.note.n > 0 && entry.data.n > 0))
        return refuse(&r, p, "ENTRY", e);
    *out = entry;
    return RC_OK;
}

enum rc wal_change_parse(struct bytes p, struct wal_change *out, struct err *e)
{
    struct pb_reader r = pb_reader_of(p);
    const uint8_t *from = r.at;
    struct wal_change change = { 0 };
    struct pb_field f;

    for (; pb_next(&r, &f); from = r.at) {
        if (f.tag == PB_TAG(1, PB_VARINT))
            change.id = f.value;
        else if (f.tag == PB_TAG(2, PB_VARINT) && f.value <= WAL_CHANGE_ADD_LEARNER)
            change.type = (enum wal_change_type)f.value;
        else if (f.tag == PB_TAG(3, PB_VARINT))
            change.node_id = f.value;
        else if (f.tag == PB_TAG(4, PB_BYTES))
            change.context = f.bytes;
        else
            return unexpected(&r, from, p, "member change", e);
    }
    if (!pb_done(&r))
        return refuse(&r, p, "member change", e);
    *out = change;
    return RC_OK;
}

/* Grows by doubling whenever the count is a power of two. */
static enum rc add_id(uint64_t **ids, size_t *count, uint64_t id, struct err *e)
{
    if (*count >= WAL_MEMBERS_MAX)
        return err_set(e, RC_CORRUPT, "no valid ConfState: more than %d members",
                       WAL_MEMBERS_MAX);
    if ((*count & (*count - 1)) == 0) {
        uint64_t *more = mem_resize(*ids, *count == 0 ? 1 : *count * 2, sizeof *more);

        if (more == NULL)
            return err_set(e, RC_NOMEM, "no memory for member ids");
        *ids = more;
    }
    (*ids)[(*count)++] = id;
    return RC_OK;
}

static enum rc parse_conf(struct bytes p, struct wal_conf *out, struct err *e)
{
    struct pb_reader r = pb_reader_of(p);
    const uint8_t *from = r.at;
    struct pb_field f;

    wal_conf_clear(out);
    for (; pb_next(&r, &f); from = r.at) {
        if (f.tag == PB_TAG(1, PB_VARINT))
            TRY(add_id(&out->voters, &out->voter_count, f.value, e));
        else if (f.tag == PB_TAG(2, PB_VARINT))
            TRY(add_id(&out->learners, &out->learner_count, f.value, e));
        else if (f.tag == PB_TAG(3, PB_VARINT) || f.tag == PB_TAG(4, PB_VARINT))
            out->joint = true;
        else if (f.tag != PB_TAG(5, PB_VARINT)) /* auto_leave */
            return unexpected(&r, from, p, "ConfState", e);
    }
    return pb_done(&r) ? RC_OK : refuse(&r, p, "ConfState", e);
}

enum rc wal_mark_parse(struct bytes p, struct wal_mark *out, struct err *e)
{
    AT_END(wal_mark_clear) struct wal_mark mark = { 0 };
    struct pb_reader r = pb_reader_of(p);
    const uint8_t *from = r.at;
    struct pb_field f;

    for (; pb_next(&r, &f); from = r.at) {
        if (f.tag == PB_TAG(1, PB_VARINT))
            mark.index = f.value;
        else if (f.tag == PB_TAG(2, PB_VARINT))
            mark.term = f.value;
        else if (f.tag == PB_TAG(3, PB_BYTES))
            TRY(parse_conf(f.bytes, &mark.conf, e));
        else if (f.tag == PB_TAG(OWN_FIELD, PB_BYTES))
            TRY(parse_conf(f.bytes, &mark.counted, e));
        else
            return unexpected(&r, from, p, "SNAPSHOT", e);
        mark.has_conf |= f.tag == PB_TAG(3, PB_BYTES);
        mark.has_counted |= f.tag == PB_TAG(OWN_FIELD, PB_BYTES);
    }
    if (!pb_done(&r))
        return refuse(&r, p, "SNAPSHOT", e);
    *out = mark;
    mark = (struct wal_mark){ 0 };
    return RC_OK;
}

static enum rc parse_snapshot_metadata(struct bytes p, struct wal_snapshot *out,
                                       struct err *e)
{
    struct pb_reader r = pb_reader_of(p);
    struct pb_field f;

    while (pb_next(&r, &f)) {
        if (f.tag == PB_TAG(1, PB_BYTES))
            TRY(parse_conf(f.bytes, &out->conf, e));
        else if (f.tag == PB_TAG(2, PB_VARINT))
            out->index = f.value;
        else if (f.tag == PB_TAG(3, PB_VARINT))
            out->term = f.value;
    }
    return pb_done(&r) ? RC_OK : refuse(&r, p, "snapshot metadata", e);
}

enum rc wal_snapshot_parse(struct bytes p, struct wal_snapshot *out, struct err *e)
{
    AT_END(wal_snapshot_clear) struct wal_snapshot s = { 0 };
    struct pb_reader r = pb_reader_of(p);
    struct pb_field f;

    while (pb_next(&r, &f)) {
        if (f.tag == PB_TAG(1, PB_BYTES))
            s.store = f.bytes;
        else if (f.tag == PB_TAG(2, PB_BYTES))
            TRY(parse_snapshot_metadata(f.bytes, &s, e));
    }
    if (!pb_done(&r))
        return refuse(&r, p, "snapshot", e);
    *out = s;
    s = (struct wal_snapshot){ 0 };
    return RC_OK;
}

enum rc wal_metadata_put(struct buf *b, const struct wal_metadata *m, struct err *e)
{
    TRY(pb_put_u64(b, 1, m->node_id, e));
    return pb_put_u64(b, 2, m->cluster_id, e);
}

enum rc wal_state_put(struct buf *b, const struct wal_state *s, struct err *e)
{
    TRY(pb_put_u64(b, 1, s->term, e));
    TRY(pb_put_u64(b, 2, s->vote, e));
    return pb_put_u64(b, 3, s->commit, e);
}

enum rc wal_entry_put(struct buf *b, const struct wal_entry *entry, struct err *e)
{
    TRY(pb_put_u64(b, 1, entry->type, e));
    TRY(pb_put_u64(b, 2, entry->term, e));
    TRY(pb_put_u64(b, 3, entry->index, e));
    if (entry->data.n > 0)
        TRY(pb_put_bytes(b, 4, entry->data, e));
    return entry->note.n == 0 ? RC_OK : pb_put_bytes(b, OWN_FIELD, entry->note, e);
}

enum rc wal_change_put(struct buf *b, const struct wal_change *c, struct err *e)
{
    TRY(pb_put_u64(b, 1, c->id, e));
    TRY(pb_put_u64(b, 2, c->type, e));
    TRY(pb_put_u64(b, 3, c->node_id, e));
    return c->context.n == 0 ? RC_OK : pb_put_bytes(b, 4, c->context, e);
}

static enum rc put_conf(struct buf *b, uint32_t number, const struct wal_conf *c,
                        struct err *e)
{
    AT_END(buf_clear) struct buf inner = { 0 };

    for (size_t i = 0; i < c->voter_count; i++)
        TRY(pb_put_u64(&inner, 1, c->voters[i], e));
    for (size_t i = 0; i < c->learner_count; i++)
        TRY(pb_put_u64(&inner, 2, c->learners[i], e));
    TRY(pb_put_u64(&inner, 5, 0, e));
    return pb_put_bytes(b, number, (struct bytes){ inner.p, inner.n }, e);
}

enum rc wal_mark_put(struct buf *b, const struct wal_mark *m, struct err *e)
{
    TRY(pb_put_u64(b, 1, m->index, e));
    TRY(pb_put_u64(b, 2, m->term, e));
    if (m->has_conf)
        TRY(put_conf(b, 3, &m->conf, e));
    return m->has_counted ? put_conf(b, OWN_FIELD, &m->counted, e) : RC_OK;
}

enum rc wal_snapshot_put(struct buf *b, const struct wal_snapshot *s, struct err *e)
{
    AT_END(buf_clear) struct buf inner = { 0 };

    TRY(put_conf(&inner, 1, &s->conf, e));
    TRY(pb_put_u64(&inner, 2, s->index, e));
    TRY(pb_put_u64(&inner, 3, s->term, e));
    TRY(pb_put_bytes(b, 1, s->store, e));
    return pb_put_bytes(b, 2, (struct bytes){ inner.p, inner.n }, e);
}
