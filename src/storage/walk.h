/* The objects of a place that has directories, in order of their keys' bytes: for drivers
 * whose other side lists one directory at a time. */
#ifndef STORAGE_WALK_H
#define STORAGE_WALK_H

#include "storage/store.h"

struct walk_entry {
    char *name; /* one part of a key; heap */
    bool directory;
    uint64_t size;
    int64_t modified_ms;
};

struct walk_entries {
    struct walk_entry *items;
    size_t count, cap;
};

/* Anything that is no part of a key is passed over; RC_CORRUPT beyond a million entries,
 * which no honest place has. */
enum rc walk_add(struct walk_entries *l, const struct walk_entry *entry, struct err *e);
void walk_entries_clear(struct walk_entries *l);

struct walk {
    /* Adds what is in the directory `prefix`, "" or ending in '/'. RC_NOTFOUND when it is
     * not there (any more). */
    enum rc (*list)(void *place, const char *prefix, struct walk_entries *out,
                    struct err *e);
    store_list_fn *file; /* may be NULL */
    /* After all that is in a directory; may be NULL. */
    enum rc (*leave)(void *arg, const char *prefix, struct err *e);
    void *place, *arg;
};

/* Looks at stop_wanted(). Nothing below `prefix` is RC_OK. */
enum rc walk_below(const struct walk *w, const char *prefix, struct err *e);

#endif
