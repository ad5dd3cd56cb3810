#include "host/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "host/k3s.h"
#include "storage/holder.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/program.h"
#include "util/stop.h"

enum { LOOK_EVERY_MS = 100 };
#define WAIT_DEFAULT_MS ((uint64_t)120000)
#define SETTLE_DEFAULT_MS ((uint64_t)5000)
#define PARKED "holdfast-parked"

static uint64_t deadline_of(const struct host_control *how)
{
    return clock_ms() + (how->wait_ms == 0 ? WAIT_DEFAULT_MS : how->wait_ms);
}

/* ---- is it running --------------------------------------------------------------------
 */

/* A file that is not there is held by nobody. */
static enum rc open_if_there(const char *path, int *fd, struct err *e)
{
    struct err why = { 0 };
    uint64_t size;
    enum rc rc = os_open_regular(path, fd, &size, &why);

    if (rc != RC_OK && rc != RC_NOTFOUND) {
        *e = why;
        return rc;
    }
    return RC_OK;
}

/* etcd keeps the newest segment of its log locked as long as it runs. */
static enum rc log_is_held(const struct host_member *m, bool *held, struct err *e)
{
    AT_END(str_list_clear) struct str_list names = { 0 };
    AT_END(mem_end) char *dir = NULL;
    struct err why = { 0 };
    enum rc rc;

    TRY(host_wal_dir(m, &dir, e));
    rc = os_list(AT_FDCWD, dir, &names, &why);
    if (rc != RC_OK && rc != RC_NOTFOUND) {
        *e = why;
        return rc;
    }
    for (size_t i = 0; i < names.count && !*held; i++) {
        AT_END(mem_end) char *path = NULL;
        OWNED_FD int fd = -1;

        if (!str_ends(names.items[i], ".wal"))
            continue;
        TRY(str_format(&path, e, "%s/%s", dir, names.items[i]));
        TRY(open_if_there(path, &fd, e));
        *held = fd >= 0 && holder_has_file_lock(fd);
    }
    return RC_OK;
}

/* The log first, which is cheap to ask about. At its end etcd lets the database go last,
 * at its start it takes it first. */
enum rc host_running(const struct host_member *m, bool *running, uint64_t *pid,
                     struct err *e)
{
    AT_END(mem_end) char *db = NULL;
    OWNED_FD int fd = -1;
    struct holder h = { 0 };
    bool held = false, seen = false;

    TRY(str_format(&db, e, "%s/member/snap/db", m->data_dir));
    TRY(open_if_there(db, &fd, e));
    TRY(log_is_held(m, &held, e));
    if (fd >= 0 && held)
        TRY(holder_find_open(fd, &h, &seen, e));
    else if (fd >= 0)
        TRY(holder_find_lock(fd, &h, &held, e));
    *running = held;
    *pid = h.pid;
    return RC_OK;
}

/* Until it runs, or until it does not. */
static enum rc wait_for(struct host_member *m, bool wanted, uint64_t deadline,
                        struct err *e)
{
    for (;;) {
        bool running = !wanted;

        TRY(host_running(m, &running, &m->pid, e));
        if (running == wanted)
            return RC_OK;
        TRY(stop_check(e));
        if (clock_ms() >= deadline)
            break;
        clock_sleep_ms(LOOK_EVERY_MS);
    }
    if (wanted)
        return err_set(e, RC_NET,
                       "no etcd has opened '%s'" HINT
                       "its log tells why: journalctl, or crictl logs for a pod",
                       m->data_dir);
    return err_set(e, RC_NET, "'%s' is still in use by process %llu", m->data_dir,
                   (unsigned long long)m->pid);
}

/* ---- static pods
 * ------------------------------------------------------------------------ */

enum rc host_parked_path(const char *manifest, char **out, struct err *e)
{
    const char *slash = strrchr(manifest, '/');
    size_t folder = slash == NULL ? 0 : (size_t)(slash - manifest);
    const char *above = folder == 0 ? NULL : memrchr(manifest, '/', folder);

