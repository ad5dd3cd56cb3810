#include "boltdb/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARDS = 256 };

/* start: 0 is a free slot, 1 one that is being filled. Slots are static, so that the
 * handler never meets freed memory. */
static struct guard {
    _Atomic(uintptr_t) start, end;
    atomic_bool hit;
} guards[GUARDS];

static struct sigaction previous;
static uintptr_t page_mask;

static struct guard *guard_of(uintptr_t address)
{
    for (size_t i = 0; i < GUARDS; i++) {
        uintptr_t start = atomic_load_explicit(&guards[i].start, memory_order_acquire);

        if (start > 1 && address >= start && address < atomic_load(&guards[i].end))
            return &guards[i];
    }
    return NULL;
}

/* With no handler before us, the default action is restored and the access repeated. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    struct sigaction by_default = { .sa_handler = SIG_DFL };

    if (previous.sa_flags & SA_SIGINFO)
        previous.sa_sigaction(number, info, context);
    else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
        previous.sa_handler(number);
    else
        sigaction(SIGBUS, &by_default, NULL);
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    uintptr_t address = (uintptr_t)info->si_addr;
    struct guard *g = guard_of(address);
    int saved = errno;
    void *page = MAP_FAILED;

    if (g != NULL)
        page = mmap((char *)info->si_addr - (address & page_mask), page_mask + 1,
                    PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (page != MAP_FAILED)
        atomic_store(&g->hit, true);
    else
        pass_on(number, info, context);
    errno = saved;
}

static void install(void)
{
    struct sigaction sa = { .sa_sigaction = on_sigbus,
                            .sa_flags = SA_SIGINFO | SA_ONSTACK };

    page_mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
    sigemptyset(&sa.sa_mask);
    sigaction(SIGBUS, &sa, &previous);
}

enum rc guard_claim(const void *p, size_t n, struct guard **out, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, install);
    for (size_t i = 0; i < GUARDS; i++) {
        uintptr_t expected = 0;

        if (!atomic_compare_exchange_strong(&guards[i].start, &expected, 1))
            continue;
        atomic_store(&guards[i].end, (uintptr_t)p + n);
        atomic_store(&guards[i].hit, false);
        atomic_store_explicit(&guards[i].start, (uintptr_t)p, memory_order_release);
        *out = &guards[i];
        return RC_OK;
    }
    return err_set(e, RC_INTERNAL, "more than %d databases are open", GUARDS);
}

void guard_release(struct guard *g)
{
    if (g != NULL)
        atomic_store(&g->start, 0);
}

bool guard_hit(const struct guard *g)
{
    return atomic_load(&g->hit);
}
