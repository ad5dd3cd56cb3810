#include "util/patient.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

#include "util/clock.h"
#include "util/os.h"
#include "util/stop.h"

/* A wish to stop may come right before poll, which would not see it. */
enum { LOOK_MS = 200 };

/* Files and devices always say that they take it. */
static bool is_ready(int fd, uint64_t wait_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    const int wait = wait_ms < LOOK_MS ? (int)wait_ms : LOOK_MS;

    return poll(&p, 1, wait) > 0;
}

/* A pipe that says it takes something takes PIPE_BUF bytes without a pause. Who waits for
 * ever anyway need not ask, and a signal ends his write. */
static ssize_t write_some(int fd, const void *p, size_t n, bool ask)
{
    return os.write(fd, p, ask && n > PIPE_BUF ? PIPE_BUF : n);
}

enum rc patient_write(int fd, const void *p, size_t n, uint64_t wait_ms, size_t *done,
                      const char *name, int *cause, struct err *e)
{
    const bool ask = wait_ms != PATIENT_FOR_EVER;
    uint64_t since = clock_ms();

    for (*done = 0; *done < n;) {
        const uint64_t waited = clock_ms() - since;
        ssize_t put;

        if (ask && !is_ready(fd, waited < wait_ms ? wait_ms - waited : 0)) {
            if (waited >= wait_ms || stop_wanted())
                return RC_OK;
            continue;
        }
        put = write_some(fd, (const char *)p + *done, n - *done, ask);
        if (put < 0 && errno != EINTR && errno != EAGAIN) {
            *cause = errno;
            return err_sys(e, RC_STORAGE, "cannot write '%s'", name);
        }
        if (put < 0 && stop_wanted())
            return RC_OK;
        if (put < 0 && errno == EAGAIN)
            (void)is_ready(fd, LOOK_MS);
        if (put > 0) {
            *done += (size_t)put;
            since = clock_ms();
        }
    }
    return RC_OK;
}
