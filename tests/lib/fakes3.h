/* A scripted object store: what a real one does once in a thousand nights, or never
 * admits. It keeps one bucket in memory, on a thread of its own, one request after the
 * other, and does what its rules say instead of, or besides, what was asked. Its Date is
 * always noon of 21 November 2025.
 *
 *     FAKES3 f = fakes3_start(&(struct fakes3_script){
 *         .rules = { { "PUT", "uploadId", FAKES3_STATUS, .status = 503, .times = 2 } }
 * });
 *     ... store_open(&(struct store_options){ .url = fakes3_url(f, "at/") ... }) ... */
#ifndef TESTS_LIB_FAKES3_H
#define TESTS_LIB_FAKES3_H

#include <stdbool.h>
#include <stddef.h>

enum fakes3_does {
    FAKES3_STATUS = 1, /* answers `status` with `code`; nothing is carried out */
    FAKES3_LOSE,       /* carries it out, and hangs up without an answer */
    FAKES3_LATE_ERROR, /* carries it out, and answers `status` */
    FAKES3_CUT,        /* hangs up after `at` bytes of the answer's body */
    FAKES3_PRETEND,    /* answers as if it had carried it out */
    FAKES3_SILENT,     /* says nothing until the client hangs up */
    FAKES3_RAW,        /* answers with the bytes of `raw`, and hangs up */
    FAKES3_CHANGE,     /* another object of the same size is put first */
    FAKES3_HEADER,     /* adds the line `raw` to the answer's headers */
};

struct fakes3_rule {
    const char *method;   /* NULL: any */
    const char *contains; /* in "path?query"; NULL: anything */
    enum fakes3_does does;
    unsigned skip, times; /* of the requests that fit; times 0: once */
    int status;
    const char *code, *raw;
    size_t at;
};

enum { FAKES3_RULES = 4 };

struct fakes3_script {
    struct fakes3_rule rules[FAKES3_RULES];
    bool no_conditions;    /* 501 to If-None-Match */
    bool no_ranges;        /* 200 and all of it */
    bool no_locks;         /* takes the headers, and forgets them */
    bool odd_lists;        /* backwards, and everything twice */
    bool circles;          /* the next page is always the same */
    unsigned page;         /* keys in a page; 0: 1000 */
    const char *initiated; /* of each upload without an end; NULL: 2020 */
};

struct fakes3;

struct fakes3 *fakes3_start(const struct fakes3_script *script); /* copied */
void fakes3_stop(struct fakes3 **f);
#define FAKES3 [[gnu::cleanup(fakes3_stop)]] struct fakes3 *

/* "s3://bucket/PLACE?endpoint=http://127.0.0.1:PORT" in a rotating buffer. */
const char *fakes3_url(const struct fakes3 *f, const char *place);

/* How many requests of this method (NULL: any) had `contains` in them. */
unsigned fakes3_count(struct fakes3 *f, const char *method, const char *contains);

/* Uploads without an end; objects that are there. */
unsigned fakes3_uploads(struct fakes3 *f);
unsigned fakes3_objects(struct fakes3 *f);

#endif
