#include "filter/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/aead.h"
#include "util/mem.h"
#include "util/os.h"

enum {
    BLOCK = 4096,
    SEALED = BLOCK + AEAD_TAG,
    CACHED = 128,          /* blocks of the file, by the low bits of their number */
    LOOK_AT_ROOM = 1 << 8, /* blocks */
    KEPT_FREE = 20,        /* one part in so many of the file system */
};

static const char name[] = "temporary file";

struct spool {
    struct spool_options options;
    uint64_t size; /* of all there is, with what fills up units */
    uint8_t *memory;
    size_t held, room; /* bytes in memory, from the first on */

    bool tried; /* a file was asked for */
    int fd;     /* -1: there is none */
    struct aead *seal, *open;
    uint64_t blocks;     /* whole ones, in the file */
    uint8_t tail[BLOCK]; /* what comes after them */
    size_t filled;
    uint8_t *cache;
    uint64_t cached[CACHED]; /* which block; 0: none, else its number plus 1 */

    bool lost;
    struct err why;
};

enum rc spool_new(const struct spool_options *o, struct spool **out, struct err *e)
{
    TRY(mem_new(out, sizeof **out, "facts put aside", e));
    (*out)->options = *o;
    (*out)->fd = -1;
    return RC_OK;
}

void spool_free(struct spool *s)
{
    if (s == NULL)
        return;
    os_fd_end(&s->fd);
    aead_free(s->seal);
    aead_free(s->open);
    mem_free(s->memory);
    mem_free(s->cache);
    mem_free(s);
}

bool spool_lost(const struct spool *s, struct err *why)
{
    if (s->lost && why != NULL)
        *why = s->why;
    return s->lost;
}

size_t spool_memory(const struct spool *s)
{
    return s->held + s->filled + (s->cache == NULL ? 0 : (size_t)CACHED * BLOCK);
}

uint64_t spool_filed(const struct spool *s)
{
    return s->blocks * SEALED;
}

/* From here on there is nothing to read again, so that what there was goes, too. */
static void lose(struct spool *s)
{
    s->lost = true;
    mem_free(s->memory);
    s->memory = NULL;
    s->held = s->room = 0;
    os_fd_end(&s->fd);
    s->fd = -1;
}

/* ---- the file --------------------------------------------------------------------- */

static enum rc check_room(int fd, struct err *e)
{
    struct statvfs st;

    if (os.fstatvfs(fd, &st) < 0)
        return err_sys(e, RC_STORAGE, "cannot ask for the room for a %s", name);
    if (st.f_blocks == 0 || st.f_bavail >= st.f_blocks / KEPT_FREE)
        return RC_OK;
    return err_set(e, RC_STORAGE, "the file system for a %s is nearly full", name);
}

static enum rc open_file(int *fd, struct err *e)
{
    const char *dir = getenv("TMPDIR");

    if (dir == NULL || dir[0] == '\0')
        dir = "/var/tmp";
    TRY(os_open(AT_FDCWD, dir, O_TMPFILE | O_RDWR, 0600, fd, e));
    return check_room(*fd, e);
}

static enum rc make_keys(struct spool *s, struct err *e)
{
    AT_END(key_wipe) struct key key;

    TRY(os_random(key.b, sizeof key.b, e));
    TRY(aead_new(&key, AEAD_SEAL, &s->seal, e));
    TRY(aead_new(&key, AEAD_OPEN, &s->open, e));
    return mem_new(&s->cache, (size_t)CACHED * BLOCK, "facts put aside", e);
}

/* Without one it goes on in memory. */
static enum rc begin_file(struct spool *s, struct err *e)
{
    OWNED_FD int fd = -1;

    s->tried = true;
    if (open_file(&fd, &s->why) != RC_OK)
        return RC_OK;
    TRY(make_keys(s, e));
    s->fd = os_fd_give(&fd);
    return RC_OK;
}

/* Each number is sealed once. */
static void nonce_of(uint64_t block, uint8_t nonce[static AEAD_NONCE])
{
    memset(nonce, 0, AEAD_NONCE);
    memcpy(nonce, &block, sizeof block);
}

static enum rc write_block(struct spool *s, struct err *e)
{
    uint8_t sealed[SEALED], nonce[AEAD_NONCE];

    if (s->blocks % LOOK_AT_ROOM == 0)
        TRY(check_room(s->fd, e));
    nonce_of(s->blocks, nonce);
    TRY(aead_seal(s->seal, nonce, BYTES_OF(s->tail), sealed, e));
    TRY(os_pwrite_full(s->fd, sealed, sizeof sealed, s->blocks * SEALED, name, e));
    s->blocks++;
    s->filled = 0;
    return RC_OK;
}

static enum rc read_block(struct spool *s, uint64_t block, uint8_t *to, struct err *e)
{
    uint8_t sealed[SEALED], nonce[AEAD_NONCE];
    bool authentic = false;

