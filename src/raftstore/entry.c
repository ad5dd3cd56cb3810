#include "raftstore/entry.h"

#include "codec/pb.h"
#include "raftstore/payload.h"

enum { HEADER_FIELD = 100, BARRIER_SIZE = 8 };

static enum rc of_command(const struct raft_entry *entry, struct wal_entry *out,
                          struct err *e)
{
    struct payload p;

    TRY(payload_read((struct bytes){ entry->buf.base, entry->buf.len }, &p, e));
    out->data = p.body;
    if (p.kind == PAYLOAD_CHANGE)
        out->type = WAL_ENTRY_CONF_CHANGE;
    return RC_OK;
}

enum rc entry_write(const struct raft_entry *entry, uint64_t index, struct buf *out,
                    struct err *e)
{
    struct wal_entry w = { .term = entry->term, .index = index };

    if (entry->type == RAFT_COMMAND)
        TRY(of_command(entry, &w, e));
    else if (entry->type == RAFT_CHANGE)
        w.note = (struct bytes){ entry->buf.base, entry->buf.len };
    return wal_entry_put(out, &w, e);
}

/* InternalRaftRequest.header.ID; 0 for a request that has none. */
static uint64_t number_of_request(struct bytes request)
{
    struct pb_reader r = pb_reader_of(request);
    struct pb_field f;

    while (pb_next(&r, &f))
        if (f.tag == PB_TAG(HEADER_FIELD, PB_BYTES)) {
            struct pb_reader header = pb_reader_of(f.bytes);

            while (pb_next(&header, &f))
                if (f.tag == PB_TAG(1, PB_VARINT))
                    return f.value;
            return 0;
        }
    return 0;
}

static enum rc command(const struct wal_entry *entry, struct raft_entry *out,
                       struct err *e)
{
    struct payload p = { .kind = PAYLOAD_REQUEST,
                         .term = entry->term,
                         .body = entry->data };
    struct wal_change change;

    out->type = RAFT_COMMAND;
    if (entry->type == WAL_ENTRY_CONF_CHANGE) {
        TRY(wal_change_parse(entry->data, &change, e));
        p.kind = PAYLOAD_CHANGE;
        p.id = change.id;
    } else {
        p.id = number_of_request(entry->data);
    }
    return payload_write(&p, &out->buf, e);
}

/* The bytes, in memory that libraft frees; some, for it takes none for no memory. */
static enum rc copied(struct bytes from, struct raft_buffer *out, struct err *e)
{
    out->len = from.n == 0 ? BARRIER_SIZE : from.n;
    out->base = raft_calloc(1, out->len);
    if (out->base == NULL)
        return err_set(e, RC_NOMEM, "no memory for a log entry");
    if (from.n > 0)
        memcpy(out->base, from.p, from.n);
    return RC_OK;
}

enum rc entry_read(const struct wal_entry *entry, struct raft_entry *out, struct err *e)
{
    *out = (struct raft_entry){ .term = entry->term };
    if (entry->type == WAL_ENTRY_CONF_CHANGE_V2)
        return err_set(e, RC_CORRUPT, "an entry of a type that etcd never writes");
    if (entry->data.n > 0)
        return command(entry, out, e);
    out->type = entry->note.n > 0 ? RAFT_CHANGE : RAFT_BARRIER;
    return copied(entry->note, &out->buf, e);
}
