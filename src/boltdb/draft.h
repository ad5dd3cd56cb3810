/* A page in the making: elements are added until it is full, then the first n of them
 * become a page and leave. Internal to boltdb/. */
#ifndef BOLTDB_DRAFT_H
#define BOLTDB_DRAFT_H

#include "boltdb/file.h"

struct draft_element {
    uint32_t flags, key_size, value_size;
    uint64_t child; /* of a branch */
};

/* Zero-initialise with its kind, end with draft_clear. */
struct draft {
    enum bolt_page_kind kind;
    struct draft_element *elements;
    uint32_t count, cap;
    struct buf data; /* key, value, key, value ... */
    uint64_t size;   /* of the page it would be: header, elements, data */
};
void draft_clear(struct draft *d);

/* RC_NOMEM only. A child's key is added with no value. */
enum rc draft_add(struct draft *d, const struct draft_element *element, struct bytes key,
                  struct bytes value, struct err *e);

/* Borrowed until the next draft_add. */
struct bytes draft_first_key(const struct draft *d);
struct bytes draft_last_key(const struct draft *d);

/* Bytes of a page with the first n elements, without padding. */
uint64_t draft_size_of(const struct draft *d, uint32_t n);

typedef enum rc draft_put(void *arg, const void *p, size_t n, struct err *e);

/* The page of the first n elements, in pieces, without padding. */
enum rc draft_write(const struct draft *d, uint32_t n, uint64_t id, uint32_t overflow,
                    draft_put *put, void *arg, struct err *e);
void draft_drop(struct draft *d, uint32_t n);

#endif
