#include "http/http.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "http/transfer.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"

enum {
    DIAL_TIMEOUT_MS = 5000,
    POLL_MS = 100, /* how soon a stop or a limit is noticed */
    CONNECTIONS_KEPT = 8,
};

static enum rc copy(const char *s, char **out, struct err *e)
{
    if (s == NULL)
        return RC_OK;
    *out = mem_str(s);
    return *out == NULL ? err_set(e, RC_NOMEM, "no memory for HTTP options") : RC_OK;
}

/* libcurl would notice only at the first connection, and say less. */
static enum rc check_file(const char *path, const char *what, struct err *e)
{
    OWNED_FD int fd = -1;
    uint64_t size;

    if (path == NULL || os_open_regular(path, &fd, &size, e) == RC_OK)
        return RC_OK;
    e->code = RC_USAGE;
    return err_wrap(e, "cannot use the %s %s", what, path);
}

static enum rc check_options(const struct http_options *o, struct err *e)
{
    if ((o->cert == NULL) != (o->key == NULL))
        return err_set(e, RC_USAGE,
                       "a client certificate and its key must be given together");
    TRY(check_file(o->cacert, "CA certificate", e));
    TRY(check_file(o->cert, "client certificate", e));
    return check_file(o->key, "client key", e);
}

enum rc http_new(const struct http_options *o, struct http **out, struct err *e)
{
    OWNED(http) h = NULL;

    TRY(check_options(o, e));
    transfer_start_libcurl();
    TRY(mem_new(&h, sizeof *h, "HTTP", e));
    TRY(copy(o->cacert, &h->cacert, e));
    TRY(copy(o->cert, &h->cert, e));
    TRY(copy(o->key, &h->key, e));
    TRY(copy(o->server_name, &h->server_name, e));
    h->insecure_skip_verify = o->insecure_skip_verify;
    h->dial_timeout_ms = o->dial_timeout_ms == 0 ? DIAL_TIMEOUT_MS : o->dial_timeout_ms;
    h->multi = curl_multi_init();
    if (h->multi == NULL)
        return err_set(e, RC_NOMEM, "no memory for HTTP connections");
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    *out = GIVE(h);
    return RC_OK;
}

void http_free(struct http *h)
{
    if (h == NULL)
        return;
    curl_multi_cleanup(h->multi);
    mem_free(h->cacert);
    mem_free(h->cert);
    mem_free(h->key);
    mem_free(h->server_name);
    mem_free(h);
}

static enum rc limit(struct transfer *t, const char *what, uint64_t ms)
{
    t->told.end = HTTP_LATE;
    t->stuck = true;
    return t->rc = err_set(&t->err, RC_NET, "%s %" PRIu64 " ms", what, ms);
}

static uint64_t count_bytes(const struct transfer *t)
{
    curl_off_t sent = 0;

    if (t->q->progress != NULL)
        return *t->q->progress;
    curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    return t->told.body_bytes + (uint64_t)sent;
}

/* Progress is counted in useful bytes, not in messages or packets: a server whose disk
 * fails keeps sending empty messages for ever, and one byte every 25 s is no progress
 * either, which is what the average is for. */
static enum rc check_progress(struct transfer *t, uint64_t now)
{
    const struct http_request *q = t->q;
    uint64_t count = count_bytes(t);
    uint64_t took = now - t->started_ms;

    if (count != t->progress) {
        t->progress = count;
        t->moved_ms = now;
    }
    if (q->stall_ms != 0 && now - t->moved_ms >= q->stall_ms)
        return limit(t, "no payload arrived for", now - t->moved_ms);
    if (q->rate_min != 0 && took > q->stall_ms && count * 1000 / took < q->rate_min) {
        t->told.end = HTTP_LATE;
        t->stuck = true;
        return t->rc = err_set(&t->err, RC_NET,
                               "only %" PRIu64 " bytes arrived in %" PRIu64
                               " ms, less than %" PRIu64 " bytes a second",
                               count, took, q->rate_min);
    }
    return RC_OK;
}

static enum rc check_limits(struct transfer *t)
{
    uint64_t now = clock_ms();

    if (!t->q->unstoppable && stop_check(&t->err) != RC_OK)
        return t->rc = RC_INTERRUPTED;
    if (t->q->cancel != NULL && atomic_load(t->q->cancel))
        return t->rc = err_set(&t->err, RC_INTERRUPTED, "a request was given up");
    if (t->q->total_ms != 0 && now - t->started_ms >= t->q->total_ms)
        return limit(t, "no complete answer within", t->q->total_ms);
    return check_progress(t, now);
}