    if (above == NULL)
        return err_set(e, RC_USAGE, "'%s' is no path of a manifest", manifest);
    return str_format(out, e, "%.*s/" PARKED "%s", (int)(above - manifest), manifest,
                      slash);
}

static enum rc exists(const char *path, bool *out, struct err *e)
{
    OWNED_FD int fd = -1;
    struct err why = { 0 };
    enum rc rc = os_open(AT_FDCWD, path, O_PATH | O_NOFOLLOW, 0, &fd, &why);

    if (rc != RC_OK && rc != RC_NOTFOUND) {
        *e = why;
        return rc;
    }
    *out = rc == RC_OK;
    return RC_OK;
}

/* A manifest in its folder, and where it waits meanwhile. */
struct spot {
    char *home, *parked;
    bool at_home, is_parked;
};

static void spot_end(struct spot *s)
{
    mem_free(s->home);
    mem_free(s->parked);
}

static enum rc look_at(const char *home, struct spot *s, struct err *e)
{
    TRY(str_format(&s->home, e, "%s", home));
    TRY(host_parked_path(home, &s->parked, e));
    TRY(exists(s->home, &s->at_home, e));
    TRY(exists(s->parked, &s->is_parked, e));
    if (s->at_home && s->is_parked)
        return err_set(e, RC_REFUSED,
                       "'%s' and '%s' both exist" HINT
                       "compare them and move one of them away",
                       s->home, s->parked);
    return RC_OK;
}

/* `folder` is the path of a file in it. */
static enum rc sync_folder(const char *file, struct err *e)
{
    OWNED_FD int dir = -1;
    const char *base;

    TRY(os_open_parent(file, &dir, &base, e));
    return os_sync_dir(dir, file, e);
}

static enum rc move(const char *from, const char *to, struct err *e)
{
    if (os.renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) < 0)
        return err_sys(e, errno == EACCES || errno == EPERM ? RC_AUTH : RC_STORAGE,
                       "cannot move '%s' to '%s'", from, to);
    TRY(sync_folder(to, e));
    return sync_folder(from, e);
}

static enum rc make_folder(const char *file, struct err *e)
{
    AT_END(mem_end) char *folder = NULL;
    struct err why = { 0 };
    enum rc rc;

    TRY(str_format(&folder, e, "%s", file));
    *strrchr(folder, '/') = '\0';
    rc = os_mkdir(AT_FDCWD, folder, &why);
    if (rc == RC_REFUSED)
        return RC_OK;
    if (rc != RC_OK) {
        *e = why;
        return rc;
    }
    return sync_folder(folder, e);
}

static enum rc park(struct spot *s, struct err *e)
{
    if (!s->at_home)
        return RC_OK;
    TRY(make_folder(s->parked, e));
    TRY(move(s->home, s->parked, e));
    log_info("moved %s to %s", s->home, s->parked);
    return RC_OK;
}

static enum rc unpark(struct spot *s, struct err *e)
{
    if (!s->is_parked)
        return RC_OK;
    TRY(move(s->parked, s->home, e));
    log_info("moved %s back to %s", s->parked, s->home);
    return RC_OK;
}

/* The others in the folder of the member's manifest. */
static enum rc each_other(const struct host_member *m, const struct host_control *how,
                          enum rc (*act)(struct spot *, struct err *), struct err *e)
{
    int folder = (int)(strrchr(m->file, '/') - m->file);

    for (size_t i = 0; i < how->also.count; i++) {
        AT_END(spot_end) struct spot s = { 0 };
        AT_END(mem_end) char *home = NULL;

        if (strchr(how->also.items[i], '/') != NULL)
            return err_set(e, RC_USAGE, "'%s' is no name of a manifest",
                           how->also.items[i]);
        TRY(str_format(&home, e, "%.*s/%s", folder, m->file, how->also.items[i]));
        TRY(look_at(home, &s, e));
        if (act != NULL)
            TRY(act(&s, e));
    }
    return RC_OK;
}

