#include "boltdb/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boltdb/guard.h"
#include "boltdb/sniff.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"

struct bolt_file {
    const uint8_t *map; /* NULL for an empty file */
    uint64_t size;
    int fd; /* our own, to see whether the file shrinks */
    struct guard *guard;
    char *name;
    struct bolt_meta meta;
};

void bolt_file_free(struct bolt_file *file)
{
    union {
        const uint8_t *from;
        void *to; /* munmap lacks the const */
    } map;

    if (file == NULL)
        return;
    guard_release(file->guard);
    map.from = file->map;
    if (file->map != NULL)
        munmap(map.to, file->size);
    os_fd_end(&file->fd);
    mem_free(file->name);
    mem_free(file);
}

static enum rc map_file(struct bolt_file *file, struct err *e)
{
    struct stat st;
    void *map;

    if (os.fstat(file->fd, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat '%s'", file->name);
    if (!S_ISREG(st.st_mode))
        return err_set(e, RC_USAGE, "'%s' is not a regular file", file->name);
    if (st.st_size == 0)
        return RC_OK;
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, file->fd, 0);
    if (map == MAP_FAILED)
        return err_sys(e, RC_STORAGE, "cannot map '%s'", file->name);
    file->map = map;
    file->size = (uint64_t)st.st_size;
    return guard_claim(map, file->size, &file->guard, e);
}

static struct bytes head_of(const struct bolt_file *file)
{
    return (struct bytes){ file->map,
                           file->size < BOLT_META_HEAD ? file->size : BOLT_META_HEAD };
}

/* Magic without a valid meta is a damaged database; without magic it is something else.
 */
static enum rc explain_no_meta(const struct bolt_file *file, struct err *e)
{
    const char *advice;
    const char *noun = sniff_file(head_of(file), &advice);

    if (noun == NULL)
        return err_wrap(e, "'%s' is no bbolt database, or its start is destroyed",
                        file->name);
    (void)err_set(e, RC_CORRUPT, "'%s' is no bbolt database: it is %s", file->name, noun);
    if (advice != NULL)
        err_hint(e, "%s", advice);
    return RC_CORRUPT;
}

static enum rc read_metas(struct bolt_file *file, struct findings *f, struct err *e)
{
    const struct bolt_meta *m = &file->meta;

    if (file->size == 0)
        return explain_no_meta(file, e);
    if (bolt_meta_choose(head_of(file), f, &file->meta, e) != RC_OK)
        return e->code == RC_CORRUPT ? explain_no_meta(file, e) : e->code;
    if (m->high_water > file->size / m->page_size)
        return err_set(e, RC_CORRUPT,
                       "'%s' is truncated: %llu bytes, the meta page needs %llu pages of "
                       "%u" HINT "fetch or copy it again; what is missing cannot be "
                       "reconstructed",
                       file->name, (unsigned long long)file->size,
                       (unsigned long long)m->high_water, m->page_size);
    return RC_OK;
}

enum rc bolt_file_map_fd(int fd, const char *name, struct bolt_file **out, struct err *e)
{
    OWNED(bolt_file) file = NULL;

    TRY(mem_new(&file, sizeof *file, "a database file", e));
    file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (file->fd < 0)
        return err_sys(e, RC_STORAGE, "cannot duplicate the descriptor of '%s'", name);
    file->name = mem_str(name);
    if (file->name == NULL)
        return err_set(e, RC_NOMEM, "no memory for the name '%s'", name);
    TRY(map_file(file, e));
    *out = GIVE(file);
    return RC_OK;
}

enum rc bolt_file_open_fd(int fd, const char *name, struct findings *f,
                          struct bolt_file **out, struct err *e)
{
    OWNED(bolt_file) file = NULL;

    TRY(bolt_file_map_fd(fd, name, &file, e));
    TRY(read_metas(file, f, e));
    *out = GIVE(file);
    return RC_OK;
}

enum rc bolt_file_open(const char *path, struct findings *f, struct bolt_file **out,
                       struct err *e)
{
    OWNED_FD int fd = -1;
    uint64_t size;

    TRY(os_open_regular(path, &fd, &size, e));
    return bolt_file_open_fd(fd, path, f, out, e);
}

const struct bolt_meta *bolt_file_meta(const struct bolt_file *file)
{
    return &file->meta;
}

const char *bolt_file_name(const struct bolt_file *file)
{
    return file->name;
}

uint64_t bolt_file_size(const struct bolt_file *file)
{
    return file->size;
}

struct bytes bolt_file_bytes(const struct bolt_file *file)
{
    return (struct bytes){ file->map, file->size };
}

struct bytes bolt_file_from(const struct bolt_file *file, uint64_t id)
{
    const struct bolt_meta *m = &file->meta;

    if (id >= m->high_water)
        return (struct bytes){ file->map, 0 };
    return (struct bytes){ file->map + id * m->page_size,
                           (m->high_water - id) * m->page_size };
}

/* A cut inside the last memory page reads as zeros without any signal, so the size is
 * asked for as well. */
enum rc bolt_file_intact(const struct bolt_file *file, struct err *e)
{
    struct stat st;

    if (os.fstat(file->fd, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat '%s'", file->name);
    if ((uint64_t)st.st_size < file->size)
        return err_set(
            e, RC_CORRUPT, "'%s' was truncated from %llu to %llu bytes while it was read",
            file->name, (unsigned long long)file->size, (unsigned long long)st.st_size);
    if (guard_hit(file->guard))
        return err_set(e, RC_CORRUPT,
                       "'%s' could not be read to its end: it was truncated for a while, "
                       "or the disk failed",
                       file->name);
    return RC_OK;
}

/* madvise lacks the const. */
static int advise(const struct bolt_file *file, uint64_t at, size_t n, int advice)
{
    union {
        const uint8_t *from;
        uint8_t *to;
    } map = { .from = file->map + at };

    return madvise(map.to, n, advice);
}

static size_t within(const struct bolt_file *file, uint64_t at, size_t n)
{
    size_t left = at < file->size ? file->size - at : 0;

    return left < n ? left : n;
}

void bolt_file_populate(const struct bolt_file *file, uint64_t at, size_t n)
{
    size_t now = within(file, at, n);

    if (now > 0 && advise(file, at, now, MADV_POPULATE_READ) != 0)
        advise(file, at, now, MADV_WILLNEED); /* kernels before 5.14 */
}

/* Of at most so many pages of memory; a question that fails counts as no. */
enum { ASK_PAGES = 2048 };

static bool in_memory(const struct bolt_file *file, uint64_t at, size_t n)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (n + page - 1) / page;
    unsigned char there[ASK_PAGES];
    union {
        const uint8_t *from;
        uint8_t *to; /* mincore lacks the const, too */
    } map = { .from = file->map + at };

    if (pages > ASK_PAGES || mincore(map.to, n, there) != 0)
        return false;
    for (size_t i = 0; i < pages; i++)
        if ((there[i] & 1) == 0)
            return false;
    return true;
}

void bolt_file_fetch(const struct bolt_file *file, uint64_t at, size_t n)
{
    if (within(file, at, n) > 0 && !in_memory(file, at, within(file, at, n)))
        bolt_file_populate(file, at, n);
}

void bolt_file_unmap(const struct bolt_file *file, uint64_t at, size_t n)
{
    if (within(file, at, n) > 0)
        advise(file, at, within(file, at, n), MADV_DONTNEED);
}
