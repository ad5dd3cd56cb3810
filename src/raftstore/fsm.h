/* The machine under libraft: entries of the log are applied, snapshots are images.
 *
 * libraft's index is etcd's. Barriers and configurations count, too, and are not seen
 * here: a snapshot says of which index it is. An empty snapshot stands for the state that
 * is there already, as a member begins with it.
 */
#ifndef RAFTSTORE_FSM_H
#define RAFTSTORE_FSM_H

#include <raft.h>

#include "boltdb/file.h"
#include "machine/machine.h"
#include "raftstore/payload.h"
#include "raftstore/picture.h"

/* What happens is told to whoever waits. All may be NULL. */
struct fsm_hooks {
    void *arg;
    bool (*wanted)(void *arg, uint64_t id); /* is the reply of this proposal needed? */
    /* After each entry, before the next: `o` is borrowed. */
    void (*applied)(void *arg, const struct payload *p, struct machine_outcome *o);
    void (*restored)(void *arg); /* another machine took the place of the old one */
    /* A snapshot is taken of the machine, which is that of `index` now. */
    enum rc (*draws)(void *arg, uint64_t index, struct err *e);
};

struct fsm {
    struct raft_fsm ops; /* give this to raft_init; its data is this struct */
    struct raft *raft;
    struct machine *machine;
    struct bolt_file *file; /* what the machine's records borrow from; may be NULL */
    int minor;
    const char *dir; /* for scratch files */
    struct fsm_hooks hooks;
    struct picture picture; /* of the snapshot that is being taken */
    void *mapped;           /* its file */
    size_t mapped_size;
    uint64_t applied_bytes; /* since the last snapshot */
    struct err failure;     /* why libraft was told to stop */
};

/* Takes over machine and file (may be NULL). */
void fsm_init(struct fsm *f, struct raft *raft, int minor, const char *dir,
              struct machine *machine, struct bolt_file *file);
void fsm_clear(struct fsm *f);

/* Take a snapshot's content: RC_CORRUPT, RC_NOMEM, RC_STORAGE. */
enum rc fsm_take_snapshot(struct fsm *f, struct bytes image, struct err *e);

#endif
