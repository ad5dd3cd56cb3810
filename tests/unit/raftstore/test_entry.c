#include "raftstore/entry.h"

#include "codec/message.h"
#include "raftstore/payload.h"
#include "tests/lib/case.h"

/* Through the WAL's bytes and back. */
static void pass(const struct raft_entry *in, struct wal_entry *between,
                 struct buf *bytes, struct raft_entry *out)
{
    struct err e = { 0 };

    OK(entry_write(in, 12, bytes, &e), &e);
    OK(wal_entry_parse((struct bytes){ bytes->p, bytes->n }, between, &e), &e);
    cr_assert_eq(between->index, 12);
    cr_assert_eq(between->term, in->term);
    OK(entry_read(between, out, &e), &e);
    cr_assert_eq(out->type, in->type);
    cr_assert_eq(out->term, in->term);
}

static void make_command(enum payload_kind kind, uint64_t id, struct bytes body,
                         struct raft_entry *out)
{
    const struct payload p = { .kind = kind, .term = 5, .id = id, .body = body };
    struct err e = { 0 };

    *out = (struct raft_entry){ .type = RAFT_COMMAND, .term = 5 };
    OK(payload_write(&p, &out->buf, &e), &e);
}

static void same_command(enum payload_kind kind, uint64_t id, struct bytes body,
                         struct wal_entry *between, struct buf *bytes)
{
    struct raft_entry in, out;
    struct payload p;
    struct err e = { 0 };

    make_command(kind, id, body, &in);
    pass(&in, between, bytes, &out);
    OK(payload_read((struct bytes){ out.buf.base, out.buf.len }, &p, &e), &e);
    cr_assert_eq(p.kind, kind);
    cr_assert_eq(p.id, id, "the number that is inside");
    cr_assert_eq(p.term, 5);
    cr_assert(bytes_equal(p.body, body));
    cr_assert(bytes_equal(between->data, body), "as an etcd reads it");
    raft_free(in.buf.base);
    raft_free(out.buf.base);
}

CASE(entry, a_request_is_a_normal_entry)
{
    Raftreq__InternalRaftRequest r;
    Raftreq__RequestHeader header;
    AT_END(buf_clear) struct buf body = { 0 };
    AT_END(buf_clear) struct buf bytes = { 0 };
    struct wal_entry between;
    struct err e = { 0 };

    raftreq__internal_raft_request__init(&r);
    raftreq__request_header__init(&header);
    header.id = 0x1122334455667788;
    r.header = &header;
    OK(codec_pack(&r, &body, &e), &e);
    same_command(PAYLOAD_REQUEST, header.id, (struct bytes){ body.p, body.n }, &between,
                 &bytes);
    cr_assert_eq(between.type, WAL_ENTRY_NORMAL);
}

CASE(entry, a_change_is_a_change)
{
    const struct wal_change c = { .id = 77, .node_id = 9, .type = WAL_CHANGE_REMOVE };
    AT_END(buf_clear) struct buf body = { 0 };
    AT_END(buf_clear) struct buf bytes = { 0 };
    struct wal_entry between;
    struct err e = { 0 };

    OK(wal_change_put(&body, &c, &e), &e);
    same_command(PAYLOAD_CHANGE, 77, (struct bytes){ body.p, body.n }, &between, &bytes);
    cr_assert_eq(between.type, WAL_ENTRY_CONF_CHANGE);
}

/* To an etcd both are what a new leader begins with. */
CASE(entry, what_only_libraft_needs_has_no_data)
{
    static const char conf[16] = "a configuration";
    struct raft_entry barrier = { .type = RAFT_BARRIER, .term = 3 };
    struct raft_entry change = { .type = RAFT_CHANGE, .term = 3 };
    AT_END(buf_clear) struct buf first = { 0 };
    AT_END(buf_clear) struct buf second = { 0 };
    struct wal_entry between;
    struct raft_entry out;

    pass(&barrier, &between, &first, &out);
    cr_assert_eq(between.type, WAL_ENTRY_NORMAL);
    cr_assert_eq(between.data.n + between.note.n, 0);
    raft_free(out.buf.base);

    change.buf = (struct raft_buffer){ (void *)(uintptr_t)conf, sizeof conf };
    pass(&change, &between, &second, &out);
    cr_assert_eq(between.type, WAL_ENTRY_NORMAL);
    cr_assert_eq(between.data.n, 0);
    cr_assert_eq(out.buf.len, sizeof conf);
    cr_assert_eq(memcmp(out.buf.base, conf, sizeof conf), 0);
    raft_free(out.buf.base);
}

CASE(entry, what_is_no_command_is_refused)
{
    uint8_t other[24] = { 9 };
    const struct raft_entry in = { .type = RAFT_COMMAND, .buf = { other, sizeof other } };
    const struct wal_entry v2 = { .type = WAL_ENTRY_CONF_CHANGE_V2 };
    const struct wal_entry change = { .type = WAL_ENTRY_CONF_CHANGE,
                                      .data = bytes_str("\xff\xff") };
    AT_END(buf_clear) struct buf bytes = { 0 };
    struct raft_entry out;
    struct err e = { 0 };

    cr_assert_eq(entry_write(&in, 1, &bytes, &e), RC_CORRUPT);
    cr_assert_eq(entry_read(&v2, &out, &e), RC_CORRUPT);
    cr_assert_eq(entry_read(&change, &out, &e), RC_CORRUPT);
}
