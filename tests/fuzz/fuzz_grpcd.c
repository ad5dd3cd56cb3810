/* What a hostile client can send to the gRPC server. Each run is one connection; the
 * input is cut into steps: feed some bytes (behind HTTP/2's preface, when the first byte
 * is even), let time pass, answer a held call, or resume a paused one. Whatever comes,
 * every call that was started can be finished, and nothing is held beyond its bound. */
#include <stdlib.h>

#include "grpcd/conn.h"

enum { HELD_MAX = 512 };

static struct {
    struct grpcd_call *held[HELD_MAX];
    size_t count;
} desk;

static void keep(struct grpcd_call *call)
{
    if (desk.count == HELD_MAX)
        grpcd_finish(call, GRPCD_UNAVAILABLE, "too many");
    else
        desk.held[desk.count++] = call;
}

static void on_canceled(struct grpcd_call *call, void *state)
{
    (void)state;
    (void)grpcd_send(call, bytes_str("unheard"));
}

static void on_message(struct grpcd_call *call, struct bytes request, void *state)
{
    (void)state;
    if (request.n % 3 == 1)
        grpcd_pause_reads(call);
    (void)grpcd_send(call, request);
}

static const struct grpcd_hooks hooks = { .canceled = on_canceled,
                                          .message = on_message };

static void echo(struct grpcd_call *call, struct bytes request, void *arg)
{
    (void)arg;
    grpcd_reply(call, request);
}

static void hold(struct grpcd_call *call, struct bytes request, void *arg)
{
    (void)request;
    (void)arg;
    grpcd_hook(call, &hooks, NULL);
    keep(call);
}

static enum rc page(struct grpcd_answer *answer, const char *query, void *arg,
                    struct err *e)
{
    (void)arg;
    return buf_add(&answer->body, query, strlen(query), e);
}

static const struct grpcd_method methods[] = { { "/s/E", GRPCD_UNARY, echo },
                                               { "/s/H", GRPCD_STREAM, hold },
                                               { "/s/B", GRPCD_BIDI, hold } };
static const struct grpcd_page pages[] = { { "/p", page } };

static void on_wake(void *arg)
{
    (void)arg;
}

static void finish_one(size_t i, unsigned code)
{
    struct grpcd_call *call = desk.held[i];

    desk.held[i] = desk.held[--desk.count];
    (void)grpcd_send(call, bytes_str("answer"));
    grpcd_finish(call, code % 17 == 0 ? GRPCD_OK : GRPCD_UNKNOWN, "100% over");
}

static void drain(struct conn *c)
{
    conn_settle(c);
    while (conn_output(c).n > 0)
        conn_settle(c);
}

/* One step for each operation byte; false at the end of the input. */
static bool step(struct conn *c, struct bytes *in, uint64_t *now)
{
    uint8_t op = in->p[0];
    size_t n = op & 0x3f;

    *in = (struct bytes){ in->p + 1, in->n - 1 };
    if (op >= 0xc0) {
        *now += n * 100;
        conn_tick(c, *now);
    } else if (op >= 0xa0 && desk.count > 0) {
        finish_one(n % desk.count, op);
    } else if (op >= 0x90 && desk.count > 0) {
        grpcd_resume_reads(desk.held[n % desk.count]);
    } else {
        n = n * 4 < in->n ? n * 4 : in->n;
        conn_feed(c, (struct bytes){ in->p, n }, *now);
        *in = (struct bytes){ in->p + n, in->n - n };
    }
    drain(c);
    return in->n > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct service service = { .o = { .methods = methods,
                                      .method_count = 3,
                                      .pages = pages,
                                      .page_count = 1,
                                      .message_max = 4096,
                                      .streams_max = 8 } };
    struct bytes in = { p + 1, n - 1 };
    struct conn *c = NULL;
    struct err e = { 0 };
    uint64_t now = 0;

    if (n < 2)
        return 0;
    service_defaults(&service.o);
    if (conn_new(&service, "fuzz", on_wake, NULL, &c, &e) != RC_OK)
        abort();
    if (p[0] % 2 == 0)
        conn_feed(c, (struct bytes){ (const uint8_t *)preface, 24 }, now);
    while (step(c, &in, &now))
        if (service.calls > 16)
            abort(); /* more than twice the streams that are allowed */
    conn_free(c);
    if (service.calls != desk.count)
        abort();
    while (desk.count > 0)
        finish_one(0, 0);
    return 0;
}
