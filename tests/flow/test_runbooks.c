/* The pages of docs/runbooks, followed to the letter: each command that stands there is
 * run by a shell, in the situation that the page is for, with the words in capitals
 * replaced; and in the end the cluster is whole. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/flow/disaster.h"
#include "tests/flow/flow.h"
#include "tests/flow/history.h"
#include "tests/flow/shell.h"
#include "tests/flow/trouble.h"
#include "tests/flow/waiting.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

enum { SECTIONS_MAX = 16, TEXT_MAX = 8192, ALL_READY_MS = 90000 };

/* ---- the page ------------------------------------------------------------ */

struct section {
    char title[120];
    char commands[2048]; /* "" when there is nothing to type */
    int status;          /* that they end with */
    bool each;           /* on the host of each member */
};

struct page {
    struct section sections[SECTIONS_MAX];
    size_t count;
};

static void take_prose(struct section *s, const char *line)
{
    const char *status = strstr(line, "exit status ");

    if (strncmp(line, "You should see, with ", 21) == 0 && status != NULL)
        s->status = atoi(status + 12);
    if (strcmp(line, "Where: on the host of each member") == 0 ||
        strcmp(line, "Where: on every host") == 0)
        s->each = true;
}

static void read_page(const char *name, struct page *out)
{
    AT_END(mem_end) uint8_t *raw = NULL;
    struct section *s = NULL;
    bool typing = false;
    struct err e = { 0 };
    char path[200];
    size_t n = 0;

    snprintf(path, sizeof path, "docs/runbooks/%s.md", name);
    OK(os_read_file(path, 1 << 20, &raw, &n, &e), &e);
    AT_END(mem_end) char *text = mem_str_n((const char *)raw, n);

    for (char *line = text, *rest; *line != '\0'; line = rest) {
        rest = str_line(line);
        if (strncmp(line, "## ", 3) == 0) {
            cr_assert_lt(out->count, SECTIONS_MAX);
            s = &out->sections[out->count++];
            snprintf(s->title, sizeof s->title, "%s", line + 3);
        } else if (strncmp(line, "```", 3) == 0) {
            typing = !typing;
        } else if (typing) {
            size_t used = strlen(s->commands);

            snprintf(s->commands + used, sizeof s->commands - used, "%s\n", line);
        } else if (s != NULL) {
            take_prose(s, line);
        }
    }
}

/* ---- following it -------------------------------------------------------- */

enum { WORDS_MAX = 6 };

struct word {
    const char *blank;
    char text[512];
};

struct reader {
    struct cluster *c;
    struct word words[WORDS_MAX]; /* ended by a NULL blank */
    unsigned hosts;               /* members that steps for each are done for: from 0 */
    unsigned newcomer;            /* the member that a guided change adds */
    struct page page;
    char setup[1024]; /* what is exported, for every later command */
};

static void knows(struct reader *r, const char *blank, const char *text)
{
    struct word *w = r->words;

    while (w->blank != NULL)
        w++;
    cr_assert_lt(w - r->words, WORDS_MAX - 1);
    w->blank = blank;
    snprintf(w->text, sizeof w->text, "%s", text);
}

static void replace_word(char text[static TEXT_MAX], const char *blank, const char *by)
{
    char done[TEXT_MAX];
    char *at;

    while ((at = strstr(text, blank)) != NULL) {
        snprintf(done, sizeof done, "%.*s%s%s", (int)(at - text), text, by,
                 at + strlen(blank));
        memcpy(text, done, sizeof done);
    }
}

/* What is typed on the host of `here`. */
static void fill_in(const struct reader *r, const char *commands,
                    const struct cluster_member *here, char out[static TEXT_MAX])
{
    snprintf(out, TEXT_MAX, "%s%s", r->setup, commands);
    for (const struct word *w = r->words; w->blank != NULL; w++)
        replace_word(out, w->blank, w->text);
    if (here == NULL)
        return;
    replace_word(out, "DATA_DIR", here->data_dir);
    replace_word(out, "THIS_MEMBER", here->name);
}

