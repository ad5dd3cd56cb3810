#include "tests/unit/snapshot/inspect_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#include "boltdb/build.h"
#include "codec/pb.h"
#include "tests/lib/case.h"
#include "tests/lib/image.h"
#include "tests/lib/tmpdir.h"
#include "util/os.h"

const char *const golden_names[GOLDEN_COUNT] = { "etcd-3.4", "etcd-3.5", "etcd-3.6",
                                                 "etcd-3.7" };

struct buf golden_unpack(const char *name, const char *file)
{
    AT_END(buf_clear) struct buf raw = { 0 };
    struct buf out = { 0 };
    struct err e = { 0 };
    char path[128];

    snprintf(path, sizeof path, "tests/golden/%s/%s", name, file);
    OK(os_read_file(path, 1 << 20, &raw.p, &raw.n, &e), &e);
    OK(buf_reserve(&out, ZSTD_getFrameContentSize(raw.p, raw.n) + 1, &e), &e);
    out.n = ZSTD_decompress(out.p, out.cap, raw.p, raw.n);
    cr_assert(!ZSTD_isError(out.n), "%s", path);
    return out;
}

const char *file_of(struct bytes content)
{
    static const char *dir; /* each test is a process of its own */
    static unsigned made;
    OWNED_FD int fd = -1;
    const char *path;
    char name[32];
    struct err e = { 0 };

    if (dir == NULL)
        dir = tmpdir_new();
    snprintf(name, sizeof name, "%u.db", made++);
    path = path_in(dir, name);
    OK(os_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd, &e), &e);
    OK(os_write_full(fd, content.p, content.n, path, &e), &e);
    return path;
}

const char *golden_file(const char *name)
{
    AT_END(buf_clear) struct buf image = golden_unpack(name, "snapshot.db.zst");

    return file_of((struct bytes){ image.p, image.n });
}

/* ---- invented databases ----------------------------------------------------------- */

static void pair(struct bolt_builder *b, struct bytes key, struct bytes value)
{
    struct err e = { 0 };

    OK(bolt_builder_pair(b, key, value, &e), &e);
}

static void number(struct buf *b, uint32_t field, int64_t value)
{
    struct err e = { 0 };

    if (value != 0)
        OK(pb_put_u64(b, field, (uint64_t)value, &e), &e);
}

static void put_event(struct bolt_builder *b, const struct event *v)
{
    uint8_t rev[MVCC_TOMBSTONE_SIZE] = { [MVCC_REV_SIZE] = 't' };
    AT_END(buf_clear) struct buf value = { 0 };
    struct err e = { 0 };

    mvcc_rev_write(rev, v->main, v->sub);
    if (v->key.n > 0) /* else what a revision bump leaves */
        OK(pb_put_bytes(&value, 1, v->key, &e), &e);
    if (v->version > 0) {
        number(&value, 2, v->create);
        number(&value, 3, v->main);
        number(&value, 4, v->version);
        if (v->value.n > 0)
            OK(pb_put_bytes(&value, 5, v->value, &e), &e);
        number(&value, 6, v->lease);
    }
    pair(b,
         (struct bytes){ rev, v->version > 0 || v->key.n == 0 ? MVCC_REV_SIZE
                                                              : MVCC_TOMBSTONE_SIZE },
         (struct bytes){ value.p, value.n });
}

static void put_mark(struct bolt_builder *b, const char *name, int64_t main)
{
    uint8_t rev[MVCC_REV_SIZE];

    if (main == 0)
        return;
    mvcc_rev_write(rev, main, 0);
    pair(b, bytes_str(name), BYTES_OF(rev));
}

static void put_bucket(struct bolt_builder *b, const struct invented *db,
                       enum mvcc_bucket bucket)
{
    struct err e = { 0 };

