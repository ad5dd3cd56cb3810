#include "wal/raft_ids.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/sha1.h"
#include "util/bytes.h"
#include "util/mem.h"

static enum rc cut_id(const struct buf *b, uint64_t *out, struct err *e)
{
    uint8_t digest[SHA1_SIZE];

    TRY(sha1((struct bytes){ b->p, b->n }, digest, e));
    *out = be64(digest);
    return RC_OK;
}

static enum rc copy_of(const void *items, size_t count, size_t size, void *out,
                       struct err *e)
{
    void *copy = mem_copy(items, count * size);

    if (copy == NULL)
        return err_set(e, RC_NOMEM, "no memory for a sorted copy");
    memcpy(out, &copy, sizeof copy);
    return RC_OK;
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;

    return strcmp(*x, *y);
}

enum rc wal_member_id(const char *const *peer_urls, size_t count, const char *token,
                      uint64_t *out, struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = 1 << 20 };
    AT_END(mem_end) const char **urls = NULL;

    TRY(copy_of(peer_urls, count, sizeof *urls, &urls, e));
    qsort(urls, count, sizeof *urls, by_text);
    for (size_t i = 0; i < count; i++)
        TRY(buf_add(&b, urls[i], strlen(urls[i]), e));
    TRY(buf_add(&b, token, strlen(token), e));
    return cut_id(&b, out, e);
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

enum rc wal_cluster_id(const uint64_t *member_ids, size_t count, uint64_t *out,
                       struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = 1 << 20 };
    AT_END(mem_end) uint64_t *ids = NULL;

    TRY(copy_of(member_ids, count, sizeof *ids, &ids, e));
    qsort(ids, count, sizeof *ids, by_number);
    for (size_t i = 0; i < count; i++) {
        uint8_t id[8];

        put_be64(id, ids[i]);
        TRY(buf_add(&b, id, sizeof id, e));
    }
    return cut_id(&b, out, e);
}
