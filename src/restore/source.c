#include "restore/source.h"

#include <fcntl.h>
#include <string.h>

#include "filter/file.h"
#include "util/mem.h"
#include "util/os.h"

struct restore_source {
    struct bolt_file *database;
    struct snap_hashing hashing;
};

/* What decodes into the scratch file is the plaintext that the data directory is going
 * to hold anyway, in the same place and with the same mode. */
static enum rc decode_to(const char *file, const struct age_identities *ids,
                         const char *scratch, struct err *e)
{
    const struct file_sink_options options = { .buffered = true };
    OWNED(sink) chain = NULL;
    OWNED_FD int fd = -1;

    TRY(os_open(AT_FDCWD, scratch, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, &fd, e));
    TRY(file_sink_new(fd, scratch, &options, &chain, e));
    return snap_decode_file(file, ids, GIVE(chain), NULL, NULL, e);
}

static enum rc is_raw(const char *file, bool *raw, struct err *e)
{
    struct snap_kind kind = { 0 };

    *raw = false;
    if (strcmp(file, "-") == 0)
        return RC_OK;
    TRY(snap_probe(file, &kind, e));
    *raw = !kind.age && !kind.zstd;
    return RC_OK;
}

enum rc restore_source_open(const char *file, const struct age_identities *ids,
                            const char *scratch, struct findings *f,
                            struct restore_source **out, struct err *e)
{
    OWNED(restore_source) s = NULL;
    bool raw;

    TRY(is_raw(file, &raw, e));
    if (!raw)
        TRY(decode_to(file, ids, scratch, e));
    TRY(mem_new(&s, sizeof *s, "the source", e));
    TRY(bolt_file_open(raw ? file : scratch, f, &s->database, e));
    TRY(snap_hashing_start(&s->hashing, bolt_file_bytes(s->database), e));
    *out = GIVE(s);
    return RC_OK;
}

void restore_source_free(struct restore_source *s)
{
    struct err ignored;

    if (s == NULL)
        return;
    /* A digest that nobody asked for any more; there is nothing to tell. */
    if (snap_hashing_join(&s->hashing, RC_OK, &ignored) != RC_OK)
        ignored.code = RC_OK;
    bolt_file_free(s->database);
    mem_free(s);
}

const struct bolt_file *restore_source_database(const struct restore_source *s)
{
    return s->database;
}

enum rc restore_source_verdict(struct restore_source *s, bool skip,
                               struct snap_trailer *out, struct err *e)
{
    TRY(snap_hashing_join(&s->hashing, RC_OK, e));
    TRY(bolt_file_intact(s->database, e));
    if (!skip)
        TRY(snap_trailer_verdict(&s->hashing.trailer, e));
    *out = s->hashing.trailer;
    return RC_OK;
}
