#include "raftstore/disk.h"

#include "util/mem.h"

enum { TICK_MS = 2 };

#define AT_CLOSE UINT64_MAX

/* Types of messages; their names, but not their numbers, changed after libraft 0.15. */
enum { APPEND_ENTRIES = 1, APPEND_ENTRIES_RESULT = 2, INSTALL_SNAPSHOT = 5 };

/* Something that happens later: a send that waits or was dropped, or a write that is
 * durable and not told yet. */
struct deferred {
    struct deferred *next;
    uint64_t due;
    struct raft_io_send *send;
    raft_io_send_cb sent;
    struct raft_message message; /* its address is `address` */
    char address[160];
    bool drop;
    struct raft_io_append *append;
    raft_io_append_cb appended;
    struct raft_io_snapshot_put *put;
    raft_io_snapshot_put_cb was_put;
    int status;
};

/* libraft knows nothing of us: one member a process, one disk. */
static struct disk *the_disk;

static void act(struct disk *d, struct deferred *it, bool closing)
{
    int status = it->status;

    if (it->append != NULL) {
        it->appended(it->append, status);
    } else if (it->put != NULL) {
        it->was_put(it->put, status);
    } else if (closing) {
        it->sent(it->send, RAFT_CANCELED);
    } else {
        status = it->drop ? RAFT_NOCONNECTION
                          : d->inner.send(d->io, it->send, &it->message, it->sent);
        if (status != 0)
            it->sent(it->send, status);
    }
    mem_free(it);
}

static void on_tick(uv_timer_t *timer)
{
    struct disk *d = timer->data;

    while (d->queue != NULL && d->queue->due <= uv_now(d->loop)) {
        struct deferred *it = d->queue;

        d->queue = it->next;
        act(d, it, false);
    }
    if (d->queue == NULL)
        uv_timer_stop(timer);
}

static void defer(struct disk *d, struct deferred *it, uint64_t ms)
{
    struct deferred **at = &d->queue;

    it->due = ms == AT_CLOSE ? AT_CLOSE : uv_now(d->loop) + ms;
    while (*at != NULL && (*at)->due <= it->due)
        at = &(*at)->next;
    it->next = *at;
    *at = it;
    if (!uv_is_active((uv_handle_t *)&d->timer))
        uv_timer_start(&d->timer, on_tick, TICK_MS, TICK_MS);
}

/* ---- messages --------------------------------------------------------------------- */

static int send_message(struct raft_io *io, struct raft_io_send *req,
                        const struct raft_message *message, raft_io_send_cb cb)
{
    struct disk *d = the_disk;
    bool pass = faults_pass(d->faults, message->server_id, FAULT_OUT);
    struct deferred *it;

    if (pass && d->faults->delay_ms == 0)
        return d->inner.send(io, req, message, cb);
    it = mem_zero(sizeof *it);
    if (it == NULL)
        return RAFT_NOMEM;
    *it =
        (struct deferred){ .send = req, .sent = cb, .message = *message, .drop = !pass };
    for (size_t i = 0; message->server_address[i] != 0 && i + 1 < sizeof it->address; i++)
        it->address[i] = message->server_address[i];
    it->message.server_address = it->address;
    defer(d, it, pass ? d->faults->delay_ms : 0);
    return 0;
}

static void note(struct disk *d, uint64_t id, uint64_t last_index)
{
    struct disk_heard *at = &d->heard[0];

    for (size_t i = 0; i < DISK_MEMBERS; i++) {
        if (d->heard[i].id == id || d->heard[i].id == 0) {
            at = &d->heard[i];
            break;
        }
        if (d->heard[i].at_ms < at->at_ms)
            at = &d->heard[i];
    }
    *at = (struct disk_heard){ .id = id,
                               .last_index = last_index,
                               .at_ms = uv_now(d->loop) };
}

const struct disk_heard *disk_heard(const struct disk *d, uint64_t id)
{
    for (size_t i = 0; i < DISK_MEMBERS; i++)
        if (d->heard[i].id == id)
            return &d->heard[i];
    return NULL;
}

/* As libraft throws away what comes while it is unavailable. */
static void discard(struct raft_message *message)
{
    if ((int)message->type == APPEND_ENTRIES) {
        if (message->append_entries.entries != NULL) {
            raft_free(message->append_entries.entries[0].batch);
            raft_free(message->append_entries.entries);
        }
    } else if ((int)message->type == INSTALL_SNAPSHOT) {
        raft_configuration_close(&message->install_snapshot.conf);
        raft_free(message->install_snapshot.data.base);
    }
}

static void receive(struct raft_io *io, struct raft_message *message)
{
    struct disk *d = the_disk;

    if (!faults_pass(d->faults, message->server_id, FAULT_IN)) {
        discard(message);
        return;
    }
    if ((int)message->type == APPEND_ENTRIES_RESULT)
        note(d, message->server_id,
             message->append_entries_result.rejected != 0
                 ? 0
                 : message->append_entries_result.last_log_index);
    d->recv(io, message);
}

