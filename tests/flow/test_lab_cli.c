/* `holdfast lab` from the outside: members come, fail, and go, and leave nothing. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/flow/flow.h"
#include "util/clock.h"
#include "util/mem.h"
#include "wire/kv.h"

/* ---- a lab that ends with the test ---------------------------------------------------
 */

static const char *lab_dir;

static void end_lab(void)
{
    if (lab_dir != NULL && access(lab_dir, F_OK) == 0) {
        HOLDFAST(p, "lab", "down", "--dir", lab_dir);
    }
}

/* Registered after the scratch directory was made, so it runs before that is removed. */
static const char *place(void)
{
    static char path[512];

    snprintf(path, sizeof path, "%s/lab", tmpdir_new());
    lab_dir = path;
    atexit(end_lab);
    return path;
}

#define LAB(p, status, ...) TOOL(p, status, "lab", __VA_ARGS__, "--dir", lab_dir)

struct lab_member {
    char name[8], state[16], role[16];
    bool can_write, can_read, can_read_stale;
    pid_t pid;
    size_t cuts;
};

static struct lab_member parse(const struct json *j)
{
    struct lab_member m = { 0 };
    const char *role = json_get_str(j, "role");

    snprintf(m.name, sizeof m.name, "%s", flow_text(j, "name"));
    snprintf(m.state, sizeof m.state, "%s", flow_text(j, "state"));
    snprintf(m.role, sizeof m.role, "%s", role == NULL ? "" : role);
    m.pid = (pid_t)flow_number(j, "pid");
    m.cuts = json_count(json_get(j, "cut_off_from"));
    json_get_bool(j, "can_write", &m.can_write);
    json_get_bool(j, "can_read_linearizable", &m.can_read);
    json_get_bool(j, "can_read_serializable", &m.can_read_stale);
    return m;
}

static void look(struct lab_member *out, size_t n)
{
    OWNED(json) j = NULL;

    LAB(p, 0, "status", "--probe", "-w", "json");
    flow_json(&p, &j);
    cr_assert_eq(json_count(j), n, "%s", p.out);
    for (size_t i = 0; i < n; i++)
        out[i] = parse(json_at(j, i));
}

static void all_serve(struct lab_member *m, size_t n)
{
    look(m, n);
    for (size_t i = 0; i < n; i++)
        cr_assert(strcmp(m[i].state, "up") == 0 && m[i].can_write && m[i].can_read &&
                      m[i].can_read_stale,
                  "%s does not serve", m[i].name);
}

static bool runs(pid_t pid)
{
    char path[64], state = 'Z';
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    f = fopen(path, "r");
    if (f == NULL)
        return false;
    if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
        state = 'Z';
    fclose(f);
    return state != 'Z';
}

static const struct lab_member *leader_of(const struct lab_member *m, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(m[i].role, "leader") == 0)
            return &m[i];
    cr_assert_fail("nobody leads");
    return NULL;
}

/* ---- the way of a rehearsal ----------------------------------------------------------
 */

CASE(lab_cli, a_quorum_is_lost_and_comes_back, .timeout = FLOW_TIMEOUT_S)
{
    struct lab_member m[3];
    size_t stale = 0;

    place();
    LAB(up, 0, "up", "--members", "3", "--load", "300");
    cr_assert(strncmp(up.out, "export ETCDCTL_ENDPOINTS='http://127.0.0.1:", 43) == 0,
              "%s", up.out);
    LAB(again, 0, "status", "--exports");
    cr_assert_str_eq(again.out, up.out);
    all_serve(m, 3);
    LAB(second, 5, "up", "--members", "1");
    cr_assert(strstr(second.err, "there is a lab in '") != NULL, "%s", second.err);

    LAB(two, 0, "kill", leader_of(m, 3)->name,
        strcmp(m[0].role, "leader") == 0 ? "m2" : "m1");
    look(m, 3);
    for (size_t i = 0; i < 3; i++) {
        cr_assert(!m[i].can_write && !m[i].can_read, "%s decides alone", m[i].name);
        cr_assert_eq(m[i].can_read_stale, strcmp(m[i].state, "up") == 0);
        stale += m[i].can_read_stale;
    }
    cr_assert_eq(stale, 1);
    LAB(nobody, 10, "kill", "leader");

    LAB(back, 0, "start");
    all_serve(m, 3);
    LAB(down, 0, "down");
    for (size_t i = 0; i < 3; i++)
        cr_assert(!runs(m[i].pid));
    cr_assert_neq(access(lab_dir, F_OK), 0);
    LAB(gone, 10, "status");
}

