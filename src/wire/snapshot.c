#include "wire/snapshot.h"

#include <inttypes.h>
#include <string.h>

#include "codec/pb.h"
#include "util/log.h"
#include "util/str.h"
#include "wire/call.h"
#include "wire/maintenance.h"

enum {
    EMPTY_MESSAGES_MAX = 3,
    SECTOR = 512, /* every page size is a multiple of it */
    RATE_MIN = 16 << 10,
};
#define SLACK ((uint64_t)64 << 20)
#define MAX_UNTOLD ((uint64_t)64 << 30)

struct stream {
    struct wire_client *c;
    struct sink *to;
    uint64_t max_bytes;
    uint64_t *announced;
    uint64_t left;    /* database bytes still to come */
    unsigned empties; /* messages in a row that brought nothing */
    struct wire_snapshot told;
};

/* An etcdserverpb.SnapshotResponse: they come by the ten thousand, so they are read in
 * place. */
struct portion {
    uint64_t remaining;
    struct bytes blob, version;
};

static enum rc portion_read(struct bytes message, struct portion *out, struct err *e)
{
    struct pb_reader r = pb_reader_of(message);
    struct portion m = { 0 };
    struct pb_field f;

    while (pb_next(&r, &f))
        switch (f.tag) {
        case PB_TAG(2, PB_VARINT):
            m.remaining = f.value;
            break;
        case PB_TAG(3, PB_BYTES):
            m.blob = f.bytes;
            break;
        case PB_TAG(4, PB_BYTES):
            m.version = f.bytes;
            break;
        default:
            break;
        }
    if (!pb_done(&r))
        return err_set(e, RC_CORRUPT, "%zu bytes are no valid SnapshotResponse message",
                       message.n);
    *out = m;
    return RC_OK;
}

#define BAD(s, ...) \
    ((s)->c->last.detail = WIRE_BAD_STREAM, err_set(e, RC_CORRUPT, __VA_ARGS__))

/* The first message fixes the size that everything after it must add up to. */
static enum rc begin(struct stream *s, const struct portion *m, struct err *e)
{
    uint64_t total;

    if (__builtin_add_overflow(m->remaining, (uint64_t)m->blob.n, &total) || total == 0 ||
        total % SECTOR != 0)
        return BAD(s,
                   "the stream begins with %zu bytes and announces %" PRIu64
                   " more, which is no database",
                   m->blob.n, m->remaining);
    if (total > s->max_bytes)
        return BAD(s,
                   "the member announces a database of %" PRIu64
                   " bytes, the limit is %" PRIu64,
                   total, s->max_bytes);
    s->told.db_size = s->left = total;
    if (s->announced != NULL)
        *s->announced = total + WIRE_TRAILER_SIZE;
    str_printable(s->told.version, sizeof s->told.version, m->version);
    return RC_OK;
}

/* A member that cannot read its disk goes on sending empty messages for ever
 * (etcd 3.4 to 3.5); see also the deadline, which counts bytes. */
static enum rc take_nothing(struct stream *s, struct err *e)
{
    if (++s->empties < EMPTY_MESSAGES_MAX)
        return RC_OK;
    s->c->last.detail = WIRE_READ_ERROR;
    return err_set(e, RC_CORRUPT,
                   "the member sends empty messages with %" PRIu64
                   " bytes still to come: its disk probably returned a read error" HINT
                   "take the snapshot from another member, and look at this one's "
                   "kernel log",
                   s->left);
}

static enum rc take_database(struct stream *s, const struct portion *m, struct err *e)
{
    uint64_t size = m->blob.n;

    if (size > s->left || m->remaining != s->left - size)
        return BAD(s,
                   "message %" PRIu64 " brings %" PRIu64 " bytes and leaves %" PRIu64
                   ", but %" PRIu64 " were still to come",
                   s->told.messages, size, m->remaining, s->left);
    if (size == 0)
        return take_nothing(s, e);
    s->empties = 0;
    s->left -= size;
    return RC_OK;
}

/* What follows the database is the trailer, in however many messages. */
static enum rc take_trailer(struct stream *s, const struct portion *m, struct err *e)
{
    uint64_t have = s->told.bytes - s->told.db_size;

