#ifndef TESTS_LIB_CASE_H
#define TESTS_LIB_CASE_H

#include <criterion/criterion.h>

#ifdef SANITIZE /* set by the Makefile: gcc and clang spell the test differently */
#include <sanitizer/lsan_interface.h>
#define CASE_LEAKED() __lsan_do_recoverable_leak_check()
#else
#define CASE_LEAKED() 0
#endif

/* Criterion 2.4.1 calls a test passed when only LeakSanitizer or a .fini
 * assertion objects, so the check is made inside the test itself. */
#define CASE(suite, name, ...)                                  \
    [[gnu::noinline]] static void suite##_##name##_body_(void); \
    Test(suite, name __VA_OPT__(, ) __VA_ARGS__)                \
    {                                                           \
        suite##_##name##_body_();                               \
        cr_assert(!CASE_LEAKED(), "memory leaked");             \
    }                                                           \
    static void suite##_##name##_body_(void)

/* The call must succeed; its error text is the message when it does not. */
#define OK(call, e) \
    cr_assert((call) == RC_OK, "%s: %s / %s / %s", #call, (e)->what, (e)->why, (e)->hint)

#endif
