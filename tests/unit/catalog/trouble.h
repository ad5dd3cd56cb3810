/* A store in memory whose calls can be made to go wrong, or to be preceded by somebody
 * else's. */
#ifndef TESTS_UNIT_CATALOG_TROUBLE_H
#define TESTS_UNIT_CATALOG_TROUBLE_H

#include "storage/store.h"

enum trouble_kind {
    TROUBLE_NONE,
    TROUBLE_BEFORE, /* the change is not made, and the caller is told RC_NET */
    TROUBLE_AFTER,  /* the change is made, and the caller is told RC_NET */
    TROUBLE_DEAD,   /* from the nth change on everything fails: the process was killed */
};

struct trouble {
    enum trouble_kind kind;
    unsigned nth;     /* change (put or remove), from 1 */
    unsigned changes; /* so far */
    unsigned gets;
    void (*meanwhile)(void *arg, const char *key); /* before each put; may be NULL */
    void (*glance)(void *arg);                     /* before each list; may be NULL */
    void *arg;
    bool careless; /* a put without replace replaces: a store that is not exclusive */
};

/* Over `inner`, borrowed; `t` is the caller's to set at any time. */
struct store *trouble_store(struct store *inner, struct trouble *t);

/* An empty store in memory. */
struct store *memory_store(void);

/* The keys below `prefix`, joined by blanks. */
const char *store_listing(struct store *s, const char *prefix);

#endif
