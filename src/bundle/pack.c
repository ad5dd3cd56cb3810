#include <archive.h>
#include <archive_entry.h>
#include <inttypes.h>
#include <string.h>

#include "bundle/bundle.h"
#include "bundle/gather.h"
#include "bundle/sums.h"
#include "util/clock.h"
#include "util/mem.h"

enum { TAR_BLOCK = 64 << 10 };

struct pack {
    struct sink base;
    struct archive *tar;
    const uint64_t *snapshot_size; /* borrowed */
    struct sha256 *sum;            /* of the member under way */
    struct buf sums;
    uint64_t size; /* of the snapshot; 0: nothing of it has come */
    bool dead;     /* what libarchive has left is for nobody */
    enum rc rc;    /* of base.next, when it fails inside of libarchive */
    struct err err;
};

static la_ssize_t on_write(struct archive *tar, void *arg, const void *p, size_t n)
{
    struct pack *k = arg;

    (void)tar;
    if (k->dead)
        return -1;
    k->rc = sink_write(k->base.next, p, n, &k->err);
    k->dead = k->rc != RC_OK;
    return k->dead ? -1 : (la_ssize_t)n;
}

static enum rc tar_failure(const struct pack *k, struct err *e)
{
    const char *said = archive_error_string(k->tar);

    if (k->rc != RC_OK) {
        *e = k->err;
        return k->rc;
    }
    return err_set(e, RC_INTERNAL, "libarchive: %s", said == NULL ? "no memory" : said);
}

/* ---- members
 * ---------------------------------------------------------------------------- */

static enum rc begin_member(struct pack *k, const struct bundle_file *f, uint64_t size,
                            struct err *e)
{
    struct archive_entry *entry = archive_entry_new();
    int r;

    if (entry == NULL)
        return err_set(e, RC_NOMEM, "no memory for a member of a bundle");
    archive_entry_set_pathname(entry, f->name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, f->mode);
    archive_entry_set_uid(entry, f->uid);
    archive_entry_set_gid(entry, f->gid);
    archive_entry_set_mtime(entry, f->modified_s, 0);
    archive_entry_set_size(entry, (la_int64_t)size);
    r = archive_write_header(k->tar, entry);
    archive_entry_free(entry);
    /* It warns of names beyond ASCII that the locale cannot tell from UTF-8, and stores
     * their bytes. */
    if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
        return tar_failure(k, e);
    return sha256_new(&k->sum, e);
}

static enum rc add_data(struct pack *k, struct bytes b, struct err *e)
{
    TRY(sha256_add(k->sum, b.p, b.n, e));
    if (b.n > 0 && archive_write_data(k->tar, b.p, b.n) != (la_ssize_t)b.n)
        return tar_failure(k, e);
    return RC_OK;
}

static enum rc end_member(struct pack *k, const char *name, struct err *e)
{
    OWNED(sha256) sum = GIVE(k->sum);

    return bundle_sums_add(&k->sums, name, sum, e);
}

static enum rc pack_file(void *arg, const struct bundle_file *f, struct err *e)
{
    struct pack *k = arg;

    TRY(begin_member(k, f, f->content.n, e));
    TRY(add_data(k, f->content, e));
    return end_member(k, f->name, e);
}

static struct bundle_file own_member(const char *name)
{
    return (struct bundle_file){ .name = name,
                                 .mode = 0600,
                                 .modified_s = clock_unix_ms() / 1000 };
}

static enum rc begin_snapshot(struct pack *k, struct err *e)
{
    const struct bundle_file f = own_member(BUNDLE_SNAPSHOT);

    k->size = *k->snapshot_size;
    if (k->size == 0)
        return err_set(e, RC_INTERNAL, "nobody said how large the snapshot is");
    return begin_member(k, &f, k->size, e);
}

static enum rc pack_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct pack *k = (struct pack *)s;

    if (k->size == 0)
        TRY(begin_snapshot(k, e));
    if (n > k->size - s->taken)
        return err_set(e, RC_CORRUPT,
                       "the snapshot is larger than the %" PRIu64 " bytes announced",
                       k->size);
    return add_data(k, (struct bytes){ p, n }, e);
}

static enum rc pack_finish(struct sink *s, struct err *e)
{
    struct bundle_file sums = own_member(BUNDLE_SUMS);
    struct pack *k = (struct pack *)s;

    if (k->size == 0 || s->taken != k->size)
        return err_set(e, RC_CORRUPT,
                       "the snapshot has %" PRIu64 " bytes instead of %" PRIu64, s->taken,
                       k->size);
    TRY(end_member(k, BUNDLE_SNAPSHOT, e));
    sums.content = (struct bytes){ k->sums.p, k->sums.n };
    TRY(begin_member(k, &sums, sums.content.n, e));
    TRY(add_data(k, sums.content, e));
    if (archive_write_close(k->tar) != ARCHIVE_OK)
        return tar_failure(k, e);
    return sink_finish(s->next, e);
}

/* Freeing ends the archive as if it were whole: on_write sees to it that nobody reads it.
 */
static void pack_release(struct sink *s)
{
    struct pack *k = (struct pack *)s;

    k->dead = true;
    archive_write_free(k->tar);
    sha256_free(k->sum);
    buf_clear(&k->sums);
}

static const struct sink_ops pack_ops = {
    .name = "bundle",
    .write = pack_write,
    .finish = pack_finish,
    .release = pack_release,
};

/* The last block is not padded to a tape's. */
static enum rc open_tar(struct pack *k, struct err *e)
{
    k->tar = archive_write_new();
    if (k->tar == NULL)
        return err_set(e, RC_NOMEM, "no memory for a bundle");
    if (archive_write_set_format_pax_restricted(k->tar) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(k->tar, TAR_BLOCK) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(k->tar, 1) != ARCHIVE_OK ||
        archive_write_open(k->tar, k, NULL, on_write, NULL) != ARCHIVE_OK)
        return tar_failure(k, e);
    return RC_OK;
}

enum rc bundle_pack_new(struct sink *next, const struct bundle_options *o,
                        struct bundle_report *report, struct sink **out, struct err *e)
{
    OWNED(sink) rest = next;
    OWNED(sink) made = NULL;
    struct pack *k = NULL;

    TRY(mem_new(&k, sizeof *k, "a bundle", e));
    made = &k->base;
    k->base = (struct sink){ .ops = &pack_ops, .next = GIVE(rest) };
    k->snapshot_size = o->snapshot_size;
    TRY(open_tar(k, e));
    TRY(bundle_gather(o, report, pack_file, k, e));
    *out = GIVE(made);
    return RC_OK;
}
