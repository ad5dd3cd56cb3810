/* What the control socket breaks on purpose. Everything is off at first. */
#ifndef RAFTSTORE_FAULTS_H
#define RAFTSTORE_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

enum { FAULTS_LINKS = 16 };

enum fault_way { FAULT_IN = 1, FAULT_OUT = 2 };

struct fault_link {
    uint64_t peer;
    unsigned cut; /* enum fault_way, both may be set */
};

struct faults {
    struct fault_link links[FAULTS_LINKS];
    unsigned delay_ms;       /* of each message to a peer */
    unsigned slow_disk_ms;   /* before a write counts as durable */
    bool full_disk;          /* the next write to the log fails */
    bool fail_fsync;         /* so does this, with another text */
    bool lying_disk;         /* writes are acknowledged and not made */
    bool clock_frozen;       /* leases do not age */
    bool corrupt_snapshot;   /* a bit of each streamed snapshot is flipped */
    bool endless_snapshot;   /* Snapshot sends empty messages for ever */
    bool stall_snapshot;     /* Snapshot stops in the middle */
    uint64_t truncate_after; /* Snapshot breaks off after so many bytes; 0: not */
};

/* May a message pass between us and `peer`? */
bool faults_pass(const struct faults *f, uint64_t peer, enum fault_way way);

/* Cut the ways that are set, heal the others; false when there is no room. */
bool faults_cut(struct faults *f, uint64_t peer, unsigned ways);

#endif
