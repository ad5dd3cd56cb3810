#include "wal/append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

enum {
    STEP = 8 << 20, /* blocks are allocated so far ahead */
    COPY = 1 << 20,
    TMP_SIZE = WAL_NAME_SIZE + 8,
};

struct kept {
    uint64_t sequence, first_index;
};

struct wal_log {
    char *path;
    int dir, fd;
    char name[WAL_NAME_SIZE];
    struct kept *segments; /* all that are there, the newest last */
    size_t count;
    uint64_t at, allocated; /* in the newest */
    uint32_t crc;
    struct buf out;
    struct wal_metadata ids;
    struct wal_state state;
    bool has_state;
    uint64_t last; /* entry */
};

void wal_log_free(struct wal_log *l)
{
    if (l == NULL)
        return;
    os_fd_end(&l->fd);
    os_fd_end(&l->dir);
    buf_clear(&l->out);
    mem_free(l->segments);
    mem_free(l->path);
    mem_free(l);
}

/* ---- segments ---------------------------------------------------------------------- */

/* As etcd does it: the lock belongs to the open file. */
static enum rc lock(const struct wal_log *l, int fd, const char *name, struct err *e)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (fcntl(fd, F_OFD_SETLK, &all) == 0)
        return RC_OK;
    if (errno == EAGAIN || errno == EACCES)
        return err_set(e, RC_LOCKED, "'%s/%s' is in use by another process", l->path,
                       name);
    return err_sys(e, RC_STORAGE, "cannot lock '%s/%s'", l->path, name);
}

static enum rc note_segment(struct wal_log *l, uint64_t sequence, uint64_t first_index,
                            struct err *e)
{
    struct kept *more = mem_resize(l->segments, l->count + 1, sizeof *more);

    if (more == NULL)
        return err_set(e, RC_NOMEM, "no memory for a list of segments");
    l->segments = more;
    l->segments[l->count++] = (struct kept){ sequence, first_index };
    wal_segment_name(l->name, sequence, first_index);
    return RC_OK;
}

static enum rc grow_to(int fd, uint64_t size, const char *name, struct err *e)
{
    if (os.ftruncate(fd, (off_t)size) != 0)
        return err_sys(e, RC_STORAGE, "cannot size '%s'", name);
    return RC_OK;
}

/* Blocks for what comes next, so that a full disk shows before a record is half there,
 * and a record does not change the file's size. */
static enum rc allocate(struct wal_log *l, uint64_t end, struct err *e)
{
    uint64_t to = end + STEP;

    if (end <= l->allocated)
        return RC_OK;
    if (to > WAL_SEGMENT_BYTES && end <= WAL_SEGMENT_BYTES)
        to = WAL_SEGMENT_BYTES;
    while (os.fallocate(l->fd, 0, (off_t)l->allocated, (off_t)(to - l->allocated)) != 0)
        if (errno == EOPNOTSUPP || errno == ENOSYS)
            break;
        else if (errno != EINTR)
            return err_sys(e, RC_STORAGE, "cannot allocate '%s'", l->name);
    l->allocated = to;
    return RC_OK;
}

static enum rc put_ids(struct wal_log *l, struct err *e)
{
    AT_END(buf_clear) struct buf b = { 0 };

    TRY(wal_metadata_put(&b, &l->ids, e));
    return wal_frame_add(&l->out, &l->crc, WAL_METADATA, (struct bytes){ b.p, b.n }, e);
}

static enum rc put_state(struct wal_log *l, struct err *e)
{
    AT_END(buf_clear) struct buf b = { 0 };

    TRY(wal_state_put(&b, &l->state, e));
    return wal_frame_add(&l->out, &l->crc, WAL_STATE, (struct bytes){ b.p, b.n }, e);
}

static enum rc put_first_mark(struct wal_log *l, struct err *e)
{
    AT_END(buf_clear) struct buf b = { 0 };

    TRY(wal_mark_put(&b, &(struct wal_mark){ 0 }, e));
    return wal_frame_add(&l->out, &l->crc, WAL_SNAPSHOT, (struct bytes){ b.p, b.n }, e);
}

