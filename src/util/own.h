/* Ownership that the compiler ends: OWNED(type) frees at the end of its scope,
 * GIVE(x) hands the object on and leaves NULL behind. There is no goto. */
#ifndef UTIL_OWN_H
#define UTIL_OWN_H

#define OWNED(type) [[gnu::cleanup(type##_end_of_scope_)]] struct type *

/* Makes OWNED(type) work for a type that has `void type_free(struct type *)`. */
#define OWN_DEFINE(type)                                        \
    static inline void type##_end_of_scope_(struct type **held) \
    {                                                           \
        type##_free(*held);                                     \
    }

#define GIVE(held)                   \
    __extension__({                  \
        __auto_type given_ = (held); \
        (held) = NULL;               \
        given_;                      \
    })

/* Runs `fn(&variable)` when an automatic variable leaves its scope. */
#define AT_END(fn) [[gnu::cleanup(fn)]]

#endif
