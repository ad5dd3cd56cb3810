#include "tests/store/faultstore.h"

#include <stdlib.h>
#include <string.h>

#include "storage/driver.h"
#include "tests/lib/case.h"
#include "util/mem.h"

enum { OBJECT_MAX = 64 << 20 };

struct kept {
    char *key;
    struct buf content;
};

struct faultstore {
    struct store base;
    struct store *inner;
    struct store_plan plan;
    bool armed, fired;
    unsigned counts[STORE_CALLS];
    struct kept *kept;
    size_t kept_count;
};

/* Is this the call that the plan is about? */
static bool strikes(struct faultstore *f, enum store_call call, const char *key)
{
    const struct store_plan *p = &f->plan;

    f->counts[call]++;
    f->counts[STORE_ANY]++;
    if (!f->armed || (p->call != STORE_ANY && p->call != call) ||
        (p->key != NULL && strstr(key, p->key) == NULL) || --f->plan.nth > 0)
        return false;
    f->armed = false;
    f->fired = true;
    return true;
}

static enum rc fail(const struct faultstore *f, struct err *e)
{
    return err_set(e, f->plan.rc, "the store fails on purpose");
}

/* ---- put
 * ------------------------------------------------------------------------------- */

struct fault_put {
    struct sink base;
    struct faultstore *store;
    char *key;
    struct sink *to;
};

static enum rc fault_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    return sink_write(((struct fault_put *)s)->to, p, n, e);
}

static enum rc fault_finish(struct sink *s, struct err *e)
{
    struct fault_put *p = (struct fault_put *)s;
    struct faultstore *f = p->store;

    if (!strikes(f, STORE_PUT, p->key))
        return sink_finish(p->to, e);
    if (f->plan.fault == STORE_LOSES)
        TRY(sink_finish(p->to, e));
    return f->plan.fault == STORE_DROPS ? RC_OK : fail(f, e);
}

static void fault_release(struct sink *s)
{
    sink_free(((struct fault_put *)s)->to);
    mem_free(((struct fault_put *)s)->key);
}

static const struct sink_ops put_ops = {
    .name = "fault",
    .write = fault_write,
    .finish = fault_finish,
    .release = fault_release,
};

static enum rc fault_put_new(struct store *s, const char *key, const struct store_put *o,
                             struct sink **out, struct err *e)
{
    struct faultstore *f = (struct faultstore *)s;
    OWNED(sink) to = NULL;
    struct fault_put *p = NULL;
    char *copy;

    TRY(f->inner->ops->put_new(f->inner, key, o, &to, e));
    copy = mem_str(key);
    if (copy == NULL || mem_new(&p, sizeof *p, "a put", e) != RC_OK) {
        mem_free(copy);
        return err_set(e, RC_NOMEM, "no memory for a put");
    }
    p->base.ops = &put_ops;
    p->store = f;
    p->key = copy;
    p->to = GIVE(to);
    *out = &p->base;
    return RC_OK;
}

/* ---- get
 * ------------------------------------------------------------------------------- */

static enum rc push_altered(struct faultstore *f, const char *key, struct sink *to,
                            struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = OBJECT_MAX };
    size_t n;

    TRY(store_get_bytes(f->inner, key, OBJECT_MAX, &b, e));
    n = f->plan.fault == STORE_CUTS ? b.n / 2 : b.n;
    if (f->plan.fault == STORE_ALTERS && n > 0)
        b.p[n / 2] ^= 0x20;
    TRY(sink_write(to, b.p, n, e));
    return f->plan.fault == STORE_ALTERS ? RC_OK : fail(f, e);
}

static enum rc fault_get(struct store *s, const char *key, struct sink *to, struct err *e)
{
    struct faultstore *f = (struct faultstore *)s;

    if (!strikes(f, STORE_GET, key))
        return f->inner->ops->get(f->inner, key, to, e);
    return f->plan.fault == STORE_FAILS ? fail(f, e) : push_altered(f, key, to, e);
}

/* ---- everything else
 * -------------------------------------------------------------------- */

static enum rc fault_stat(struct store *s, const char *key, struct store_info *out,
                          struct err *e)
{
    struct faultstore *f = (struct faultstore *)s;

    return strikes(f, STORE_STAT, key) ? fail(f, e)
                                       : f->inner->ops->stat(f->inner, key, out, e);
}

