#include "tests/flow/parity.h"

#include <ctype.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/mem.h"
#include "util/str.h"
#include "wire/cluster.h"
#include "wire/maintenance.h"

enum { TEXT_MAX = 64 << 10, ARGS_MAX = 24, ID_DIGITS = 14, RETRY_MS = 8000 };

/* ---- both clusters ------------------------------------------------------------------
 */

static void look(struct parity_side *s)
{
    OWNED(wire_client) c = NULL;
    struct err e = { 0 };

    flow_connect(&s->k, &c);
    for (unsigned i = 0; i < s->k.count; i++) {
        AT_END(wire_status_clear) struct wire_status status = { 0 };

        OK(wire_status_get(c, i, &status, &e), &e);
        s->ids[i] = status.header.member_id;
        s->cluster_id = status.header.cluster_id;
    }
}

void parity_boot(struct parity *p, const char *version, unsigned members)
{
    /* Passwords need not be strong here: each login costs etcd 60 ms by default. */
    static const char *const real[] = { "--bcrypt-cost=4", NULL };
    const char *const ours[] = { "--etcd-version", version, NULL };
    const struct cluster_options etcd = { .members = members, .flags = real };
    const struct cluster_options store = { .members = members, .flags = ours };

    p->version = version;
    p->store = *cluster_backend("lab");
    p->store.version = version;
    p->store.minor = version[2] - '0';
    cluster_start(&p->sides[0].k, cluster_backend(version), &etcd);
    cluster_start(&p->sides[1].k, &p->store, &store);
    for (int i = 0; i < 2; i++)
        look(&p->sides[i]);
}

void parity_end(struct parity *p)
{
    for (int i = 0; i < 2; i++)
        cluster_stop(&p->sides[i].k);
}

/* ---- arguments ----------------------------------------------------------------------
 */

static void name_value(const struct parity_side *s, const char *name, unsigned i,
                       char *out, size_t room)
{
    if (strncmp(name, "{id", 3) == 0)
        snprintf(out, room, "%" PRIx64, s->ids[i]);
    else if (strncmp(name, "{client", 7) == 0)
        snprintf(out, room, "%s", cluster_endpoint(&s->k, i));
    else if (strncmp(name, "{peer", 5) == 0)
        snprintf(out, room, "%s", cluster_peer_url(&s->k, i));
    else if (strncmp(name, "{dir", 4) == 0)
        snprintf(out, room, "%s", s->k.dir);
    else
        snprintf(out, room, "%s", s->seen[i]);
}

/* Names in braces replaced; others, as in JSON, are left. */
static void fill_in(const struct parity_side *s, const char *text, char *out, size_t room)
{
    static const char *const names[] = { "{id", "{client", "{peer", "{dir", "{x" };
    size_t n = 0;

    while (*text != 0 && n + 1 < room) {
        const char *end = strchr(text, '}');
        bool known = false;

        for (size_t i = 0; end != NULL && i < 5; i++)
            known |= strncmp(text, names[i], strlen(names[i])) == 0;
        if (!known) {
            out[n++] = *text++;
            continue;
        }
        out[n] = 0;
        name_value(s, text,
                   isdigit((unsigned char)end[-1]) ? (unsigned)(end[-1] - '0') : 0,
                   out + n, room - n);
        n += strlen(out + n);
        text = end + 1;
    }
    out[n] = 0;
}

struct command {
    const char *argv[ARGS_MAX + 8];
    char texts[ARGS_MAX][512];
};

static unsigned leader_of(const struct parity_side *s)
{
    OWNED(wire_client) c = NULL;
    AT_END(wire_status_clear) struct wire_status status = { 0 };
    struct err e = { 0 };

    flow_connect(&s->k, &c);
    OK(wire_status_get(c, 0, &status, &e), &e);
    for (unsigned i = 0; i < s->k.count; i++)
        if (s->ids[i] == status.leader)
            return i;
    cr_assert_fail("%s: nobody leads", s->k.backend->name);
    return 0;
}

static void make_command(const struct parity_side *s, const struct parity_step *step,
                         struct command *c)
{
    bool plain = step->tool != NULL;
    size_t n = 0;

    c->argv[n++] = cluster_tool(s->k.backend, plain ? step->tool : "etcdctl");
    if (!plain) {
        c->argv[n++] = "--endpoints";
        c->argv[n++] =
            cluster_endpoint(&s->k, step->how & PARITY_LEADER ? leader_of(s) : 0);
    }
    if (!plain && s->user != NULL) {
        c->argv[n++] = "--user";
        c->argv[n++] = s->user;
    }
    for (size_t i = 0; step->args[i] != NULL; i++) {
        fill_in(s, step->args[i], c->texts[i], sizeof c->texts[i]);
        c->argv[n++] = c->texts[i];
    }
    c->argv[n] = NULL;
}

/* ---- what was printed ---------------------------------------------------------------
 */

static void replace_all(char *text, size_t room, const char *what, const char *with)
{
    size_t n = strlen(what), m = strlen(with);

    for (char *at = text; n > 0 && (at = strstr(at, what)) != NULL; at += m) {
        cr_assert_lt(strlen(text) + m - n + 1, room);
        memmove(at + m, at + n, strlen(at + n) + 1);
        memcpy(at, with, m);
    }
}

