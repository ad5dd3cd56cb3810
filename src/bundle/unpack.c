/* libarchive pulls and chains push, so it has a thread of its own: blocks come through a
 * ring, as in filter/lane.c. */
#include <archive.h>
#include <archive_entry.h>
#include <inttypes.h>
#include <string.h>

#include "bundle/bundle.h"
#include "bundle/names.h"
#include "bundle/place.h"
#include "bundle/sums.h"
#include "filter/file.h"
#include "filter/ring.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/task.h"

enum { BLOCK = 256 << 10, BLOCKS = 4, TAR_RECORD = 512, SUMS_MAX = 8 << 20 };

struct unpack {
    struct sink base;

    /* The ring, and what the caller's side knows of it. */
    struct ring ring;
    uint8_t *memory;
    size_t sizes[BLOCKS];
    struct task task;
    enum rc rc;
    struct err err;

    /* The thread's. */
    struct archive *tar;
    bool lent;              /* libarchive still reads the first full block */
    uint64_t came, nonzero; /* bytes, and those up to the last that is not 0 */
    struct place place;
    bool has_place;
    struct sink *snapshot; /* the target's; finished at the end */
    uint64_t snapshot_max, total;
    struct str_list names;
    struct buf sums;
    bool saw_snapshot;
};

/* ---- blocks
 * ----------------------------------------------------------------------------- */

static void note_content(struct unpack *u, const uint8_t *p, size_t n)
{
    size_t k = n;

    while (k > 0 && p[k - 1] == 0)
        k--;
    if (k > 0)
        u->nonzero = u->came + k;
    u->came += n;
}

static la_ssize_t on_read(struct archive *tar, void *arg, const void **out)
{
    struct unpack *u = arg;
    size_t slot;

    (void)tar;
    if (u->lent)
        ring_pop(&u->ring);
    u->lent = ring_wait_full(&u->ring, &slot);
    if (!u->lent)
        return 0;
    *out = u->memory + slot * BLOCK;
    note_content(u, *out, u->sizes[slot]);
    return (la_ssize_t)u->sizes[slot];
}

/* ---- members
 * ---------------------------------------------------------------------------- */

#define BAD(...) err_set(e, RC_CORRUPT, __VA_ARGS__)

static enum rc tar_failure(const struct unpack *u, struct err *e)
{
    const char *said = archive_error_string(u->tar);
    char shown[200];

    str_printable(shown, sizeof shown, bytes_str(said == NULL ? "it is damaged" : said));
    return BAD("this is no bundle: %s", shown);
}

/* Whatever is more, or other, than a plain file. */
static enum rc check_plain(struct archive_entry *entry, const char *shown, struct err *e)
{
    if (archive_entry_filetype(entry) != AE_IFREG ||
        archive_entry_hardlink(entry) != NULL || archive_entry_symlink(entry) != NULL)
        return BAD("the member '%s' is no regular file", shown);
    if ((archive_entry_perm(entry) & 07000) != 0)
        return BAD("the member '%s' has a mode that no file of a bundle has", shown);
    if (archive_entry_sparse_count(entry) != 0)
        return BAD("the member '%s' has holes", shown);
    if (archive_entry_size_is_set(entry) == 0 || archive_entry_size(entry) < 0)
        return BAD("the member '%s' does not say its size", shown);
    return RC_OK;
}

static enum rc check_size(struct unpack *u, const char *name, uint64_t size,
                          struct err *e)
{
    if (strcmp(name, BUNDLE_SNAPSHOT) == 0) {
        if (u->snapshot_max != 0 && size > u->snapshot_max)
            return BAD("the snapshot says it has %" PRIu64
                       " bytes, the limit is %" PRIu64,
                       size, u->snapshot_max);
        return RC_OK;
    }
    if (strcmp(name, BUNDLE_SUMS) == 0)
        return size <= SUMS_MAX ? RC_OK : BAD("'" BUNDLE_SUMS "' is too large");
    if (size > BUNDLE_FILE_MAX || BUNDLE_TOTAL_MAX - u->total < size)
        return BAD("the member '%s' is larger than a bundle takes", name);
    u->total += size;
    return RC_OK;
}

static enum rc check_name(struct unpack *u, const char *name, const char *shown,
                          struct err *e)
{
    bool own = strcmp(name, BUNDLE_SNAPSHOT) == 0 || strcmp(name, BUNDLE_SUMS) == 0;

