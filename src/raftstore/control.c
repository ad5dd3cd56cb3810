/* The control socket: a line is a command, its answer is "ok" or "error: ...". The
 * commands are told in docs/lab.md. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "raftstore/node_priv.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

enum { LINE_MAX_SIZE = 256, WORDS = 4, PAUSE_MAX_MS = 600000 };

struct control {
    uv_pipe_t pipe; /* the listener */
    struct node *n;
    struct session *sessions;
};

struct session {
    uv_pipe_t pipe;
    struct session *next;
    struct control *control;
    char line[LINE_MAX_SIZE];
    size_t n;
};

struct line {
    char *words[WORDS];
    size_t count;
};

typedef const char *command_fn(struct node *n, const struct line *l, char *out,
                               size_t room);

/* ---- commands --------------------------------------------------------------------- */

static uint64_t member_named(struct node *n, const char *name)
{
    size_t count;
    const struct mvcc_member *all = machine_members(n->fsm.machine, &count);
    char hex[24];

    for (size_t i = 0; i < count; i++) {
        snprintf(hex, sizeof hex, "%" PRIx64, all[i].id);
        if (strcmp(hex, name) == 0 ||
            (all[i].name != NULL && strcmp(all[i].name, name) == 0))
            return all[i].id;
    }
    return 0;
}

static const char *do_cut(struct node *n, const struct line *l, char *out, size_t room)
{
    const char *way = l->count > 2 ? l->words[2] : "both";
    uint64_t id = l->count < 2 ? 0 : member_named(n, l->words[1]);
    unsigned ways = 0;

    (void)out;
    (void)room;
    if (strcmp(way, "in") == 0 || strcmp(way, "both") == 0)
        ways |= FAULT_IN;
    if (strcmp(way, "out") == 0 || strcmp(way, "both") == 0)
        ways |= FAULT_OUT;
    if (id == 0 || ways == 0)
        return "cut MEMBER [in|out|both]";
    return faults_cut(&n->faults, id, ways) ? NULL : "too many links are cut";
}

static const char *do_heal(struct node *n, const struct line *l, char *out, size_t room)
{
    uint64_t id = l->count < 2 ? 0 : member_named(n, l->words[1]);

    (void)out;
    (void)room;
    /* A disk that lied has lost its place in the log: only a kill ends that. */
    if (l->count < 2)
        n->faults = (struct faults){ .lying_disk = n->faults.lying_disk };
    else if (id == 0 || !faults_cut(&n->faults, id, 0))
        return "no such member";
    return NULL;
}

static const char *number(const struct line *l, uint64_t max, uint64_t *out)
{
    return l->count == 2 && str_to_u64(l->words[1], out) && *out <= max
               ? NULL
               : "a number is expected";
}

static const char *do_delay(struct node *n, const struct line *l, char *out, size_t room)
{
    uint64_t ms;
    const char *bad = number(l, PAUSE_MAX_MS, &ms);

    (void)out;
    (void)room;
    if (bad == NULL)
        n->faults.delay_ms = (unsigned)ms;
    return bad;
}

static const char *do_slow_disk(struct node *n, const struct line *l, char *out,
                                size_t room)
{
    uint64_t ms;
    const char *bad = number(l, PAUSE_MAX_MS, &ms);

    (void)out;
    (void)room;
    if (bad == NULL)
        n->faults.slow_disk_ms = (unsigned)ms;
    return bad;
}

static const char *do_truncate(struct node *n, const struct line *l, char *out,
                               size_t room)
{
    (void)out;
    (void)room;
    return number(l, UINT64_MAX, &n->faults.truncate_after);
}

static const char *do_pause(struct node *n, const struct line *l, char *out, size_t room)
{
    uint64_t ms;
    const char *bad = number(l, PAUSE_MAX_MS, &ms);

    (void)out;
    (void)room;
    (void)n;
    if (bad == NULL)
        clock_sleep_ms(ms);
    return bad;
}

/* Those that are simply on until `heal`. */
static const char *do_switch(struct node *n, const struct line *l, char *out, size_t room)
{
    const struct {
        const char *name;
        bool *flag;
    } switches[] = {
        { "full-disk", &n->faults.full_disk },
        { "fail-fsync", &n->faults.fail_fsync },
        { "lying-disk", &n->faults.lying_disk },
        { "freeze-clock", &n->faults.clock_frozen },
        { "corrupt-snapshot", &n->faults.corrupt_snapshot },
        { "stall-snapshot", &n->faults.stall_snapshot },
        { "endless-snapshot", &n->faults.endless_snapshot },
    };

    (void)out;
    (void)room;
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
        if (strcmp(switches[i].name, l->words[0]) == 0)
            *switches[i].flag = true;
    return NULL;
}

struct newest {
    const struct fsm *fsm;
    uint8_t *last; /* of the newest record that is in memory of our own */
};

static enum rc look_at(void *arg, const struct kvstore_record *r, bool *stop,
                       struct err *e)
{
    struct newest *it = arg;
    struct bytes file =
        it->fsm->file == NULL ? (struct bytes){ 0 } : bolt_file_bytes(it->fsm->file);
    uintptr_t at = (uintptr_t)r->stored.p, begin = (uintptr_t)file.p;

    (void)stop;
    (void)e;
    /* What lies in the mapped file cannot be written. */
    if (!r->tombstone && (at < begin || at >= begin + file.n))
        it->last = (uint8_t *)(at + r->stored.n - 1);
    return RC_OK;
}

