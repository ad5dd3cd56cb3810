/* Objects as files of another machine over SFTP. An object is uploaded under a temporary
 * name, its size is asked for, and then it gets its name.
 *
 * What SFTP cannot do: nothing says that the bytes are on the other side's disk; a server
 * may overwrite on rename, so that of two puts at once both may seem to win; and a put
 * that replaces has a moment in which no object is there. */
#include "http/sftp.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/sftp_inside.h"
#include "storage/sftp_line.h"
#include "storage/temp.h"
#include "storage/walk.h"
#include "util/log.h"
#include "util/mem.h"

enum { LEFTOVER_S = 24 * 3600, CLEAN_UP_MS = 5000 };

/* ---- again and again
 * -------------------------------------------------------------------- */

enum rc remote_persist(struct remote *r, attempt_fn *attempt, void *arg, struct err *e)
{
    enum rc rc;

    r->retry = retry_begin(r->deadline_ms);
    do {
        sftp_limit(r->sftp, retry_left_ms(&r->retry));
        rc = attempt(r, arg, e);
    } while (retry_again(&r->retry, &rc, e));
    return rc;
}

enum rc remote_path(const struct remote *r, const char *key, char **out, struct err *e)
{
    return str_format(out, e, "%s/%s", r->root, key);
}

static enum rc try_root(struct remote *r, void *arg, struct err *e)
{
    bool *found = arg;

    return sftp_is_directory(r->sftp, r->root, found, e);
}

enum rc remote_check_root(struct remote *r, struct err *e)
{
    bool found = r->root_seen;

    if (!found)
        TRY(remote_persist(r, try_root, &found, e));
    r->root_seen = found;
    if (found)
        return RC_OK;
    return err_set(e, RC_NOTFOUND,
                   "there is no directory %s" HINT
                   "make the directory first, or mount what belongs there",
                   r->base.name);
}

static enum rc try_remove(struct remote *r, void *arg, struct err *e)
{
    const char *path = arg;
    struct err failure = { 0 };
    enum rc rc = sftp_remove(r->sftp, path, &failure);

    if (rc == RC_OK || rc == RC_NOTFOUND)
        return RC_OK;
    *e = failure;
    return rc;
}

void remote_prune(struct remote *r, const char *key)
{
    AT_END(mem_end) char *parent = mem_str(key), *path = NULL;
    struct err ignored = { 0 };
    char *slash;

    sftp_limit(r->sftp, CLEAN_UP_MS);
    while (parent != NULL && (slash = strrchr(parent, '/')) != NULL) {
        *slash = '\0';
        mem_free(GIVE(path));
        if (remote_path(r, parent, &path, &ignored) != RC_OK ||
            sftp_remove_directory(r->sftp, path, &ignored) != RC_OK)
            return;
    }
}

void remote_drop(struct remote *r, char *path, const char *key)
{
    const uint64_t deadline_ms = r->deadline_ms;
    struct err ignored = { 0 };

    r->deadline_ms = CLEAN_UP_MS;
    if (remote_persist(r, try_remove, path, &ignored) == RC_OK)
        remote_prune(r, key);
    r->deadline_ms = deadline_ms;
}

/* ---- get, stat
 * -------------------------------------------------------------------------- */

struct reading {
    const char *key, *path;
    struct sink *to;
    struct sftp_facts facts;
    uint64_t at;
    bool begun;
};

static enum rc take(void *arg, struct bytes piece, struct err *e)
{
    struct reading *g = arg;

    if (piece.n > g->facts.size - g->at)
        return err_set(e, RC_CORRUPT, "'%s' grows while it is read", g->key);
    TRY(sink_write(g->to, piece.p, piece.n, e));
    g->at += piece.n;
    return RC_OK;
}

static enum rc check_same(struct reading *g, const struct sftp_facts *now, struct err *e)
{
    if (g->begun &&
        (now->size != g->facts.size || now->modified_s != g->facts.modified_s))
        return err_set(e, RC_CORRUPT, "'%s' changed while it was read", g->key);
    g->facts = *now;
    g->begun = true;
    return RC_OK;
}

