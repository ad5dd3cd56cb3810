/* Running programs: the tool under test, etcd's own tools, servers. */
#ifndef TESTS_LIB_PROC_H
#define TESTS_LIB_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a finished program said. Texts end with NUL and live until proc_clear. */
struct proc {
    int status; /* exit status, or 128 + signal */
    char *out, *err;
    size_t out_size;
    bool timed_out;
};

struct proc_options {
    const char *const *env; /* extra NAME=VALUE, NULL-ended; may be NULL */
    const char *input;      /* file for standard input; NULL is /dev/null */
    const char *output;     /* file for standard output instead of `out` */
    unsigned timeout_s;     /* 0: 120; it is killed then */
};

void proc_run(struct proc *p, const struct proc_options *o, const char *const argv[]);
void proc_clear(struct proc *p);
static inline void proc_end(struct proc *p)
{
    proc_clear(p);
}

/* struct proc p declared, run with arguments, cleared at the end of the scope:
 *     RUN(p, "etcdctl", "version");                                             */
#define RUN(p, ...)                                   \
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 }; \
    proc_run(&p, NULL, (const char *const[]){ __VA_ARGS__, NULL })

/* The tool under test, as built in the same MODE. */
#define HOLDFAST(p, ...) RUN(p, HOLDFAST_BIN, __VA_ARGS__)

/* Start in the background in its own process group, output appended to the file `log`.
 * Dies with the test process, and before its scratch directories are removed. */
pid_t proc_start(const char *log, const char *const argv[]);

/* Still running? One that has ended stays to be reaped by proc_stop. */
bool proc_runs(pid_t pid);

/* The number behind `name` in /proc/PID/FILE, in KiB; 0 when the process is gone. */
uint64_t proc_kib(pid_t pid, const char *file, const char *name);

/* SIGTERM (or SIGKILL) and reap, with SIGKILL after 10 s; safe on 0. Returns the exit
 * status as above. */
int proc_stop(pid_t pid, int signal);

/* A TCP port on 127.0.0.1 that nobody listens on. It stays reserved for this process and
 * the servers it starts, so that tests that run at the same time cannot take it. */
int free_port(void);

#endif