CASE(lab_cli, what_was_loaded_is_there_after_a_restart, .timeout = FLOW_TIMEOUT_S)
{
    struct lab_member m[1];

    place();
    LAB(up, 0, "up", "--members", "1", "--load", "250");
    LAB(end, 0, "kill", "--term", "m1");
    LAB(start, 0, "start");
    all_serve(m, 1);
    LAB(show, 0, "status", "-w", "json");
    OWNED(json) j = NULL;
    OWNED(wire_client) c = NULL;
    AT_END(wire_kvs_clear) struct wire_kvs k = { 0 };
    const struct wire_range q = { .key = bytes_str("/registry/pods/lab/"),
                                  .end = bytes_str("/registry/pods/lab0"),
                                  .count_only = true };
    struct err e = { 0 };

    flow_json(&show, &j);
    const struct wire_options o = { .endpoints = flow_text(json_at(j, 0), "client_url") };

    OK(wire_client_new(&o, &c, &e), &e);
    OK(wire_range_get(c, &q, &k, &e), &e);
    cr_assert_eq(k.total, 250);
}

/* The members' session is their own, so what happens to the terminal is not theirs. */
CASE(lab_cli, members_outlive_the_terminal, .timeout = FLOW_TIMEOUT_S)
{
    struct lab_member m[1];
    char script[1200];

    place();
    snprintf(script, sizeof script, "'%s' lab up --dir '%s' --members 1 && kill -HUP 0",
             HOLDFAST_BIN, lab_dir);
    RUN(shell, "setsid", "--wait", "/bin/sh", "-c", script);
    cr_assert_eq(shell.status, 128 + SIGHUP, "%d: %s%s", shell.status, shell.out,
                 shell.err);
    all_serve(m, 1);
    cr_assert_eq(getsid(m[0].pid), m[0].pid);
}

CASE(lab_cli, tls_and_users_are_asked_for, .timeout = FLOW_TIMEOUT_S)
{
    char script[4096];

    place();
    LAB(up, 0, "up", "--members", "1", "--tls", "--auth", "--load", "10");
    snprintf(script, sizeof script,
             "%s\nset -e\n"
             "'%s' status\n'%s' snapshot save '%s.db'\n'%s' snapshot verify '%s.db'\n"
             "HOLDFAST_PASSWORD_FILE=/dev/null '%s' status && exit 90\n"
             "env -u HOLDFAST_CERT -u HOLDFAST_KEY -u ETCDCTL_CERT -u ETCDCTL_KEY '%s' "
             "status && exit 91\n"
             "exit 17\n",
             up.out, HOLDFAST_BIN, HOLDFAST_BIN, lab_dir, HOLDFAST_BIN, lab_dir,
             HOLDFAST_BIN, HOLDFAST_BIN);
    RUN(p, "/bin/sh", "-c", script);
    cr_assert_eq(p.status, 17, "%d: %s%s", p.status, p.out, p.err);
    cr_assert(strstr(p.out, "Live keys:      10") != NULL, "%s", p.out);
    for (const char *const *f =
             (const char *const[]){ "pki/client.key", "root.password", NULL };
         *f != NULL; f++) {
        struct stat st;

        cr_assert(stat(path_in(lab_dir, *f), &st) == 0 && (st.st_mode & 0777) == 0600);
    }
}

/* A look takes a moment: who leads at its end may not have taken the writes it tried. */
static void until_led_without(struct lab_member *m, const char *name)
{
    uint64_t end = clock_ms() + 30000;

    for (;;) {
        size_t led = 0, write = 0;

        cr_assert(clock_ms() < end, "nobody else leads");
        look(m, 3);
        for (size_t i = 0; i < 3; i++)
            if (strcmp(m[i].name, name) != 0) {
                led += strcmp(m[i].role, "leader") == 0;
                write += m[i].can_write;
            }
        if (led > 0 && write == 2)
            return;
    }
}

