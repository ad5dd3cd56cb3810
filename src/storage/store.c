#include "storage/store.h"

#include <string.h>

#include "storage/driver.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

enum {
    KEY_MAX = 512,
    PART_MAX = 200, /* leaves room for a driver's temporary name in 255 */
    DEADLINE_MS = 15 * 60 * 1000,
    STALL_MS = 60 * 1000,
};

/* ---- keys
 * ------------------------------------------------------------------------------ */

static bool is_key_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '_' || c == '-';
}

/* Its length, or 0. */
static size_t key_part(const char *p)
{
    size_t n = 0;

    while (is_key_character(p[n]))
        n++;
    return n > PART_MAX || p[0] == '.' ? 0 : n;
}

bool store_is_key(const char *key)
{
    const char *p = key;

    if (strnlen(key, KEY_MAX + 1) > KEY_MAX)
        return false;
    for (;;) {
        size_t n = key_part(p);

        if (n == 0 || (p[n] != '/' && p[n] != '\0'))
            return false;
        if (p[n] == '\0')
            return true;
        p += n + 1;
    }
}

static enum rc refuse_key(const char *what, const char *key, struct err *e)
{
    char shown[100];

    str_printable(shown, sizeof shown, bytes_str(key));
    return err_set(e, RC_USAGE, "'%s' is no %s of an object", shown, what);
}

static enum rc check_key(const char *key, struct err *e)
{
    return store_is_key(key) ? RC_OK : refuse_key("key", key, e);
}

static enum rc check_prefix(const char *prefix, struct err *e)
{
    char key[KEY_MAX + 1];
    size_t n = strnlen(prefix, sizeof key);

    if (n == 0)
        return RC_OK;
    if (n >= sizeof key || prefix[n - 1] != '/')
        return refuse_key("prefix", prefix, e);
    memcpy(key, prefix, n - 1);
    key[n - 1] = '\0';
    return store_is_key(key) ? RC_OK : refuse_key("prefix", prefix, e);
}

/* ---- opening
 * --------------------------------------------------------------------------- */

struct kind {
    const char *begins;
    store_open_fn *open;
    store_check_fn *check;
};

static const struct kind directory = { "", store_open_directory, store_check_directory };

static const struct kind kinds[] = {
    { "file://", store_open_directory, store_check_directory },
    { "sftp://", store_open_sftp, store_check_sftp },
    { "memory:", store_open_memory, store_check_memory },
    { "s3://", store_open_s3, store_check_s3 },
};

static const struct kind *kind_of(const char *url)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strncmp(url, kinds[i].begins, strlen(kinds[i].begins)) == 0)
            return &kinds[i];
    return url[0] != '\0' && strstr(url, "://") == NULL ? &directory : NULL;
}

static enum rc no_place(const char *url, struct err *e)
{
    char shown[200];

    str_printable(shown, sizeof shown, bytes_str(url));
    return err_set(e, RC_USAGE,
                   "'%s' names no place that objects can be kept in" HINT
                   "give a directory, file:///DIR, s3://BUCKET/PREFIX or "
                   "sftp://USER@HOST/DIR",
                   shown);
}

enum rc store_open(const struct store_options *o, struct store **out, struct err *e)
{
    const char *url = o->url == NULL ? "" : o->url;
    const struct kind *k = kind_of(url);

    return k == NULL ? no_place(url, e) : k->open(o, out, e);
}

enum rc store_check_url(const char *url, struct err *e)
{
    const struct kind *k = kind_of(url);

    return k == NULL ? no_place(url, e) : k->check(url, e);
}

enum rc store_new(const struct store_ops *ops, size_t size, const char *name, void *out,
                  struct err *e)
{
    OWNED(store) s = NULL;

    TRY(mem_new(&s, size, "a store", e));
    s->name = mem_str(name);
    if (s->name == NULL)
        return err_set(e, RC_NOMEM, "no memory for the name of a store");
    s->ops = ops;
    *(struct store **)out = GIVE(s);
    return RC_OK;
}

void store_free(struct store *s)
{
    if (s == NULL)
        return;
    if (s->ops != NULL && s->ops->release != NULL)
        s->ops->release(s);
    mem_free(s->name);
    mem_free(s);
}

const char *store_name(const struct store *s)
{
    return s->name;
}

uint64_t store_deadline_ms(const struct store_options *o)
{
    return o->deadline_ms == 0 ? DEADLINE_MS : o->deadline_ms;
}

uint64_t store_stall_ms(const struct store_options *o)
{
    return o->stall_ms == 0 ? STALL_MS : o->stall_ms;
}

/* ---- what all drivers say
 * -------------------------------------------------------------- */

enum rc store_missing(const struct store *s, const char *key, struct err *e)
{
    return err_set(e, RC_NOTFOUND, "there is no '%s' in %s", key, s->name);
}

enum rc store_taken(const struct store *s, const char *key, struct err *e)
{
    return err_set(e, RC_REFUSED,
                   "'%s' exists already in %s" HINT "what is stored is never overwritten",
                   key, s->name);
}

static enum rc refuse_lock(const struct store *s, const char *key, struct err *e)
{
    return err_set(e, RC_REFUSED,
                   "'%s' cannot be locked against deletion: %s has no locks" HINT
                   "use a bucket with object lock",
                   key, s->name);
}

