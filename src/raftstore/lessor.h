/* When leases end. Only the leader knows: a lease has its full time again when another
 * member takes over, as in etcd. What has expired is revoked through the log. */
#ifndef RAFTSTORE_LESSOR_H
#define RAFTSTORE_LESSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"

struct node;

struct lessor_entry {
    int64_t id, ttl;            /* seconds */
    uint64_t expires, asked_at; /* on the lessor's clock; asked_at 0: not yet */
};

struct lessor {
    struct lessor_entry *entries; /* by id; those of the machine, on the leader only */
    size_t count, room;
    bool dirty;
    uint64_t clock_ms, real_ms; /* ours stands still while the clock is frozen */
};

void lessor_tick(struct node *n);
void lessor_lead(struct node *n); /* we lead from now on */
void lessor_clear(struct lessor *l);

/* An applied request: does it change which leases there are? */
void lessor_applied(struct lessor *l, struct bytes request);

/* On the leader. False when there is no such lease any more. */
bool lessor_keep_alive(struct node *n, int64_t id, int64_t *ttl);
bool lessor_remaining(struct node *n, int64_t id, int64_t *seconds, int64_t *granted);

/* All leases, as etcd lists them: in the order in which they end, which only the leader
 * knows; elsewhere by id. The caller frees *out. */
enum rc lessor_list(struct node *n, struct lessor_entry **out, size_t *count,
                    struct err *e);

#endif
