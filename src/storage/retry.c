#include "storage/retry.h"

#include "util/clock.h"
#include "util/log.h"
#include "util/os.h"
#include "util/stop.h"
#include "util/str.h"

enum { FIRST_MS = 250, LONGEST_MS = 16000 };

uint64_t retry_first_ms = FIRST_MS;

struct retry retry_begin(uint64_t deadline_ms)
{
    uint64_t now = clock_ms();

    return (struct retry){ .began_ms = now,
                           .deadline_ms = now + deadline_ms,
                           .limit_ms = deadline_ms,
                           .wait_ms = retry_first_ms };
}

uint64_t retry_left_ms(const struct retry *r)
{
    uint64_t now = clock_ms();

    return now < r->deadline_ms ? r->deadline_ms - now : 1;
}

void retry_progress(struct retry *r)
{
    r->idle = 0;
    r->wait_ms = retry_first_ms;
    r->deadline_ms = clock_ms() + r->limit_ms;
}

/* Between half and all of it, so that many clients do not come back at once. */
static uint64_t jittered(uint64_t ms)
{
    uint64_t random = 0;
    struct err ignored;

    if (os_random(&random, sizeof random, &ignored) != RC_OK)
        return ms;
    return ms - random % (ms / 2 + 1);
}

static uint64_t next_pause(struct retry *r)
{
    uint64_t pause = jittered(r->wait_ms);

    r->wait_ms = r->wait_ms * 2 < LONGEST_MS ? r->wait_ms * 2 : LONGEST_MS;
    if (pause < r->at_least_ms)
        pause = r->at_least_ms;
    r->at_least_ms = 0;
    return pause;
}

static bool give_up(const struct retry *r, struct err *e)
{
    char took[32];

    if (r->tries < 2)
        return false;
    str_seconds(took, sizeof took, clock_ms() - r->began_ms);
    (void)err_wrap(e, "gave up after %u tries in %s", r->tries, took);
    return false;
}

bool retry_again(struct retry *r, enum rc *rc, struct err *e)
{
    uint64_t pause;

    if (*rc == RC_OK)
        return false;
    r->tries++;
    r->idle++;
    if (*rc != RC_NET)
        return false;
    pause = next_pause(r);
    if (r->idle >= RETRY_TRIES || clock_ms() + pause >= r->deadline_ms)
        return give_up(r, e);
    log_info("trying again in %llu ms: %s", (unsigned long long)pause, e->why);
    clock_sleep_ms(pause);
    if (!stop_wanted())
        return true;
    *rc = stop_check(e);
    return false;
}
