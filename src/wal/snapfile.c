#include "wal/snapfile.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/crc32c.h"
#include "codec/pb.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"
#include "wal/name.h"

#define SUFFIX ".snap"

void snapfile_name(char out[static SNAPFILE_NAME_SIZE], uint64_t term, uint64_t index)
{
    wal_pair_name(out, SNAPFILE_NAME_SIZE, term, index, SUFFIX);
}

bool snapfile_name_parse(const char *name, uint64_t *term, uint64_t *index)
{
    return wal_pair_parse(name, SUFFIX, term, index);
}

static bool db_name_parse(const char *name, uint64_t *index)
{
    char again[32];
    uint64_t a;

    if (sscanf(name, "%16" SCNx64 ".snap.db", &a) != 1)
        return false;
    snprintf(again, sizeof again, "%016" PRIx64 ".snap.db", a);
    if (strcmp(name, again) != 0)
        return false;
    *index = a;
    return true;
}

enum rc snapfile_parse(struct bytes file, struct wal_snapshot *out, struct err *e)
{
    struct pb_reader r = pb_reader_of(file);
    struct bytes data = { 0 };
    struct pb_field f;
    uint64_t crc = 0;
    uint32_t sum;

    while (pb_next(&r, &f)) {
        if (f.tag == PB_TAG(1, PB_VARINT))
            crc = f.value;
        else if (f.tag == PB_TAG(2, PB_BYTES))
            data = f.bytes;
    }
    if (!pb_done(&r))
        return err_set(e, RC_CORRUPT, "no valid snapshot file: byte %zu of %zu",
                       pb_offset(&r, file), file.n);
    if (data.n == 0 || crc == 0)
        return err_set(e, RC_CORRUPT, "the snapshot file is empty");
    sum = crc32c_update(0, data.p, data.n);
    if (sum != crc)
        return err_set(e, RC_CORRUPT,
                       "its checksum is %08" PRIx32 ", recorded is %08" PRIx64, sum, crc);
    return wal_snapshot_parse(data, out, e);
}

enum rc snapfile_put(struct buf *b, const struct wal_snapshot *s, struct err *e)
{
    AT_END(buf_clear) struct buf data = { .cap_max = SNAPFILE_MAX };

    TRY(wal_snapshot_put(&data, s, e));
    TRY(pb_put_u64(b, 1, crc32c_update(0, data.p, data.n), e));
    return pb_put_bytes(b, 2, (struct bytes){ data.p, data.n }, e);
}

void snapfile_free(struct snapfile *s)
{
    if (s == NULL)
        return;
    wal_snapshot_clear(&s->snapshot);
    mem_free(s->bytes);
    mem_free(s);
}

static enum rc check_name(const struct snapfile *s, const char *name, struct err *e)
{
    uint64_t term, index;

    if (snapfile_name_parse(name, &term, &index) &&
        (s->snapshot.term != term || s->snapshot.index != index))
        return err_set(e, RC_CORRUPT,
                       "it holds the snapshot of term %" PRIu64 ", index %" PRIu64,
                       s->snapshot.term, s->snapshot.index);
    return RC_OK;
}

enum rc snapfile_open(const char *dir, const char *name, struct snapfile **out,
                      struct err *e)
{
    AT_END(mem_end) char *path = NULL;
    OWNED(snapfile) s = NULL;

    TRY(str_format(&path, e, "%s/%s", dir, name));
    TRY(mem_new(&s, sizeof *s, "a snapshot file", e));
    TRY(os_read_file(path, SNAPFILE_MAX, &s->bytes, &s->size, e));
    if (snapfile_parse((struct bytes){ s->bytes, s->size }, &s->snapshot, e) != RC_OK ||
        check_name(s, name, e) != RC_OK)
        return err_wrap(e, "reading '%s'", path);
    *out = GIVE(s);
    return RC_OK;
}

void snapdir_clear(struct snapdir *d)
{
    mem_free(d->snaps);
    mem_free(d->dbs);
    *d = (struct snapdir){ 0 };
}

