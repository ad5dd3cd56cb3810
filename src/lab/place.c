#include "lab/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "util/json.h"
#include "util/mem.h"
#include "util/os.h"

#define STATE "lab.json"
#define STATE_NEW "lab.json.new"

enum { STATE_MAX = 65536, STATE_FORMAT = 1 };

void lab_place_name(struct lab_member *m, size_t i)
{
    snprintf(m->name, sizeof m->name, "m%u", (unsigned)(i % LAB_MEMBERS_MAX) + 1);
}

/* ---- the directory -------------------------------------------------------------------
 */

/* Names in /tmp can be guessed, so whose directory it is matters. */
static enum rc open_ours(struct lab *l, struct err *e)
{
    struct stat st;

    TRY(os_open(AT_FDCWD, l->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &l->fd, e));
    if (os.fstat(l->fd, &st) != 0)
        return err_sys(e, RC_STORAGE, "cannot examine '%s'", l->dir);
    if (st.st_uid != geteuid() || (st.st_mode & 0022) != 0)
        return err_set(e, RC_REFUSED,
                       "'%s' belongs to somebody else, or others may write to it" HINT
                       "give a directory of your own with --dir",
                       l->dir);
    return RC_OK;
}

static enum rc lock(const struct lab *l, int how, struct err *e)
{
    if (os.flock(l->fd, how | LOCK_NB) == 0)
        return RC_OK;
    if (errno != EWOULDBLOCK)
        return err_sys(e, RC_STORAGE, "cannot lock '%s'", l->dir);
    return err_set(e, RC_LOCKED, "another command is at work in '%s'", l->dir);
}

enum rc lab_place_make(struct lab *l, struct err *e)
{
    AT_END(str_list_clear) struct str_list names = { 0 };
    enum rc rc = os_mkdir(AT_FDCWD, l->dir, e);

    if (rc != RC_OK && rc != RC_REFUSED)
        return rc;
    l->made = rc == RC_OK;
    TRY(open_ours(l, e));
    TRY(lock(l, LOCK_EX, e));
    TRY(os_list(AT_FDCWD, l->dir, &names, e));
    if (str_list_has(&names, STATE))
        return err_set(e, RC_REFUSED,
                       "there is a lab in '%s' already" HINT
                       "'holdfast lab down' ends it; --dir makes a second one elsewhere",
                       l->dir);
    if (names.count > 0)
        return err_set(e, RC_REFUSED, "'%s' is not empty" HINT "choose another --dir",
                       l->dir);
    return RC_OK;
}

/* ---- reading -------------------------------------------------------------------------
 */

static enum rc bad(const struct lab *l, struct err *e)
{
    return err_set(e, RC_CORRUPT, "'%s/" STATE "' is not what a lab writes", l->dir);
}

static bool read_port(const struct json *j, const char *key, uint16_t *out)
{
    uint64_t n;

    if (!json_get_u64(j, key, &n) || n == 0 || n > UINT16_MAX)
        return false;
    *out = (uint16_t)n;
    return true;
}

static bool read_member(const struct json *j, size_t i, struct lab_member *m)
{
    uint64_t pid;

    lab_place_name(m, i);
    if (!read_port(j, "client_port", &m->client_port) ||
        !read_port(j, "peer_port", &m->peer_port) || !json_get_u64(j, "pid", &pid) ||
        pid > INT32_MAX || !json_get_u64(j, "started", &m->child.started))
        return false;
    m->child.pid = (pid_t)pid;
    return true;
}

static bool read_members(const struct json *list, struct lab *l)
{
    l->count = json_count(list);
    if (l->count == 0 || l->count > LAB_MEMBERS_MAX)
        return false;
    for (size_t i = 0; i < l->count; i++)
        if (!read_member(json_at(list, i), i, &l->members[i]))
            return false;
    return true;
}

/* Pairs of numbers: from, to, from, to. */
static bool read_cuts(const struct json *list, struct lab *l)
{
    for (size_t i = 0; i + 1 < json_count(list); i += 2) {
        uint64_t from, to;

        if (!json_u64(json_at(list, i), &from) || !json_u64(json_at(list, i + 1), &to) ||
            from >= l->count || to >= l->count)
            return false;
        l->cut[from][to] = true;
    }
    return true;
}

static enum rc read_state(const struct json *j, struct lab *l, struct err *e)
{
    uint64_t format, minor;
    bool etcd;
    const char *server = json_get_str(j, "server");