static void type(const struct reader *r, const struct section *s,
                 const struct cluster_member *here)
{
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 };
    char text[TEXT_MAX];

    fill_in(r, s->commands, here, text);
    proc_run(&p, NULL, shell_argv(r->c, text));
    cr_assert_eq(p.status, s->status, "%s: status %d, not %d:\n%s\n%s%s", s->title,
                 p.status, s->status, text, p.out, p.err);
}

/* It waits for a member that is started as it says. */
static void type_and_start(const struct reader *r, const struct section *s)
{
    unsigned i = r->newcomer;
    struct waiting w;
    char text[TEXT_MAX];

    fill_in(r, s->commands, &r->c->members[i], text);
    waiting_begin(&w, r->c->dir, shell_argv(r->c, text));
    cluster_boot_joining(r->c, i, waiting_initial(&w, 0));
    waiting_ends(&w, 0);
}

/* A 3.6 is healthy a moment before it serves clients. */
static void await_clients(const struct cluster *c, unsigned i)
{
    uint64_t end = clock_ms() + ALL_READY_MS;

    while (!cluster_ctl_try(c, i, (const char *const[]){ "get", "x", NULL }, NULL))
        cr_assert_lt(clock_ms(), end, "m%u serves nobody", i);
}

static void start_all(const struct reader *r)
{
    for (unsigned i = 0; i < r->hosts; i++)
        if (r->c->members[i].pid == 0)
            cluster_boot(r->c, i);
    for (unsigned i = 0; i < r->hosts; i++) {
        cluster_wait(r->c, i);
        await_clients(r->c, i);
    }
}

static void follow_one(struct reader *r, const struct section *s)
{
    if (strncmp(s->commands, "export ", 7) == 0)
        snprintf(r->setup, sizeof r->setup, "%s", s->commands);
    if (strstr(s->commands, "--new-data-dir") != NULL &&
        strstr(s->commands, "--yes") != NULL)
        type_and_start(r, s);
    else if (s->commands[0] != '\0' && !s->each)
        type(r, s, &r->c->members[0]);
    for (unsigned i = 0; s->commands[0] != '\0' && s->each && i < r->hosts; i++)
        type(r, s, &r->c->members[i]);
    if (strstr(s->title, "Start etcd everywhere") != NULL ||
        strstr(s->title, "Carry the plan out") != NULL)
        start_all(r);
}

static void follow(struct reader *r, const char *name)
{
    size_t typed = 0;

    read_page(name, &r->page);
    for (size_t i = 0; i < r->page.count; i++) {
        follow_one(r, &r->page.sections[i]);
        typed += r->page.sections[i].commands[0] != '\0';
    }
    cr_assert_geq(typed, 4, "%s has few commands", name);
}

static void holds(const struct cluster *c, unsigned member, unsigned keys)
{
    const char *told =
        CTL(c, member, "get", "--prefix", "k/", "--count-only", "--write-out", "fields");
    char want[32];

    snprintf(want, sizeof want, "\"Count\" : %u", keys);
    cr_assert(strstr(told, want) != NULL, "m%u: %s", member, told);
}

/* ---- the situations ------------------------------------------------------ */

static void begin(struct cluster *c, const struct cluster_backend *b, unsigned planned,
                  unsigned n, const char *const *flags)
{
    OWNED(wire_client) w = NULL;

    cluster_plan(c, b, &(struct cluster_options){ .members = planned, .flags = flags });
    cluster_boot_first(c, n);
    flow_connect_to(c, 0, &w);
    history_fill(w, "k", 50, 20);
}

static void lost_member(const struct cluster_backend *b)
{
    CLUSTER c = { 0 };

    begin(&c, b, 4, 3, NULL);
    cluster_kill(&c, 1, SIGKILL);
    struct reader r = { .c = &c, .newcomer = 3 };

    knows(&r, "CLIENT_URLS", cluster_endpoint(&c, 0));
    knows(&r, "LOST_MEMBER", "m1");
    knows(&r, "NEW_MEMBER", "m3");
    knows(&r, "NEW_PEER_URL", cluster_peer_url(&c, 3));
    knows(&r, "BACKUP_FILE", path_in(c.dir, "b.db.zst"));

    follow(&r, "lost-member");
    holds(&c, 3, 50);
}

