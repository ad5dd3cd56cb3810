#include "repo/memory.h"

#include <string.h>

#include "storage/posix.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/os.h"

enum { MEMORY_MAX = 64 << 10, PLACE_DIGITS = 16, PLACE_SIZE = 1024 };

/* ---- keys as texts ---------------------------------------------------------------- */

/* The second line of a public key file is the key. */
void repo_key_line(const struct minisign_public *k, char out[static MINISIGN_PUBLIC_SIZE])
{
    char *line;

    minisign_public_text(k, out);
    line = strchr(out, '\n') + 1;
    line[strcspn(line, "\n")] = '\0';
    memmove(out, line, strlen(line) + 1);
}

struct json *repo_keys_json(const struct minisign_trust *t)
{
    struct json *a = json_new_array();
    char line[MINISIGN_PUBLIC_SIZE];

    for (size_t i = 0; i < t->count; i++) {
        repo_key_line(&t->keys[i], line);
        json_add_str(a, line);
    }
    return a;
}

enum rc repo_keys_parse(const struct json *a, struct minisign_trust *out, struct err *e)
{
    struct minisign_public key;

    for (size_t i = 0; i < json_count(a); i++) {
        const char *text = json_str(json_at(a, i));

        if (text == NULL ||
            minisign_public_parse(bytes_str(text), "signing_keys", &key, e) != RC_OK ||
            minisign_trust_add(out, &key, e) != RC_OK)
            return err_set(e, RC_CORRUPT, "a signing key cannot be read");
    }
    return out->count > 0 ? RC_OK : err_set(e, RC_CORRUPT, "there is no signing key");
}

/* ---- the file --------------------------------------------------------------------- */

static enum rc path_of(const struct care_store *s, const char *place, char **out,
                       struct err *e)
{
    char digits[2 * SHA256_SIZE + 1];
    uint8_t digest[SHA256_SIZE];
    OWNED(sha256) h = NULL;

    TRY(sha256_new(&h, e));
    TRY(sha256_add(h, place, strlen(place), e));
    TRY(sha256_end(h, digest, e));
    str_hex(digits, digest, sizeof digest);
    return str_format(out, e, "%s/repo-%.*s.json", s->dir, PLACE_DIGITS, digits);
}

static enum rc parse(struct bytes text, const char *path, struct repo_memory *m,
                     struct err *e)
{
    OWNED(json) o = NULL;
    const char *id;

    TRY(json_parse(text, path, &o, e));
    id = json_get_str(o, "id");
    if (id == NULL || strlen(id) != sizeof m->id - 1)
        return err_set(e, RC_CORRUPT, "there is no id");
    memcpy(m->id, id, sizeof m->id);
    m->known = true;
    (void)json_get_u64(o, "changes", &m->changes);
    return repo_keys_parse(json_get(o, "signing_keys"), &m->keys, e);
}

enum rc repo_memory_get(const struct care_store *s, const char *place,
                        struct repo_memory *out, struct err *e)
{
    AT_END(mem_end) char *path = NULL;
    AT_END(mem_end) uint8_t *text = NULL;
    struct repo_memory m = { 0 };
    size_t n = 0;
    enum rc rc;

    TRY(path_of(s, place, &path, e));
    rc = os_read_file(path, MEMORY_MAX, &text, &n, e);
    if (rc == RC_NOTFOUND) {
        *out = m;
        return RC_OK;
    }
    TRY(rc);
    if (parse((struct bytes){ text, n }, path, &m, e) != RC_OK)
        return err_wrap(e, "reading '%s', what this host remembers of '%s'", path, place);
    *out = m;
    return RC_OK;
}

enum rc repo_memory_put(const struct care_store *s, const char *place,
                        const struct repo_memory *m, struct err *e)
{
    const struct posix_put_options o = { .file = { .buffered = true }, .replace = true };
    AT_END(mem_end) char *path = NULL;
    AT_END(mem_end) char *text = NULL;
    OWNED(json) j = json_new_object();
    OWNED(sink) to = NULL;
    char shown[PLACE_SIZE]; /* for whoever looks into the file; any bytes may be a path */

    str_printable(shown, sizeof shown, bytes_str(place));
    json_set_str(j, "place", shown);
    json_set_str(j, "id", m->id);
    json_set(j, "signing_keys", repo_keys_json(&m->keys));
    if (m->changes > 0)
        json_set_u64(j, "changes", m->changes);
    TRY(json_render(j, true, &text, e));
    TRY(path_of(s, place, &path, e));
    TRY(posix_put_new(path, &o, &to, e));
    TRY(sink_write(to, text, strlen(text), e));
    return sink_finish(to, e);
}

enum rc repo_memory_key(const struct care_store *s, const char *id, char **out,
                        struct err *e)
{
    return str_format(out, e, "%s/repo-%s.key", s->dir, id);
}