static int start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick,
                 raft_io_recv_cb recv)
{
    the_disk->recv = recv;
    return the_disk->inner.start(io, msecs, tick, receive);
}

/* ---- writes ----------------------------------------------------------------------- */

static void on_written(struct raft_io_append *req, int status)
{
    struct deferred *it = req->data;

    mem_free(req);
    it->status = status;
    if (the_disk->faults->slow_disk_ms == 0 && the_disk->queue == NULL)
        act(the_disk, it, false);
    else
        defer(the_disk, it, the_disk->faults->slow_disk_ms);
}

static const char *broken(const struct faults *f)
{
    if (f->full_disk)
        return "write of the log: no space left on device";
    return f->fail_fsync ? "fsync of the log: input/output error" : NULL;
}

/* Told later, without a write: the disk lies, or it failed and the member ends. libraft
 * does not survive two writes that fail one after the other, so it learns when it is
 * closed, of the last one first. */
static int pretend(struct disk *d, struct raft_io_append *req, raft_io_append_cb cb,
                   int status)
{
    struct deferred *it = mem_zero(sizeof *it);

    if (it == NULL)
        return RAFT_NOMEM;
    *it = (struct deferred){ .append = req, .appended = cb, .status = status };
    defer(d, it, status != 0 ? AT_CLOSE : d->faults->slow_disk_ms);
    return 0;
}

static int append_slowly(struct disk *d, struct raft_io_append *req,
                         const struct raft_entry entries[], unsigned n,
                         raft_io_append_cb cb)
{
    struct raft_io_append *own = mem_zero(sizeof *own);
    struct deferred *it = mem_zero(sizeof *it);
    int status = RAFT_NOMEM;

    if (own != NULL && it != NULL) {
        *it = (struct deferred){ .append = req, .appended = cb };
        own->data = it;
        status = d->inner.append(d->io, own, entries, n, on_written);
    }
    if (status != 0) {
        mem_free(own);
        mem_free(it);
    }
    return status;
}

static int append(struct raft_io *io, struct raft_io_append *req,
                  const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct disk *d = the_disk;

    if (broken(d->faults) != NULL) {
        d->failed(d->arg, broken(d->faults));
        return pretend(d, req, cb, RAFT_IOERR);
    }
    if (d->faults->lying_disk)
        return pretend(d, req, cb, 0);
    if (d->faults->slow_disk_ms == 0 && d->queue == NULL)
        return d->inner.append(io, req, entries, n, cb);
    return append_slowly(d, req, entries, n, cb);
}

/* What was never written cannot be cut off. */
static int cut_off(struct raft_io *io, raft_index index)
{
    return the_disk->faults->lying_disk ? 0 : the_disk->inner.truncate(io, index);
}

/* A disk that lies keeps no snapshot either. */
static int snapshot_put(struct raft_io *io, unsigned trailing,
                        struct raft_io_snapshot_put *req,
                        const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    struct deferred *it;

    if (!the_disk->faults->lying_disk)
        return the_disk->inner.snapshot_put(io, trailing, req, snapshot, cb);
    it = mem_zero(sizeof *it);
    if (it == NULL)
        return RAFT_NOMEM;
    *it = (struct deferred){ .put = req, .was_put = cb, .status = RAFT_IOERR };
    defer(the_disk, it, 0);
    return 0;
}

static void close_io(struct raft_io *io, raft_io_close_cb cb)
{
    struct disk *d = the_disk;
    struct deferred *backwards = NULL;

    uv_timer_stop(&d->timer);
    while (d->queue != NULL) {
        struct deferred *it = d->queue;

        d->queue = it->next;
        it->next = backwards;
        backwards = it;
    }
    d->queue = backwards;
    while (d->queue != NULL) {
        struct deferred *it = d->queue;

        d->queue = it->next;
        act(d, it, true);
    }
    d->inner.close(io, cb);
}

void disk_init(struct disk *d, struct raft_io *io, uv_loop_t *loop,
               const struct faults *faults)
{
    *d = (struct disk){ .io = io, .faults = faults, .loop = loop, .inner = *io };
    uv_timer_init(loop, &d->timer);
    d->timer.data = d;
    the_disk = d;
#ifdef TO_RAFT_TRIBOOL /* libraft 0.15, which has work on threads and hides it */
    if (io->async_work != NULL && io->version < 2)
        io->version = 2;
#endif
    io->start = start;
    io->send = send_message;
    io->append = append;
    io->truncate = cut_off;
    io->snapshot_put = snapshot_put;
    io->close = close_io;
}

void disk_close(struct disk *d)
{
    uv_close((uv_handle_t *)&d->timer, NULL);
}