static enum rc try_read(struct remote *r, void *arg, struct err *e)
{
    struct reading *g = arg;
    struct sftp_facts now;
    uint64_t before = g->at;
    enum rc rc;

    TRY(sftp_stat(r->sftp, g->path, &now, e));
    TRY(check_same(g, &now, e));
    if (g->at == g->facts.size)
        return RC_OK;
    rc = sftp_read(r->sftp, g->path, g->at, take, g, e);
    if (g->at > before)
        retry_progress(&r->retry);
    if (rc == RC_OK && g->at != g->facts.size)
        return err_set(e, RC_NET, "'%s' ended early", g->key);
    return rc;
}

static enum rc missing_if(const struct remote *r, const char *key, enum rc rc,
                          struct err *e)
{
    return rc == RC_NOTFOUND ? store_missing(&r->base, key, e) : rc;
}

static enum rc remote_get(struct store *s, const char *key, struct sink *to,
                          struct err *e)
{
    struct remote *r = (struct remote *)s;
    AT_END(mem_end) char *path = NULL;

    TRY(remote_path(r, key, &path, e));
    struct reading g = { .key = key, .path = path, .to = to };

    return missing_if(r, key, remote_persist(r, try_read, &g, e), e);
}

struct asking {
    const char *path;
    struct sftp_facts facts;
};

static enum rc try_stat(struct remote *r, void *arg, struct err *e)
{
    struct asking *a = arg;
    bool directory = false;

    TRY(sftp_stat(r->sftp, a->path, &a->facts, e));
    TRY(sftp_is_directory(r->sftp, a->path, &directory, e));
    return directory ? err_set(e, RC_NOTFOUND, "'%s' is a directory", a->path) : RC_OK;
}

static enum rc remote_stat(struct store *s, const char *key, struct store_info *out,
                           struct err *e)
{
    struct remote *r = (struct remote *)s;
    AT_END(mem_end) char *path = NULL;

    TRY(remote_path(r, key, &path, e));
    struct asking a = { .path = path };

    TRY(missing_if(r, key, remote_persist(r, try_stat, &a, e), e));
    out->size = a.facts.size;
    out->modified_ms = a.facts.modified_s * 1000;
    return RC_OK;
}

/* ---- list, remove, sweep
 * ---------------------------------------------------------------- */

struct listing {
    struct remote *place;
    const char *path, *prefix;
    struct walk_entries *out;
};

static enum rc keep_part(struct remote *r, const char *prefix, const char *name,
                         struct err *e)
{
    AT_END(mem_end) char *path = NULL;

    if (r->parts == NULL || !temp_is_name(name))
        return RC_OK;
    TRY(str_format(&path, e, "%s/%s%s", r->root, prefix, name));
    /* A list that broke off is asked for again. */
    return str_list_has(r->parts, path) ? RC_OK : str_list_add(r->parts, path, e);
}

static enum rc take_line(void *arg, struct bytes text, struct err *e)
{
    struct listing *l = arg;
    struct sftp_line line;

    if (!sftp_line_parse(text, &line))
        return RC_OK;
    TRY(keep_part(l->place, l->prefix, line.name, e));
    return walk_add(l->out,
                    &(struct walk_entry){ line.name, line.directory, line.size, 0 }, e);
}

static enum rc try_list(struct remote *r, void *arg, struct err *e)
{
    struct listing *l = arg;

    walk_entries_clear(l->out);
    return sftp_list(r->sftp, l->path, take_line, l, e);
}

static enum rc list_directory(void *place, const char *prefix, struct walk_entries *out,
                              struct err *e)
{
    struct remote *r = place;
    AT_END(mem_end) char *path = NULL;

    TRY(remote_path(r, prefix, &path, e));
    struct listing l = { .place = r, .path = path, .prefix = prefix, .out = out };

    return remote_persist(r, try_list, &l, e);
}

static enum rc remote_list(struct store *s, const char *prefix, store_list_fn *fn,
                           void *arg, struct err *e)
{
    const struct walk w = { .list = list_directory, .file = fn, .place = s, .arg = arg };

    TRY(remote_check_root((struct remote *)s, e));
    return walk_below(&w, prefix, e);
}

static enum rc remote_remove(struct store *s, const char *key, struct err *e)
{
    struct remote *r = (struct remote *)s;
    AT_END(mem_end) char *path = NULL;

