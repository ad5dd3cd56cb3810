#include "util/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

bool (*mem_fault)(void);

static bool fails(void)
{
    return mem_fault != NULL && mem_fault();
}

void *mem_zero(size_t size)
{
    return fails() ? NULL : calloc(1, size == 0 ? 1 : size);
}

enum rc mem_new(void *out, size_t size, const char *what, struct err *e)
{
    void *p = mem_zero(size);

    if (p == NULL)
        return err_set(e, RC_NOMEM, "no memory for %s (%zu bytes)", what, size);
    memcpy(out, &p, sizeof p);
    return RC_OK;
}

/* The advice may be refused, as where huge pages are off; nothing depends on it. */
enum rc mem_block(void *out, size_t size, const char *what, struct err *e)
{
    size_t whole = (size + MEM_BLOCK_ALIGN - 1) / MEM_BLOCK_ALIGN * MEM_BLOCK_ALIGN;
    void *p = fails() ? NULL : aligned_alloc(MEM_BLOCK_ALIGN, whole);

    if (p == NULL)
        return err_set(e, RC_NOMEM, "no memory for %s (%zu bytes)", what, size);
    (void)madvise(p, whole, MADV_HUGEPAGE);
    memcpy(out, &p, sizeof p);
    return RC_OK;
}

void *mem_resize(void *p, size_t count, size_t size)
{
    return fails() ? NULL : reallocarray(p, count == 0 ? 1 : count, size);
}

void *mem_copy(const void *p, size_t n)
{
    void *copy = mem_zero(n);

    if (copy != NULL && n > 0)
        memcpy(copy, p, n);
    return copy;
}

char *mem_str_n(const char *s, size_t n)
{
    char *copy = mem_zero(n + 1);

    if (copy != NULL)
        memcpy(copy, s, n);
    return copy;
}

char *mem_str(const char *s)
{
    return mem_str_n(s, strlen(s));
}

void mem_free(void *p)
{
    free(p);
}

void mem_wipe(void *p, size_t n)
{
    if (p != NULL)
        explicit_bzero(p, n);
}