    if (server == NULL || !json_get_u64(j, "format", &format) || format != STATE_FORMAT ||
        !json_get_bool(j, "made", &l->made) || !json_get_bool(j, "etcd", &etcd) ||
        !json_get_u64(j, "minor", &minor) || minor > 99 ||
        !json_get_u64(j, "heartbeat_ms", &l->heartbeat_ms) ||
        !json_get_u64(j, "election_ms", &l->election_ms) ||
        !json_get_bool(j, "tls", &l->tls) || !json_get_bool(j, "auth", &l->auth) ||
        !read_members(json_get(j, "members"), l) || !read_cuts(json_get(j, "cut"), l))
        return bad(l, e);
    l->kind = etcd ? LAB_ETCD : LAB_STORE;
    l->minor = (int)minor;
    return str_format(&l->server, e, "%s", server);
}

static enum rc no_lab(const struct lab *l, struct err *e)
{
    return err_set(e, RC_NOTFOUND,
                   "there is no lab in '%s'" HINT
                   "'holdfast lab up' makes one; --dir says where",
                   l->dir);
}

enum rc lab_place_open(struct lab *l, bool to_change, struct err *e)
{
    AT_END(mem_end) char *path = NULL;
    AT_END(mem_end) uint8_t *text = NULL;
    OWNED(json) j = NULL;
    size_t n;

    if (access(l->dir, F_OK) != 0)
        return no_lab(l, e);
    TRY(open_ours(l, e));
    TRY(lock(l, to_change ? LOCK_EX : LOCK_SH, e));
    TRY(lab_path(l, STATE, &path, e));
    if (access(path, F_OK) != 0)
        return no_lab(l, e);
    TRY(os_read_file(path, STATE_MAX, &text, &n, e));
    TRY(json_parse((struct bytes){ text, n }, path, &j, e));
    return read_state(j, l, e);
}

/* ---- writing -------------------------------------------------------------------------
 */

static struct json *member_json(const struct lab_member *m)
{
    struct json *j = json_new_object();

    json_set_u64(j, "client_port", m->client_port);
    json_set_u64(j, "peer_port", m->peer_port);
    json_set_u64(j, "pid", (uint64_t)m->child.pid);
    json_set_u64(j, "started", m->child.started);
    return j;
}

static struct json *state_json(const struct lab *l)
{
    struct json *j = json_new_object(), *members = json_new_array(),
                *cut = json_new_array();

    json_set_u64(j, "format", STATE_FORMAT);
    json_set_bool(j, "made", l->made);
    json_set_bool(j, "etcd", l->kind == LAB_ETCD);
    json_set_str(j, "server", l->server);
    json_set_u64(j, "minor", (uint64_t)l->minor);
    json_set_u64(j, "heartbeat_ms", l->heartbeat_ms);
    json_set_u64(j, "election_ms", l->election_ms);
    json_set_bool(j, "tls", l->tls);
    json_set_bool(j, "auth", l->auth);
    for (size_t i = 0; i < l->count; i++)
        json_add(members, member_json(&l->members[i]));
    json_set(j, "members", members);
    for (size_t a = 0; a < l->count; a++)
        for (size_t b = 0; b < l->count; b++)
            if (l->cut[a][b]) {
                json_add_u64(cut, a);
                json_add_u64(cut, b);
            }
    json_set(j, "cut", cut);
    return j;
}

enum rc lab_place_write(const struct lab *l, const char *name, const char *text,
                        struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(os_open(l->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, &fd, e));
    return os_write_full(fd, text, strlen(text), name, e);
}

enum rc lab_place_save(const struct lab *l, struct err *e)
{
    OWNED(json) j = state_json(l);
    AT_END(mem_end) char *text = NULL;

    TRY(json_render(j, true, &text, e));
    if (os.unlinkat(l->fd, STATE_NEW, 0) != 0 && errno != ENOENT)
        return err_sys(e, RC_STORAGE, "cannot replace '%s/" STATE "'", l->dir);
    TRY(lab_place_write(l, STATE_NEW, text, e));
    if (os.renameat2(l->fd, STATE_NEW, l->fd, STATE, 0) != 0)
        return err_sys(e, RC_STORAGE, "cannot replace '%s/" STATE "'", l->dir);
    return RC_OK;
}

enum rc lab_place_remove(struct lab *l, bool *left, struct err *e)
{
    static const char *const mine[] = { "pki", "root.password", STATE_NEW, STATE };
    static const char *const parts[] = { "", ".log", ".sock" };
    AT_END(str_list_clear) struct str_list names = { 0 };
    char name[32];

    for (size_t i = 0; i < l->count; i++)
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
            snprintf(name, sizeof name, "m%zu%s", i + 1, parts[k]);
            TRY(os_remove_tree(l->fd, name, e));
        }
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++)
        TRY(os_remove_tree(l->fd, mine[i], e));
    TRY(os_list(AT_FDCWD, l->dir, &names, e));
    *left = names.count > 0;
    if (l->made && !*left && os.unlinkat(AT_FDCWD, l->dir, AT_REMOVEDIR) != 0)
        return err_sys(e, RC_STORAGE, "cannot remove '%s'", l->dir);
    return RC_OK;
}
