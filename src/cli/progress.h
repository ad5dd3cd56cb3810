/* Progress on stderr: a line that is redrawn on a terminal, a plain line every 10 s
 * elsewhere, or JSON lines for machines. Units are bytes. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

#include "cli/report.h"

enum progress_mode { PROGRESS_AUTO, PROGRESS_PLAIN, PROGRESS_JSON, PROGRESS_NONE };

struct progress {
    struct console *console;
    enum progress_mode mode;
    uint64_t (*now_ms)(void);
    char stage[64]; /* made printable; a change of stage starts rate and time anew */
    uint64_t begun_ms, said_ms, begun_at;
    bool due; /* say something at once, whatever the interval */
};

void progress_init(struct progress *p, struct console *c, enum progress_mode mode,
                   uint64_t (*now_ms)(void));

/* A progress_fn: `arg` is the struct progress. Cheap to call for every piece. */
void progress_show(const char *stage, uint64_t done, uint64_t total, void *arg);

/* Removes the line that stands. */
void progress_end(struct progress *p);

#endif
