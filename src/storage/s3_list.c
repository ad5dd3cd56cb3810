/* Lists come in pages, and a store may be wrong about any of them: keys out of order or
 * twice, a page that says there is more and does not say where. All pages are read before
 * anybody is told of the first key. */
#include <stdio.h>
#include <stdlib.h>

#include "storage/s3_inside.h"
#include "storage/s3_time.h"
#include "storage/s3_xml.h"
#include "util/log.h"
#include "util/str.h"

enum { KEYS_MAX = 1 << 20, PAGES_MAX = 10000, SWEEP_AGE_S = 24 * 3600 };

struct entry {
    char *key; /* as sent; then without the place's prefix */
    char *upload;
    uint64_t size;
    int64_t time_ms;
};

struct listing {
    struct entry *entries;
    size_t count, room;
    struct entry next; /* the one being read */
    bool truncated, encoded;
    bool unknown;          /* the store does not know such a list */
    char *marker, *second; /* where the next page begins */
};

static void drop(struct entry *x)
{
    mem_free(x->key);
    mem_free(x->upload);
    *x = (struct entry){ 0 };
}

static void listing_clear(struct listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        drop(&l->entries[i]);
    drop(&l->next);
    mem_free(l->entries);
    mem_free(l->marker);
    mem_free(l->second);
}

static enum rc set(char **to, const char *text, struct err *e)
{
    mem_free(*to);
    *to = mem_str(text);
    return *to == NULL ? err_set(e, RC_NOMEM, "no memory for a list") : RC_OK;
}

static enum rc push(struct listing *l, struct err *e)
{
    if (l->next.key == NULL)
        return RC_OK;
    if (l->count == KEYS_MAX)
        return err_set(e, RC_CORRUPT, "the store lists more than %d keys", KEYS_MAX);
    if (l->count == l->room) {
        size_t room = l->room == 0 ? 64 : l->room * 2;
        struct entry *more = mem_resize(l->entries, room, sizeof *more);

        if (more == NULL)
            return err_set(e, RC_NOMEM, "no memory for a list");
        l->entries = more;
        l->room = room;
    }
    l->entries[l->count++] = l->next;
    l->next = (struct entry){ 0 };
    return RC_OK;
}

/* Both kinds of list: objects, and uploads without an end. */
static enum rc take(void *arg, const char *path, const char *text, struct err *e)
{
    struct listing *l = arg;
    const char *leaf = strchr(path, '/');

    if (leaf == NULL)
        return RC_OK;
    leaf++;
    if (strcmp(leaf, "Contents") == 0 || strcmp(leaf, "Upload") == 0)
        return push(l, e);
    if (strcmp(leaf, "Contents/Key") == 0 || strcmp(leaf, "Upload/Key") == 0)
        return set(&l->next.key, text, e);
    if (strcmp(leaf, "Upload/UploadId") == 0)
        return set(&l->next.upload, text, e);
    if (strcmp(leaf, "NextContinuationToken") == 0 || strcmp(leaf, "NextKeyMarker") == 0)
        return set(&l->marker, text, e);
    if (strcmp(leaf, "NextUploadIdMarker") == 0)
        return set(&l->second, text, e);
    if (strcmp(leaf, "IsTruncated") == 0)
        l->truncated = strcmp(text, "true") == 0;
    if (strcmp(leaf, "EncodingType") == 0)
        l->encoded = strcmp(text, "url") == 0;
    if (strcmp(leaf, "Contents/Size") == 0 && !str_to_u64(text, &l->next.size))
        return err_set(e, RC_CORRUPT, "the store lists a size that is no number");
    if (strcmp(leaf, "Contents/LastModified") == 0 ||
        strcmp(leaf, "Upload/Initiated") == 0)
        (void)s3_time_from_iso(text, &l->next.time_ms);
    return RC_OK;
}

/* Decodes the keys of this page. */
static void decode(struct listing *l, size_t from)
{
    for (size_t i = from; l->encoded && i < l->count; i++)
        if (!s3_decode(l->entries[i].key))
            l->entries[i].key[0] = '\0'; /* no key of ours, and passed over */
}

static enum rc read_page(struct s3 *s, const struct s3_call *c, struct listing *l,
                         int64_t *now, struct err *e)
{
    S3_ANSWER a = { 0 };
    size_t from = l->count;
    enum rc rc;

    l->truncated = l->encoded = false;
    rc = s3_run(s, c, &a, e);
    l->unknown = a.status == 405 || a.status == 501;
    TRY(rc);
    *now = s3_now(&a);
    if (s3_xml_parse((struct bytes){ a.body.p, a.body.n }, take, l, e) != RC_OK)
        return err_wrap(e, "the list of bucket '%s'", s->place.bucket);
    decode(l, from);
    return RC_OK;
}

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Where the page that was read says that the next one begins. */
struct position {
    char *marker, *second;
};

static void position_clear(struct position *p)
{
    mem_free(p->marker);
    mem_free(p->second);
}

/* `c` has room for the markers, under these two names, behind `fixed` pairs. */
static enum rc read_all(struct s3 *s, struct s3_call *c, size_t fixed,
                        const char *const names[2], struct listing *l, int64_t *now,
                        struct err *e)
{
    AT_END(position_clear) struct position at = { 0 };
    unsigned page = 0;

