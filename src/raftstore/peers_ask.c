#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "raftstore/peers.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/os.h"

struct ask {
    int fd;
    uint64_t deadline;
    const char *url;
};

static enum rc ready(const struct ask *a, short events, struct err *e)
{
    uint64_t now = clock_ms();
    struct pollfd p = { .fd = a->fd, .events = events };

    if (now >= a->deadline || poll(&p, 1, (int)(a->deadline - now)) <= 0)
        return err_set(e, RC_NET, "%s does not answer", a->url);
    return RC_OK;
}

static enum rc dial(struct ask *a, struct err *e)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    char host[16];
    uint16_t port;

    TRY(hello_address(a->url, host, &port, e));
    inet_pton(AF_INET, host, &to.sin_addr);
    to.sin_port = htons(port);
    a->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->fd < 0)
        return err_sys(e, RC_NET, "no socket");
    if (connect(a->fd, (const struct sockaddr *)&to, sizeof to) != 0 &&
        errno != EINPROGRESS)
        return err_sys(e, RC_NET, "cannot connect to %s", a->url);
    return ready(a, POLLOUT, e);
}

static enum rc say(const struct ask *a, struct bytes what, struct err *e)
{
    while (what.n > 0) {
        ssize_t n;

        TRY(ready(a, POLLOUT, e));
        n = send(a->fd, what.p, what.n, MSG_NOSIGNAL);
        if (n <= 0)
            return err_sys(e, RC_NET, "cannot send to %s", a->url);
        what = (struct bytes){ what.p + n, what.n - (size_t)n };
    }
    return RC_OK;
}

static enum rc hear(const struct ask *a, uint8_t *p, size_t n, struct err *e)
{
    for (size_t at = 0; at < n;) {
        ssize_t got;

        TRY(ready(a, POLLIN, e));
        got = recv(a->fd, p + at, n - at, 0);
        if (got <= 0)
            return err_set(e, RC_NET, "%s hung up", a->url);
        at += (size_t)got;
    }
    return RC_OK;
}

static enum rc converse(struct ask *a, uint8_t what, uint8_t **out, size_t *n,
                        struct err *e)
{
    struct hello h = { .kind = HELLO_CALLS };
    uint8_t hello[HELLO_SIZE], head[13] = { 9 }, answer;
    AT_END(mem_end) uint8_t *body = NULL;
    uint32_t size;

    TRY(dial(a, e));
    hello_write(&h, hello);
    TRY(say(a, BYTES_OF(hello), e));
    TRY(hear(a, &answer, 1, e));
    if (answer != HELLO_WELCOME)
        return err_set(e, RC_REFUSED, "%s turned us away", a->url);
    put_le64(head + 4, 1);
    head[12] = what;
    TRY(say(a, BYTES_OF(head), e));
    TRY(hear(a, head, sizeof head, e));
    size = le32(head);
    if (size < 9 || size > PEER_MESSAGE_MAX || head[12] != 0)
        return err_set(e, RC_NET, "%s does not know", a->url);
    TRY(mem_new(&body, size, "an answer", e));
    TRY(hear(a, body, size - 9, e));
    *out = GIVE(body);
    *n = size - 9;
    return RC_OK;
}

enum rc peer_ask(const char *url, uint8_t what, unsigned timeout_ms, uint8_t **out,
                 size_t *n, struct err *e)
{
    struct ask a = { .fd = -1, .deadline = clock_ms() + timeout_ms, .url = url };
    enum rc rc = converse(&a, what, out, n, e);

    os_fd_end(&a.fd);
    return rc;
}
