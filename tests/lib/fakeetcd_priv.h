/* Inside of the fake: fakeetcd.c moves bytes, fakeetcd_say.c decides which. */
#ifndef TESTS_LIB_FAKEETCD_PRIV_H
#define TESTS_LIB_FAKEETCD_PRIV_H

#include <openssl/evp.h>
#include <pthread.h>

#include "tests/lib/fakeetcd.h"

/* Plain malloc: tests make mem_ allocations fail while the fake runs. */
struct blob {
    uint8_t *p;
    size_t n, cap;
};
void blob_add(struct blob *b, const void *p, size_t n);
void blob_varint(struct blob *b, uint64_t v);
void blob_number(struct blob *b, unsigned field, uint64_t v); /* left out when 0 */
void blob_bytes(struct blob *b, unsigned field, const void *p, size_t n);
void blob_frame(struct blob *b, const struct blob *message);
void blob_free(struct blob *b);

/* What a stream is told to do next. */
enum say {
    SAY_MORE,  /* bytes were appended to `out` */
    SAY_WAIT,  /* nothing until wake_ms, or ever when that is 0 */
    SAY_END,   /* trailers with `status`, or none when it is negative */
    SAY_RESET, /* with error `status` */
    SAY_CLOSE,
    SAY_ABORT,
    SAY_GOAWAY,
};

struct stream {
    struct stream *next;
    int32_t id;
    char method[64], token[64];
    struct blob request, out;
    size_t out_at;
    bool trailers_only, snapshot;
    int status, second_status;
    const char *text;
    uint64_t wake_ms;
    enum say unary; /* how an answer that is no Snapshot goes on after `out` */

    size_t step;
    uint64_t step_done, sent, trailer_at; /* sent: bytes of database */
    EVP_MD_CTX *hash;
    struct blob last; /* message */
};

struct call_count {
    char method[64];
    unsigned count;
};

struct fake {
    struct fake_script script;
    int listener, wake, port;
    char endpoint[64];
    pthread_t thread;
    pthread_mutex_t lock; /* counts, ids */
    struct call_count calls[64];
    unsigned *answer_uses;
    unsigned logins, token_left;
    bool stop;
};

/* The request is whole: prepares the answer. */
void fake_answer(struct fake *f, struct stream *s);

/* What comes after `out` is empty. */
enum say fake_say(struct fake *f, struct stream *s);

uint64_t fake_now_ms(void);

#endif