    TRY(remote_path(r, key, &path, e));
    TRY(remote_persist(r, try_remove, path, e));
    remote_prune(r, key);
    return RC_OK;
}

struct dated {
    const char *path;
    int64_t modified_s;
};

static enum rc try_date(struct remote *r, void *arg, struct err *e)
{
    struct sftp_facts facts = { 0 };
    struct dated *d = arg;

    TRY(sftp_stat(r->sftp, d->path, &facts, e));
    d->modified_s = facts.modified_s;
    return RC_OK;
}

static enum rc try_touch(struct remote *r, void *arg, struct err *e)
{
    OWNED(sftp_upload) u = NULL;

    TRY(sftp_upload_new(r->sftp, arg, &u, e));
    return sftp_upload_finish(u, e);
}

/* By the server's clock, which leftovers are dated by: ours may be another. */
static enum rc server_time(struct remote *r, int64_t *out, struct err *e)
{
    AT_END(mem_end) char *path = NULL;
    struct dated now = { 0 };
    char name[256];
    enum rc rc;

    TRY(temp_name("clock", name, e));
    TRY(remote_path(r, name, &path, e));
    now.path = path;
    TRY(remote_persist(r, try_touch, path, e));
    rc = remote_persist(r, try_date, &now, e);
    if (rc != RC_OK)
        return rc;
    *out = now.modified_s;
    return remote_persist(r, try_remove, path, e);
}

static enum rc sweep_part(struct remote *r, char *path, int64_t now_s, uint64_t *swept,
                          struct err *e)
{
    struct dated part = { .path = path };
    struct err gone = { 0 };
    enum rc rc = remote_persist(r, try_date, &part, &gone);

    if (rc == RC_NOTFOUND)
        return RC_OK;
    if (rc != RC_OK) {
        *e = gone;
        return rc;
    }
    if (part.modified_s == 0 || now_s - part.modified_s < LEFTOVER_S)
        return RC_OK;
    TRY(remote_persist(r, try_remove, path, e));
    log_info("removed '%s', left behind by a put that did not end", path);
    ++*swept;
    return RC_OK;
}

static enum rc prune_left(void *arg, const char *prefix, struct err *e)
{
    (void)e;
    remote_prune(arg, prefix);
    return RC_OK;
}

/* There are no locks here: what nobody has written to for a day is left over. */
static enum rc sweep_parts(struct remote *r, const char *prefix, uint64_t *swept,
                           struct err *e)
{
    const struct walk w = { .list = list_directory, .place = r };
    int64_t now_s = 0;

    TRY(walk_below(&w, prefix, e));
    if (r->parts->count > 0)
        TRY(server_time(r, &now_s, e));
    for (size_t i = 0; i < r->parts->count; i++)
        TRY(sweep_part(r, r->parts->items[i], now_s, swept, e));
    return RC_OK;
}

static enum rc remote_sweep(struct store *s, const char *prefix, uint64_t *swept,
                            struct err *e)
{
    struct remote *r = (struct remote *)s;
    AT_END(str_list_clear) struct str_list parts = { 0 };
    const struct walk empty = {
        .list = list_directory, .leave = prune_left, .place = r, .arg = r
    };
    enum rc rc;

    TRY(remote_check_root(r, e));
    r->parts = &parts;
    rc = sweep_parts(r, prefix, swept, e);
    r->parts = NULL;
    return rc == RC_OK ? walk_below(&empty, prefix, e) : rc;
}

/* That a second put is refused proves nothing about two at once, so `exclusive` stays
 * false whatever the trial says; it still shows that the place works. */
static enum rc remote_probe(struct store *s, const char *scratch,
                            struct store_traits *out, struct err *e)
{
    bool refused = false;

    TRY(store_try_exclusive(s, scratch, &refused, e));
    out->exclusive = false;
    return RC_OK;
}

static void remote_release(struct store *s)
{
    struct remote *r = (struct remote *)s;

    sftp_free(r->sftp);
    mem_free(r->root);
}

