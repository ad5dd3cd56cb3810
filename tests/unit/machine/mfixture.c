#include "tests/unit/machine/mfixture.h"

#include <stdio.h>
#include <sys/mman.h>

#include "boltdb/walk.h"
#include "mvcc/schema.h"
#include "tests/lib/case.h"
#include "tests/lib/image.h"
#include "util/mem.h"
#include "util/os.h"
#include "wal/read.h"

struct machine *machine_of(int minor)
{
    return machine_of_patch(minor, 0);
}

struct machine *machine_of_patch(int minor, unsigned patch)
{
    const struct machine_options options = { .minor = minor, .patch = patch };
    struct machine *m = NULL;
    struct err e = { 0 };

    OK(machine_new(&options, &m, &e), &e);
    return m;
}

/* ---- files --------------------------------------------------------------------------
 */

struct bolt_file *machine_file(const struct machine *m)
{
    AT_END(buf_clear) struct buf image = { .cap_max = 1 << 28 };
    const struct bolt_target target = image_target(&image);
    const struct bolt_build_options options = { 0 };
    OWNED_FD int fd = memfd_create("machine", MFD_CLOEXEC);
    OWNED(bolt_builder) b = NULL;
    struct bolt_file *file = NULL;
    struct err e = { 0 };
    uint64_t size;

    OK(bolt_builder_new(&target, &options, &b, &e), &e);
    OK(machine_dump(m, b, &e), &e);
    OK(bolt_builder_finish(b, &size, &e), &e);
    OK(os_write_full(fd, image.p, image.n, "machine", &e), &e);
    OK(bolt_file_open_fd(fd, "machine", NULL, &file, &e), &e);
    return file;
}

/* ---- comparing ----------------------------------------------------------------------
 */

struct entry {
    struct bytes bucket, key, value; /* a bucket begins with an entry without key */
};

struct entries {
    struct entry *items;
    size_t count, room;
    struct bytes bucket;
    mf_skip *skip;
};

static void entries_end(struct entries *l)
{
    mem_free(l->items);
}

static enum rc add(struct entries *l, struct bytes key, struct bytes value)
{
    if (l->count == l->room) {
        l->room = l->room == 0 ? 1024 : l->room * 2;
        l->items = mem_resize(l->items, l->room, sizeof *l->items);
        cr_assert_not_null(l->items);
    }
    l->items[l->count++] = (struct entry){ l->bucket, key, value };
    return RC_OK;
}

static enum rc on_bucket(void *arg, struct bytes name, struct err *e)
{
    struct entries *l = arg;

    (void)e;
    l->bucket = name;
    return add(l, (struct bytes){ 0 }, (struct bytes){ 0 });
}

static enum rc on_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                       struct err *e)
{
    struct entries *l = arg;

    (void)page;
    (void)e;
    if (l->skip != NULL && l->skip(l->bucket, key))
        return RC_OK;
    return add(l, key, value);
}

static void collect(const struct bolt_file *f, struct entries *out)
{
    const struct bolt_visitor v = { .arg = out, .bucket = on_bucket, .pair = on_pair };
    struct bolt_walk_result walked;
    struct err e = { 0 };

    OK(bolt_walk(f, &v, NULL, &walked, &e), &e);
}

static const char *shown(const struct entries *l, size_t i)
{
    static char text[2][600];
    static unsigned turn;
    char bucket[64], key[128], value[300];
    char *out = text[turn++ % 2];

    if (i >= l->count)
        return "the end";
    str_printable(bucket, sizeof bucket, l->items[i].bucket);
    str_printable(key, sizeof key, l->items[i].key);
    str_printable(value, sizeof value, l->items[i].value);
    snprintf(out, sizeof text[0], "%s/%s = %s", bucket, key, value);
    return out;
}

static bool same(const struct entries *a, const struct entries *b, size_t i)
{
    return i < a->count && i < b->count &&
           bytes_equal(a->items[i].bucket, b->items[i].bucket) &&
           bytes_equal(a->items[i].key, b->items[i].key) &&
           bytes_equal(a->items[i].value, b->items[i].value);
}

void same_files(const struct bolt_file *ours, const struct bolt_file *theirs,
                mf_skip *skip, const char *what)
{
    AT_END(entries_end) struct entries a = { .skip = skip };
    AT_END(entries_end) struct entries b = { .skip = skip };

    collect(ours, &a);
    collect(theirs, &b);
    for (size_t i = 0; i < a.count || i < b.count; i++)
        cr_assert(same(&a, &b, i), "%s: pair %zu is %s, and theirs %s", what, i,
                  shown(&a, i), shown(&b, i));
}

/* ---- logs ---------------------------------------------------------------------------
 */

void replay(struct machine *m, const char *dir, uint64_t last)
{
    AT_END(findings_clear) struct findings f = { 0 };
    OWNED(wal) w = NULL;
    struct err e = { 0 };

    OK(wal_open(dir, &f, &w, &e), &e);
    cr_assert_eq(wal_summary(w)->first_index, 1);
    cr_assert_geq(wal_summary(w)->last_index, last);
    for (uint64_t i = 1; i <= last; i++) {
        struct wal_entry entry;

        OK(wal_entry_at(w, i, &entry, &e), &e);
        OK(machine_apply(m, &entry, NULL, &e), &e);
    }
}

uint64_t index_in(const struct bolt_file *f)
{
    struct err e = { 0 };
    struct bytes value;
    uint64_t index;
    bool found;

    OK(bolt_file_get(f, "meta", bytes_str(MVCC_CONSISTENT_INDEX), &value, &found, &e),
       &e);
    cr_assert(found);
    OK(mvcc_u64_read(value, &index, &e), &e);
    return index;
}