    nonce_of(block, nonce);
    if (os_pread_full(s->fd, sealed, sizeof sealed, block * SEALED, name, e) != RC_OK)
        return e->code = RC_STORAGE;
    TRY(aead_open(s->open, nonce, BYTES_OF(sealed), to, &authentic, e));
    return authentic ? RC_OK
                     : err_set(e, RC_STORAGE,
                               "a %s does not hold what was written to it" HINT
                               "check the disk below $TMPDIR, or name another place",
                               name);
}

static enum rc look_at(struct spool *s, uint64_t block, const uint8_t **p, struct err *e)
{
    size_t at = block % CACHED;
    uint8_t *to = s->cache + at * BLOCK;

    *p = to;
    if (s->cached[at] == block + 1)
        return RC_OK;
    s->cached[at] = 0;
    TRY(read_block(s, block, to, e));
    s->cached[at] = block + 1;
    return RC_OK;
}

/* ---- adding ----------------------------------------------------------------------- */

static enum rc add_to_file(struct spool *s, const uint8_t *p, size_t n)
{
    while (n > 0) {
        size_t k = BLOCK - s->filled < n ? BLOCK - s->filled : n;

        memcpy(s->tail + s->filled, p, k);
        s->filled += k;
        p += k;
        n -= k;
        if (s->filled == BLOCK)
            TRY(write_block(s, &s->why));
    }
    return RC_OK;
}

static enum rc add_to_memory(struct spool *s, const uint8_t *p, size_t n, struct err *e)
{
    size_t room = s->room == 0 ? 1 << 16 : s->room;

    while (room - s->held < n)
        room *= 2;
    if (room > s->room) {
        uint8_t *more = mem_resize(s->memory, room, 1);

        if (more == NULL)
            return err_set(e, RC_NOMEM, "no memory for %zu bytes of facts", room);
        s->memory = more;
        s->room = room;
    }
    memcpy(s->memory + s->held, p, n);
    s->held += n;
    return RC_OK;
}

static bool is_too_much(struct spool *s, size_t n)
{
    size_t most = s->options.memory_max;

    if (most == 0 || s->held + n <= most)
        return false;
    if (s->why.code == RC_OK)
        (void)err_set(&s->why, RC_NOMEM, "there are more than %zu bytes of facts", most);
    return true;
}

static enum rc append(struct spool *s, const uint8_t *p, size_t n, struct err *e)
{
    if (s->fd < 0 && !s->tried && s->held + n > s->options.resident)
        TRY(begin_file(s, e));
    if (s->fd >= 0 ? add_to_file(s, p, n) != RC_OK : is_too_much(s, n)) {
        lose(s);
        return RC_OK;
    }
    s->size += n;
    return s->fd >= 0 ? RC_OK : add_to_memory(s, p, n, e);
}

enum rc spool_add(struct spool *s, const void *p, size_t n, uint32_t *place,
                  struct err *e)
{
    static const uint8_t fill[SPOOL_UNIT];
    size_t odd = s->size % SPOOL_UNIT;

    *place = 0;
    if (!s->lost && odd != 0)
        TRY(append(s, fill, SPOOL_UNIT - odd, e));
    if (!s->lost && s->size / SPOOL_UNIT >= UINT32_MAX) {
        (void)err_set(&s->why, RC_NOMEM, "there are too many facts");
        lose(s);
    }
    if (s->lost)
        return RC_OK;
    *place = (uint32_t)(s->size / SPOOL_UNIT);
    return append(s, p, n, e);
}

/* ---- reading ---------------------------------------------------------------------- */

/* As many bytes from `at` on as lie side by side. */
static enum rc look(struct spool *s, uint64_t at, const uint8_t **p, size_t *n,
                    struct err *e)
{
    uint64_t block = at < s->held ? 0 : (at - s->held) / BLOCK;
    size_t skip = at < s->held ? 0 : (size_t)((at - s->held) % BLOCK);

    if (at < s->held) {
        *p = s->memory + at;
        *n = (size_t)(s->held - at);
        return RC_OK;
    }
    *n = BLOCK - skip;
    if (block < s->blocks)
        TRY(look_at(s, block, p, e));
    else
        *p = s->tail;
    *p += skip;
    return RC_OK;
}

enum rc spool_read(struct spool *s, uint32_t place, size_t skip, void *to, size_t n,
                   struct err *e)
{
    uint64_t at = (uint64_t)place * SPOOL_UNIT + skip;
    uint8_t *out = to;

    if (s->lost || at > s->size || n > s->size - at)
        return err_set(e, RC_INTERNAL, "facts are read that were not put aside");
    while (n > 0) {
        const uint8_t *p = NULL;
        size_t k = 0;

        TRY(look(s, at, &p, &k, e));
        k = k < n ? k : n;
        memcpy(out, p, k);
        out += k;
        at += k;
        n -= k;
    }
    return RC_OK;
}
