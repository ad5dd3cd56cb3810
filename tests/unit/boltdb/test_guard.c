#include "boltdb/guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/lib/case.h"

static uint8_t *map_cut_file(size_t size)
{
    int fd = memfd_create("cut", MFD_CLOEXEC);
    void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

    cr_assert(p != MAP_FAILED);
    close(fd);
    return p;
}

CASE(boltdb_guard, turns_missing_pages_into_zeros)
{
    const size_t size = 3 * 65536;
    uint8_t *p = map_cut_file(size);
    struct guard *g = NULL;
    struct err e = { 0 };

    OK(guard_claim(p, size, &g, &e), &e);
    cr_assert(!guard_hit(g));
    for (size_t at = 0; at < size; at += 1000)
        cr_assert_eq(((volatile uint8_t *)p)[at], 0);
    cr_assert(guard_hit(g));
    guard_release(g);
    munmap(p, size);
}

CASE(boltdb_guard, keeps_guards_apart)
{
    uint8_t *a = map_cut_file(4096), *b = map_cut_file(4096);
    struct guard *of_a = NULL, *of_b = NULL;
    struct err e = { 0 };

    OK(guard_claim(a, 4096, &of_a, &e), &e);
    OK(guard_claim(b, 4096, &of_b, &e), &e);
    cr_assert_eq(*(volatile uint8_t *)b, 0);
    cr_assert(!guard_hit(of_a));
    cr_assert(guard_hit(of_b));
    guard_release(of_a);
    guard_release(of_b);
    munmap(a, 4096);
    munmap(b, 4096);
}

CASE(boltdb_guard, has_room_for_many_and_says_when_full)
{
    static struct guard *held[300];
    static uint8_t bytes[300];
    struct err e = { 0 };
    size_t n = 0;

    while (n < 300 && guard_claim(bytes + n, 1, &held[n], &e) == RC_OK)
        n++;
    cr_assert_eq(n, 256);
    cr_assert_eq(e.code, RC_INTERNAL);
    guard_release(held[17]);
    OK(guard_claim(bytes, 1, &held[17], &e), &e);
    for (size_t i = 0; i < n; i++)
        guard_release(held[i]);
    guard_release(NULL);
}

static volatile sig_atomic_t passed;

static void before_us(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    passed++;
    mmap(info->si_addr, 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* A SIGBUS elsewhere belongs to whoever was there before. */
CASE(boltdb_guard, passes_on_what_is_not_ours)
{
    struct sigaction sa = { .sa_sigaction = before_us, .sa_flags = SA_SIGINFO };
    uint8_t *ours = map_cut_file(8192), *theirs = ours + 4096;
    struct guard *g = NULL;
    struct err e = { 0 };

    sigaction(SIGBUS, &sa, NULL);
    OK(guard_claim(ours, 4096, &g, &e), &e);
    cr_assert_eq(*(volatile uint8_t *)theirs, 0);
    cr_assert_eq(passed, 1);
    cr_assert(!guard_hit(g));
    guard_release(g);
    munmap(ours, 8192);
}

/* With nobody before us the process dies as it would have. */
CASE(boltdb_guard, lets_an_unguarded_fault_kill, .signal = SIGBUS)
{
    struct sigaction by_default = { .sa_handler = SIG_DFL };
    uint8_t *p = map_cut_file(4096);
    struct guard *g = NULL;
    struct err e = { 0 };

    sigaction(SIGBUS, &by_default, NULL);
    OK(guard_claim(p + 4096, 1, &g, &e), &e);
    cr_assert_eq(*(volatile uint8_t *)p, 0);
}
