/* Failures are values: a code a script can act on, and a sentence a person can.
 *
 * A function that can fail returns `enum rc` and takes `struct err *e` last. It
 * fills `e` where it finds the failure (err_set, err_sys); callers add the noun
 * they know (err_wrap) on the way up; the command line prints it once, as three
 * lines: what failed, why, what to do next. On RC_OK `e` is not touched. */
#ifndef UTIL_ERR_H
#define UTIL_ERR_H

/* clang-format off */
/*    name            exit  what it means to an operator                        */
#define RC_TABLE(X)                                                              \
    X(RC_INTERNAL,    1,   "a fault of ours: please report it")                  \
    X(RC_USAGE,       2,   "the command line or configuration is wrong")         \
    X(RC_CORRUPT,     3,   "data is corrupt or does not match")                  \
    X(RC_NET,         4,   "it cannot be reached, or it timed out")              \
    X(RC_REFUSED,     5,   "a safety rule refuses this")                         \
    X(RC_STORAGE,     6,   "storage: no space, or input/output failed")          \
    X(RC_AUTH,        7,   "not authorised, or TLS refused")                     \
    X(RC_DEGRADED,    8,   "done, but degraded or divergent")                    \
    X(RC_NOTFOUND,    10,  "the named thing does not exist")                     \
    X(RC_LOCKED,      11,  "locked: another job holds it")                       \
    X(RC_NOKEY,       12,  "no key opens it")                                    \
    X(RC_INTERRUPTED, 130, "interrupted")                                        \
    X(RC_NOMEM,       1,   "memory ran out")
/* clang-format on */

#define MUST_CHECK [[nodiscard]]

enum MUST_CHECK rc {
    RC_OK = 0,
#define X(name, exit_code, meaning) name,
    RC_TABLE(X)
#undef X
};

struct err {
    enum rc code;
    char what[512]; /* the object and what was being done with it; may be empty */
    char why[768];  /* the cause, inner nouns first */
    char hint[512]; /* what to do next; may be empty */
};

/* Ends the sentence and starts the advice: "..." HINT "take a backup first". */
#define HINT "\nhint: "

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* All return the code, so that `return err_set(...)` is one line.
 * err_set  states the cause, replacing what `e` held.
 * err_sys  the same with errno's text appended; ENOSPC, EDQUOT and EFBIG get a hint.
 * err_wrap says what was being attempted; an earlier `what` moves in front of the cause.
 */
enum rc err_set(struct err *e, enum rc code, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum rc err_sys(struct err *e, enum rc code, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum rc err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* What the static analyzer cannot see from here: a failure is never RC_OK. */
#ifdef __clang_analyzer__
#define err_set(e, rc, ...) ((e)->code = (rc))
#define err_sys(e, rc, ...) ((e)->code = (rc))
#define err_wrap(e, ...) ((e)->code = RC_INTERNAL)
#endif

/* Replace the advice. */
void err_hint(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Process exit status and one-line meaning of a code. */
int rc_exit_status(enum rc code);
const char *rc_meaning(enum rc code);
const char *rc_name(enum rc code);

/* Hands a failure up unchanged. The only macro in the program that returns. */
#define TRY(call)             \
    do {                      \
        enum rc rc_ = (call); \
        if (rc_ != RC_OK)     \
            return rc_;       \
    } while (0)

#endif