    if (!own && !bundle_name_is_file(name))
        return BAD("the member '%s' is none that a bundle has", shown);
    if (str_list_has(&u->names, name))
        return BAD("the member '%s' comes twice", shown);
    if (u->names.count > BUNDLE_FILES_MAX + 1)
        return BAD("there are more than %d files", BUNDLE_FILES_MAX);
    return str_list_add(&u->names, name, e);
}

static enum rc check_member(struct unpack *u, struct archive_entry *entry,
                            const char **name, struct err *e)
{
    const char *said = archive_entry_pathname(entry);
    char shown[200];

    /* Beyond ASCII it is bytes, or UTF-8 that the locale has no letters for. */
    if (said == NULL)
        said = archive_entry_pathname_utf8(entry);
    if (said == NULL)
        return BAD("a member has no name");
    str_printable(shown, sizeof shown, bytes_str(said));
    TRY(check_plain(entry, shown, e));
    TRY(check_name(u, said, shown, e));
    *name = u->names.items[u->names.count - 1];
    return check_size(u, *name, (uint64_t)archive_entry_size(entry), e);
}

/* Blocks must follow each other: an offset that jumps is a hole by another name. */
static enum rc push_data(struct unpack *u, const char *name, uint64_t size,
                         struct sink *to, struct sha256 *sum, struct err *e)
{
    uint64_t at = 0;

    for (;;) {
        const void *p = NULL;
        size_t n = 0;
        la_int64_t offset = 0;
        int r = archive_read_data_block(u->tar, &p, &n, &offset);

        if (r == ARCHIVE_EOF)
            break;
        if (r != ARCHIVE_OK)
            return tar_failure(u, e);
        if (offset < 0 || (uint64_t)offset != at || n > size - at)
            return BAD("the member '%s' has holes", name);
        TRY(sha256_add(sum, p, n, e));
        TRY(sink_write(to, p, n, e));
        at += n;
    }
    return at == size ? RC_OK : BAD("the member '%s' ends early", name);
}

static enum rc read_sums(struct unpack *u, uint64_t size, struct err *e)
{
    AT_END(buf_clear) struct buf text = { .cap_max = SUMS_MAX + 1 };
    OWNED(sha256) sum = NULL;
    OWNED(sink) to = NULL;

    TRY(buf_sink_new(&text, &to, e));
    TRY(sha256_new(&sum, e));
    TRY(push_data(u, BUNDLE_SUMS, size, to, sum, e));
    if (!bytes_equal((struct bytes){ text.p, text.n },
                     (struct bytes){ u->sums.p, u->sums.n }))
        return BAD("'" BUNDLE_SUMS "' does not agree with the members");
    return RC_OK;
}

static enum rc file_to(struct unpack *u, const char *name, uint64_t size, int *fd,
                       struct sink **out, struct err *e)
{
    const struct file_sink_options o = {
        .expected_size = size,
        .buffered = size <= BUNDLE_FILE_MAX,
        .read_back = size > BUNDLE_FILE_MAX,
    };

    if (!u->has_place)
        return null_sink_new(out, e);
    TRY(place_file(&u->place, name, fd, e));
    return file_sink_new(*fd, name, &o, out, e);
}

static enum rc read_file(struct unpack *u, const char *name, uint64_t size,
                         struct sha256 *sum, struct err *e)
{
    OWNED_FD int fd = -1;
    OWNED(sink) to = NULL;
    enum rc rc;

    TRY(file_to(u, name, size, &fd, &to, e));
    rc = push_data(u, name, size, to, sum, e);
    if (rc == RC_OK)
        rc = sink_finish(to, e);
    /* It writes to the descriptor, so it must end first. */
    sink_free(GIVE(to));
    return rc;
}

static enum rc read_member(struct unpack *u, const char *name, uint64_t size,
                           struct err *e)
{
    bool snapshot = strcmp(name, BUNDLE_SNAPSHOT) == 0;
    OWNED(sha256) sum = NULL;

    u->saw_snapshot |= snapshot;
    TRY(sha256_new(&sum, e));
    if (snapshot && u->snapshot != NULL)
        TRY(push_data(u, name, size, u->snapshot, sum, e));
    else
        TRY(read_file(u, name, size, sum, e));
    return bundle_sums_add(&u->sums, name, sum, e);
}

/* ---- the whole
 * --------------------------------------------------------------------------- */

/* Behind the sums there are only the zeros that end a tar. */
static enum rc check_end(struct unpack *u, struct err *e)
{
    uint64_t end = (uint64_t)archive_filter_bytes(u->tar, 0);
    const void *ignored;