static void corrupt_member(const struct cluster_backend *b)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;

    begin(&c, b, 4, 3, NULL);
    flow_connect_to(&c, 0, &w);
    trouble_diverge(&c, 2, w);
    struct reader r = { .c = &c, .newcomer = 3 };

    knows(&r, "CLIENT_URLS", cluster_endpoint(&c, 0));
    knows(&r, "LOST_MEMBER", "m2");
    knows(&r, "NEW_MEMBER", "m3");
    knows(&r, "NEW_PEER_URL", cluster_peer_url(&c, 3));
    knows(&r, "BACKUP_FILE", path_in(c.dir, "b.db.zst"));

    follow(&r, "corrupt-member");
    holds(&c, 3, 50);
}

static void two_members(const struct cluster_backend *b)
{
    CLUSTER c = { 0 };

    begin(&c, b, 3, 2, NULL);
    struct reader r = { .c = &c, .newcomer = 2 };

    knows(&r, "CLIENT_URLS", cluster_endpoint(&c, 0));
    knows(&r, "NEW_MEMBER", "m2");
    knows(&r, "NEW_PEER_URL", cluster_peer_url(&c, 2));
    knows(&r, "BACKUP_FILE", path_in(c.dir, "b.db.zst"));

    follow(&r, "two-members");
    holds(&c, 2, 50);
}

static void nospace(const struct cluster_backend *b)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    struct err e = { 0 };

    begin(&c, b, 3, 3, trouble_small_quota);
    flow_connect(&c, &w);
    trouble_fill(w, true, 0);
    trouble_await_nospace(&c);
    struct reader r = { .c = &c };

    knows(&r, "CLIENT_URLS", cluster_endpoint(&c, 0));
    knows(&r, "BACKUP_FILE", path_in(c.dir, "b.db.zst"));

    follow(&r, "nospace");
    OK(trouble_put(w, "key-0", &e), &e);
    holds(&c, 0, 50);
}

static void restore_from_backup(const struct cluster_backend *b)
{
    CLUSTER c = { 0 };
    const char *file, *plan;

    begin(&c, b, 3, 3, NULL);
    file = path_in(c.dir, "b.db.zst");
    plan = path_in(c.dir, "plan.json");
    TOOL(save, 0, "snapshot", "save", file, "--endpoints", cluster_endpoint(&c, 0));
    for (unsigned i = 0; i < 3; i++)
        cluster_kill(&c, i, SIGKILL);
    disaster_lose(&c, 2);
    struct reader r = { .c = &c, .hosts = 3 };

    knows(&r, "CLIENT_URLS", cluster_endpoint(&c, 0));
    knows(&r, "ALL_MEMBERS", cluster_initial(&c, 3));
    knows(&r, "BACKUP_FILE", file);
    knows(&r, "PLAN_FILE", plan);

    follow(&r, "restore-from-backup");
    holds(&c, 2, 50);
}

static void lost_quorum(const struct cluster_backend *b)
{
    CLUSTER c = { 0 };

    begin(&c, b, 3, 3, NULL);
    for (unsigned i = 0; i < 3; i++)
        cluster_kill(&c, i, SIGKILL);
    disaster_lose_all_but(&c, 0);
    struct reader r = { .c = &c, .hosts = 3 };

    knows(&r, "CLIENT_URLS", cluster_endpoint(&c, 0));
    knows(&r, "PLAN_FILE", path_in(c.dir, "plan.json"));

    follow(&r, "lost-quorum");
    holds(&c, 2, 50);
}

