/* A store in front of another that goes wrong on purpose: it fails, cuts, loses answers,
 * drops, alters, and goes back to what was. For tests of whoever uses storage/store.h. */
#ifndef TESTS_STORE_FAULTSTORE_H
#define TESTS_STORE_FAULTSTORE_H

#include "storage/store.h"

enum store_call {
    STORE_ANY,
    STORE_PUT, /* counted when it finishes */
    STORE_GET,
    STORE_STAT,
    STORE_LIST,
    STORE_REMOVE,
    STORE_CALLS,
};

enum store_fault {
    STORE_FAILS,  /* nothing happens on the other side; `rc` */
    STORE_CUTS,   /* a put or get: half of it goes through; `rc` */
    STORE_LOSES,  /* all of it happens, and the answer is `rc` */
    STORE_DROPS,  /* a put or remove: nothing happens, and the answer is RC_OK */
    STORE_ALTERS, /* a get: the byte in the middle is another, and the answer is RC_OK */
};

struct store_plan {
    enum store_call call;
    unsigned nth;    /* from 1, of the calls that fit, since it was armed */
    const char *key; /* only keys that have this in them; NULL: any. Borrowed */
    enum store_fault fault;
    enum rc rc;
};

/* `inner` is borrowed. */
struct store *faultstore_new(struct store *inner);

/* Replaces what was planned before. Every later call goes well again. */
void faultstore_arm(struct store *s, const struct store_plan *plan);
bool faultstore_disarm(struct store *s); /* did it go off? */

/* Calls so far. */
unsigned faultstore_count(const struct store *s, enum store_call call);

/* All objects as they are now; and back to that, as a store that was restored from an
 * older copy of itself. */
void faultstore_remember(struct store *s);
void faultstore_roll_back(struct store *s);

/* One byte of a stored object changes where it lies. */
void store_flip(struct store *s, const char *key, uint64_t at);

/* Run the body with the first call failing, then the second, and so on, until a whole run
 * passes without the fault going off. */
#define STORE_SWEEP(s, which, nth_, how, code)                                   \
    for (unsigned nth_ = 1, more_ = 1;                                           \
         more_ != 0 && (faultstore_arm(s, &(struct store_plan){ .call = (which), \
                                                                .nth = nth_,     \
                                                                .fault = (how),  \
                                                                .rc = (code) }), \
                        1);                                                      \
         more_ = faultstore_disarm(s), nth_++)

#endif
