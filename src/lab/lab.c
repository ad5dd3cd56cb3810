#include "lab/lab.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lab/fill.h"
#include "lab/links.h"
#include "lab/place.h"
#include "lab/port.h"
#include "lab/reach.h"
#include "member/quorum.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"

void lab_free(struct lab *l)
{
    if (l == NULL)
        return;
    os_fd_end(&l->fd);
    mem_free(l->dir);
    mem_free(l->server);
    mem_free(l);
}

enum rc lab_path(const struct lab *l, const char *name, char **out, struct err *e)
{
    return str_format(out, e, "%s/%s", l->dir, name);
}

/* Commands and members may run elsewhere, so the directory is known by its whole name. A
 * socket in it has a short limit. */
static enum rc new_lab(const char *dir, struct lab **out, struct err *e)
{
    OWNED(lab) l = NULL;
    char here[4096] = "";

    TRY(mem_new(&l, sizeof *l, "a lab", e));
    l->fd = -1;
    if (dir[0] != '/') {
        ssize_t n = os.readlinkat(AT_FDCWD, "/proc/self/cwd", here, sizeof here - 2);

        if (n < 0)
            return err_sys(e, RC_STORAGE, "cannot tell the working directory");
        here[n] = '/';
        here[n + 1] = '\0';
    }
    TRY(str_format(&l->dir, e, "%s%s", here, dir));
    if (strlen(l->dir) + strlen("/m1.sock") >= LAB_SOCKET_MAX)
        return err_set(
            e, RC_USAGE,
            "'%s' is too long for the sockets in it" HINT "choose another --dir", l->dir);
    *out = GIVE(l);
    return RC_OK;
}

enum rc lab_open(const char *dir, bool to_change, struct lab **out, struct err *e)
{
    OWNED(lab) l = NULL;

    TRY(new_lab(dir, &l, e));
    TRY(lab_place_open(l, to_change, e));
    *out = GIVE(l);
    return RC_OK;
}

/* ---- a member's process --------------------------------------------------------------
 */

struct words {
    struct str_list list;
    struct err *e;
    enum rc rc;
};

static void words_clear(struct words *w)
{
    str_list_clear(&w->list);
}

static void PRINTF_LIKE(2, 3) say(struct words *w, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (w->rc == RC_OK && (n < 0 || (size_t)n >= sizeof text))
        w->rc = err_set(w->e, RC_USAGE, "an argument of the server is too long");
    if (w->rc == RC_OK)
        w->rc = str_list_add(&w->list, text, w->e);
}

static void say_tls(struct words *w, const struct lab *l)
{
    say(w, "--cert-file=%s/pki/server.crt", l->dir);
    say(w, "--key-file=%s/pki/server.key", l->dir);
    say(w, "--trusted-ca-file=%s/pki/ca.crt", l->dir);
    say(w, "--client-cert-auth");
}

static void say_command(struct words *w, const struct lab *l, const struct lab_member *m,
                        const char *initial)
{
    const char *scheme = l->tls ? "https" : "http";

    say(w, "%s", l->server);
    say(w, "--name=%s", m->name);
    say(w, "--data-dir=%s/%s", l->dir, m->name);
    say(w, "--listen-client-urls=%s://127.0.0.1:%u", scheme, m->client_port);
    say(w, "--advertise-client-urls=%s://127.0.0.1:%u", scheme, m->client_port);
    say(w, "--listen-peer-urls=http://127.0.0.1:%u", m->peer_port);
    say(w, "--initial-advertise-peer-urls=http://127.0.0.1:%u", m->peer_port);
    say(w, "--initial-cluster=%s", initial);
    say(w, "--heartbeat-interval=%" PRIu64, l->heartbeat_ms);
    say(w, "--election-timeout=%" PRIu64, l->election_ms);
    if (l->tls)
        say_tls(w, l);
    if (l->kind == LAB_STORE) {
        say(w, "--control-socket=%s/%s.sock", l->dir, m->name);
        say(w, "--etcd-version=3.%d", l->minor);
    }
}

static enum rc run(struct lab *l, size_t i, const char *extra, struct err *e)
{
    AT_END(words_clear) struct words w = { .e = e };
    AT_END(mem_end) char *initial = NULL;
    AT_END(mem_end) char *log = NULL;
    AT_END(mem_end) const char **argv = NULL;
    struct lab_member *m = &l->members[i];

    TRY(lab_initial_cluster(l, &initial, e));
    say_command(&w, l, m, initial);
    if (extra != NULL)
        say(&w, "%s", extra);
    TRY(w.rc);
    TRY(str_format(&log, e, "%s/%s.log", l->dir, m->name));
    TRY(mem_new(&argv, (w.list.count + 1) * sizeof *argv, "an argument list", e));
    memcpy(argv, w.list.items, w.list.count * sizeof *argv);
    TRY(lab_child_start(argv, &(struct lab_child_options){ log, l->tied }, &m->child, e));
    return lab_place_save(l, e);
}

