#include "agent/ping.h"

#include <stdio.h>
#include <string.h>

#include "http/http.h"
#include "util/log.h"

enum { URL_SIZE = 4200, PING_MS = 10000 };

static enum rc ignore(void *arg, struct bytes piece, struct err *e)
{
    (void)arg;
    (void)piece;
    (void)e;
    return RC_OK;
}

static enum rc tell(const char *url, const char *body, int *status, struct err *e)
{
    OWNED(http) h = NULL;
    struct http_answer a = { 0 };
    const struct http_request q = {
        .url = url,
        .headers = (const char *const[]){ "content-type: text/plain", NULL },
        .body = bytes_str(body),
        .total_ms = PING_MS,
        .on_body = ignore,
    };

    TRY(http_new(&(struct http_options){ 0 }, &h, e));
    TRY(http_perform(h, &q, &a, e));
    *status = a.status;
    return RC_OK;
}

/* The URL is a secret of sorts, since whoever has it can say that all is well: it is
 * not logged. */
static void ping(const char *url, const char *end, const char *body)
{
    char whole[URL_SIZE];
    struct err e = { 0 };
    int status = 0;

    if (url == NULL)
        return;
    snprintf(whole, sizeof whole, "%s%s", url, end);
    if (tell(whole, body, &status, &e) != RC_OK)
        log_warn("a health check could not be told: %s", e.why);
    else if (status < 200 || status > 299)
        log_warn("a health check was told and answered with status %d", status);
}

void ping_start(const char *url)
{
    ping(url, "/start", "");
}

void ping_end(const char *url, int status, const char *said)
{
    char end[16] = "";

    if (status != 0)
        snprintf(end, sizeof end, "/%d", status);
    ping(url, end, said);
}