    do {
        position_clear(&at);
        at = (struct position){ GIVE(l->marker), GIVE(l->second) };
        if (at.marker != NULL)
            c->query[fixed] = (struct s3_param){ names[0], at.marker };
        if (at.second != NULL)
            c->query[fixed + 1] = (struct s3_param){ names[1], at.second };
        TRY(read_page(s, c, l, now, e));
        if (l->truncated &&
            (++page == PAGES_MAX || l->marker == NULL ||
             (is_same(at.marker, l->marker) && is_same(at.second, l->second))))
            return err_set(e, RC_CORRUPT,
                           "the store's list of bucket '%s' goes round in circles",
                           s->place.bucket);
    } while (l->truncated);
    return RC_OK;
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return strcmp(x->key, y->key);
}

/* Behind the place's prefix; NULL for what is no key of ours. */
static const char *own_key(const struct s3 *s, const struct entry *x)
{
    size_t n = strlen(s->place.prefix);

    if (strncmp(x->key, s->place.prefix, n) != 0 || !store_is_key(x->key + n))
        return NULL;
    return x->key + n;
}

static enum rc tell(const struct s3 *s, struct listing *l, const char *prefix,
                    store_list_fn *fn, void *arg, struct err *e)
{
    const char *before = NULL;

    if (l->count > 0)
        qsort(l->entries, l->count, sizeof l->entries[0], by_key);
    for (size_t i = 0; i < l->count; i++) {
        const char *key = own_key(s, &l->entries[i]);
        struct store_info info = { .key = key,
                                   .size = l->entries[i].size,
                                   .modified_ms = l->entries[i].time_ms };

        if (key == NULL || strncmp(key, prefix, strlen(prefix)) != 0 ||
            (before != NULL && strcmp(before, key) == 0))
            continue;
        before = key;
        TRY(fn(arg, &info, e));
    }
    return RC_OK;
}

enum rc s3_list(struct store *base, const char *prefix, store_list_fn *fn, void *arg,
                struct err *e)
{
    static const char *const markers[2] = { "continuation-token", NULL };
    struct s3 *s = (struct s3 *)base;
    AT_END(mem_end) char *whole = NULL;
    AT_END(listing_clear) struct listing l = { 0 };
    struct s3_call c = { .operation = "ListObjectsV2", .method = "GET" };
    int64_t now;

    TRY(str_format(&whole, e, "%s%s", s->place.prefix, prefix));
    c.query[0] = (struct s3_param){ "list-type", "2" };
    c.query[1] = (struct s3_param){ "encoding-type", "url" };
    c.query[2] = (struct s3_param){ "prefix", whole };
    TRY(read_all(s, &c, 3, markers, &l, &now, e));
    return tell(s, &l, prefix, fn, arg, e);
}

/* ---- what crashed puts left ---- */

static enum rc abort_upload(struct s3 *s, const struct entry *x, const char *key,
                            uint64_t *swept, struct err *e)
{
    S3_ANSWER a = { 0 };
    struct s3_call c = { .operation = "AbortMultipartUpload",
                         .method = "DELETE",
                         .key = key,
                         .query = { { "uploadId", x->upload } } };
    enum rc rc = s3_run(s, &c, &a, e);

    if (s3_is_absent(&a))
        return RC_OK;
    if (rc == RC_OK)
        (*swept)++;
    return rc;
}

enum rc s3_sweep_older(struct s3 *s, const char *prefix, int64_t age_s, uint64_t *swept,
                       struct err *e)
{
    static const char *const markers[2] = { "key-marker", "upload-id-marker" };
    AT_END(mem_end) char *whole = NULL;
    AT_END(listing_clear) struct listing l = { 0 };
    struct s3_call c = { .operation = "ListMultipartUploads", .method = "GET" };
    int64_t now = 0;
    enum rc rc;

    TRY(str_format(&whole, e, "%s%s", s->place.prefix, prefix));
    c.query[0] = (struct s3_param){ "uploads", "" };
    c.query[1] = (struct s3_param){ "encoding-type", "url" };
    c.query[2] = (struct s3_param){ "prefix", whole };
    rc = read_all(s, &c, 3, markers, &l, &now, e);
    if (rc != RC_OK && l.unknown)
        log_info("%s does not list uploads without an end", s->base.name);
    if (rc != RC_OK)
        return l.unknown ? RC_OK : rc;
    for (size_t i = 0; i < l.count; i++) {
        const struct entry *x = &l.entries[i];
        const char *key = own_key(s, x);

        if (key != NULL && x->upload != NULL && x->time_ms != 0 &&
            strncmp(key, prefix, strlen(prefix)) == 0 && x->time_ms / 1000 + age_s <= now)
            TRY(abort_upload(s, x, key, swept, e));
    }
    return RC_OK;
}

enum rc s3_sweep(struct store *s, const char *prefix, uint64_t *swept, struct err *e)
{
    return s3_sweep_older((struct s3 *)s, prefix, SWEEP_AGE_S, swept, e);
}