/* Will they find a leader? */
static bool can_serve(const struct lab *l)
{
    size_t up = 0;

    for (size_t a = 0; a < l->count; a++) {
        up += lab_child_state(&l->members[a].child) == LAB_CHILD_RUNS;
        for (size_t b = 0; b < l->count; b++)
            if (l->cut[a][b])
                return false;
    }
    return quorum_of(l->count, up).has;
}

enum rc lab_start(struct lab *l, const bool *which, bool started[static LAB_MEMBERS_MAX],
                  struct err *e)
{
    for (size_t i = 0; i < l->count; i++) {
        started[i] = (which == NULL || which[i]) &&
                     lab_child_state(&l->members[i].child) == LAB_CHILD_GONE;
        if (started[i])
            TRY(run(l, i, NULL, e));
    }
    TRY(lab_wait(l, started, false, e));
    for (size_t i = 0; i < l->count; i++)
        if (started[i] && l->kind == LAB_STORE)
            TRY(lab_links_tell(l, i, e));
    return can_serve(l) ? lab_wait(l, started, true, e) : RC_OK;
}

enum rc lab_start_alone(struct lab *l, size_t i, struct err *e)
{
    bool which[LAB_MEMBERS_MAX] = { 0 };

    which[i] = true;
    TRY(run(l, i, "--force-new-cluster", e));
    return lab_wait(l, which, true, e);
}

enum rc lab_kill(struct lab *l, size_t i, int signal, struct err *e)
{
    TRY(lab_child_end(&l->members[i].child, signal, e));
    return lab_place_save(l, e);
}

/* ---- up ------------------------------------------------------------------------------
 */

/* Held until the members listen. */
struct held {
    int fds[2 * LAB_MEMBERS_MAX];
    size_t n;
};

static void held_end(struct held *h)
{
    while (h->n > 0)
        os_fd_end(&h->fds[--h->n]);
}

static enum rc choose_ports(struct lab *l, struct held *h, struct err *e)
{
    for (size_t i = 0; i < l->count; i++) {
        struct lab_member *m = &l->members[i];

        lab_place_name(m, i);
        TRY(lab_port_take(&m->client_port, &h->fds[h->n], e));
        h->n++;
        TRY(lab_port_take(&m->peer_port, &h->fds[h->n], e));
        h->n++;
    }
    return RC_OK;
}

static enum rc furnish(struct lab *l, const struct lab_options *o, struct err *e)
{
    AT_END(held_end) struct held held = { 0 };

    TRY(choose_ports(l, &held, e));
    TRY(lab_place_save(l, e));
    if (l->tls)
        TRY(lab_fill_pki(l, e));
    for (size_t i = 0; i < l->count; i++)
        TRY(run(l, i, NULL, e));
    TRY(lab_wait(l, NULL, true, e));
    if (o->load > 0)
        TRY(lab_fill_keys(l, o->load, e));
    return o->auth ? lab_fill_auth(l, e) : RC_OK;
}

static enum rc settle_options(struct lab *l, const struct lab_options *o, struct err *e)
{
    l->kind = o->kind;
    l->minor = o->minor;
    l->heartbeat_ms = o->heartbeat_ms == 0 ? 100 : o->heartbeat_ms;
    l->election_ms = o->election_ms == 0 ? 1000 : o->election_ms;
    l->tls = o->tls;
    l->tied = o->tied;
    l->count = o->members;
    if (l->count < 1 || l->count > LAB_MEMBERS_MAX)
        return err_set(e, RC_USAGE, "a lab has 1 to %d members", LAB_MEMBERS_MAX);
    if (o->server == NULL)
        return lab_program_find("holdfast-lab", &l->server, e);
    return str_format(&l->server, e, "%s", o->server);
}

enum rc lab_up(const struct lab_options *o, struct lab **out, struct err *e)
{
    OWNED(lab) l = NULL;
    struct err ignored = { 0 };
    bool left;

    TRY(new_lab(o->dir, &l, e));
    TRY(settle_options(l, o, e));
    TRY(lab_place_make(l, e));
    if (furnish(l, o, e) != RC_OK) {
        if (lab_down(l, &left, &ignored) != RC_OK)
            log_warn("not all of it is gone: %s", ignored.why);
        return e->code;
    }
    *out = GIVE(l);
    return RC_OK;
}

enum rc lab_down(struct lab *l, bool *left, struct err *e)
{
    for (size_t i = 0; i < l->count; i++)
        TRY(lab_child_end(&l->members[i].child, SIGKILL, e));
    return lab_place_remove(l, left, e);
}
