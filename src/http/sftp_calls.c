#include <stdio.h>
#include <string.h>

#include "http/sftp_call.h"
#include "util/mem.h"
#include "util/str.h"

enum { LINE_MAX_BYTES = 4096 };

/* ---- looking
 * ---------------------------------------------------------------------------- */

static enum rc refuse_content(void *arg, struct bytes piece, struct err *e)
{
    const struct sftp_call *c = arg;

    return piece.n == 0 ? RC_OK
                        : err_set(e, RC_CORRUPT,
                                  "the server does not tell the size of '%s'", c->path);
}

/* libcurl tells an empty file and an untold size alike. */
static enum rc check_empty(struct sftp_call *c, struct err *e)
{
    return sftp_read(c->session, c->path, 0, refuse_content, c, e);
}

static enum rc stat_call(struct sftp_call *c, struct sftp_facts *out, struct err *e)
{
    curl_off_t size = -1, modified = -1;

    TRY(sftp_call_begin(c, e));
    SFTP_SET(c, CURLOPT_NOBODY, 1L);
    SFTP_SET(c, CURLOPT_FILETIME, 1L);
    TRY(sftp_call_run(c, e));
    curl_easy_getinfo(c->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
    curl_easy_getinfo(c->easy, CURLINFO_FILETIME_T, &modified);
    if (size < 0)
        TRY(check_empty(c, e));
    out->size = size < 0 ? 0 : (uint64_t)size;
    out->modified_s = modified < 0 ? 0 : modified;
    return RC_OK;
}

enum rc sftp_stat(struct sftp *s, const char *path, struct sftp_facts *out, struct err *e)
{
    AT_END(sftp_call_end) struct sftp_call c = { .session = s, .path = path };

    return stat_call(&c, out, e);
}

/* Only a directory has a "." in it. */
enum rc sftp_is_directory(struct sftp *s, const char *path, bool *out, struct err *e)
{
    AT_END(mem_end) char *dot = NULL;
    struct sftp_facts ignored;
    struct err missing = { 0 };
    enum rc rc;

    TRY(str_format(&dot, e, "%s/.", path));
    rc = sftp_stat(s, dot, &ignored, &missing);
    if (rc != RC_OK && rc != RC_NOTFOUND && rc != RC_STORAGE) {
        *e = missing;
        return rc;
    }
    *out = rc == RC_OK;
    return RC_OK;
}

enum rc sftp_read(struct sftp *s, const char *path, uint64_t offset, http_body_fn *fn,
                  void *arg, struct err *e)
{
    AT_END(sftp_call_end)
    struct sftp_call c = {
        .session = s, .path = path, .bulk = true, .on_body = fn, .arg = arg
    };

    TRY(sftp_call_begin(&c, e));
    SFTP_SET(&c, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)offset);
    return sftp_call_run(&c, e);
}

/* ---- lists
 * ------------------------------------------------------------------------------ */

struct lines {
    char line[LINE_MAX_BYTES];
    size_t n;
    http_body_fn *fn;
    void *arg;
};

static enum rc take_lines(void *arg, struct bytes piece, struct err *e)
{
    struct lines *l = arg;

    for (size_t i = 0; i < piece.n; i++) {
        if (piece.p[i] == '\n') {
            TRY(l->fn(l->arg, (struct bytes){ (const uint8_t *)l->line, l->n }, e));
            l->n = 0;
            continue;
        }
        if (l->n == sizeof l->line)
            return err_set(e, RC_CORRUPT, "a line of the server's list has no end");
        l->line[l->n++] = (char)piece.p[i];
    }
    return RC_OK;
}

enum rc sftp_list(struct sftp *s, const char *path, http_body_fn *fn, void *arg,
                  struct err *e)
{
    struct lines l = { .n = 0, .fn = fn, .arg = arg };
    AT_END(mem_end) char *directory = NULL;

    TRY(str_format(&directory, e, "%s%s", path, str_ends(path, "/") ? "" : "/"));
    AT_END(sftp_call_end)
    struct sftp_call c = {
        .session = s, .path = directory, .bulk = true, .on_body = take_lines, .arg = &l
    };

    TRY(sftp_call_begin(&c, e));
    TRY(sftp_call_run(&c, e));
    if (l.n != 0)
        return err_set(e, RC_CORRUPT, "the server's list ends in the middle of a line");
    return RC_OK;
}

/* ---- commands
 * --------------------------------------------------------------------------- */

static enum rc command(struct sftp *s, const char *name, const char *path, struct err *e)
{
    AT_END(sftp_call_end) struct sftp_call c = { .session = s, .path = path };

