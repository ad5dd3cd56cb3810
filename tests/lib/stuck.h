/* A pipe that is full and that nobody reads. Inline: a few lines for many suites. */
#ifndef TESTS_LIB_STUCK_H
#define TESTS_LIB_STUCK_H

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

enum { STUCK_SIZE = 65536 };

struct stuck {
    int reader, writer; /* the writer blocks; both stay open in children */
};

static inline struct stuck stuck_pipe(void)
{
    static const char junk[4096];
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(fcntl(ends[1], F_SETPIPE_SZ, STUCK_SIZE), STUCK_SIZE);
    cr_assert_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    while (write(ends[1], junk, sizeof junk) > 0)
        ;
    cr_assert_eq(fcntl(ends[1], F_SETFL, 0), 0);
    return (struct stuck){ ends[0], ends[1] };
}

/* Somebody reads, until there is nothing; the text without what filled it, cut to fit. */
static inline void stuck_read(const struct stuck *s, char *text, size_t size)
{
    char piece[4096];
    ssize_t n;

    *text = '\0';
    cr_assert_eq(fcntl(s->reader, F_SETFL, O_NONBLOCK), 0);
    while ((n = read(s->reader, piece, sizeof piece - 1)) > 0) {
        piece[n] = '\0';
        strncat(text, piece, size - strlen(text) - 1);
    }
}

static inline void stuck_end(struct stuck *s)
{
    close(s->reader);
    close(s->writer);
}

#endif
