/* A backup takes as little memory for a large database as for a small one: to a directory
 * and to S3, beside a bundle that does not compress. Sanitizers keep memory for
 * themselves, so the tool is always the one of `make all`. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/flow/golden.h"
#include "tests/flow/vault.h"
#include "tests/lib/fakes3.h"
#include "util/clock.h"
#include "util/os.h"

enum {
    BOUND_KIB = 64 << 10,
    FILE_BYTES = 1 << 20, /* of each of this host's in the bundle */
    FILES = 20,
};

#ifdef SANITIZE
#define TOOL_TO_MEASURE "build/release/holdfast"
#else
#define TOOL_TO_MEASURE HOLDFAST_BIN
#endif

/* Half a million records in 100 MB, of half as many keys; 2 GB of larger ones. */
static const char *const sizes[][3] = {
    { "70000000", "100", "1" },
    { "1500000000", "3000", "1" },
};

static const char *invented(const char *dir)
{
    const char *const *size = sizes[golden_effort(0, 1)];
    const char *file = path_in(dir, "big.db");
    char program[512];

    snprintf(program, sizeof program, "%.*stests/bench/invent",
             (int)(strlen(HOLDFAST_BIN) - strlen("holdfast")), HOLDFAST_BIN);
    PEER(p, program, file, size[0], size[1], size[2], "0");
    return file;
}

static void serve(struct cluster *c, const char *file)
{
    flow_plan(c, cluster_backend("3.5"), 1);
    TOOL(p, 0, "restore", file, "--data-dir", c->members[0].data_dir, "--name",
         c->members[0].name, "--bump-revision", "0");
    cluster_boot_first(c, 1);
}

/* A directory of files. */
static const char *noise(void)
{
    static uint8_t bytes[FILE_BYTES];
    const char *dir = tmpdir_new();
    char name[16];
    struct err e = { 0 };

    for (unsigned i = 0; i < FILES; i++) {
        OK(os_random(bytes, sizeof bytes, &e), &e);
        snprintf(name, sizeof name, "%u", i);
        golden_write(path_in(dir, name), bytes, sizeof bytes);
    }
    return dir;
}

/* The most that it had at any moment that we saw. It gives way to others. */
static uint64_t peak_kib(const char *log, const char *const argv[])
{
    pid_t pid = proc_start(log, argv);
    uint64_t peak = 0;
    int nice = 0;

    while (proc_runs(pid)) {
        uint64_t now = proc_kib(pid, "status", "RssAnon:");

        peak = now > peak ? now : peak;
        nice = nice == 0 ? getpriority(PRIO_PROCESS, (id_t)pid) : nice;
        clock_sleep_ms(2);
    }
    cr_assert_eq(proc_stop(pid, SIGTERM), 0, "see %s", log);
    cr_assert_eq(nice, 19);
    return peak;
}

static void stays_small(struct vault *v, const struct cluster *c, const char *place)
{
    const char *const argv[] = { TOOL_TO_MEASURE,      "backup", "--endpoints",
                                 cluster_endpoints(c), "--rate", "0",
                                 "--include",          noise(),  NULL };
    uint64_t peak;

    vault_putenv(v);
    peak = peak_kib(path_in(v->dir, "backup.log"), argv);
    cr_assert(peak > 1 << 10 && peak < BOUND_KIB, "%s: %" PRIu64 " KiB", place, peak);
    cr_assert_eq(vault_count(v), 1);
}

CASE(repo_memory, a_backup_takes_little_whatever_the_size, .timeout = FLOW_TIMEOUT_S,
     .init = golden_in_memory)
{
    static const char *const keys[] = { "AWS_ACCESS_KEY_ID=id",
                                        "AWS_SECRET_ACCESS_KEY=key", NULL };
    CLUSTER c = { 0 };
    FAKES3 f = fakes3_start(&(struct fakes3_script){ 0 });
    struct vault in_s3, in_directory;

    flow_need("3.5");
    if (access(TOOL_TO_MEASURE, X_OK) != 0)
        cr_skip_test("no " TOOL_TO_MEASURE ", which `make all` builds");
    serve(&c, invented(tmpdir_new()));
    vault_make(&in_directory, vault_directory(), NULL);
    stays_small(&in_directory, &c, "directory");
    vault_make(&in_s3, fakes3_url(f, "at"), keys);
    stays_small(&in_s3, &c, "S3");
}