/* A server may send the headers of a short answer and then wait with its body until it
 * hears that they came, which our kernel would keep to itself for 40 ms: radosgw does.
 * The connection is the only one in use. */
static void confirm_headers(struct transfer *t)
{
    fd_set in, out, odd;
    int most = -1, on = 1;

    if (!t->unconfirmed)
        return;
    t->unconfirmed = false;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&odd);
    if (curl_multi_fdset(t->http->multi, &in, &out, &odd, &most) != CURLM_OK)
        return;
    for (int fd = 0; fd <= most; fd++)
        if (FD_ISSET(fd, &in))
            (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

/* Runs the transfer until libcurl is done with it or we are. */
static CURLcode drive(struct transfer *t)
{
    CURLM *multi = t->http->multi;
    int running = 1, left;
    CURLMsg *m;

    while (running > 0) {
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
        if (running > 0 && check_limits(t) != RC_OK)
            return CURLE_ABORTED_BY_CALLBACK;
        if (running > 0)
            confirm_headers(t);
        if (running > 0)
            curl_multi_poll(multi, NULL, 0, POLL_MS, NULL);
    }
    while ((m = curl_multi_info_read(multi, &left)) != NULL)
        if (m->msg == CURLMSG_DONE && m->easy_handle == t->easy)
            return m->data.result;
    return CURLE_OUT_OF_MEMORY;
}

static void transfer_clear(struct transfer *t)
{
    curl_easy_cleanup(t->easy);
    for (struct curl_slist *h = t->headers; h != NULL; h = h->next)
        mem_wipe(h->data, strlen(h->data)); /* a token is among them */
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->connect_to);
}

/* The first of the chain is the server's own. */
static enum rc take_certificate(struct transfer *t, struct err *e)
{
    struct curl_certinfo *chain = NULL;

    if (curl_easy_getinfo(t->easy, CURLINFO_CERTINFO, &chain) != CURLE_OK ||
        chain == NULL || chain->num_of_certs < 1)
        return err_set(e, RC_NET, "the server showed no certificate");
    for (struct curl_slist *l = chain->certinfo[0]; l != NULL; l = l->next)
        if (strncmp(l->data, "Cert:", 5) == 0)
            return buf_add(t->certificate, l->data + 5, strlen(l->data + 5), e);
    return err_set(e, RC_NET, "libcurl does not tell the server's certificate");
}

static enum rc run(struct transfer *t, struct err *e)
{
    CURLcode code;

    t->easy = curl_easy_init();
    if (t->easy == NULL)
        return err_set(e, RC_NOMEM, "no memory for a request");
    TRY(transfer_configure(t, e));
    t->started_ms = t->moved_ms = clock_ms();
    if (curl_multi_add_handle(t->http->multi, t->easy) != CURLM_OK)
        return err_set(e, RC_NOMEM, "no memory for a request");
    code = drive(t);
    enum rc rc = code == CURLE_OK ? RC_OK : transfer_failure(t, code, e);

    if (rc == RC_OK && t->only_certificate)
        rc = take_certificate(t, e);

    /* Resets the stream when it is still open. */
    curl_multi_remove_handle(t->http->multi, t->easy);
    return rc;
}

enum rc http_perform(struct http *h, const struct http_request *q,
                     struct http_answer *told, struct err *e)
{
    struct transfer t = { .http = h, .q = q, .told.end = HTTP_DONE };
    enum rc rc = run(&t, e);

    if (rc != RC_OK && t.told.end == HTTP_DONE)
        t.told.end = HTTP_UNSENT;
    *told = t.told;
    transfer_clear(&t);
    return rc;
}

static enum rc gather(void *arg, struct bytes piece, struct err *e)
{
    return buf_add(arg, piece.p, piece.n, e);
}

enum rc http_get(struct http *h, const char *url, uint64_t timeout_ms, struct buf *out,
                 int *status, struct err *e)
{
    struct http_request q = {
        .url = url, .total_ms = timeout_ms, .on_body = gather, .arg = out
    };
    struct http_answer told;

    if (http_perform(h, &q, &told, e) != RC_OK)
        return err_wrap(e, "cannot get %s", url);
    *status = told.status;
    return RC_OK;
}

enum rc http_certificate(struct http *h, const char *url, struct buf *out, struct err *e)
{
    struct http_request q = { .url = url, .total_ms = h->dial_timeout_ms };
    struct transfer t = { .http = h,
                          .q = &q,
                          .told.end = HTTP_DONE,
                          .only_certificate = true,
                          .certificate = out };
    enum rc rc;

    if (strncmp(url, "https://", 8) != 0)
        return err_set(e, RC_USAGE, "%s has no certificate", url);
    rc = run(&t, e);
    transfer_clear(&t);
    return rc;
}
