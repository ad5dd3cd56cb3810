#include "lab/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "util/os.h"

enum { FIRST = 20000, COUNT = 12000, TRIES = 500 };

/* Bound without SO_REUSEADDR it shuts out all others; set afterwards, it lets in those
 * that have it as well, as long as nobody listens. */
static int hold(uint16_t port)
{
    const struct sockaddr_in a = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    OWNED_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;

    if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof a) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return -1;
    return os_fd_give(&fd);
}

enum rc lab_port_take(uint16_t *port, int *fd, struct err *e)
{
    uint32_t at;

    TRY(os_random(&at, sizeof at, e));
    for (unsigned i = 0; i < TRIES; i++) {
        *port = (uint16_t)(FIRST + (at % COUNT + i * 7) % COUNT);
        *fd = hold(*port);
        if (*fd >= 0)
            return RC_OK;
    }
    return err_sys(e, RC_NET, "there is no free port on 127.0.0.1");
}
