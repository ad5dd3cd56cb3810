/* The ways to lock: lock.c chooses one. */
#ifndef CATALOG_LOCK_INSIDE_H
#define CATALOG_LOCK_INSIDE_H

#include <stdio.h>

#include "catalog/lock.h"
#include "catalog/record.h"
#include "util/os.h"

enum { LOCK_OWNER_SIZE = 128, LOCK_NONCE_SIZE = 33 };

struct way;

struct lock {
    const struct way *way; /* NULL until it is held */
    char cluster[RECORD_NAME_SIZE], owner[LOCK_OWNER_SIZE];
    uint64_t term_ms, renewed;

    int fd; /* kernel */

    struct store *store; /* fence */
    uint64_t number, beat;
    char nonce[LOCK_NONCE_SIZE];
    uint64_t seen_number; /* whose beat `seen` has been standing still since `seen_at` */
    struct buf seen;
    uint64_t seen_at;

    const struct lock_lease *lease;
};

/* RC_LOCKED: not now. */
enum rc lock_kernel_try(struct lock *l, const struct lock_options *o, struct err *e);
enum rc lock_kernel_look(struct lock *l, struct err *e);
void lock_kernel_release(struct lock *l);
enum rc lock_kernel_break(struct lock *l, const struct lock_options *o, bool *held,
                          char owner[static LOCK_OWNER_SIZE], struct err *e);

enum rc lock_fence_try(struct lock *l, const struct lock_options *o, struct err *e);
enum rc lock_fence_look(struct lock *l, struct err *e);
void lock_fence_release(struct lock *l);
enum rc lock_fence_break(struct lock *l, bool *held, char owner[static LOCK_OWNER_SIZE],
                         struct err *e);

#endif
