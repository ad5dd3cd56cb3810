/* Text on its way to a descriptor. Writers never check: the first failure is kept,
 * what follows is dropped, and printer_flush reports it. So a renderer reads as a list
 * of lines, and a full disk behind stdout still ends in a failed exit status.
 *
 * Who reads may be stuck. A result waits for him, until a stop is wanted; one that is on
 * record waits five seconds. What is only said (`may_drop`) waits a second, and after
 * that is dropped and counted until somebody reads again. */
#ifndef CLI_PRINTER_H
#define CLI_PRINTER_H

#include <stdbool.h>
#include <stddef.h>

#include "util/bytes.h"
#include "util/err.h"

struct printer {
    int fd;           /* -1 keeps everything in `text`: how tests capture output */
    const char *name; /* in messages */
    struct buf text;  /* not yet written */
    struct err failure;
    bool reader_left; /* the failure: nobody reads the pipe any more */
    bool is_list;     /* of which a reader may want the beginning only, as `head` does */
    bool on_record;   /* what it says can be asked for again */
    bool may_drop;
    bool stuck;     /* the last that was said was not read */
    size_t dropped; /* since somebody read */
};

void printer_put(struct printer *s, const char *text);
void printer_put_bytes(struct printer *s, struct bytes bytes); /* as they are */
void printer_printf(struct printer *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void printer_fill(struct printer *s, char c, size_t n);

/* Text from outside: what a terminal would obey becomes \xNN. */
void printer_put_printable(struct printer *s, const char *text);

/* Words of `text` wrapped to 79 columns, each line indented; the first line begins at
 * column `at`. A blank line in the text stays one; ends with a newline. */
void printer_wrap(struct printer *s, size_t at, size_t indent, const char *text);

/* Write what is held back. RC_STORAGE now and on every later call once it failed; with
 * `may_drop` always RC_OK, and the next try may succeed. */
enum rc printer_flush(struct printer *s, struct err *e);

/* What a capturing stream holds, as a string that lives until the next put. */
const char *printer_text(struct printer *s);
void printer_clear(struct printer *s);

#endif
