/* Passwords and passphrases: read once, held in one piece of memory, wiped at the end.
 *
 * A secret comes from a file, a descriptor, the environment or the terminal, never
 * from the command line, where every user of the host could read it. Only its first
 * line counts, without the line end. No message contains any part of a secret. */
#ifndef CRYPTO_SECRET_H
#define CRYPTO_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "util/bytes.h"
#include "util/err.h"
#include "util/own.h"

enum { SECRET_LINE_MAX = 4096 };

struct secret {
    size_t n;    /* bytes of text, without the NUL behind it */
    size_t room; /* bytes that text can hold, without the NUL */
    char text[];
};

enum rc secret_new(struct bytes text, struct secret **out, struct err *e);
void secret_free(struct secret *s); /* wipes */
OWN_DEFINE(secret)

static inline struct bytes secret_bytes(const struct secret *s)
{
    return (struct bytes){ (const uint8_t *)s->text, s->n };
}

/* A whole file of at most `max` bytes (RC_USAGE beyond). Warns through the log when
 * others than the owner may read it. `path` may be a pipe. */
enum rc secret_read_file(const char *path, size_t max, struct secret **out,
                         struct err *e);

/* The first line; RC_USAGE when it is empty or longer than SECRET_LINE_MAX, or when
 * the variable is not set. secret_from_fd stops reading at the line end and does not
 * close; `name` is for messages. */
enum rc secret_from_file(const char *path, struct secret **out, struct err *e);
enum rc secret_from_fd(int fd, const char *name, struct secret **out, struct err *e);
enum rc secret_from_env(const char *variable, struct secret **out, struct err *e);

/* Asks on /dev/tty with echo off, whatever stdin and stdout are: once, or twice where
 * a mistyped secret would lock the user out. RC_USAGE without a terminal or when the
 * two differ, RC_INTERRUPTED on a signal; the terminal is set back in each case. */
enum rc secret_from_prompt(const char *prompt, bool twice, struct secret **out,
                           struct err *e);

/* For programs that hold secrets: no core files, no reading of our memory by other
 * processes of the same user. */
enum rc crypto_guard_process(struct err *e);

#endif