static enum rc sort_in(struct snapdir *d, const char *name, struct findings *f,
                       struct err *e)
{
    struct snapdir_item *item = &d->snaps[d->snap_count];
    char shown[128];

    str_printable(shown, sizeof shown, bytes_str(name));
    if (snapfile_name_parse(name, &item->term, &item->index))
        d->snap_count++;
    else if (db_name_parse(name, &d->dbs[d->db_count]))
        d->db_count++;
    else if (str_ends(name, ".broken"))
        return findings_add(f, FINDING_WARN, "snap-broken", FINDING_NO_PAGE, e,
                            "'%s' is a snapshot file that etcd could not read", shown);
    else if (str_ends(name, ".snap"))
        return findings_add(f, FINDING_WARN, "snap-name", FINDING_NO_PAGE, e,
                            "'%s' is no name of a snapshot file, yet etcd would load it",
                            shown);
    return RC_OK;
}

static int newest_first(const void *a, const void *b)
{
    const struct snapdir_item *x = a, *y = b;

    if (x->term != y->term)
        return x->term < y->term ? 1 : -1;
    return x->index < y->index ? 1 : x->index > y->index ? -1 : 0;
}

enum rc snapdir_list(const char *dir, struct findings *f, struct snapdir *out,
                     struct err *e)
{
    AT_END(str_list_clear) struct str_list names = { 0 };
    AT_END(snapdir_clear) struct snapdir d = { 0 };

    TRY(os_list(AT_FDCWD, dir, &names, e));
    TRY(mem_new(&d.snaps, (names.count + 1) * sizeof *d.snaps, "a list of files", e));
    TRY(mem_new(&d.dbs, (names.count + 1) * sizeof *d.dbs, "a list of files", e));
    for (size_t i = 0; i < names.count; i++)
        TRY(sort_in(&d, names.items[i], f, e));
    qsort(d.snaps, d.snap_count, sizeof *d.snaps, newest_first);
    *out = d;
    d = (struct snapdir){ 0 };
    return RC_OK;
}

static bool has_mark(const struct wal_summary *log, const struct snapdir_item *item)
{
    for (size_t i = 0; i < log->mark_count; i++)
        if (log->marks[i].index == item->index && log->marks[i].term == item->term &&
            wal_mark_valid(log, &log->marks[i]))
            return true;
    return false;
}

/* Tries one; *out stays NULL, with a finding, when etcd would pass it over. */
static enum rc try_one(const char *dir, const char *name, struct findings *f,
                       struct snapfile **out, struct err *e)
{
    struct err problem = { 0 };

    if (snapfile_open(dir, name, out, &problem) == RC_OK)
        return RC_OK;
    if (problem.code != RC_CORRUPT)
        return err_set(e, problem.code, "%s", problem.why);
    return findings_add(f, FINDING_ERROR, "snap-damaged", FINDING_NO_PAGE, e,
                        "'%s': %s; etcd would try an older one", name, problem.why);
}

enum rc snapfile_newest(const char *dir, const struct wal_summary *log,
                        struct findings *f, struct snapfile **out, struct err *e)
{
    AT_END(snapdir_clear) struct snapdir d = { 0 };
    OWNED(snapfile) found = NULL;

    TRY(snapdir_list(dir, f, &d, e));
    for (size_t i = 0; i < d.snap_count && found == NULL; i++) {
        char name[SNAPFILE_NAME_SIZE];

        snapfile_name(name, d.snaps[i].term, d.snaps[i].index);
        if (log == NULL || has_mark(log, &d.snaps[i]))
            TRY(try_one(dir, name, f, &found, e));
        else
            TRY(findings_add(f, FINDING_WARN, "snap-no-mark", FINDING_NO_PAGE, e,
                             "'%s' has no valid mark in the WAL, etcd passes it over",
                             name));
    }
    if (found == NULL)
        return err_set(e, RC_NOTFOUND, "there is no usable snapshot file in '%s'", dir);
    *out = GIVE(found);
    return RC_OK;
}