#define RUNBOOK(name, version, suffix)                         \
    CASE(runbooks, name##_##suffix, .timeout = FLOW_TIMEOUT_S) \
    {                                                          \
        flow_need(version);                                    \
        name(cluster_backend(version));                        \
    }

RUNBOOK(lost_quorum, "3.5", 3_5)
RUNBOOK(lost_quorum, "3.6", 3_6)
RUNBOOK(lost_member, "3.5", 3_5)
RUNBOOK(lost_member, "3.6", 3_6)
RUNBOOK(corrupt_member, "3.5", 3_5)
RUNBOOK(corrupt_member, "3.6", 3_6)
RUNBOOK(two_members, "3.5", 3_5)
RUNBOOK(two_members, "3.6", 3_6)
RUNBOOK(nospace, "3.5", 3_5)
RUNBOOK(nospace, "3.6", 3_6)
RUNBOOK(restore_from_backup, "3.5", 3_5)
RUNBOOK(restore_from_backup, "3.6", 3_6)

/* ---- filled in by the tool ------------------------------------------------ */

/* Names come from the cluster, what is to be typed from the planner. */
CASE(runbooks, are_filled_in_with_what_the_cluster_says, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c = { 0 };
    OWNED(json) told = NULL;
    const struct json *steps;
    bool filled = false;

    flow_need("3.5");
    begin(&c, cluster_backend("3.5"), 3, 3, NULL);
    cluster_kill(&c, 1, SIGKILL);
    TOOL(p, 0, "runbook", "lost-member", "--set", "new=m9", "--set", "backup=b's.db",
         "--set", "new-peer=http://127.0.0.1:1", "-w", "json", "--endpoints",
         cluster_endpoint(&c, 0));
    flow_json(&p, &told);
    steps = json_get(told, "steps");
    for (size_t i = 0; i < json_count(steps); i++) {
        const char *line = json_get_str(json_at(steps, i), "commands");

        filled = filled || (line != NULL &&
                            strstr(line, "replace m1 --with m9=http://127.0.0.1:1") &&
                            strstr(line, "--backup 'b'\\''s.db'"));
    }
    cr_assert(filled, "%s", p.out);
    cr_assert(strstr(p.out, "remove m1") != NULL, "the plan is shown: %s", p.out);
    TOOL(text, 0, "runbook", "lost-member", "--endpoints", cluster_endpoint(&c, 0));
    cr_assert(strstr(text.out, "`NEW_MEMBER`") != NULL, "%s", text.out);
    cr_assert_null(strstr(text.out, "LOST_MEMBER"), "%s", text.out);
    TOOL(nobody, 0, "runbook", "nospace", "--endpoints", DISASTER_NOBODY);
    cr_assert(strstr(nobody.out, "the names are left blank") != NULL, "%s", nobody.out);
    TOOL(none, 2, "runbook", "no-such", "--offline");
}

/* Where nobody can be asked, what is left tells: a directory, then the plan. */
CASE(runbooks, are_filled_in_with_what_is_left, .timeout = FLOW_TIMEOUT_S)
{
    OWNED(json) plan = NULL;
    CLUSTER c = { 0 };
    char typed[800];

    flow_need("3.5");
    begin(&c, cluster_backend("3.5"), 3, 3, NULL);
    for (unsigned i = 0; i < 3; i++)
        cluster_kill(&c, i, SIGKILL);
    disaster_lose_all_but(&c, 0);
    TOOL(left, 0, "runbook", "lost-quorum", c.members[0].data_dir, "--endpoints",
         DISASTER_NOBODY);
    snprintf(typed, sizeof typed, "holdfast assess %s\n", c.members[0].data_dir);
    cr_assert(strstr(left.out, typed) != NULL, "%s", left.out);
    cr_assert(strstr(left.out, "--apply PLAN_FILE --member m2 ") != NULL, "%s", left.out);
    cr_assert_null(strstr(left.out, "CLIENT_URLS"), "%s", left.out);
    DISASTER_PLAN(&c, "plan.json", &plan, c.members[0].data_dir);
    TOOL(planned, 0, "runbook", "lost-quorum", "--plan", path_in(c.dir, "plan.json"));
    snprintf(typed, sizeof typed, "--apply %s --member m1 ", path_in(c.dir, "plan.json"));
    cr_assert(strstr(planned.out, typed) != NULL, "%s", planned.out);
}
