/* Criterion 2.4.1 leaks 48 bytes of its own when two tests with a timeout overlap, and
 * LeakSanitizer then fails a run in which every test passed. */
#ifdef SANITIZE
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libcriterion.so\n";
}
#else
typedef int suppress_unused;
#endif