/* ---- objects
 * --------------------------------------------------------------------------- */

enum rc store_put_new(struct store *s, const char *key, const struct store_put *o,
                      struct sink **out, struct err *e)
{
    static const struct store_put none = { 0 };
    const struct store_put *p = o == NULL ? &none : o;

    TRY(check_key(key, e));
    if (p->keep_until != 0 && !s->ops->locks)
        return refuse_lock(s, key, e);
    return s->ops->put_new(s, key, p, out, e);
}

enum rc store_put_bytes(struct store *s, const char *key, const struct store_put *o,
                        struct bytes content, struct err *e)
{
    struct store_put sized = o == NULL ? (struct store_put){ 0 } : *o;
    OWNED(sink) to = NULL;

    sized.expected_size = content.n;
    TRY(store_put_new(s, key, &sized, &to, e));
    TRY(sink_write(to, content.p, content.n, e));
    return sink_finish(to, e);
}

enum rc store_get(struct store *s, const char *key, struct sink *to, struct err *e)
{
    TRY(check_key(key, e));
    TRY(s->ops->get(s, key, to, e));
    return sink_finish(to, e);
}

enum rc store_get_bytes(struct store *s, const char *key, uint64_t max, struct buf *out,
                        struct err *e)
{
    AT_END(buf_clear) struct buf got = { .cap_max = max == 0 ? 1 : max };
    OWNED(sink) to = NULL;
    enum rc rc;

    TRY(buf_sink_new(&got, &to, e));
    rc = store_get(s, key, to, e);
    if (rc != RC_OK)
        return rc;
    *out = got;
    got = (struct buf){ 0 };
    return RC_OK;
}

enum rc store_stat(struct store *s, const char *key, struct store_info *out,
                   struct err *e)
{
    struct store_info found = { 0 };

    TRY(check_key(key, e));
    TRY(s->ops->stat(s, key, &found, e));
    found.key = key;
    *out = found;
    return RC_OK;
}

enum rc store_list(struct store *s, const char *prefix, store_list_fn *fn, void *arg,
                   struct err *e)
{
    TRY(check_prefix(prefix, e));
    return s->ops->list(s, prefix, fn, arg, e);
}

enum rc store_remove(struct store *s, const char *key, struct err *e)
{
    TRY(check_key(key, e));
    return s->ops->remove(s, key, e);
}

enum rc store_sweep(struct store *s, const char *prefix, uint64_t *swept, struct err *e)
{
    uint64_t count = 0;
    enum rc rc;

    TRY(check_prefix(prefix, e));
    rc = s->ops->sweep(s, prefix, &count, e);
    *swept = count;
    return rc;
}

/* ---- probing
 * --------------------------------------------------------------------------- */

static const char first[] = "first", second[] = "second";

enum rc store_try_exclusive(struct store *s, const char *scratch, bool *exclusive,
                            struct err *e)
{
    AT_END(buf_clear) struct buf back = { 0 };
    struct err refusal = { 0 };
    enum rc rc;

    TRY(store_put_bytes(s, scratch, NULL, bytes_str(first), e));
    rc = store_put_bytes(s, scratch, NULL, bytes_str(second), &refusal);
    if (rc != RC_OK && rc != RC_REFUSED) {
        *e = refusal;
        return rc;
    }
    TRY(store_get_bytes(s, scratch, sizeof second, &back, e));
    *exclusive = rc == RC_REFUSED && bytes_is((struct bytes){ back.p, back.n }, first);
    return RC_OK;
}

#define SCRATCH "probe-"
enum { SCRATCH_RANDOM = 8 };

/* Both contents are shorter than this, and never half there. */
bool store_is_scratch(const struct store_info *info)
{
    const char *slash = strrchr(info->key, '/');
    const char *name = slash == NULL ? info->key : slash + 1;
    uint8_t random[SCRATCH_RANDOM];

    return strncmp(name, SCRATCH, sizeof SCRATCH - 1) == 0 &&
           str_unhex(name + sizeof SCRATCH - 1, random, sizeof random) &&
           info->size <= sizeof second;
}

enum rc store_probe(struct store *s, const char *prefix, struct store_traits *out,
                    struct err *e)
{
    AT_END(mem_end) char *scratch = NULL;
    struct store_traits found = { 0 };
    struct err ignored = { 0 };
    uint8_t random[SCRATCH_RANDOM];
    char hex[2 * SCRATCH_RANDOM + 1];
    enum rc rc;

    TRY(check_prefix(prefix, e));
    TRY(os_random(random, sizeof random, e));
    str_hex(hex, random, sizeof random);
    TRY(str_format(&scratch, e, "%s" SCRATCH "%s", prefix, hex));
    rc = s->ops->probe(s, scratch, &found, e);
    if (rc != RC_OK) {
        /* The first failure is the one to tell. */
        (void)s->ops->remove(s, scratch, &ignored);
        return err_wrap(e, "trying what %s can do", s->name);
    }
    rc = s->ops->remove(s, scratch, e);
    if (rc != RC_OK && !(rc == RC_REFUSED && found.lockable))
        return rc;
    *out = found;
    return RC_OK;
}
