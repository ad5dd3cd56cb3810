#include "util/stop.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

static volatile sig_atomic_t wanted;
static atomic_bool holding;

static void on_signal(int number)
{
    (void)number;
    wanted = 1;
}

void stop_install(void)
{
    struct sigaction sa = { .sa_handler = on_signal };

    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
    sa.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &sa, NULL);
    sigaction(SIGXFSZ, &sa, NULL); /* write() says EFBIG then, and we clean up */
}

bool stop_wanted(void)
{
    return wanted != 0 && !holding;
}

void stop_request(void)
{
    wanted = 1;
}

void stop_reset(void)
{
    wanted = 0;
    holding = false;
}

void stop_hold(bool held)
{
    holding = held;
}

enum rc stop_check(struct err *e)
{
    if (stop_wanted())
        return err_set(e, RC_INTERRUPTED, "stopped by a signal, nothing was published");
    return RC_OK;
}