/* Digits (and what `also` names) after each `prefix` become "#". */
static void blank_after(char *text, const char *prefix, const char *also)
{
    for (char *at = text; (at = strstr(at, prefix)) != NULL;) {
        char *end;

        at += strlen(prefix);
        end = at + strspn(at, also);
        if (end == at)
            continue;
        *at = '#';
        memmove(at + 1, end, strlen(end) + 1);
    }
}

static void known_names(const struct parity_side *s, char *text, size_t room)
{
    char what[64], with[32];

    replace_all(text, room, s->k.dir, "<dir>");
    for (unsigned i = 0; i < s->k.count; i++) {
        const char *urls[] = { cluster_endpoint(&s->k, i), cluster_peer_url(&s->k, i) };

        for (int u = 0; u < 2; u++) {
            snprintf(with, sizeof with, "<%s%u>", u == 0 ? "client" : "peer", i);
            replace_all(text, room, strchr(urls[u], ':') + 3, with);
        }
        snprintf(with, sizeof with, "<id%u>", i);
        snprintf(what, sizeof what, "%" PRIu64, s->ids[i]);
        replace_all(text, room, what, with);
        snprintf(what, sizeof what, "%" PRIx64, s->ids[i]);
        replace_all(text, room, what, with);
    }
    snprintf(what, sizeof what, "%" PRIu64, s->cluster_id);
    replace_all(text, room, what, "<cluster>");
    snprintf(what, sizeof what, "%" PRIx64, s->cluster_id);
    replace_all(text, room, what, "<cluster>");
}

static unsigned seen_at(struct parity_side *s, const char *id, size_t n)
{
    unsigned i;

    for (i = 0; i < s->seen_n; i++)
        if (strlen(s->seen[i]) == n && strncmp(s->seen[i], id, n) == 0)
            return i;
    cr_assert_lt(i, PARITY_NAMES);
    snprintf(s->seen[s->seen_n++], sizeof s->seen[0], "%.*s", (int)n, id);
    return i;
}

/* Leases, new members: long numbers, which etcdctl prints in both notations. */
static void other_ids(struct parity_side *s, char *text, size_t room)
{
    static const char hex[] = "0123456789abcdef";
    char with[16];

    for (char *at = text; *at != 0;) {
        size_t n = strspn(at, hex);

        if (n == 0) {
            at++;
            continue;
        }
        if (n < ID_DIGITS || n > 20) {
            at += n;
            continue;
        }
        snprintf(with, sizeof with, "<x%u>", seen_at(s, at, n));
        cr_assert_lt(strlen(text) + 16, room);
        memmove(at + strlen(with), at + n, strlen(at + n) + 1);
        memcpy(at, with, strlen(with));
        at += strlen(with);
    }
}

static void own_numbers(char *text)
{
    static const char digits[] = "0123456789", time[] = "0123456789.msh\xc2\xb5";
    static const char *const blanks[] = {
        "raft_term\":", "RaftTerm\" : ", "remaining(",
        "\"ttl\":",     "\"TTL\" : ",    "totalSize\":"
    };

    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++)
        blank_after(text, blanks[i], digits);
    blank_after(text, "took ", time);
    blank_after(text, "took = ", time);
    blank_after(text, "took\":\"", time);
    blank_after(text, "Took\" : \"", time);
}

static void all_numbers(char *text)
{
    char *to = text;

    for (const char *from = text; *from != 0;) {
        size_t n = strspn(from, "0123456789.");

        if (n > 0) {
            *to++ = '#';
            from += n;
        } else {
            *to++ = *from++;
        }
    }
    *to = 0;
    /* and their units, and the padding of tables */
    replace_all(text, TEXT_MAX, "# MB", "# kB");
    replace_all(text, TEXT_MAX, "# B", "# kB");
    to = text;
    for (const char *from = text; *from != 0; from++)
        if (!strchr("-+ ", *from) && (unsigned char)*from < 0x80)
            *to++ = *from;
    *to = 0;
}

