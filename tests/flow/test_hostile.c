/* Each hostile file through the program: verify names what is wrong, restore makes no
 * data directory of it even when told to skip the hash, and memory stays bounded.
 *
 * HOLDFAST_HOSTILE_TABLE=FILE also runs etcdutl on each of them and writes the table of
 * docs/hostile-files.md. */
#include <sys/resource.h>

#include "tests/flow/golden.h"
#include "tests/flow/hostile.h"
#include "tests/lib/cluster.h"
#include "tests/lib/proc.h"

enum { MEMORY_MAX_KIB = 512 << 10, TOOL_SECONDS = 20 };

static FILE *table;

/* ---- what etcd's own tool does
 * ----------------------------------------------------------- */

static const char *verdict_of(const struct proc *p)
{
    if (p->timed_out)
        return "hangs";
    if (p->status == 0)
        return "accepts";
    if (strstr(p->err, "out of memory") != NULL)
        return "**runs out of memory**";
    if (strstr(p->err, "unexpected fault address") != NULL ||
        strstr(p->err, "SIGBUS") != NULL)
        return "**faults**";
    if (strstr(p->err, "panic:") != NULL || strstr(p->err, "goroutine") != NULL)
        return "**panics**";
    return "refuses";
}

static void ask_etcdutl(const char *version, const char *file, const char *home)
{
    const struct proc_options o = { .timeout_s = TOOL_SECONDS };
    const char *etcdutl = cluster_tool(cluster_backend(version), "etcdutl");
    const char *dir = path_in(home, "data");
    struct err e = { 0 };
    AT_END(proc_end) struct proc status = { 0 }, restore = { 0 };
    bool left;

    /* Else it may take all memory of the machine; restore maps 10 GB to begin with. */
    proc_run(&status, &o,
             (const char *const[]){ "prlimit", "--as=8000000000", etcdutl, "snapshot",
                                    "status", file, NULL });
    proc_run(&restore, &o,
             (const char *const[]){ "prlimit", "--as=13000000000", etcdutl, "snapshot",
                                    "restore", file, "--skip-hash-check", "--data-dir",
                                    dir, NULL });
    left = restore.status != 0 && access(path_in(dir, "member/snap/db"), F_OK) == 0;
    fprintf(table, " %s | %s%s |", verdict_of(&status), verdict_of(&restore),
            left ? ", leaves a `db`" : "");
    OK(os_remove_tree(AT_FDCWD, dir, &e), &e);
}

/* ---- what ours does
 * ------------------------------------------------------------------------ */

/* Why it is refused, or what it is warned of, without the file's name. */
static void reason_of(const struct proc *verify, char *out, size_t n)
{
    const char *why = strstr(verify->err, "why:"),
               *name = strstr(verify->err, "forged.db' ");
    const char *warning = strstr(verify->out, "\nwarning ");

    out[0] = '\0';
    if (why != NULL && name > why && name < strchr(why, '\n'))
        snprintf(out, n, "it %s", name + strlen("forged.db' "));
    else if (why != NULL)
        snprintf(out, n, "%s", why + 4 + strspn(why + 4, " "));
    else if (warning != NULL)
        sscanf(warning, " warning %63s", out);
    out[strcspn(out, "\n|")] = '\0';
}

static void judge(const struct hostile *h, const char *file, const char *dir)
{
    struct err e = { 0 };
    char why[400];
    HOLDFAST(v, "snapshot", "verify", file);
    HOLDFAST(r, "restore", file, "--skip-hash-check", "--data-dir", path_in(dir, "data"));

    reason_of(&v, why, sizeof why);
    cr_expect(h->bad ? v.status == 3 : v.status == 0 || v.status == 8,
              "%s, %s: verify exits with %d: %s%s", h->row, h->name, v.status, v.err,
              v.out);
    cr_expect(h->code == NULL || strstr(v.out, h->code) != NULL, "%s, %s: no %s in %s",
              h->row, h->name, h->code, v.out);
    cr_expect(h->restores ? r.status == 0 : r.status == 3,
              "%s, %s: restore exits with %d: %s", h->row, h->name, r.status, r.err);
    cr_expect_str_eq(dir_listing(dir), r.status == 0 ? "data" : "", "%s, %s", h->row,
                     h->name);
    if (table != NULL)
        fprintf(table, " %s | %s | %s |\n",
                v.status != 0    ? "refuses"
                : why[0] != '\0' ? "warns"
                                 : "accepts",
                r.status == 0 ? "accepts" : "refuses", why);
    OK(os_remove_tree(AT_FDCWD, path_in(dir, "data"), &e), &e);
}

CASE(hostile, no_file_is_trusted_crashes_us_or_takes_our_memory, .init = golden_in_memory,
     .timeout = 1800)
{
    const char *path = getenv("HOLDFAST_HOSTILE_TABLE");
    const char *dir = tmpdir_new();
    char kept[512];
    struct hostile h;
    struct rusage used;

    snprintf(kept, sizeof kept, "%s", path_in(tmpdir_new(), "forged.db"));
    table = path == NULL ? NULL : fopen(path, "w");
    for (unsigned i = 0; hostile_make(i, &h); i++) {
        golden_write(kept, h.file.p, h.file.n);
        if (table != NULL) {
            fprintf(table, "| %s | %s |", h.row, h.name);
            ask_etcdutl("3.5", kept, dir);
            ask_etcdutl("3.6", kept, dir);
        }
        judge(&h, kept, dir);
        buf_clear(&h.file);
    }
    if (table != NULL)
        fclose(table);
    cr_assert_eq(getrusage(RUSAGE_CHILDREN, &used), 0);
    cr_assert(path != NULL || used.ru_maxrss < MEMORY_MAX_KIB, "%ld KiB of memory",
              used.ru_maxrss);
}
