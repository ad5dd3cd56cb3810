#include "raftstore/fsm.h"

#include <sys/mman.h>

#include "raftstore/image.h"
#include "util/log.h"
#include "util/os.h"

static enum rc apply_entry(struct fsm *f, uint64_t index, struct bytes command,
                           struct err *e)
{
    AT_END(machine_outcome_end) struct machine_outcome o = { 0 };
    struct payload p;

    TRY(payload_read(command, &p, e));
    const struct wal_entry entry = {
        .type = p.kind == PAYLOAD_CHANGE ? WAL_ENTRY_CONF_CHANGE : WAL_ENTRY_NORMAL,
        .term = p.term,
        .index = index,
        .data = p.body,
    };

    o.wants_reply = f->hooks.wanted != NULL && f->hooks.wanted(f->hooks.arg, p.id);
    TRY(machine_apply(f->machine, &entry, &o, e));
    f->applied_bytes += command.n;
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
    if (apply_entry(f, raft_last_applied(f->raft) + 1,
                    (struct bytes){ buffer->base, buffer->len }, &f->failure) != RC_OK)
        return told(f, RAFT_MALFORMED);
    return 0;
}

/* ---- snapshots -------------------------------------------------------------------- */

/* The entries up to `index` that were none of ours changed nothing. */
static enum rc catch (struct fsm *f, uint64_t index, struct err *e) {
    if (index > machine_index(f->machine))
        machine_set_index(f->machine, index, machine_term(f->machine));
    if (f->hooks.draws != NULL) TRY(f->hooks.draws(f->hooks.arg, index, e));
    return picture_take(f->machine, f->dir, &f->picture, e);
}

/* On the loop: the state is caught by forking. */
static int fsm_snapshot(struct raft_fsm *ops, struct raft_buffer *out[], unsigned *count)
{
    struct fsm *f = ops->data;
    struct raft_buffer *b = raft_calloc(1, sizeof *b);

    if (b == NULL || catch (f, raft_last_applied(f->raft), &f->failure) != RC_OK) {
        raft_free(b);
        return RAFT_BUSY; /* the next entry tries again */
    }
    f->applied_bytes = 0;
    *out = b;
    *count = 1;
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
    (*bufs)[0] = (struct raft_buffer){ .base = p, .len = (size_t)size };
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

enum rc fsm_take_snapshot(struct fsm *f, struct bytes image, struct err *e)
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

static int fsm_restore(struct raft_fsm *ops, struct raft_buffer *buffer)
{
    struct fsm *f = ops->data;

    if (buffer->len > 0 &&
        fsm_take_snapshot(f, (struct bytes){ buffer->base, buffer->len }, &f->failure) !=
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
        .minor = minor,
        .dir = dir,
    };
}

void fsm_clear(struct fsm *f)
{
    replace(f, NULL, NULL);
}
