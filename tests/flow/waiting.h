/* A run of the tool that waits while the test acts. */
#ifndef TESTS_FLOW_WAITING_H
#define TESTS_FLOW_WAITING_H

#include <stdbool.h>
#include <sys/types.h>

struct waiting {
    pid_t pid;
    char log[600], text[65536];
};

/* Its output, on both streams, goes into a file of `dir`. */
void waiting_begin(struct waiting *w, const char *dir, const char *const argv[]);
#define BEGIN(w, c, ...) \
    waiting_begin(w, (c)->dir, (const char *const[]){ HOLDFAST_BIN, __VA_ARGS__, NULL })

/* What it has said so far, in w->text. */
const char *waiting_text(struct waiting *w);

/* Waits until it says so; false when it ends without. */
bool waiting_says(struct waiting *w, const char *words);

/* The nth start command that it shows, as shown; so what a test starts is what a person
 * would start. */
const char *waiting_start(struct waiting *w, unsigned nth);
/* The value of --initial-cluster in it. */
const char *waiting_initial(struct waiting *w, unsigned nth);

/* Waits for its end. */
void waiting_ends(struct waiting *w, int status);
/* Ends it; true when it had ended well already. */
bool waiting_kill(struct waiting *w);

#endif
