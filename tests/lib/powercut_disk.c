/* The disks that a recorded run may leave. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "tests/lib/powercut_priv.h"
#include "util/os.h"

/* ---- what is left --------------------------------------------------------------------
 */

/* What becomes of one call. */
enum fate { LOST, KEPT, TORN, ZEROED };

/* A disk in the making. */
struct disk {
    const struct powercut *p;
    size_t calls;
    enum powercut_luck luck;
    uint64_t seed;
    struct entries names;
    struct buf *bytes; /* one a node */
};

static uint64_t dice(struct disk *d, uint64_t sides)
{
    uint64_t z = d->seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % sides;
}

static bool is_name(const struct call *c)
{
    return c->kind == NAMED || c->kind == UNNAMED || c->kind == MOVED;
}

static bool synced_later(const struct disk *d, size_t i, int node)
{
    for (size_t k = i + 1; k < d->calls; k++)
        if (d->p->calls[k].kind == SYNCED && d->p->calls[k].node == node)
            return true;
    return false;
}

static bool durable(const struct disk *d, size_t i)
{
    const struct call *c = &d->p->calls[i];

    if (c->kind == UNNAMED)
        return synced_later(d, i, c->from.directory);
    return synced_later(d, i, is_name(c) ? c->to.directory : c->node);
}

static enum fate fate_of(struct disk *d, size_t i)
{
    static const enum fate any[] = { LOST, LOST, KEPT, KEPT, TORN, ZEROED };
    const bool name = is_name(&d->p->calls[i]);

    if (durable(d, i))
        return KEPT;
    switch (d->luck) {
    case POWERCUT_NOTHING:
        return LOST;
    case POWERCUT_ALL:
        return KEPT;
    case POWERCUT_NAMES:
        return name ? KEPT : LOST;
    case POWERCUT_BYTES:
        return name ? LOST : KEPT;
    case POWERCUT_ZEROS:
        return name ? KEPT : ZEROED;
    case POWERCUT_ANY:
        return any[dice(d, name ? 4 : 6)];
    }
    return LOST;
}

static void drop_name(struct disk *d, const struct entry *x)
{
    for (size_t i = 0; i < d->names.count; i++)
        if (d->names.items[i].directory == x->directory &&
            strcmp(d->names.items[i].name, x->name) == 0)
            d->names.items[i] = d->names.items[--d->names.count];
}

static void set_name(struct disk *d, const struct entry *x)
{
    drop_name(d, x);
    powercut_add(&d->names, x);
}

static void set_bytes(struct disk *d, const struct call *c, enum fate fate)
{
    struct buf *b = &d->bytes[c->node];
    const size_t n = fate == TORN ? (size_t)dice(d, c->n + 1) : c->n;
    struct err e;

    if (b->n < c->at + n) {
        cr_assert_eq(buf_reserve(b, c->at + n - b->n, &e), RC_OK);
        memset(b->p + b->n, 0, c->at + n - b->n);
        b->n = c->at + n;
    }
    if (n > 0 && fate == ZEROED)
        memset(b->p + c->at, 0, n);
    else if (n > 0)
        memcpy(b->p + c->at, c->p, n);
}

static void cut_bytes(struct disk *d, const struct call *c)
{
    struct buf *b = &d->bytes[c->node];

    if (c->at < b->n)
        b->n = (size_t)c->at;
}

static void happen(struct disk *d, size_t i)
{
    const struct call *c = &d->p->calls[i];
    const enum fate fate = c->kind == SYNCED || c->kind == OTHER ? LOST : fate_of(d, i);

    if (fate == LOST)
        return;
    if (c->kind == WRITTEN)
        set_bytes(d, c, fate);
    else if (c->kind == CUT)
        cut_bytes(d, c);
    if (c->kind == UNNAMED || c->kind == MOVED)
        drop_name(d, &c->from);
    if (c->kind == NAMED || c->kind == MOVED)
        set_name(d, &c->to);
}

