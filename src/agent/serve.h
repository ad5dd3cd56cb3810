/* The agent's listener: /metrics and /healthz, for whoever may reach it; on loopback
 * unless the configuration says otherwise. The only user of libmicrohttpd. */
#ifndef AGENT_SERVE_H
#define AGENT_SERVE_H

#include "util/bytes.h"
#include "util/err.h"
#include "util/own.h"

struct serve;

/* Is it an address to listen on? RC_USAGE. */
enum rc serve_check(const char *listen, struct err *e);

/* What is answered; called on the listener's thread. */
struct serve_pages {
    enum rc (*metrics)(void *arg, bool openmetrics, struct buf *out, struct err *e);
    /* *well false: 503 */
    enum rc (*health)(void *arg, bool *well, struct buf *out, struct err *e);
    void *arg;
};

/* `listen` is ADDRESS:PORT, [ADDRESS]:PORT. RC_USAGE, RC_STORAGE when
 * the address is taken. */
enum rc serve_new(const char *listen, const struct serve_pages *pages, struct serve **out,
                  struct err *e);
void serve_free(struct serve *s); /* NULL is fine */
OWN_DEFINE(serve)

#endif
