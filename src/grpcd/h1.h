/* Just enough of HTTP/1.1 for GET pages: strict, without bodies, without pipelining. */
#ifndef GRPCD_H1_H
#define GRPCD_H1_H

#include <stdbool.h>

#include "grpcd/grpcd.h"

enum {
    H1_REQUEST_MAX = 8192, /* request line and headers together */
};

enum h1_state {
    H1_MORE, /* the request is not whole yet */
    H1_GET,
    H1_BAD, /* answer `status` and close */
};

struct h1_request {
    char path[512];
    char query[512]; /* behind '?', "" without one */
    int status;      /* of H1_BAD: 400, 405, 414, 431 or 505 */
    bool close;      /* no further request may follow */
    size_t size;     /* bytes the request took */
};

/* Looks at all that has come of a request. */
enum h1_state h1_parse(struct bytes in, struct h1_request *out);

/* Finds the page of `path` and fills the answer, 404 without one and 500 when the page
 * fails. `answer->body` is buf_clear'ed by the caller. */
void h1_page(const struct grpcd_options *o, const char *path, const char *query,
             struct grpcd_answer *answer);

/* An answer without page, such as 404. */
void h1_refuse(struct grpcd_answer *answer, int status);

/* Appends status line, headers and body. RC_NOMEM, RC_CORRUPT at the buffer's cap. */
enum rc h1_write(struct buf *out, const struct grpcd_answer *answer, bool close,
                 struct err *e);

#endif
