/* A snapshot of a large store takes little memory besides the store's own: the file is
 * drawn by a child that shares the state, and streamed from the disk. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/message.h"
#include "tests/flow/flow.h"
#include "tests/flow/pipe.h"
#include "util/clock.h"
#include "util/mem.h"

enum {
    VALUE = 1 << 20,
    VALUES = 128,
    VALUES_LONG = 512,
    FLIGHT = 8,
    EXTRA_KIB = 64 << 10,
};

static void fill(const struct cluster *k, unsigned values)
{
    OWNED(pipe) p = pipe_open(k->members[0].client_port);
    AT_END(mem_end) uint8_t *value = mem_zero(VALUE);
    struct pipe_call *calls[FLIGHT] = { NULL };
    Etcdrpc__PutRequest r = ETCDRPC__PUT_REQUEST__INIT;
    char key[32];

    cr_assert_not_null(value);
    memset(value, 'v', VALUE);
    r.value = codec_field((struct bytes){ value, VALUE });
    for (unsigned i = 0; i < values + FLIGHT; i++) {
        struct pipe_call **call = &calls[i % FLIGHT];

        if (*call != NULL) {
            pipe_wait(p, *call);
            cr_assert_eq((*call)->status, 0, "%s", (*call)->message);
            pipe_drop(*call);
            *call = NULL;
        }
        if (i >= values)
            continue;
        snprintf(key, sizeof key, "big/%06u", i);
        r.key = codec_field(bytes_str(key));
        *call = pipe_send(p, "KV/Put", &r);
    }
}

static pid_t child_of(pid_t pid)
{
    char path[64], text[64] = "";
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    f = fopen(path, "r");
    if (f != NULL && fgets(text, sizeof text, f) == NULL)
        text[0] = 0;
    if (f != NULL)
        (void)fclose(f);
    return (pid_t)strtol(text, NULL, 10);
}

/* Forgets the highest so far. */
static void reset_peak(pid_t pid)
{
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/clear_refs", (int)pid);
    f = fopen(path, "w");
    cr_assert(f != NULL && fputs("5", f) >= 0 && fclose(f) == 0);
}

/* raft's own snapshots go on for a while after the last write. */
static void until_idle(pid_t pid)
{
    uint64_t quiet = clock_ms();

    while (clock_ms() - quiet < 500) {
        if (child_of(pid) != 0)
            quiet = clock_ms();
        clock_sleep_ms(20);
    }
}

CASE(store, draws_a_snapshot_in_little_memory, .timeout = FLOW_TIMEOUT_S)
{
    unsigned values = getenv("HOLDFAST_LONG") == NULL ? VALUES : VALUES_LONG;
    uint64_t before, own = 0;
    CLUSTER k = { 0 };
    const char *file;
    pid_t member, tool;

    /* What the sanitizer keeps of freed memory is not the store's. */
    cr_assert_eq(setenv("ASAN_OPTIONS",
                        "quarantine_size_mb=1:thread_local_quarantine_size_kb=64", 1),
                 0);
    cluster_start(&k, cluster_backend("lab"), NULL);
    fill(&k, values);
    member = k.members[0].pid;
    until_idle(member);
    before = proc_kib(member, "status", "VmRSS:");
    reset_peak(member);
    file = path_in(k.dir, "big.db");

    const char *const argv[] = { HOLDFAST_BIN, "snapshot",    "save",
                                 file,         "--endpoints", cluster_endpoints(&k),
                                 NULL };

    tool = proc_start(path_in(k.dir, "tool.log"), argv);
    while (proc_runs(tool)) {
        pid_t child = child_of(member);
        uint64_t dirty =
            child == 0 ? 0 : proc_kib(child, "smaps_rollup", "Private_Dirty:");

        if (dirty > own)
            own = dirty;
        clock_sleep_ms(10);
    }
    cr_assert_eq(proc_stop(tool, SIGTERM), 0);
    cr_assert_gt(proc_kib(member, "status", "VmRSS:"), (uint64_t)values * VALUE / 1024);

    uint64_t extra = proc_kib(member, "status", "VmHWM:") - before + own;

    cr_assert_lt(extra, EXTRA_KIB, "%" PRIu64 " KiB, of which the child %" PRIu64, extra,
                 own);
    cr_assert_gt(own, 0, "the child was never seen");
}