/* Between two attempts of a pod that keeps failing nobody holds the data. Returns early
 * when it runs after all: then its end is waited for. */
static enum rc settle(struct host_member *m, const struct host_control *how,
                      struct err *e)
{
    uint64_t end =
        clock_ms() + (how->settle_ms == 0 ? SETTLE_DEFAULT_MS : how->settle_ms);
    bool running = false;

    while (clock_ms() < end && !running) {
        TRY(stop_check(e));
        clock_sleep_ms(LOOK_EVERY_MS);
        TRY(host_running(m, &running, &m->pid, e));
    }
    return RC_OK;
}

/* Nothing is moved before all were looked at. */
static enum rc stop_pod(struct host_member *m, const struct host_control *how,
                        struct err *e)
{
    AT_END(spot_end) struct spot s = { 0 };
    bool running = false;

    TRY(host_running(m, &running, &m->pid, e));
    TRY(look_at(m->file, &s, e));
    TRY(each_other(m, how, NULL, e));
    if (!s.at_home && !s.is_parked)
        return err_set(e, RC_NOTFOUND, "there is no manifest '%s'", m->file);
    TRY(each_other(m, how, park, e));
    TRY(park(&s, e));
    m->parked = true;
    return s.at_home && !running ? settle(m, how, e) : RC_OK;
}

static enum rc start_pod(struct host_member *m, const struct host_control *how,
                         struct err *e)
{
    AT_END(spot_end) struct spot s = { 0 };

    TRY(look_at(m->file, &s, e));
    TRY(each_other(m, how, NULL, e));
    if (!s.at_home && !s.is_parked)
        return err_set(e, RC_NOTFOUND, "there is no manifest '%s', nor '%s'", m->file,
                       s.parked);
    TRY(unpark(&s, e));
    m->parked = false;
    return each_other(m, how, unpark, e);
}

/* ---- commands -------------------------------------------------------------------------
 */

static enum rc run(const char *const argv[], uint64_t deadline, struct err *e)
{
    AT_END(program_result_clear) struct program_result r = { 0 };
    uint64_t now = clock_ms();
    struct program p = { .argv = argv,
                         .timeout_ms = now < deadline ? deadline - now : 1 };
    char said[300];

    TRY(program_run(&p, &r, e));
    if (r.timed_out)
        return err_set(e, RC_NET, "'%s' did not end in time", argv[0]);
    if (r.status == 0)
        return RC_OK;
    str_printable(said, sizeof said, bytes_str(r.tail));
    return err_set(e, RC_REFUSED, "'%s' ended with status %d: %s", argv[0], r.status,
                   said);
}

/* A unit of Type=notify is started only when it has a quorum, which it may have to wait
 * for: a start is asked for, and no more. */
static enum rc systemctl(const struct host_member *m, const struct host_control *how,
                         bool start, uint64_t deadline, struct err *e)
{
    const char *name = how->systemctl == NULL ? "systemctl" : how->systemctl;
    const char *const stopping[] = { name, "stop", "--", m->unit, NULL };
    const char *const starting[] = { name, "start", "--no-block", "--", m->unit, NULL };

    return run(start ? starting : stopping, deadline, e);
}

static enum rc shell(const char *command, uint64_t deadline, struct err *e)
{
    const char *const argv[] = { "/bin/sh", "-c", command, NULL };

    return run(argv, deadline, e);
}

/* Its own commands, as one hint. */
static enum rc not_ours(const struct host_member *m, enum host_need need, struct err *e)
{
    AT_END(str_list_clear) struct str_list lines = { 0 };
    char text[400];
    size_t n = 0;

    TRY(host_k3s_commands(m, need, NULL, &lines, e));
    for (size_t i = 0; i < lines.count && n < sizeof text; i++)
        if (lines.items[i][0] != '#')
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n == 0 ? "" : " && ",
                                  lines.items[i]);
    return err_set(
        e, RC_REFUSED,
        "'%s' is run by %s, which would not have it %s by others" HINT "run: %s", m->name,
        host_layout_name(m->layout), need == HOST_TO_STOP ? "stopped" : "started", text);
}