static const struct store_ops remote_ops = {
    .put_new = remote_put_new,
    .get = remote_get,
    .stat = remote_stat,
    .list = remote_list,
    .remove = remote_remove,
    .sweep = remote_sweep,
    .probe = remote_probe,
    .release = remote_release,
};

/* ---- opening
 * --------------------------------------------------------------------------- */

/* sftp://[USER@]HOST[:PORT]/PATH, taken apart. */
struct place {
    char user[65], host[256];
    unsigned port;
    const char *path;
};

static bool copy_part(char *to, size_t size, const char *p, size_t n, const char *set)
{
    if (n == 0 || n >= size)
        return false;
    memcpy(to, p, n);
    to[n] = '\0';
    return strspn(to, set) == n;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static bool take_host(struct place *p, const char *host, const char *end)
{
    const char *close = host[0] == '[' ? memchr(host, ']', (size_t)(end - host)) : NULL;
    const char *colon = memchr(close == NULL ? host : close, ':',
                               (size_t)(end - (close == NULL ? host : close)));
    const char *stop = colon == NULL ? end : colon;
    uint64_t port = 0;
    char digits[6];

    if (colon != NULL && (!copy_part(digits, sizeof digits, colon + 1,
                                     (size_t)(end - colon - 1), "0123456789") ||
                          !str_to_u64(digits, &port) || port == 0 || port > 65535))
        return false;
    p->port = (unsigned)port;
    return copy_part(p->host, sizeof p->host, host, (size_t)(stop - host),
                     LETTERS ".-_[]:%");
}

static bool is_path(const char *path)
{
    for (const char *p = path; *p != '\0'; p++)
        if (*p < ' ' || *p > '~')
            return false;
    return path[0] == '/' && path[1] != '~' && strstr(path, "/../") == NULL &&
           !str_ends(path, "/..");
}

static bool take_url(const char *url, struct place *p)
{
    const char *host = url + strlen("sftp://"), *path = strchr(host, '/');
    const char *at = path == NULL ? NULL : memchr(host, '@', (size_t)(path - host));
    const struct passwd *me = getpwuid(geteuid());

    if (path == NULL || !is_path(path))
        return false;
    if (at != NULL &&
        !copy_part(p->user, sizeof p->user, host, (size_t)(at - host), LETTERS ".-_"))
        return false;
    if (at == NULL)
        snprintf(p->user, sizeof p->user, "%s", me == NULL ? "" : me->pw_name);
    p->path = path;
    return take_host(p, at == NULL ? host : at + 1, path);
}

static enum rc begin(struct remote *r, const struct store_options *o,
                     const struct place *p, struct err *e)
{
    const struct sftp_options options = {
        .host = p->host,
        .port = p->port,
        .user = p->user,
        .identity_file = o->identity_file,
        .known_hosts = o->known_hosts,
        .stall_ms = store_stall_ms(o),
    };
    size_t n = strlen(p->path);

    while (n > 0 && p->path[n - 1] == '/')
        n--;
    r->deadline_ms = store_deadline_ms(o);
    TRY(str_format(&r->root, e, "%.*s", (int)n, p->path));
    return sftp_new(&options, &r->sftp, e);
}

static enum rc parse(const char *url, struct place *out, struct err *e)
{
    if (take_url(url, out))
        return RC_OK;
    return err_set(e, RC_USAGE,
                   "'%.200s' is no SFTP address" HINT
                   "write sftp://USER@HOST:PORT/DIR, with an absolute directory",
                   url);
}

enum rc store_check_sftp(const char *url, struct err *e)
{
    struct place p = { 0 };

    return parse(url, &p, e);
}

enum rc store_open_sftp(const struct store_options *o, struct store **out, struct err *e)
{
    AT_END(mem_end) char *name = NULL;
    OWNED(store) made = NULL;
    struct remote *r = NULL;
    struct place p = { 0 };

    TRY(parse(o->url, &p, e));
    TRY(str_format(&name, e, "sftp://%s@%s%s%.0u%s", p.user, p.host,
                   p.port == 0 ? "" : ":", p.port, p.path));
    TRY(store_new(&remote_ops, sizeof *r, name, &r, e));
    made = &r->base;
    TRY(begin(r, o, &p, e));
    *out = GIVE(made);
    return RC_OK;
}