    TRY(sftp_call_begin(&c, e));
    TRY(sftp_call_quote(&c, name, path, NULL, e));
    /* With a path that ends in '/' libcurl looks at nothing once the command is done. */
    SFTP_SET(&c, CURLOPT_URL, s->base);
    SFTP_SET(&c, CURLOPT_NOBODY, 1L);
    return sftp_call_run(&c, e);
}

enum rc sftp_remove(struct sftp *s, const char *path, struct err *e)
{
    return command(s, "rm", path, e);
}

enum rc sftp_remove_directory(struct sftp *s, const char *path, struct err *e)
{
    return command(s, "rmdir", path, e);
}

enum rc sftp_rename(struct sftp *s, const char *from, const char *to, bool replace,
                    struct err *e)
{
    AT_END(sftp_call_end) struct sftp_call c = { .session = s, .path = to };

    TRY(sftp_call_begin(&c, e));
    /* A star: whether it works or not. */
    if (replace)
        TRY(sftp_call_quote(&c, "*rm", to, NULL, e));
    TRY(sftp_call_quote(&c, "rename", from, to, e));
    SFTP_SET(&c, CURLOPT_URL, s->base);
    SFTP_SET(&c, CURLOPT_NOBODY, 1L);
    return sftp_call_run(&c, e);
}

static enum rc gather(void *arg, struct bytes piece, struct err *e)
{
    return buf_add(arg, piece.p, piece.n, e);
}

static bool figure(const char *text, const char *name, uint64_t *out)
{
    const char *at = strstr(text, name);
    unsigned long long value;

    if (at == NULL || sscanf(at + strlen(name), " %llu", &value) != 1)
        return false;
    *out = value;
    return true;
}

static enum rc ask_free_space(struct sftp *s, const char *path, struct buf *text,
                              struct err *e)
{
    AT_END(sftp_call_end)
    struct sftp_call c = { .session = s, .path = path, .on_header = gather, .arg = text };

    TRY(sftp_call_begin(&c, e));
    TRY(sftp_call_quote(&c, "statvfs", path, NULL, e));
    SFTP_SET(&c, CURLOPT_URL, s->base);
    SFTP_SET(&c, CURLOPT_NOBODY, 1L);
    TRY(sftp_call_run(&c, e));
    return buf_add(text, "", 1, e);
}

enum rc sftp_free_space(struct sftp *s, const char *path, uint64_t *out, bool *known,
                        struct err *e)
{
    AT_END(buf_clear) struct buf text = { .cap_max = 16 << 10 };
    struct err untold = { 0 };
    uint64_t block = 0, left = 0;
    enum rc rc = ask_free_space(s, path, &text, &untold);

    *known = false;
    if (rc == RC_STORAGE)
        return RC_OK;
    if (rc != RC_OK) {
        *e = untold;
        return rc;
    }
    *known = figure((const char *)text.p, "f_frsize:", &block) &&
             figure((const char *)text.p, "f_bavail:", &left) &&
             !__builtin_mul_overflow(block, left, out);
    return RC_OK;
}

/* ---- uploads
 * ---------------------------------------------------------------------------- */

struct sftp_upload {
    struct sftp_call call;
    char *path;
};

enum rc sftp_upload_new(struct sftp *s, const char *path, struct sftp_upload **out,
                        struct err *e)
{
    OWNED(sftp_upload) u = NULL;

    TRY(mem_new(&u, sizeof *u, "an upload", e));
    u->call = (struct sftp_call){ .session = s, .bulk = true, .uploading = true };
    u->path = mem_str(path);
    if (u->path == NULL)
        return err_set(e, RC_NOMEM, "no memory for the path '%s'", path);
    u->call.path = u->path;
    TRY(sftp_call_begin(&u->call, e));
    TRY(sftp_call_start(&u->call, e));
    *out = GIVE(u);
    return RC_OK;
}

static enum rc go_on(struct sftp_upload *u, struct err *e)
{
    if (u->call.done && u->call.code == CURLE_OK)
        return err_set(e, RC_NET, "the server ended the upload of '%s'", u->path);
    if (!u->call.done)
        curl_easy_pause(u->call.easy, CURLPAUSE_CONT);
    return sftp_call_drive(&u->call, e);
}

enum rc sftp_upload_write(struct sftp_upload *u, struct bytes piece, struct err *e)
{
    u->call.piece = piece;
    return go_on(u, e);
}

enum rc sftp_upload_finish(struct sftp_upload *u, struct err *e)
{
    u->call.ending = true;
    return go_on(u, e);
}

void sftp_upload_free(struct sftp_upload *u)
{
    if (u == NULL)
        return;
    sftp_call_end(&u->call);
    mem_free(u->path);
    mem_free(u);
}