static enum rc by_hand(const struct host_member *m, bool start, struct err *e)
{
    bool running = false;
    uint64_t pid = 0;

    TRY(host_running(m, &running, &pid, e));
    if (running == start)
        return RC_OK;
    if (start)
        return err_set(e, RC_REFUSED,
                       "nothing that is known here starts '%s'" HINT
                       "start it by hand on '%s', or say how, by --start-command",
                       m->name, m->data_dir);
    return err_set(e, RC_REFUSED,
                   "nothing that is known here stops '%s', process %llu" HINT
                   "stop it by hand, or say how, by --stop-command",
                   m->name, (unsigned long long)pid);
}

/* ---- stop and start -------------------------------------------------------------------
 */

/* A layout that was told, and not found, may have nothing that declares the member. */
static enum rc declared(const struct host_member *m, struct err *e)
{
    if (m->layout == HOST_STATIC_POD && m->file == NULL)
        return err_set(e, RC_NOTFOUND,
                       "no manifest in the kubelet's folder is that of '%s'" HINT
                       "put it there as it was before (--manifests names the "
                       "folder), or say --layout plain",
                       m->name);
    if (m->layout == HOST_SYSTEMD && m->unit == NULL)
        return err_set(e, RC_NOTFOUND,
                       "no unit of systemd is that of '%s'" HINT
                       "install it as it was before, or say --layout plain",
                       m->name);
    return RC_OK;
}

static enum rc ask_to_stop(struct host_member *m, const struct host_control *how,
                           uint64_t deadline, struct err *e)
{
    if (how->stop_command != NULL)
        return shell(how->stop_command, deadline, e);
    TRY(declared(m, e));
    switch (m->layout) {
    case HOST_STATIC_POD:
        return stop_pod(m, how, e);
    case HOST_SYSTEMD:
        return systemctl(m, how, false, deadline, e);
    case HOST_K3S:
    case HOST_RKE2:
        return not_ours(m, HOST_TO_STOP, e);
    case HOST_PLAIN:
        return by_hand(m, false, e);
    case HOST_ANY:
        break;
    }
    return err_set(e, RC_INTERNAL, "a member without a layout");
}

enum rc host_stop(struct host_member *m, const struct host_control *how, struct err *e)
{
    uint64_t deadline = deadline_of(how);

    if (ask_to_stop(m, how, deadline, e) != RC_OK ||
        wait_for(m, false, deadline, e) != RC_OK)
        return err_wrap(e, "stopping etcd '%s'", m->name);
    return RC_OK;
}

static enum rc ask_to_start(struct host_member *m, const struct host_control *how,
                            uint64_t deadline, struct err *e)
{
    if (how->start_command != NULL)
        return shell(how->start_command, deadline, e);
    TRY(declared(m, e));
    switch (m->layout) {
    case HOST_STATIC_POD:
        return start_pod(m, how, e);
    case HOST_SYSTEMD:
        return systemctl(m, how, true, deadline, e);
    case HOST_K3S:
    case HOST_RKE2:
        return not_ours(m, HOST_TO_START, e);
    case HOST_PLAIN:
        return by_hand(m, true, e);
    case HOST_ANY:
        break;
    }
    return err_set(e, RC_INTERNAL, "a member without a layout");
}

/* An operator's command is not run twice: it may not expect a running etcd. */
enum rc host_start(struct host_member *m, const struct host_control *how, struct err *e)
{
    uint64_t deadline = deadline_of(how);
    bool running = false;

    if (how->start_command != NULL)
        TRY(host_running(m, &running, &m->pid, e));
    if (running)
        return RC_OK;
    if (ask_to_start(m, how, deadline, e) != RC_OK ||
        wait_for(m, true, deadline, e) != RC_OK)
        return err_wrap(e, "starting etcd '%s'", m->name);
    return RC_OK;
}