    if (!u->saw_snapshot)
        return BAD("there is no snapshot in this bundle");
    while (on_read(u->tar, u, &ignored) > 0)
        ;
    end = (end + TAR_RECORD - 1) / TAR_RECORD * TAR_RECORD;
    return u->nonzero <= end ? RC_OK : BAD("something follows the end of the bundle");
}

static enum rc read_members(struct unpack *u, struct err *e)
{
    for (;;) {
        struct archive_entry *entry;
        const char *name;
        int r = archive_read_next_header(u->tar, &entry);

        if (r == ARCHIVE_EOF)
            return BAD("the bundle ends before '" BUNDLE_SUMS "'");
        if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
            return tar_failure(u, e);
        TRY(check_member(u, entry, &name, e));
        if (strcmp(name, BUNDLE_SUMS) == 0)
            return read_sums(u, (uint64_t)archive_entry_size(entry), e);
        TRY(read_member(u, name, (uint64_t)archive_entry_size(entry), e));
    }
}

static enum rc read_all(struct unpack *u, struct err *e)
{
    if (archive_read_support_format_tar(u->tar) != ARCHIVE_OK ||
        archive_read_open(u->tar, u, NULL, on_read, NULL) != ARCHIVE_OK)
        return tar_failure(u, e);
    TRY(read_members(u, e));
    TRY(check_end(u, e));
    if (ring_is_dropped(&u->ring))
        return RC_OK;
    if (u->snapshot != NULL)
        TRY(sink_finish(u->snapshot, e));
    return u->has_place ? place_publish(&u->place, e) : RC_OK;
}

static enum rc run(void *arg, struct err *e)
{
    struct unpack *u = arg;
    enum rc rc;

    u->tar = archive_read_new();
    if (u->tar == NULL)
        rc = err_set(e, RC_NOMEM, "no memory for a bundle");
    else
        rc = read_all(u, e);
    archive_read_free(u->tar);
    if (rc != RC_OK)
        ring_end(&u->ring, RING_DROPPED);
    return rc;
}

/* ---- the sink
 * ---------------------------------------------------------------------------- */

static enum rc settle(struct unpack *u, struct err *e)
{
    if (u->task.running)
        u->rc = task_join(&u->task, &u->err);
    if (u->rc != RC_OK)
        *e = u->err;
    return u->rc;
}

static enum rc unpack_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct unpack *u = (struct unpack *)s;

    while (n > 0) {
        size_t k = n < BLOCK ? n : BLOCK, slot;

        if (!ring_wait_free(&u->ring, &slot)) {
            TRY(settle(u, e));
            return err_set(e, RC_INTERNAL, "bytes were written to a finished bundle");
        }
        memcpy(u->memory + slot * BLOCK, p, k);
        u->sizes[slot] = k;
        ring_push(&u->ring);
        p += k;
        n -= k;
    }
    return RC_OK;
}

static enum rc unpack_finish(struct sink *s, struct err *e)
{
    struct unpack *u = (struct unpack *)s;

    ring_end(&u->ring, RING_CLOSED);
    return settle(u, e);
}

static void unpack_release(struct sink *s)
{
    struct unpack *u = (struct unpack *)s;
    struct err ignored = { 0 };

    ring_end(&u->ring, RING_DROPPED);
    (void)settle(u, &ignored);
    ring_clear(&u->ring);
    sink_free(u->snapshot);
    if (u->has_place)
        place_close(&u->place);
    str_list_clear(&u->names);
    buf_clear(&u->sums);
    mem_free(u->memory);
}

static const struct sink_ops unpack_ops = {
    .name = "unbundle",
    .write = unpack_write,
    .finish = unpack_finish,
    .release = unpack_release,
};

enum rc bundle_unpack_new(const struct bundle_target *target, struct sink **out,
                          struct err *e)
{
    OWNED(sink) snapshot = target->snapshot;
    OWNED(sink) made = NULL;
    struct unpack *u = NULL;

    TRY(mem_new(&u, sizeof *u, "a bundle", e));
    ring_init(&u->ring, BLOCKS);
    made = &u->base;
    u->base = (struct sink){ .ops = &unpack_ops };
    u->snapshot = GIVE(snapshot);
    u->snapshot_max = target->snapshot_max;
    u->sums.cap_max = SUMS_MAX;
    u->place = (struct place){ .parent = -1, .dir = -1 };
    u->has_place = target->dir != NULL;
    TRY(mem_new(&u->memory, (size_t)BLOCK * BLOCKS, "a bundle's blocks", e));
    if (u->has_place)
        TRY(place_open(&u->place, target->dir, e));
    TRY(task_start(&u->task, run, u, e));
    *out = GIVE(made);
    return RC_OK;
}
