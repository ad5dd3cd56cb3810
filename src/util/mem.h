/* The allocation seam: every allocation of our own goes through here, so that
 * tests can make the n-th one fail. */
#ifndef UTIL_MEM_H
#define UTIL_MEM_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"
#include "util/own.h"

/* Tests point this at a function that says "fail this one"; NULL otherwise. */
extern bool (*mem_fault)(void);

/* Zeroed memory; NULL when there is none. */
void *mem_zero(size_t size);

/* The same as an error: RC_NOMEM names `what` the memory was for. */
enum rc mem_new(void *out, size_t size, const char *what, struct err *e);

/* Not zeroed, for blocks that go to and from disks: contiguous where the kernel can, for
 * a direct request of scattered pages takes a disk two to three times as long. Aligned to
 * MEM_BLOCK_ALIGN; ends with mem_free. */
enum { MEM_BLOCK_ALIGN = 2 << 20 };
enum rc mem_block(void *out, size_t size, const char *what, struct err *e);

/* Like reallocarray: contents kept, new part not zeroed; NULL leaves `p` as it was. */
void *mem_resize(void *p, size_t count, size_t size);
void *mem_copy(const void *p, size_t n);  /* NULL when there is none; n may be 0 */
char *mem_str(const char *s);             /* strdup */
char *mem_str_n(const char *s, size_t n); /* the first n bytes, and a NUL */
void mem_free(void *p);

/* Overwrites before freeing; for keys and passwords. */
void mem_wipe(void *p, size_t n);

/* `text` is a heap string as an ownable object: OWNED(text) t. */
struct text;
static inline void text_free(struct text *t)
{
    mem_free(t);
}
OWN_DEFINE(text)

/* For plain heap pointers: AT_END(mem_end) char *s = ... */
static inline void mem_end(void *held)
{
    mem_free(*(void **)held);
}

#endif