static enum rc fault_list(struct store *s, const char *prefix, store_list_fn *fn,
                          void *arg, struct err *e)
{
    struct faultstore *f = (struct faultstore *)s;
    bool now = strikes(f, STORE_LIST, prefix);

    if (now && f->plan.fault == STORE_FAILS)
        return fail(f, e);
    TRY(f->inner->ops->list(f->inner, prefix, fn, arg, e));
    return now ? fail(f, e) : RC_OK;
}

static enum rc fault_remove(struct store *s, const char *key, struct err *e)
{
    struct faultstore *f = (struct faultstore *)s;

    if (!strikes(f, STORE_REMOVE, key))
        return f->inner->ops->remove(f->inner, key, e);
    if (f->plan.fault == STORE_LOSES)
        TRY(f->inner->ops->remove(f->inner, key, e));
    return f->plan.fault == STORE_DROPS ? RC_OK : fail(f, e);
}

static enum rc fault_sweep(struct store *s, const char *prefix, uint64_t *swept,
                           struct err *e)
{
    struct store *inner = ((struct faultstore *)s)->inner;

    return inner->ops->sweep(inner, prefix, swept, e);
}

static enum rc fault_probe(struct store *s, const char *scratch, struct store_traits *out,
                           struct err *e)
{
    struct store *inner = ((struct faultstore *)s)->inner;

    return inner->ops->probe(inner, scratch, out, e);
}

static void forget(struct faultstore *f)
{
    for (size_t i = 0; i < f->kept_count; i++) {
        mem_free(f->kept[i].key);
        buf_clear(&f->kept[i].content);
    }
    mem_free(f->kept);
    f->kept = NULL;
    f->kept_count = 0;
}

static void fault_end(struct store *s)
{
    forget((struct faultstore *)s);
}

static const struct store_ops fault_ops = {
    .locks = true,
    .put_new = fault_put_new,
    .get = fault_get,
    .stat = fault_stat,
    .list = fault_list,
    .remove = fault_remove,
    .sweep = fault_sweep,
    .probe = fault_probe,
    .release = fault_end,
};

struct store *faultstore_new(struct store *inner)
{
    struct faultstore *f = NULL;
    struct err e = { 0 };

    OK(store_new(&fault_ops, sizeof *f, inner->name, &f, &e), &e);
    f->inner = inner;
    return &f->base;
}

void faultstore_arm(struct store *s, const struct store_plan *plan)
{
    struct faultstore *f = (struct faultstore *)s;

    f->plan = *plan;
    f->armed = true;
    f->fired = false;
}

bool faultstore_disarm(struct store *s)
{
    struct faultstore *f = (struct faultstore *)s;

    f->armed = false;
    return f->fired;
}

unsigned faultstore_count(const struct store *s, enum store_call call)
{
    return ((const struct faultstore *)s)->counts[call];
}

/* ---- the past
 * --------------------------------------------------------------------------- */

static enum rc keep(void *arg, const struct store_info *info, struct err *e)
{
    struct faultstore *f = arg;
    struct kept *k;

    f->kept = mem_resize(f->kept, f->kept_count + 1, sizeof *f->kept);
    cr_assert_not_null(f->kept);
    k = &f->kept[f->kept_count++];
    *k = (struct kept){ .key = mem_str(info->key) };
    return store_get_bytes(f->inner, info->key, OBJECT_MAX, &k->content, e);
}

void faultstore_remember(struct store *s)
{
    struct faultstore *f = (struct faultstore *)s;
    struct err e = { 0 };

    forget(f);
    OK(store_list(f->inner, "", keep, f, &e), &e);
}

static enum rc remove_each(void *arg, const struct store_info *info, struct err *e)
{
    return store_remove(arg, info->key, e);
}

void faultstore_roll_back(struct store *s)
{
    struct faultstore *f = (struct faultstore *)s;
    struct err e = { 0 };

    OK(store_list(f->inner, "", remove_each, f->inner, &e), &e);
    for (size_t i = 0; i < f->kept_count; i++) {
        const struct kept *k = &f->kept[i];

        OK(store_put_bytes(f->inner, k->key, NULL,
                           (struct bytes){ k->content.p, k->content.n }, &e),
           &e);
    }
}

void store_flip(struct store *s, const char *key, uint64_t at)
{
    const struct store_put replace = { .replace = true };
    AT_END(buf_clear) struct buf b = { 0 };
    struct err e = { 0 };

    OK(store_get_bytes(s, key, OBJECT_MAX, &b, &e), &e);
    cr_assert_lt(at, b.n);
    b.p[at] ^= 0x01;
    OK(store_put_bytes(s, key, &replace, (struct bytes){ b.p, b.n }, &e), &e);
}