    OK(bolt_builder_bucket(b, bytes_str(mvcc_bucket_name(bucket)), &e), &e);
    for (size_t i = 0; bucket == MVCC_KEY && i < db->event_count; i++)
        put_event(b, &db->events[i]);
    for (size_t i = 0; i < db->extra_count; i++)
        if (db->extras[i].bucket == bucket)
            pair(b, db->extras[i].key, db->extras[i].value);
    if (bucket != MVCC_META)
        return;
    put_mark(b, MVCC_FINISHED_COMPACT, db->finished);
    put_mark(b, MVCC_SCHEDULED_COMPACT, db->scheduled);
}

const char *invented_file(const struct invented *db)
{
    AT_END(buf_clear) struct buf image = { 0 };
    const struct bolt_target target = image_target(&image);
    const struct bolt_build_options options = { 0 };
    OWNED(bolt_builder) b = NULL;
    struct err e = { 0 };
    uint64_t size;

    OK(bolt_builder_new(&target, &options, &b, &e), &e);
    for (enum mvcc_bucket bucket = 0; bucket < MVCC_BUCKETS; bucket++)
        put_bucket(b, db, bucket);
    OK(bolt_builder_finish(b, &size, &e), &e);
    return file_of((struct bytes){ image.p, image.n });
}

/* ---- tales ------------------------------------------------------------------------ */

static unsigned below(struct tale *t, unsigned n)
{
    return (unsigned)rand_r(&t->seed) % n;
}

/* A few letters, so that many names begin alike and some are the start of others; zero
 * bytes, so that padding would show. */
static bool invent_name(struct tale *t, size_t k)
{
    static const uint8_t letters[] = { 'a', 'b', 0, 0xff };
    size_t n = 1 + below(t, below(t, 4) == 0 ? 60 : 9);

    for (size_t i = 0; i < n; i++)
        t->names[k][i] = n > 30 && i < 25 ? '/' : letters[below(t, 4)];
    t->name_sizes[k] = n;
    for (size_t i = 0; i < k; i++)
        if (t->name_sizes[i] == n && memcmp(t->names[i], t->names[k], n) == 0)
            return false;
    return true;
}

void tale_begin(struct tale *t, unsigned seed)
{
    *t = (struct tale){ .revision = 1, .seed = seed };
    for (size_t k = 0; k < TALE_KEYS;)
        k += invent_name(t, k);
}

static void happen(struct tale *t, unsigned k, int64_t sub)
{
    static const uint8_t values[] = "some value that is cut anywhere";
    struct event *last = &t->last[k];
    struct event v = { .main = t->revision,
                       .sub = sub,
                       .key = { t->names[k], t->name_sizes[k] },
                       .create = t->revision };

    cr_assert_lt(t->count, (size_t)TALE_EVENTS);
    if (last->version == 0 || below(t, 4) > 0) {
        v.version = last->version + 1;
        v.create = last->version > 0 ? last->create : t->revision;
        v.value = (struct bytes){ values, below(t, sizeof values) };
        v.lease = below(t, 3) == 0 ? 1000 + below(t, 3) : 0;
    }
    t->events[t->count++] = *last = v;
}

void tale_go_on(struct tale *t, unsigned transactions)
{
    for (unsigned i = 0; i < transactions; i++) {
        unsigned first = below(t, TALE_KEYS), keys = 1 + below(t, 3);

        t->revision++;
        for (unsigned n = 0; n < keys; n++)
            happen(t, (first + n) % TALE_KEYS, n);
    }
}

const char *tale_file(const struct tale *t)
{
    return invented_file(
        &(struct invented){ .events = t->events, .event_count = t->count });
}

const struct event *tale_at(const struct tale *t, struct bytes key, int64_t revision)
{
    const struct event *found = NULL;

    for (size_t i = 0; i < t->count; i++)
        if (t->events[i].main <= revision && bytes_equal(t->events[i].key, key))
            found = &t->events[i];
    return found != NULL && found->version > 0 ? found : NULL;
}
