/* Objects in memory, with locks, for tests: what a perfect place does. */
#include <string.h>

#include "storage/driver.h"
#include "util/clock.h"
#include "util/mem.h"

#define CONTENT_MAX (UINT64_C(1) << 30)

struct object {
    char *key;
    struct buf content;
    int64_t modified_ms, locked_until;
};

struct memory {
    struct store base;
    struct object *objects; /* in order of keys */
    size_t count;
};

/* The first object whose key is not before `key`. */
static size_t find(const struct memory *m, const char *key)
{
    size_t low = 0, high = m->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(m->objects[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct object *look_up(const struct memory *m, const char *key)
{
    size_t i = find(m, key);

    return i < m->count && strcmp(m->objects[i].key, key) == 0 ? &m->objects[i] : NULL;
}

static void object_clear(struct object *o)
{
    mem_free(o->key);
    buf_clear(&o->content);
}

static bool is_locked(const struct object *o)
{
    return o->locked_until * 1000 > clock_unix_ms();
}

static enum rc refuse_locked(const struct object *o, struct err *e)
{
    return err_set(e, RC_REFUSED, "'%s' is locked against deletion", o->key);
}

/* ---- put
 * ------------------------------------------------------------------------------- */

struct memory_put {
    struct sink base;
    struct memory *place;
    struct object made;
    bool replace;
};

static enum rc insert(struct memory *m, struct object *made, struct err *e)
{
    size_t i = find(m, made->key);
    struct object *objects = mem_resize(m->objects, m->count + 1, sizeof *objects);

    if (objects == NULL)
        return err_set(e, RC_NOMEM, "no memory for an object");
    m->objects = objects;
    memmove(objects + i + 1, objects + i, (m->count - i) * sizeof *objects);
    objects[i] = *made;
    m->count++;
    *made = (struct object){ 0 };
    return RC_OK;
}

static enum rc put_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    return buf_add(&((struct memory_put *)s)->made.content, p, n, e);
}

static enum rc put_finish(struct sink *s, struct err *e)
{
    struct memory_put *p = (struct memory_put *)s;
    struct object *there = look_up(p->place, p->made.key);

    p->made.modified_ms = clock_unix_ms();
    if (there == NULL)
        return insert(p->place, &p->made, e);
    if (!p->replace)
        return store_taken(&p->place->base, p->made.key, e);
    if (is_locked(there))
        return refuse_locked(there, e);
    object_clear(there);
    *there = p->made;
    p->made = (struct object){ 0 };
    return RC_OK;
}

static void put_release(struct sink *s)
{
    object_clear(&((struct memory_put *)s)->made);
}

static const struct sink_ops put_ops = {
    .name = "memory",
    .write = put_write,
    .finish = put_finish,
    .release = put_release,
};

static enum rc memory_put(struct store *s, const char *key, const struct store_put *o,
                          struct sink **out, struct err *e)
{
    struct memory *m = (struct memory *)s;
    OWNED(sink) made = NULL;
    struct memory_put *p = NULL;

    if (!o->replace && look_up(m, key) != NULL)
        return store_taken(s, key, e);
    TRY(mem_new(&p, sizeof *p, "an object under way", e));
    made = &p->base;
    p->base = (struct sink){ .ops = &put_ops };
    p->place = m;
    p->replace = o->replace;
    p->made.locked_until = o->keep_until;
    p->made.content.cap_max = CONTENT_MAX;
    p->made.key = mem_str(key);
    if (p->made.key == NULL)
        return err_set(e, RC_NOMEM, "no memory for the key '%s'", key);
    *out = GIVE(made);
    return RC_OK;
}

/* ---- everything else
 * -------------------------------------------------------------------- */

static enum rc memory_get(struct store *s, const char *key, struct sink *to,
                          struct err *e)
{
    const struct object *o = look_up((struct memory *)s, key);

    if (o == NULL)
        return store_missing(s, key, e);
    return sink_write(to, o->content.p, o->content.n, e);
}

static struct store_info info_of(const struct object *o)
{
    return (struct store_info){ o->key, o->content.n, o->modified_ms, o->locked_until };
}

static enum rc memory_stat(struct store *s, const char *key, struct store_info *out,
                           struct err *e)
{
    const struct object *o = look_up((struct memory *)s, key);

    if (o == NULL)
        return store_missing(s, key, e);
    *out = info_of(o);
    return RC_OK;
}

/* `fn` may put and remove: the place is found again by the key after every call. */
static enum rc memory_list(struct store *s, const char *prefix, store_list_fn *fn,
                           void *arg, struct err *e)
{
    struct memory *m = (struct memory *)s;
    size_t i = find(m, prefix);

    while (i < m->count && strncmp(m->objects[i].key, prefix, strlen(prefix)) == 0) {
        AT_END(mem_end) char *key = mem_str(m->objects[i].key);
        struct store_info info = info_of(&m->objects[i]);

        if (key == NULL)
            return err_set(e, RC_NOMEM, "no memory for a key");
        info.key = key;
        TRY(fn(arg, &info, e));
        i = find(m, key);
        i += i < m->count && strcmp(m->objects[i].key, key) == 0;
    }
    return RC_OK;
}

static enum rc memory_remove(struct store *s, const char *key, struct err *e)
{
    struct memory *m = (struct memory *)s;
    struct object *o = look_up(m, key);
    size_t i = o == NULL ? m->count : (size_t)(o - m->objects);

    if (o == NULL)
        return RC_OK;
    if (is_locked(o))
        return refuse_locked(o, e);
    object_clear(o);
    memmove(o, o + 1, (m->count - i - 1) * sizeof *o);
    m->count--;
    return RC_OK;
}

static enum rc memory_sweep(struct store *s, const char *prefix, uint64_t *swept,
                            struct err *e)
{
    (void)s;
    (void)prefix;
    (void)e;
    *swept = 0;
    return RC_OK;
}

static enum rc memory_probe(struct store *s, const char *scratch,
                            struct store_traits *out, struct err *e)
{
    TRY(store_try_exclusive(s, scratch, &out->exclusive, e));
    out->lockable = true;
    return RC_OK;
}

static void memory_release(struct store *s)
{
    struct memory *m = (struct memory *)s;

    for (size_t i = 0; i < m->count; i++)
        object_clear(&m->objects[i]);
    mem_free(m->objects);
}

static const struct store_ops memory_ops = {
    .locks = true,
    .put_new = memory_put,
    .get = memory_get,
    .stat = memory_stat,
    .list = memory_list,
    .remove = memory_remove,
    .sweep = memory_sweep,
    .probe = memory_probe,
    .release = memory_release,
};

enum rc store_check_memory(const char *url, struct err *e)
{
    if (strcmp(url, "memory:") == 0)
        return RC_OK;
    return err_set(e, RC_USAGE, "'%s' says more than 'memory:'" HINT "leave it away",
                   url);
}

enum rc store_open_memory(const struct store_options *o, struct store **out,
                          struct err *e)
{
    struct memory *m = NULL;

    TRY(store_check_memory(o->url, e));
    TRY(store_new(&memory_ops, sizeof *m, o->url, &m, e));
    *out = &m->base;
    return RC_OK;
}