/* The client library's log is about addresses in its memory. */
static void drop_logs(char *text)
{
    char *to = text;

    for (char *line = text; *line != 0;) {
        size_t n = strcspn(line, "\n");

        n += line[n] == '\n';
        if (strncmp(line, "{\"level\":\"warn", 14) != 0 &&
            strncmp(line, "{\"level\":\"info", 14) != 0) {
            memmove(to, line, n);
            to += n;
        }
        line += n;
    }
    *to = 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_lines(char *text, size_t room)
{
    AT_END(mem_end) char *sorted = mem_zero(room);
    char *lines[512], *rest = text;
    size_t n = 0, used = 0;

    while (rest != NULL && *rest != 0 && n < 512)
        lines[n++] = strsep(&rest, "\n");
    qsort(lines, n, sizeof *lines, by_text);
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(sorted + used, room - used, "%s\n", lines[i]);
    memcpy(text, sorted, used + 1);
}

static void normalise(struct parity_side *s, unsigned how, char *text, size_t room)
{
    drop_logs(text);
    known_names(s, text, room);
    if (how & PARITY_NUMBERS)
        all_numbers(text);
    else
        other_ids(s, text, room);
    own_numbers(text);
    if (how & PARITY_SORTED)
        sort_lines(text, room);
}

/* ---- steps --------------------------------------------------------------------------
 */

static int run_once(struct parity_side *s, const struct parity_step *step, char *text)
{
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 };
    static struct command c;
    struct proc_options o = { .timeout_s = 30 };
    char input[1200], path[600];

    make_command(s, step, &c);
    if (step->input != NULL) {
        FILE *f;

        snprintf(path, sizeof path, "%s/input", s->k.dir);
        fill_in(s, step->input, input, sizeof input);
        f = fopen(path, "w");
        cr_assert(f != NULL && fputs(input, f) >= 0 && fclose(f) == 0);
        o.input = path;
    }
    proc_run(&p, &o, c.argv);
    snprintf(text, TEXT_MAX / 2, "status %d\n%s\n%s", p.status, p.out, p.err);
    return p.status;
}

static void run(struct parity_side *s, const struct parity_step *step, char *text)
{
    uint64_t end = clock_ms() + RETRY_MS;

    while (run_once(s, step, text) != 0 && step->how & PARITY_RETRY && clock_ms() < end)
        clock_sleep_ms(200);
    if (step->how & PARITY_STATUS)
        *strchr(text, '\n') = 0;
    normalise(s, step->how, text, TEXT_MAX);
}

static void describe(const struct parity_step *step, char *out, size_t room)
{
    size_t n = 0;

    *out = 0;
    for (size_t i = 0; step->args[i] != NULL && n < room; i++)
        n += (size_t)snprintf(out + n, room - n, " %s", step->args[i]);
}

static void same_text(const struct parity *p, const struct parity_step *step,
                      const char *a, const char *b)
{
    char what[512];

    if (strcmp(a, b) == 0)
        return;
    describe(step, what, sizeof what);
    cr_expect_fail("%s, step %u: etcdctl%s\n--- etcd:\n%s\n--- the store:\n%s",
                   p->version, p->steps, what, a, b);
}

void parity_play(struct parity *p, const struct parity_step *steps)
{
    static char texts[2][TEXT_MAX];

    for (; steps->args[0] != NULL; steps++) {
        p->steps++;
        for (int i = 0; i < 2; i++)
            run(&p->sides[i], steps, texts[i]);
        same_text(p, steps, texts[0], texts[1]);
    }
}

/* ---- watching -----------------------------------------------------------------------
 */

static pid_t start(struct parity_side *s, const struct parity_step *watch, char *path,
                   size_t room)
{
    static struct command c;

    make_command(s, watch, &c);
    snprintf(path, room, "%s/watch.%u", s->k.dir, (unsigned)clock_ms());
    return proc_start(path, c.argv);
}

static void read_text(const char *path, char *out, size_t room)
{
    FILE *f = fopen(path, "r");
    size_t n = f == NULL ? 0 : fread(out, 1, room - 1, f);

    if (f != NULL)
        (void)fclose(f);
    out[n] = 0;
}

static void await_text(const struct parity *p, const struct parity_step *watch,
                       const char *path, const char *last, char *out)
{
    uint64_t end = clock_ms() + RETRY_MS;
    char what[512];

    describe(watch, what, sizeof what);
    for (read_text(path, out, TEXT_MAX / 2); strstr(out, last) == NULL;
         read_text(path, out, TEXT_MAX / 2)) {
        cr_assert_lt(clock_ms(), end, "%s: etcdctl%s never printed %s (%s), but\n%s",
                     p->version, what, last, path, out);
        clock_sleep_ms(10);
    }
    clock_sleep_ms(20); /* what it prints is not one write */
    read_text(path, out, TEXT_MAX / 2);
}

void parity_watch(struct parity *p, const struct parity_step *watch,
                  const struct parity_step *steps, const char *last)
{
    static char texts[2][TEXT_MAX];
    char paths[2][600];
    pid_t pids[2];

    p->steps++;
    if (watch->how & PARITY_PAST)
        parity_play(p, steps);
    for (int i = 0; i < 2; i++)
        pids[i] = start(&p->sides[i], watch, paths[i], sizeof paths[i]);
    if (!(watch->how & PARITY_PAST))
        parity_play(p, steps);
    for (int i = 0; i < 2; i++) {
        await_text(p, watch, paths[i], last, texts[i]);
        (void)proc_stop(pids[i], SIGTERM);
        normalise(&p->sides[i], watch->how, texts[i], TEXT_MAX);
    }
    same_text(p, watch, texts[0], texts[1]);
}

void parity_lead(struct parity *p)
{
    for (int i = 0; i < 2; i++) {
        struct parity_side *s = &p->sides[i];
        unsigned leader = leader_of(s);
        char id[24];

        snprintf(id, sizeof id, "%" PRIx64, s->ids[0]);
        if (leader != 0)
            CTL(&s->k, leader, "move-leader", id);
        while (leader_of(s) != 0)
            clock_sleep_ms(50);
    }
}