CASE(lab_cli, who_is_cut_off_stays_so_until_healed, .timeout = FLOW_TIMEOUT_S)
{
    struct lab_member m[3];
    char old[8];

    place();
    LAB(up, 0, "up");
    all_serve(m, 3);
    snprintf(old, sizeof old, "%s", leader_of(m, 3)->name);
    LAB(cut, 0, "partition", "leader");
    until_led_without(m, old);
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < 3; i++) {
            bool alone = strcmp(m[i].name, old) == 0;

            cr_assert_eq(m[i].can_write, !alone, "%s, turn %d", m[i].name, turn);
            cr_assert_eq(m[i].cuts, alone ? 2 : 1);
            cr_assert(m[i].can_read_stale);
        }
        LAB(kill, 0, "kill", old);
        LAB(start, 0, "start", old);
        look(m, 3);
    }
    LAB(heal, 0, "heal");
    all_serve(m, 3);
    cr_assert_eq(m[0].cuts + m[1].cuts + m[2].cuts, 0);
}

CASE(lab_cli, a_fault_is_seen_by_the_tool_and_healed, .timeout = FLOW_TIMEOUT_S)
{
    char script[2048];

    place();
    LAB(up, 0, "up", "--members", "1", "--load", "2000");
    LAB(fault, 0, "fault", "m1", "corrupt-snapshot");
    snprintf(script, sizeof script,
             "%s\n'%s' snapshot save '%s.db'; echo $?; ls '%s.db' 2>/dev/null\n"
             "'%s' lab heal --dir '%s'; '%s' snapshot save '%s.db' >/dev/null; echo $?",
             up.out, HOLDFAST_BIN, lab_dir, lab_dir, HOLDFAST_BIN, lab_dir, HOLDFAST_BIN,
             lab_dir);
    RUN(p, "/bin/sh", "-c", script);
    cr_assert_str_eq(p.out, "3\n0\n", "%s%s", p.out, p.err);
    LAB(unknown, 2, "fault", "m1", "flood");
    cr_assert(strstr(unknown.err, "unknown command") != NULL, "%s", unknown.err);
    LAB(cut, 2, "fault", "m1", "cut", "m2");
    LAB(nobody, 10, "fault", "m2", "delay", "5");
}

CASE(lab_cli, down_removes_what_the_lab_made_and_nothing_else, .timeout = FLOW_TIMEOUT_S)
{
    place();
    LAB(up, 0, "up", "--members", "1", "--tls", "--auth");
    cr_assert_eq(mkdir(path_in(lab_dir, "mine"), 0700), 0);
    LAB(down, 0, "down");
    cr_assert(strstr(down.err, "holds files that no lab has made") != NULL, "%s",
              down.err);
    cr_assert_str_eq(dir_listing(lab_dir), "mine");
    LAB(none, 10, "down");
    LAB(up2, 5, "up", "--members", "1");
    cr_assert_str_eq(dir_listing(lab_dir), "mine");
}

/* ---- the failure table ---------------------------------------------------------------
 */

static const struct json *row_of(const struct json *table, const char *how,
                                 int64_t failed)
{
    for (size_t i = 0; i < json_count(table); i++) {
        const struct json *row = json_at(table, i);

        if (strcmp(flow_text(row, "how"), how) == 0 &&
            flow_number(row, "failed") == failed)
            return row;
    }
    cr_assert_fail("no row %s %d", how, (int)failed);
    return NULL;
}

/* can_write, can_read_linearizable, can_read_serializable: "110" */
static void row_is(const struct json *table, const char *how, int64_t failed,
                   const char *wanted)
{
    static const char *const keys[] = { "can_write", "can_read_linearizable",
                                        "can_read_serializable" };
    const struct json *row = row_of(table, how, failed);
    bool leads = json_get_str(row, "leader") != NULL, expected = false;

    for (int i = 0; i < 3; i++) {
        bool seen = false;

        cr_assert(json_get_bool(row, keys[i], &seen));
        cr_assert_eq(seen, wanted[i] == '1', "%s with %d failed: %s", how, (int)failed,
                     keys[i]);
    }
    cr_assert_eq(leads, wanted[0] == '1');
    cr_assert(json_get_bool(row, "as_expected", &expected) && expected);
    cr_assert_eq(flow_number(row, "up"), flow_number(row, "members") - failed);
}