    if (m->remaining != 0)
        return BAD(s, "the stream announces %" PRIu64 " more bytes after its end",
                   m->remaining);
    if (m->blob.n > WIRE_TRAILER_SIZE - have)
        return BAD(s, "%" PRIu64 " bytes follow the database instead of a trailer of %d",
                   have + m->blob.n, WIRE_TRAILER_SIZE);
    if (m->blob.n == 0)
        return BAD(s, "an empty message follows the database");
    memcpy(s->told.trailer + have, m->blob.p, m->blob.n);
    return RC_OK;
}

static enum rc on_message(void *arg, struct bytes message, struct err *e)
{
    struct stream *s = arg;
    struct portion m;

    TRY(portion_read(message, &m, e));
    if (s->told.messages++ == 0)
        TRY(begin(s, &m, e));
    if (s->left > 0)
        TRY(take_database(s, &m, e));
    else
        TRY(take_trailer(s, &m, e));
    TRY(sink_write(s->to, m.blob.p, m.blob.n, e));
    s->told.bytes += m.blob.n;
    progress("receive", s->told.bytes, s->told.db_size + WIRE_TRAILER_SIZE);
    return RC_OK;
}

static enum rc check_whole(struct stream *s, struct err *e)
{
    if (s->told.messages == 0)
        return BAD(s, "the stream is empty");
    if (s->left > 0)
        return BAD(s, "the stream ended %" PRIu64 " bytes before the database did",
                   s->left);
    if (s->told.bytes - s->told.db_size != WIRE_TRAILER_SIZE)
        return BAD(s, "the stream ended without its SHA-256 trailer");
    return RC_OK;
}

/* A database may grow between the question and the stream, not by half. */
static enum rc choose_limit(struct wire_client *c, size_t endpoint, uint64_t given,
                            uint64_t *out, struct err *e)
{
    struct wire_status status = { 0 };
    struct err refusal = { 0 };
    enum rc rc;

    *out = given;
    if (given != 0)
        return RC_OK;
    rc = wire_status_get(c, endpoint, &status, &refusal);
    if (rc != RC_OK && rc != RC_AUTH) {
        *e = refusal;
        return rc;
    }
    *out = MAX_UNTOLD;
    if (rc == RC_OK && status.db_size > 0 && status.db_size < MAX_UNTOLD)
        *out = status.db_size + status.db_size / 2 + SLACK;
    wire_status_clear(&status);
    return RC_OK;
}

/* Until the first byte has reached the sink a failed login can be made good. */
static enum rc receive(struct stream *s, const struct wire_call *q,
                       const struct wire_stream *w, struct err *e)
{
    enum rc rc = wire_exchange(s->c, q, q->endpoint, w, e);

    if (rc != RC_AUTH || s->told.messages > 0 || !wire_login_again(s->c))
        return rc;
    TRY(wire_login(s->c, e));
    return wire_exchange(s->c, q, q->endpoint, w, e);
}

enum rc wire_snapshot_take(struct wire_client *c, size_t endpoint,
                           const struct wire_snapshot_options *o, struct sink *to,
                           struct wire_snapshot *out, struct err *e)
{
    Etcdrpc__SnapshotRequest request = ETCDRPC__SNAPSHOT_REQUEST__INIT;
    struct stream s = { .c = c, .to = to, .announced = o->announced };
    struct wire_call q = {
        .method = "Maintenance/Snapshot",
        .request = &request,
        .endpoint = endpoint,
        .role = WIRE_ROOT,
        .lone = true,
        .timeout_ms = UINT64_MAX,
    };
    struct wire_stream w = {
        .on_message = on_message,
        .arg = &s,
        .progress = &s.told.bytes,
        .rate_min = o->rate_min == 0 ? RATE_MIN : o->rate_min,
    };

    TRY(wire_login_once(c, e));
    TRY(choose_limit(c, endpoint, o->max_bytes, &s.max_bytes, e));
    enum rc rc = receive(&s, &q, &w, e);

    if (rc == RC_OK)
        rc = check_whole(&s, e);
    if (rc != RC_OK)
        return wire_call_failed(c, &q, e);
    *out = s.told;
    return RC_OK;
}