static void disk_begin(struct disk *d)
{
    const struct powercut *p = d->p;
    struct err e;

    d->bytes = calloc(p->node_count + 1, sizeof *d->bytes);
    cr_assert_not_null(d->bytes);
    for (size_t i = 0; i < p->node_count; i++)
        if (p->nodes[i].bytes.n > 0)
            cr_assert_eq(
                buf_add(&d->bytes[i], p->nodes[i].bytes.p, p->nodes[i].bytes.n, &e),
                RC_OK);
    for (size_t i = 0; i < p->before.count; i++)
        powercut_add(&d->names, &p->before.items[i]);
}

static void disk_end(struct disk *d)
{
    for (size_t i = 0; i < d->p->node_count; i++)
        buf_clear(&d->bytes[i]);
    free(d->bytes);
    free(d->names.items);
}

/* ---- and made again ------------------------------------------------------------------
 */

static void clear_directory(const char *path)
{
    DIR *d = opendir(path);
    struct err e = { 0 };

    cr_assert_not_null(d);
    for (struct dirent *x; (x = readdir(d)) != NULL;)
        if (strcmp(x->d_name, ".") != 0 && strcmp(x->d_name, "..") != 0)
            cr_assert_eq(os_remove_tree(dirfd(d), x->d_name, &e), RC_OK, "%s", e.why);
    closedir(d);
}

static void write_file(int dir, const char *name, const struct buf *b)
{
    const int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    cr_assert_geq(fd, 0, "%s", name);
    for (size_t at = 0; at < b->n;) {
        const ssize_t put = write(fd, b->p + at, b->n - at);

        cr_assert_gt(put, 0, "%s", name);
        at += (size_t)put;
    }
    close(fd);
}

static void lay_out(const struct disk *d, int node, int dir)
{
    for (size_t i = 0; i < d->names.count; i++) {
        const struct entry *x = &d->names.items[i];
        int below;

        if (x->directory != node)
            continue;
        if (!d->p->nodes[x->node].directory) {
            write_file(dir, x->name, &d->bytes[x->node]);
            continue;
        }
        cr_assert_eq(mkdirat(dir, x->name, 0700), 0, "%s", x->name);
        below = openat(dir, x->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(below, 0, "%s", x->name);
        lay_out(d, x->node, below);
        close(below);
    }
}

static void lay_out_aside(const struct aside *a, size_t root, int dir)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->names[i].directory == (int)root)
            write_file(dir, a->names[i].name, &a->bytes[i]);
}

static uint64_t mix(uint64_t h, const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
    return h;
}

/* Whatever the order of names. */
static uint64_t sum_of(const struct disk *d, size_t aside)
{
    uint64_t sum = aside;

    for (size_t i = 0; i < d->names.count; i++) {
        const struct entry *x = &d->names.items[i];
        uint64_t h = UINT64_C(0xcbf29ce484222325);

        h = mix(h, &x->directory, sizeof x->directory);
        h = mix(h, x->name, strlen(x->name) + 1);
        sum += mix(h, d->bytes[x->node].p, d->bytes[x->node].n) | 1;
    }
    return sum;
}

static bool is_new(struct powercut *p, uint64_t sum)
{
    for (size_t i = 0; i < p->made_count; i++)
        if (p->made[i] == sum)
            return false;
    p->made = powercut_one_more(p->made, p->made_count, sizeof *p->made);
    p->made[p->made_count++] = sum;
    return true;
}

static void lay_out_all(const struct disk *d, const struct aside *aside)
{
    for (size_t i = 0; i < d->p->root_count; i++) {
        int dir;

        clear_directory(d->p->roots[i]);
        dir = open(d->p->roots[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(dir, 0);
        lay_out(d, (int)i, dir);
        lay_out_aside(aside, i, dir);
        close(dir);
    }
}

bool powercut_disk(struct powercut *p, size_t calls, enum powercut_luck luck,
                   uint64_t seed)
{
    struct disk d = { .p = p, .calls = calls, .luck = luck, .seed = seed };
    const size_t aside = calls == 0 ? 0 : p->calls[calls - 1].aside;
    bool fresh;

    cr_assert_leq(calls, p->call_count);
    disk_begin(&d);
    for (size_t i = 0; i < calls; i++)
        happen(&d, i);
    fresh = is_new(p, sum_of(&d, aside));
    if (fresh)
        lay_out_all(&d, &p->asides[aside]);
    disk_end(&d);
    return fresh;
}