static void trap_of_two(const struct proc *p, const char *apart)
{
    OWNED(json) table = NULL;

    flow_json(p, &table);
    cr_assert_eq(json_count(table), 6);
    row_is(table, apart, 0, "111");
    row_is(table, apart, 1, "001");
    row_is(table, "kill", 0, "111");
    row_is(table, "kill", 1, "001");
    row_is(table, "kill", 2, "000");
    row_is(table, "recover", 1, "111");
}

CASE(lab_cli, the_table_shows_the_trap_of_two, .timeout = FLOW_TIMEOUT_S)
{
    const char *dir = tmpdir_new();

    setenv("TMPDIR", dir, 1);
    TOOL(p, 0, "lab", "table", "--members", "2", "--patience", "1s", "-w", "json");
    trap_of_two(&p, "partition");
    cr_assert_str_eq(dir_listing(dir), "");
}

CASE(lab_cli, the_table_of_a_real_etcd_is_the_same, .timeout = FLOW_TIMEOUT_S)
{
    flow_need("3.6");
    const char *etcd = cluster_tool(cluster_backend("3.6"), "etcd");

    TOOL(p, 0, "lab", "table", "--members", "2", "--patience", "1s", "--backend", "etcd",
         "--etcd", etcd, "-w", "json");
    trap_of_two(&p, "pause");
}

CASE(lab_cli, the_table_of_three, .timeout = FLOW_TIMEOUT_S)
{
    OWNED(json) table = NULL;

    TOOL(p, 0, "lab", "table", "--members", "3", "--patience", "1s", "-w", "json");
    flow_json(&p, &table);
    cr_assert_eq(json_count(table), 7);
    row_is(table, "partition", 1, "111");
    row_is(table, "partition", 2, "001");
    row_is(table, "kill", 1, "111");
    row_is(table, "kill", 2, "001");
    row_is(table, "kill", 3, "000");
}

/* An interrupted one leaves neither members nor files. */
CASE(lab_cli, an_interrupted_table_leaves_nothing, .timeout = FLOW_TIMEOUT_S)
{
    const char *dir = tmpdir_new();
    char script[1200];

    setenv("TMPDIR", dir, 1);
    snprintf(script, sizeof script, "timeout -s INT 3 '%s' lab table --members 3",
             HOLDFAST_BIN);
    RUN(p, "/bin/sh", "-c", script);
    cr_assert_eq(p.status, 124, "%d: %s", p.status, p.err);
    cr_assert_str_eq(dir_listing(dir), "");
    RUN(left, "pgrep", "-f", dir);
    cr_assert_str_eq(left.out, "");
}

CASE(lab_cli, wrong_uses_of_the_table, .timeout = FLOW_TIMEOUT_S)
{
    TOOL(many, 2, "lab", "table", "--members", "8");
    TOOL(no_program, 2, "lab", "table", "--backend", "etcd");
    TOOL(no_backend, 2, "lab", "table", "--etcd", "/bin/true");
    TOOL(never, 2, "lab", "table", "--patience", "0s");
    TOOL(missing, 10, "lab", "table", "--backend", "etcd", "--etcd", "/nowhere/etcd");
}

/* ---- the demo ------------------------------------------------------------------------
 */

CASE(lab_cli, the_demo_ends_well_and_leaves_nothing, .timeout = FLOW_TIMEOUT_S)
{
    const char *dir = tmpdir_new();

    setenv("TMPDIR", dir, 1);
    RUN(p, "scripts/demo", HOLDFAST_BIN);
    cr_assert_eq(p.status, 0, "%s%s", p.out, p.err);
    cr_assert(strstr(p.out, "writes no, linearizable reads no, serializable reads yes") !=
                  NULL,
              "%s", p.out);
    cr_assert(strstr(p.out, "All of it is back.") != NULL);
    cr_assert_str_eq(dir_listing(dir), "");
}
