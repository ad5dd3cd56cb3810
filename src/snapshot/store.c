#include "snapshot/store.h"

#include <string.h>

#include "filter/lane.h"
#include "filter/zstd.h"
#include "storage/neighbor.h"
#include "storage/posix.h"
#include "util/log.h"
#include "util/os.h"

/* Level 1 takes three fifths of level 3's processor time, and what it makes of an etcd's
 * database is as small: 2 % more to 11 % less on those of the tests and benchmarks. Lanes
 * have blocks as the file sink writes them, without another copy. */
enum { ZSTD_LEVEL = 1, ZSTD_WORKERS = 2, LANE_BLOCK = FILE_BLOCK, LANE_BLOCKS = 3 };

enum rc snap_store_check(const struct snap_store_options *o, struct err *e)
{
    struct snap_kind kind = snap_kind_of_name(o->file);

    if (kind.age && o->recipients == NULL)
        return err_set(e, RC_USAGE,
                       "'%s' is to be encrypted, but for nobody" HINT
                       "give --recipient age1..., --recipients-file FILE or --passphrase",
                       o->file);
    if (!kind.age && o->recipients != NULL)
        return err_set(e, RC_USAGE,
                       "recipients are given, but the name '%s' does not end in .age" HINT
                       "name it .db.zst.age or .db.age",
                       o->file);
    return o->end != NULL ? RC_OK : posix_put_check(o->file, e);
}

/* A full disk stops etcd: next to its data a backup keeps a tenth of the file system
 * free, and says that it should live elsewhere. */
enum rc snap_store_reserve(const struct snap_store_options *o, uint64_t *reserve,
                           struct err *e)
{
    OWNED_FD int dir = -1;
    struct neighbor n;
    char whose[NEIGHBOR_WORDS];
    struct statvfs fs;
    const char *base;
    bool found = false;

    *reserve = FILE_RESERVE_DEFAULT;
    if (o->end != NULL || strcmp(o->file, "-") == 0)
        return RC_OK;
    TRY(neighbor_find(o->file, &n, &found, e));
    if (!found)
        return RC_OK;
    neighbor_words(&n, whose);
    log_warn(
        "'%s' lies on the file system of %s: a full disk stops etcd, so keep backups "
        "elsewhere",
        o->file, whose);
    if (o->allow_same_filesystem)
        return RC_OK;
    TRY(os_open_parent(o->file, &dir, &base, e));
    if (os.fstatvfs(dir, &fs) < 0)
        return err_sys(e, RC_STORAGE, "cannot ask for free space");
    *reserve = (uint64_t)fs.f_blocks * fs.f_frsize / 10;
    return RC_OK;
}

static enum rc last_sink(const struct snap_store_options *o, uint64_t reserve,
                         uint64_t size, struct file_sink_result *result,
                         struct sink **out, struct err *e)
{
    const struct posix_put_options put = {
        .file = { .expected_size = size,
                  .reserve = reserve,
                  .read_back = true,
                  .result = result },
    };

    if (o->end != NULL)
        return o->end->make(o->end->arg, size, out, e);
    return posix_put_new(o->file, &put, out, e);
}

/* Built from the file outwards. */
enum rc snap_store_new(const struct snap_store_options *o, uint64_t reserve,
                       uint64_t size, struct snap_store_result *result, struct sink **out,
                       struct err *e)
{
    struct snap_kind kind = snap_kind_of_name(o->file);
    OWNED(sink) chain = NULL;

    TRY(last_sink(o, reserve, kind.zstd ? 0 : size, &result->file, &chain, e));
    if (kind.age || kind.zstd)
        TRY(sha256_sink_new(GIVE(chain), result->sha256, &chain, e));
    if (kind.age)
        TRY(seal_sink_new(GIVE(chain), o->recipients, &chain, e));
    if (kind.zstd)
        TRY(zstd_sink_new(GIVE(chain), ZSTD_LEVEL, ZSTD_WORKERS, &chain, e));
    TRY(lane_sink_new(GIVE(chain), LANE_BLOCK, LANE_BLOCKS, &chain, e));
    *out = GIVE(chain);
    return RC_OK;
}

void snap_store_settle(const struct snap_store_options *o, const struct snap_trailer *t,
                       struct snap_store_result *result)
{
    struct snap_kind kind = snap_kind_of_name(o->file);

    if (!kind.age && !kind.zstd)
        memcpy(result->sha256, t->whole, sizeof result->sha256);
}