static const char *do_corrupt(struct node *n, const struct line *l, char *out,
                              size_t room)
{
    struct newest newest = { .fsm = &n->fsm };
    struct err e;

    (void)l;
    (void)out;
    (void)room;
    if (kvstore_changes(machine_kv(n->fsm.machine), 1, look_at, &newest, &e) != RC_OK ||
        newest.last == NULL)
        return "nothing was written since the start";
    *newest.last ^= 1;
    return NULL;
}

static const char *do_status(struct node *n, const struct line *l, char *out, size_t room)
{
    static const char *const states[] = { "unavailable", "follower", "candidate",
                                          "leader" };

    (void)l;
    snprintf(out, room,
             "member %" PRIx64 " cluster %" PRIx64 " state %s leader %" PRIx64
             " term %" PRIu64 " index %" PRIu64 " revision %" PRId64,
             n->home.member, n->home.cluster, states[raft_state(&n->raft)],
             node_leader(n), node_term(n), node_index(n),
             kvstore_revision(machine_kv(n->fsm.machine)));
    return NULL;
}

static const struct {
    const char *name;
    command_fn *run;
} commands[] = {
    { "cut", do_cut },
    { "heal", do_heal },
    { "delay", do_delay },
    { "slow-disk", do_slow_disk },
    { "pause", do_pause },
    { "truncate-snapshot", do_truncate },
    { "full-disk", do_switch },
    { "fail-fsync", do_switch },
    { "lying-disk", do_switch },
    { "freeze-clock", do_switch },
    { "corrupt-snapshot", do_switch },
    { "stall-snapshot", do_switch },
    { "endless-snapshot", do_switch },
    { "corrupt-db", do_corrupt },
    { "status", do_status },
};

static void run(struct node *n, char *text, char *answer, size_t room)
{
    struct line l = { 0 };
    char *rest = text, *word;
    const char *bad = "unknown command";
    char fact[LINE_MAX_SIZE] = "";

    while (l.count < WORDS && (word = strsep(&rest, " ")) != NULL)
        if (*word != 0)
            l.words[l.count++] = word;
    for (size_t i = 0; l.count > 0 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, l.words[0]) == 0)
            bad = commands[i].run(n, &l, fact, sizeof fact);
    if (bad != NULL)
        snprintf(answer, room, "error: %s\n", bad);
    else
        snprintf(answer, room, "ok%s%s\n", fact[0] == 0 ? "" : " ", fact);
}

/* ---- the socket ------------------------------------------------------------------- */

static void session_closed(uv_handle_t *handle)
{
    struct session *s = handle->data;

    for (struct session **at = &s->control->sessions; *at != NULL; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            break;
        }
    mem_free(s);
}

static void session_close(struct session *s)
{
    if (!uv_is_closing((uv_handle_t *)&s->pipe))
        uv_close((uv_handle_t *)&s->pipe, session_closed);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct session *s = handle->data;

    (void)suggested;
    *out = uv_buf_init(s->line + s->n, (unsigned)(sizeof s->line - s->n));
}

static void answer_lines(struct session *s)
{
    char answer[2 * LINE_MAX_SIZE];
    char *end;

    while ((end = memchr(s->line, '\n', s->n)) != NULL) {
        size_t used = (size_t)(end - s->line) + 1;
        uv_buf_t b;

        *end = 0;
        run(s->control->n, s->line, answer, sizeof answer);
        b = uv_buf_init(answer, (unsigned)strlen(answer));
        if (uv_try_write((uv_stream_t *)&s->pipe, &b, 1) < 0) {
            session_close(s);
            return;
        }
        memmove(s->line, s->line + used, s->n - used);
        s->n -= used;
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct session *s = stream->data;

    (void)buffer;
    if (n < 0) {
        session_close(s);
        return;
    }
    s->n += (size_t)n;
    answer_lines(s);
    if (s->n == sizeof s->line)
        session_close(s);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct control *c = listener->data;
    struct session *s = status == 0 ? mem_zero(sizeof *s) : NULL;

    if (s == NULL)
        return;
    uv_pipe_init(&c->n->loop, &s->pipe, 0);
    s->pipe.data = s;
    s->control = c;
    s->next = c->sessions;
    c->sessions = s;
    if (uv_accept(listener, (uv_stream_t *)&s->pipe) != 0 ||
        uv_read_start((uv_stream_t *)&s->pipe, on_alloc, on_read) != 0)
        session_close(s);
}

enum rc control_open(struct node *n, struct control **out, struct err *e)
{
    struct control *c;
    char own[sizeof n->lab_dir + 16];
    const char *path = n->o.control == NULL ? own : n->o.control;
    int status;

    snprintf(own, sizeof own, "%s/control.sock", n->lab_dir);
    TRY(mem_new(&c, sizeof *c, "the control socket", e));
    c->n = n;
    *out = c;
    uv_pipe_init(&n->loop, &c->pipe, 0);
    c->pipe.data = c;
    (void)os.unlinkat(AT_FDCWD, path, 0);
    status = uv_pipe_bind(&c->pipe, path);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&c->pipe, 8, on_connection);
    if (status != 0)
        return err_set(e, RC_STORAGE,
                       "cannot listen at '%s': %s" HINT
                       "the path of a socket is short: choose one with --control-socket",
                       path, uv_strerror(status));
    return RC_OK;
}

static void control_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

/* Handles close in reverse, so that a session still finds its control. */
void control_close(struct control *c)
{
    if (c == NULL)
        return;
    uv_close((uv_handle_t *)&c->pipe, control_closed);
    for (struct session *s = c->sessions; s != NULL; s = s->next)
        session_close(s);
}
