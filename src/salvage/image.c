#include "salvage/image.h"

#include "util/stop.h"

enum { META_ROOM = 80 };

static bool page_at(struct bytes b, uint64_t id, uint32_t page_size, uint64_t pages,
                    struct bolt_page *out)
{
    struct bolt_fault fault;

    if (id < 2 || id >= pages)
        return false;
    return bolt_page_head(b.p + id * page_size, (pages - id) * page_size, id, page_size,
                          out, &fault) &&
           bolt_page_body(out, &fault);
}

bool salvage_image_page(const struct salvage_image *i, uint64_t id, struct bolt_page *out)
{
    return page_at(i->bytes, id, i->page_size, i->pages, out);
}

/* ---- metas ------------------------------------------------------------------------- */

static bool meta_at(struct bytes b, uint64_t at, struct bolt_meta *out)
{
    struct err ignored;

    if (at > b.n || b.n - at < META_ROOM)
        return false;
    return bolt_meta_read((struct bytes){ b.p + at, b.n - at }, out, &ignored) == RC_OK;
}

static void find_second(const struct salvage_image *i, struct bolt_meta *out, bool *found)
{
    uint32_t size = i->metas_good > 0 ? i->metas[0].page_size : BOLT_PAGE_SIZE_MIN;
    uint32_t last = i->metas_good > 0 ? size : BOLT_PAGE_SIZE_MAX;

    for (; size <= last && !*found; size *= 2)
        *found = meta_at(i->bytes, size, out) && out->page_size == size;
}

static void find_metas(struct salvage_image *i)
{
    struct bolt_meta second;
    bool found = false;

    i->metas_good = meta_at(i->bytes, 0, &i->metas[0]);
    find_second(i, &second, &found);
    if (!found)
        return;
    second.page = 1;
    if (i->metas_good > 0 && second.txid > i->metas[0].txid) {
        i->metas[1] = i->metas[0];
        i->metas[0] = second;
    } else {
        i->metas[i->metas_good] = second;
    }
    i->metas_good++;
}

/* ---- without metas ----------------------------------------------------------------- */

/* A page header names its own position, so pages look well-formed at one size only. */
static enum rc count_pages(struct bytes b, uint32_t size, uint64_t *out, struct err *e)
{
    struct bolt_page page;

    *out = 0;
    for (uint64_t id = 2; id < b.n / size; id++) {
        *out += page_at(b, id, size, b.n / size, &page);
        if (id % 1024 == 0)
            TRY(stop_check(e));
    }
    return RC_OK;
}

static enum rc guess_page_size(struct salvage_image *i, const char *name, struct err *e)
{
    uint64_t best = 0, count;

    for (uint32_t size = BOLT_PAGE_SIZE_MIN; size <= BOLT_PAGE_SIZE_MAX; size *= 2) {
        TRY(count_pages(i->bytes, size, &count, e));
        if (count > best) {
            best = count;
            i->page_size = size;
        }
    }
    if (best > 0)
        return RC_OK;
    return err_set(e, RC_CORRUPT,
                   "'%s' holds no page of a bbolt database: nothing can be salvaged" HINT
                   "a compressed or encrypted snapshot must be unpacked first",
                   name);
}

/* ---- open -------------------------------------------------------------------------- */

static enum rc measure(struct salvage_image *i, const char *name, struct err *e)
{
    uint64_t there, wanted = 0;

    find_metas(i);
    if (i->metas_good == 0)
        TRY(guess_page_size(i, name, e));
    else
        i->page_size = i->metas[0].page_size;
    there = i->bytes.n / i->page_size;
    for (unsigned m = 0; m < i->metas_good; m++)
        if (i->metas[m].high_water > wanted)
            wanted = i->metas[m].high_water;
    i->truncated = i->metas_good > 0 && i->metas[0].high_water > there;
    /* A meta that is lost may have been of a commit that reached further. */
    i->pages = i->metas_good > 1 && wanted < there ? wanted : there;
    return RC_OK;
}

enum rc salvage_image_open(int fd, const char *name, struct salvage_image *out,
                           struct err *e)
{
    struct salvage_image i = { 0 };
    enum rc rc = bolt_file_map_fd(fd, name, &i.file, e);

    if (rc == RC_OK) {
        i.bytes = bolt_file_bytes(i.file);
        rc = measure(&i, name, e);
    }
    if (rc != RC_OK) {
        salvage_image_clear(&i);
        return rc;
    }
    *out = i;
    return RC_OK;
}

void salvage_image_clear(struct salvage_image *i)
{
    bolt_file_free(i->file);
    *i = (struct salvage_image){ 0 };
}