/* What every segment begins with. */
static enum rc put_head(struct wal_log *l, struct err *e)
{
    TRY(wal_frame_add(&l->out, &l->crc, WAL_CRC, (struct bytes){ 0 }, e));
    TRY(put_ids(l, e));
    return l->has_state ? put_state(l, e) : RC_OK;
}

static enum rc write_out(struct wal_log *l, bool sync, struct err *e)
{
    TRY(allocate(l, l->at + l->out.n, e));
    TRY(os_pwrite_full(l->fd, l->out.p, l->out.n, l->at, l->name, e));
    l->at += l->out.n;
    l->out.n = 0;
    if (sync && os.fdatasync(l->fd) != 0)
        return err_sys(e, RC_STORAGE, "fsync of the log '%s'", l->name);
    return RC_OK;
}

/* A new segment appears with its head, locked and durable. */
static enum rc begin_segment(struct wal_log *l, uint64_t sequence, uint64_t first_index,
                             struct err *e)
{
    OWNED_FD int fd = -1;
    char tmp[TMP_SIZE];

    snprintf(tmp, sizeof tmp, "%llu.tmp", (unsigned long long)sequence);
    TRY(os_open(l->dir, tmp, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600, &fd, e));
    TRY(lock(l, fd, tmp, e));
    TRY(grow_to(fd, WAL_SEGMENT_BYTES, tmp, e));
    TRY(note_segment(l, sequence, first_index, e));
    os_fd_end(&l->fd);
    l->fd = os_fd_give(&fd);
    l->at = l->allocated = 0;
    TRY(put_head(l, e));
    if (sequence == 0)
        TRY(put_first_mark(l, e));
    TRY(write_out(l, true, e));
    if (os.renameat2(l->dir, tmp, l->dir, l->name, 0) != 0)
        return err_sys(e, RC_STORAGE, "cannot rename to '%s'", l->name);
    return os_sync_dir(l->dir, l->path, e);
}

static enum rc cut(struct wal_log *l, struct err *e)
{
    TRY(grow_to(l->fd, l->at, l->name, e));
    TRY(os_sync(l->fd, l->name, e));
    return begin_segment(l, l->segments[l->count - 1].sequence + 1, l->last + 1, e);
}

/* ---- opening ----------------------------------------------------------------------- */

static enum rc prepare(const char *dir, const struct wal_metadata *ids,
                       struct wal_log **out, struct err *e)
{
    OWNED(wal_log) l = NULL;

    TRY(mem_new(&l, sizeof *l, "a log", e));
    l->dir = l->fd = -1;
    l->ids = *ids;
    l->out.cap_max = SIZE_MAX;
    TRY(str_format(&l->path, e, "%s", dir));
    TRY(os_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0, &l->dir, e));
    *out = GIVE(l);
    return RC_OK;
}

enum rc wal_log_create(const char *dir, const struct wal_metadata *ids,
                       struct wal_log **out, struct err *e)
{
    OWNED(wal_log) l = NULL;

    TRY(prepare(dir, ids, &l, e));
    TRY(begin_segment(l, 0, 0, e));
    *out = GIVE(l);
    return RC_OK;
}

