#include "wal/segment.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"
#include "wal/name.h"
#include "wal/record.h"

#define SUFFIX ".wal"

enum { READ_AHEAD = 256 << 10 };

void wal_segment_name(char out[static WAL_NAME_SIZE], uint64_t sequence,
                      uint64_t first_index)
{
    wal_pair_name(out, WAL_NAME_SIZE, sequence, first_index, SUFFIX);
}

bool wal_segment_name_parse(const char *name, uint64_t *sequence, uint64_t *first_index)
{
    return wal_pair_parse(name, SUFFIX, sequence, first_index);
}

static enum rc note_other(struct findings *f, const char *name, struct err *e)
{
    char shown[128];

    str_printable(shown, sizeof shown, bytes_str(name));
    if (str_ends(name, ".tmp"))
        return findings_add(f, FINDING_NOTE, "wal-tmp", FINDING_NO_PAGE, e,
                            "'%s' is preallocated space, etcd ignores it", shown);
    if (str_ends(name, ".broken"))
        return findings_add(f, FINDING_WARN, "wal-broken", FINDING_NO_PAGE, e,
                            "'%s' is a segment as it was before etcd cut its end off; it "
                            "may hold entries that were committed",
                            shown);
    return findings_add(f, FINDING_WARN, "wal-name", FINDING_NO_PAGE, e,
                        "'%s' is no name of a WAL segment, etcd ignores it", shown);
}

static int by_sequence(const void *a, const void *b)
{
    const struct wal_segment *x = a, *y = b;

    return strcmp(x->name, y->name);
}

enum rc wal_segment_list(const char *dir, struct findings *f, struct wal_segment **out,
                         size_t *count, struct err *e)
{
    AT_END(str_list_clear) struct str_list names = { 0 };
    AT_END(mem_end) struct wal_segment *found = NULL;
    size_t n = 0;

    TRY(os_list(AT_FDCWD, dir, &names, e));
    TRY(mem_new(&found, (names.count + 1) * sizeof *found, "a list of segments", e));
    for (size_t i = 0; i < names.count; i++) {
        struct wal_segment *s = &found[n];

        if (wal_segment_name_parse(names.items[i], &s->sequence, &s->first_index))
            memcpy(found[n++].name, names.items[i], WAL_NAME_SIZE);
        else
            TRY(note_other(f, names.items[i], e));
    }
    if (n == 0)
        return err_set(e, RC_NOTFOUND, "there is no WAL segment in '%s'", dir);
    qsort(found, n, sizeof *found, by_sequence);
    *out = GIVE(found);
    *count = n;
    return RC_OK;
}

enum rc wal_file_open(const char *dir, const char *name, struct wal_file *out,
                      struct err *e)
{
    AT_END(mem_end) char *path = NULL;
    uint64_t size;
    int fd;

    TRY(str_format(&path, e, "%s/%s", dir, name));
    TRY(os_open_regular(path, &fd, &size, e));
    *out = (struct wal_file){
        .fd = fd,
        .name = name,
        .size = size,
        .held = { .cap_max = (size_t)WAL_RECORD_MAX + READ_AHEAD },
    };
    return RC_OK;
}

void wal_file_close(struct wal_file *f)
{
    os_fd_end(&f->fd);
    buf_clear(&f->held);
}

static enum rc slide(struct wal_file *f, uint64_t at, size_t n, struct err *e)
{
    f->held.n = 0;
    TRY(buf_reserve(&f->held, n, e));
    if (os_pread_full(f->fd, f->held.p, n, at, f->name, e) != RC_OK) {
        if (e->code == RC_CORRUPT)
            err_hint(e, "it became shorter while it was read; is the member running?");
        return e->code;
    }
    f->held_at = at;
    f->held.n = n;
    return RC_OK;
}

enum rc wal_file_view(struct wal_file *f, uint64_t at, size_t n, struct bytes *out,
                      struct err *e)
{
    uint64_t left = at < f->size ? f->size - at : 0;
    size_t ahead = n < READ_AHEAD ? READ_AHEAD : n;
    uint64_t skip;

    if (n > left)
        n = (size_t)left;
    if (at < f->held_at || at + n > f->held_at + f->held.n)
        TRY(slide(f, at, ahead < left ? ahead : (size_t)left, e));
    skip = at - f->held_at;
    *out = (struct bytes){ n == 0 ? NULL : f->held.p + skip, n };
    return RC_OK;
}
