#include "raftstore/fsm.h"

#include <sys/mman.h>

#include "codec/message.h"
#include "raftstore/image.h"
#include "util/log.h"
#include "util/os.h"

static const char snapshot_magic[8] = "HOLDSNAP";

static enum rc apply_request(struct fsm *f, const struct payload *p,
                             struct machine_outcome *o, struct err *e)
{
    AT_END(codec_end) Raftreq__InternalRaftRequest *r = NULL;

    TRY(codec_unpack(&raftreq__internal_raft_request__descriptor, p->body, &r, e));
    return machine_request(f->machine, r, o, e);
}

static enum rc apply_change(struct fsm *f, const struct payload *p,
                            struct machine_outcome *o, struct err *e)
{
    struct wal_change change;

    TRY(wal_change_parse(p->body, &change, e));
    return machine_change(f->machine, &change, o, e);
}

uint64_t fsm_index(const struct fsm *f)
{
    return f->offset + raft_last_applied(f->raft);
}

enum rc fsm_apply_entry(struct fsm *f, uint64_t index, struct bytes entry, struct err *e)
{
    AT_END(machine_outcome_end) struct machine_outcome o = { 0 };
    struct payload p;

    TRY(payload_read(entry, &p, e));
    o.wants_reply = f->hooks.wanted != NULL && f->hooks.wanted(f->hooks.arg, p.id);
    TRY(p.kind == PAYLOAD_CHANGE ? apply_change(f, &p, &o, e)
                                 : apply_request(f, &p, &o, e));
    machine_set_index(f->machine, f->offset + index, p.term);
    f->applied_bytes += entry.n;
    if (f->hooks.applied != NULL)
        f->hooks.applied(f->hooks.arg, &p, &o);
    return RC_OK;
}

static int told(const struct fsm *f, int status)
{
    log_warn("the state machine cannot go on: %s", f->failure.why);
    return f->failure.code == RC_NOMEM ? RAFT_NOMEM : status;
}

static int fsm_apply(struct raft_fsm *ops, const struct raft_buffer *buffer,
                     void **result)
{
    struct fsm *f = ops->data;

    *result = NULL;
    /* libraft counts the entry as applied when this returns. */
    if (fsm_apply_entry(f, raft_last_applied(f->raft) + 1,
                        (struct bytes){ buffer->base, buffer->len },
                        &f->failure) != RC_OK)
        return told(f, RAFT_MALFORMED);
    return 0;
}

/* ---- snapshots -------------------------------------------------------------------- */

/* On the loop: the state is caught by forking, the header made. */
static int fsm_snapshot(struct raft_fsm *ops, struct raft_buffer *out[], unsigned *count)
{
    struct fsm *f = ops->data;
    struct raft_buffer *b = raft_calloc(2, sizeof *b);
    uint8_t *header = raft_calloc(1, FSM_SNAPSHOT_HEADER);

    if (b == NULL || header == NULL ||
        picture_take(f->machine, f->dir, &f->picture, &f->failure) != RC_OK) {
        raft_free(b);
        raft_free(header);
        return RAFT_BUSY; /* the next entry tries again */
    }
    memcpy(header, snapshot_magic, sizeof snapshot_magic);
    put_le64(header + 8, f->offset);
    b[0] = (struct raft_buffer){ .base = header, .len = FSM_SNAPSHOT_HEADER };
    f->applied_bytes = 0;
    *out = b;
    *count = 2;
    return 0;
}

/* On a thread: the child is waited for. The file's pages are libraft's buffer. */
static int fsm_snapshot_async(struct raft_fsm *ops, struct raft_buffer *bufs[],
                              unsigned *count)
{
    struct fsm *f = ops->data;
    uint64_t size;
    struct err e;
    void *p;

    (void)count;
    if (picture_wait(&f->picture, &size, &e) != RC_OK)
        return RAFT_IOERR;
    p = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, f->picture.fd, 0);
    if (p == MAP_FAILED)
        return RAFT_NOMEM;
    f->mapped = p;
    f->mapped_size = (size_t)size;
    (*bufs)[1] = (struct raft_buffer){ .base = p, .len = (size_t)size };
    return 0;
}

/* On the loop, however it ended. */
static int fsm_snapshot_finalize(struct raft_fsm *ops, struct raft_buffer *bufs[],
                                 unsigned *count)
{
    struct fsm *f = ops->data;

    if (f->mapped != NULL)
        munmap(f->mapped, f->mapped_size);
    f->mapped = NULL;
    picture_clear(&f->picture);
    if (*bufs != NULL)
        raft_free((*bufs)[0].base);
    raft_free(*bufs);
    *bufs = NULL;
    *count = 0;
    return 0;
}

static void replace(struct fsm *f, struct machine *machine, struct bolt_file *file)
{
    machine_free(f->machine);
    bolt_file_free(f->file);
    f->machine = machine;
    f->file = file;
}

static enum rc restore(struct fsm *f, struct bytes image, struct err *e)
{
    OWNED(bolt_file) file = NULL;
    OWNED(machine) machine = NULL;
    OWNED_FD int fd = -1;

    TRY(image_scratch(f->dir, &fd, e));
    TRY(os_pwrite_full(fd, image.p, image.n, 0, "a snapshot's image", e));
    TRY(image_load(fd, "a snapshot's image", f->minor, &file, &machine, e));
    replace(f, GIVE(machine), GIVE(file));
    return RC_OK;
}

enum rc fsm_take_snapshot(struct fsm *f, struct bytes snapshot, struct err *e)
{
    if (snapshot.n < FSM_SNAPSHOT_HEADER ||
        memcmp(snapshot.p, snapshot_magic, sizeof snapshot_magic) != 0)
        return err_set(e, RC_CORRUPT, "a raft snapshot of another kind");
    TRY(restore(f,
                (struct bytes){ snapshot.p + FSM_SNAPSHOT_HEADER,
                                snapshot.n - FSM_SNAPSHOT_HEADER },
                e));
    f->offset = le64(snapshot.p + 8);
    return RC_OK;
}

static int fsm_restore(struct raft_fsm *ops, struct raft_buffer *buffer)
{
    struct fsm *f = ops->data;

    if (fsm_take_snapshot(f, (struct bytes){ buffer->base, buffer->len }, &f->failure) !=
        RC_OK)
        return told(f, RAFT_CORRUPT);
    raft_free(buffer->base);
    f->applied_bytes = 0;
    if (f->hooks.restored != NULL)
        f->hooks.restored(f->hooks.arg);
    return 0;
}

void fsm_init(struct fsm *f, struct raft *raft, int minor, const char *dir,
              struct machine *machine, struct bolt_file *file)
{
    *f = (struct fsm){
        .ops = { .version = 3,
                 .data = f,
                 .apply = fsm_apply,
                 .snapshot = fsm_snapshot,
                 .restore = fsm_restore,
                 .snapshot_finalize = fsm_snapshot_finalize,
                 .snapshot_async = fsm_snapshot_async },
        .picture = { .fd = -1, .done = -1 },
        .raft = raft,
        .machine = machine,
        .file = file,
        .offset = machine_index(machine),
        .minor = minor,
        .dir = dir,
    };
}

void fsm_clear(struct fsm *f)
{
    replace(f, NULL, NULL);
}