static bool is_zero(const uint8_t *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* All of `from` that is not zero, to the same places. */
static enum rc copy(int from, int to, uint64_t size, const char *name, struct err *e)
{
    AT_END(mem_end) uint8_t *piece = NULL;

    TRY(mem_new(&piece, COPY, "a copy", e));
    for (uint64_t at = 0; at < size; at += COPY) {
        size_t n = size - at < COPY ? (size_t)(size - at) : COPY;

        TRY(os_pread_full(from, piece, n, at, name, e));
        if (!is_zero(piece, n))
            TRY(os_pwrite_full(to, piece, n, at, name, e));
    }
    TRY(grow_to(to, size, name, e));
    return os_sync(to, name, e);
}

static enum rc cut_torn_tail(struct wal_log *l, const struct wal_segment *s,
                             struct err *e)
{
    OWNED_FD int kept = -1;
    char broken[TMP_SIZE];

    snprintf(broken, sizeof broken, "%s.broken", l->name);
    TRY(os_open(l->dir, broken, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600, &kept,
                e));
    TRY(copy(l->fd, kept, s->size, broken, e));
    TRY(grow_to(l->fd, s->end, l->name, e));
    return os_sync(l->fd, l->name, e);
}

/* A segment whose head is torn is begun once more. */
static enum rc go_on(struct wal_log *l, const struct wal_segment *s, struct err *e)
{
    l->at = l->allocated = s->records < 2 ? 0 : s->end;
    TRY(grow_to(l->fd, l->at > WAL_SEGMENT_BYTES ? l->at : WAL_SEGMENT_BYTES, l->name,
                e));
    if (s->records >= 2)
        return RC_OK;
    TRY(put_head(l, e));
    return write_out(l, true, e);
}

enum rc wal_log_open(const char *dir, const struct wal_summary *read,
                     struct wal_log **out, struct err *e)
{
    const struct wal_segment *newest = &read->segments[read->segment_count - 1];
    OWNED(wal_log) l = NULL;

    if (read->verdict == WAL_DAMAGED)
        return err_set(e, RC_CORRUPT,
                       "the log in '%s' is damaged in %s at offset %llu: %s", dir,
                       read->damage.segment, (unsigned long long)read->damage.offset,
                       read->damage.reason);
    TRY(prepare(dir, &read->ids, &l, e));
    for (size_t i = 0; i < read->segment_count; i++)
        TRY(note_segment(l, read->segments[i].sequence, read->segments[i].first_index,
                         e));
    TRY(os_open(l->dir, l->name, O_RDWR | O_NOFOLLOW, 0, &l->fd, e));
    TRY(lock(l, l->fd, l->name, e));
    l->crc = read->crc;
    l->state = read->state;
    l->has_state = read->state.term > 0;
    l->last = read->last_index;
    if (read->verdict == WAL_TORN_TAIL)
        TRY(cut_torn_tail(l, newest, e));
    TRY(go_on(l, newest, e));
    *out = GIVE(l);
    return RC_OK;
}

/* ---- writing ----------------------------------------------------------------------- */

enum rc wal_log_add(struct wal_log *l, enum wal_type type, struct bytes data,
                    struct err *e)
{
    struct wal_entry entry;
    struct wal_mark mark = { 0 };

    if (type == WAL_ENTRY) {
        TRY(wal_entry_parse(data, &entry, e));
        l->last = entry.index;
    } else if (type == WAL_STATE) {
        TRY(wal_state_parse(data, &l->state, e));
        l->has_state = true;
    } else if (type == WAL_SNAPSHOT) {
        TRY(wal_mark_parse(data, &mark, e));
        l->last = mark.index > l->last ? mark.index : l->last;
        wal_mark_clear(&mark);
    }
    return wal_frame_add(&l->out, &l->crc, type, data, e);
}

enum rc wal_log_flush(struct wal_log *l, bool sync, struct err *e)
{
    if (l->out.n == 0)
        return RC_OK;
    TRY(write_out(l, sync, e));
    return l->at < WAL_SEGMENT_BYTES ? RC_OK : cut(l, e);
}

enum rc wal_log_purge(struct wal_log *l, uint64_t index, size_t keep, struct err *e)
{
    char name[WAL_NAME_SIZE];

    while (l->count > keep && l->count > 1 && l->segments[1].first_index <= index) {
        wal_segment_name(name, l->segments[0].sequence, l->segments[0].first_index);
        if (os.unlinkat(l->dir, name, 0) != 0 && errno != ENOENT)
            return err_sys(e, RC_STORAGE, "cannot remove '%s/%s'", l->path, name);
        memmove(&l->segments[0], &l->segments[1], --l->count * sizeof *l->segments);
    }
    return RC_OK;
}
