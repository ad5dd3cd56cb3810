#include "lab/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "util/os.h"

static enum rc dial(const char *path, int *out, struct err *e)
{
    const struct timeval patience = { .tv_sec = 5 };
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    OWNED_FD int fd = -1;

    if (strlen(path) >= sizeof to.sun_path)
        return err_set(e, RC_USAGE, "'%s' is too long for a Unix socket", path);
    memcpy(to.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0 ||
        connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
        return err_sys(e, RC_NET, "nobody listens at '%s'", path);
    *out = os_fd_give(&fd);
    return RC_OK;
}

static enum rc ask(int fd, const char *line, char *answer, struct err *e)
{
    char text[LAB_ANSWER_MAX];
    size_t n = 0;
    ssize_t got = 1;

    snprintf(text, sizeof text, "%s\n", line);
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
        return err_sys(e, RC_NET, "the member does not listen");
    while (n < LAB_ANSWER_MAX - 1 && memchr(answer, '\n', n) == NULL && got > 0) {
        got = os.read(fd, answer + n, LAB_ANSWER_MAX - 1 - n);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            n += (size_t)got;
    }
    answer[n] = '\0';
    if (strchr(answer, '\n') == NULL)
        return err_set(e, RC_NET, "the member does not answer");
    *strchr(answer, '\n') = '\0';
    return RC_OK;
}

enum rc lab_control(const char *path, const char *line,
                    char answer[static LAB_ANSWER_MAX], struct err *e)
{
    static const char refused[] = "error: ";
    OWNED_FD int fd = -1;
    char text[LAB_ANSWER_MAX] = "";

    TRY(dial(path, &fd, e));
    TRY(ask(fd, line, text, e));
    if (strncmp(text, refused, sizeof refused - 1) == 0)
        return err_set(e, RC_USAGE, "%s", text + sizeof refused - 1);
    snprintf(answer, LAB_ANSWER_MAX, "%s", strncmp(text, "ok ", 3) == 0 ? text + 3 : "");
    return RC_OK;
}

enum rc lab_facts_parse(const char *answer, struct lab_facts *out, struct err *e)
{
    struct lab_facts f = { 0 };
    int n =
        sscanf(answer, /* NOLINT(cert-err34-c) */
               "member %" SCNx64 " cluster %" SCNx64 " state %15s leader %" SCNx64
               " term %" SCNu64 " index %" SCNu64 " revision %" SCNd64,
               &f.member, &f.cluster, f.state, &f.leader, &f.term, &f.index, &f.revision);

    if (n != 7)
        return err_set(e, RC_CORRUPT, "a member's status reads '%s'", answer);
    *out = f;
    return RC_OK;
}
