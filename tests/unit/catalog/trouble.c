#include "trouble.h"

#include <stdio.h>
#include <string.h>

#include "storage/driver.h"
#include "tests/lib/case.h"
#include "util/mem.h"

struct troubled {
    struct store base;
    struct store *inner;
    struct trouble *t;
};

static struct troubled *self(struct store *s)
{
    return (struct troubled *)s;
}

static enum rc lost(struct err *e)
{
    return err_set(e, RC_NET, "the connection was lost");
}

static bool dead(const struct trouble *t)
{
    return t->kind == TROUBLE_DEAD && t->changes >= t->nth;
}

/* One more change: does it take place, and what is said of it? */
static bool takes_place(struct trouble *t)
{
    t->changes++;
    return !dead(t) && !(t->kind == TROUBLE_BEFORE && t->changes == t->nth);
}

static enum rc verdict(const struct trouble *t, bool done, struct err *e)
{
    return done && !(t->kind == TROUBLE_AFTER && t->changes == t->nth) ? RC_OK : lost(e);
}

struct putting {
    struct sink base;
    struct troubled *s;
    char key[512];
    struct store_put o;
    struct buf content;
};

static enum rc collect(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    return buf_add(&((struct putting *)s)->content, p, n, e);
}

static enum rc put_all(struct sink *s, struct err *e)
{
    struct putting *p = (struct putting *)s;
    struct trouble *t = p->s->t;
    bool done;

    if (t->meanwhile != NULL)
        t->meanwhile(t->arg, p->key);
    done = takes_place(t);
    p->o.replace |= t->careless;
    if (done)
        TRY(store_put_bytes(p->s->inner, p->key, &p->o,
                            (struct bytes){ p->content.p, p->content.n }, e));
    return verdict(t, done, e);
}

static void put_release(struct sink *s)
{
    buf_clear(&((struct putting *)s)->content);
}

static const struct sink_ops putting_ops = {
    .name = "putting", .write = collect, .finish = put_all, .release = put_release
};

static enum rc put_new(struct store *s, const char *key, const struct store_put *o,
                       struct sink **out, struct err *e)
{
    struct putting *p = NULL;

    TRY(mem_new(&p, sizeof *p, "a put", e));
    p->base.ops = &putting_ops;
    p->s = self(s);
    p->o = *o;
    snprintf(p->key, sizeof p->key, "%s", key);
    *out = &p->base;
    return RC_OK;
}

/* The caller finishes the sink, and store_get of the inner one would, too. */
static enum rc get(struct store *s, const char *key, struct sink *to, struct err *e)
{
    AT_END(buf_clear) struct buf content = { 0 };

    self(s)->t->gets++;
    if (dead(self(s)->t))
        return lost(e);
    TRY(store_get_bytes(self(s)->inner, key, 1 << 24, &content, e));
    return content.n == 0 ? RC_OK : sink_write(to, content.p, content.n, e);
}

static enum rc stat(struct store *s, const char *key, struct store_info *out,
                    struct err *e)
{
    return dead(self(s)->t) ? lost(e) : store_stat(self(s)->inner, key, out, e);
}

static enum rc list(struct store *s, const char *prefix, store_list_fn *fn, void *arg,
                    struct err *e)
{
    const struct trouble *t = self(s)->t;

    if (t->glance != NULL)
        t->glance(t->arg);
    return dead(t) ? lost(e) : store_list(self(s)->inner, prefix, fn, arg, e);
}

static enum rc drop(struct store *s, const char *key, struct err *e)
{
    bool done = takes_place(self(s)->t);

    if (done)
        TRY(store_remove(self(s)->inner, key, e));
    return verdict(self(s)->t, done, e);
}

static void release(struct store *s)
{
    (void)s;
}

static const struct store_ops ops = {
    .put_new = put_new,
    .get = get,
    .stat = stat,
    .list = list,
    .remove = drop,
    .release = release,
};

struct store *trouble_store(struct store *inner, struct trouble *t)
{
    struct troubled *s = NULL;
    struct err e = { 0 };

    OK(store_new(&ops, sizeof *s, "trouble:", &s, &e), &e);
    s->inner = inner;
    s->t = t;
    return &s->base;
}

struct store *memory_store(void)
{
    struct store *s = NULL;
    struct err e = { 0 };

    OK(store_open(&(struct store_options){ .url = "memory:" }, &s, &e), &e);
    return s;
}

static enum rc add_key(void *arg, const struct store_info *info, struct err *e)
{
    char *text = arg;
    size_t n = strlen(text);

    (void)e;
    snprintf(text + n, 4096 - n, "%s%s", n > 0 ? " " : "", info->key);
    return RC_OK;
}

const char *store_listing(struct store *s, const char *prefix)
{
    static char text[4096];
    struct err e = { 0 };

    text[0] = '\0';
    OK(store_list(s, prefix, add_key, text, &e), &e);
    return text;
}
