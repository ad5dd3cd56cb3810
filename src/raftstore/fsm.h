/* The machine under libraft: entries of the log are applied, snapshots are images.
 *
 * libraft counts its log from 1, and barriers and configuration changes count too. The
 * members were there before its first entry, and after a restore a whole database was, so
 * etcd's index is libraft's plus `offset`. A snapshot carries the offset along:
 *
 *     8  "HOLDSNAP"     8  offset, little end first     the image
 */
#ifndef RAFTSTORE_FSM_H
#define RAFTSTORE_FSM_H

#include <raft.h>

#include "boltdb/file.h"
#include "machine/machine.h"
#include "raftstore/payload.h"
#include "raftstore/picture.h"

enum { FSM_SNAPSHOT_HEADER = 16 };

/* What happens is told to whoever waits. All may be NULL. */
struct fsm_hooks {
    void *arg;
    bool (*wanted)(void *arg, uint64_t id); /* is the reply of this proposal needed? */
    /* After each entry, before the next: `o` is borrowed. */
    void (*applied)(void *arg, const struct payload *p, struct machine_outcome *o);
    void (*restored)(void *arg); /* another machine took the place of the old one */
};

struct fsm {
    struct raft_fsm ops; /* give this to raft_init; its data is this struct */
    struct raft *raft;
    struct machine *machine;
    struct bolt_file *file; /* what the machine's records borrow from; may be NULL */
    uint64_t offset;
    int minor;
    const char *dir; /* for scratch files */
    struct fsm_hooks hooks;
    struct picture picture; /* of the snapshot that is being taken */
    void *mapped;           /* its file */
    size_t mapped_size;
    uint64_t applied_bytes; /* since the last snapshot */
    struct err failure;     /* why libraft was told to stop */
};

/* Takes over machine and file (may be NULL), whose index becomes the offset. */
void fsm_init(struct fsm *f, struct raft *raft, int minor, const char *dir,
              struct machine *machine, struct bolt_file *file);
void fsm_clear(struct fsm *f);

/* etcd's index of the last entry applied. */
uint64_t fsm_index(const struct fsm *f);

/* What libraft's calls come down to, for who reads a log without it: apply the command at
 * libraft's `index`; take a snapshot's content. RC_CORRUPT, RC_NOMEM, RC_STORAGE. */
enum rc fsm_apply_entry(struct fsm *f, uint64_t index, struct bytes entry, struct err *e);
enum rc fsm_take_snapshot(struct fsm *f, struct bytes snapshot, struct err *e);

#endif
