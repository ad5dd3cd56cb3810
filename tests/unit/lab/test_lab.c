#include "lab/lab.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/port.h"
#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/lab/fixture.h"
#include "util/mem.h"
#include "util/os.h"

static int listening(uint16_t port, bool reuse)
{
    const struct sockaddr_in a = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (reuse)
        cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    if (bind(fd, (const struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1) == 0)
        return fd;
    close(fd);
    return -1;
}

CASE(lab_port, a_held_port_is_for_the_server_only)
{
    struct err e = { 0 };
    OWNED_FD int held = -1;
    OWNED_FD int other = -1;
    OWNED_FD int server = -1;
    uint16_t port, second;

    OK(lab_port_take(&port, &held, &e), &e);
    cr_assert(port >= 20000 && port < 32000);
    for (int i = 0; i < 50; i++) {
        OK(lab_port_take(&second, &other, &e), &e);
        cr_assert_neq(second, port);
        os_fd_end(&other);
    }
    cr_assert_eq(listening(port, false), -1);
    server = listening(port, true);
    cr_assert_geq(server, 0);
}

static enum rc up(const char *dir, size_t members, const char *server, struct err *e)
{
    OWNED(lab) l = NULL;
    const struct lab_options o = { .dir = dir,
                                   .members = members,
                                   .server = server,
                                   .minor = 6,
                                   .tied = true,
                                   .tls = true };

    return lab_up(&o, &l, e);
}

static const char *server_that_says(const char *dir, const char *script)
{
    const char *path = path_in(dir, "s");
    OWNED_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    struct err e = { 0 };

    OK(os_write_full(fd, script, strlen(script), path, &e), &e);
    return path;
}

CASE(lab, what_does_not_come_up_leaves_nothing)
{
    const char *dir = tmpdir_new();
    char at[600];
    struct err e = { 0 };

    snprintf(at, sizeof at, "%s/lab", dir);
    cr_assert_eq(up(at, 2, "/nowhere/server", &e), RC_NOTFOUND);
    cr_assert_str_eq(dir_listing(dir), "");
    cr_assert_eq(up(at, 2,
                    server_that_says(dir, "#!/bin/sh\necho starting\n"
                                          "echo 'no such flag' >&2\n"),
                    &e),
                 RC_NET);
    cr_assert_str_eq(e.why, "m1 has ended: no such flag");
    cr_assert_str_eq(e.hint, "see its log");
    cr_assert_eq(up(at, 1,
                    server_that_says(dir, "#!/bin/sh\necho 'the data is gone'\n"
                                          "echo 'hint: add it again'\necho\n"),
                    &e),
                 RC_NET);
    cr_assert_str_eq(e.why, "m1 has ended: the data is gone");
    cr_assert_str_eq(e.hint, "add it again");
    cr_assert_eq(up(at, 1, "/bin/true", &e), RC_NET);
    cr_assert_str_eq(e.why, "m1 has ended: it said nothing");
    cr_assert_str_eq(dir_listing(dir), "s");
}

CASE(lab, sizes_and_places_that_cannot_be)
{
    const char *dir = tmpdir_new();
    char deep[200];
    struct err e = { 0 };

    cr_assert_eq(up(path_in(dir, "lab"), 0, "/bin/true", &e), RC_USAGE);
    cr_assert_eq(up(path_in(dir, "lab"), 8, "/bin/true", &e), RC_USAGE);
    cr_assert_str_eq(e.why, "a lab has 1 to 7 members");
    memset(deep, 'x', sizeof deep - 1);
    deep[0] = '/';
    deep[sizeof deep - 1] = '\0';
    cr_assert_eq(up(deep, 1, "/bin/true", &e), RC_USAGE);
    cr_assert(strstr(e.why, "is too long for the sockets in it") != NULL);
    cr_assert_str_eq(dir_listing(dir), "");
}

/* Another's files do not vanish because a start failed. */
CASE(lab, a_refused_place_is_left_as_it_was)
{
    const char *dir = tmpdir_new(), *at = path_in(dir, "lab");
    struct err e = { 0 };

    cr_assert_eq(mkdir(at, 0700), 0);
    cr_assert_eq(mkdir(path_in(at, "m1"), 0700), 0);
    cr_assert_eq(up(at, 1, "/bin/true", &e), RC_REFUSED);
    cr_assert_str_eq(dir_listing(at), "m1");
}

CASE(lab, members_are_found_by_name)
{
    OWNED(lab) l = fixture_lab("/tmp/x", 3);
    struct err e = { 0 };
    size_t i;

    OK(lab_find(l, "m3", &i, &e), &e);
    cr_assert_eq(i, 2);
    cr_assert_eq(lab_find(l, "m4", &i, &e), RC_NOTFOUND);
    cr_assert_str_eq(e.why, "there is no member 'm4', only m1 to m3");
    cr_assert_eq(lab_find(l, "leader", &i, &e), RC_NOTFOUND);
    cr_assert_str_eq(e.why, "no member leads now");
}

CASE(lab, a_real_etcd_takes_no_faults)
{
    OWNED(lab) l = fixture_lab("/tmp/x", 3);
    const bool group[LAB_MEMBERS_MAX] = { true };
    struct err e = { 0 };

    l->kind = LAB_ETCD;
    cr_assert_eq(lab_partition(l, group, LAB_BOTH, &e), RC_USAGE);
    cr_assert_eq(lab_fault(l, 0, "delay 5", &e), RC_USAGE);
    cr_assert_str_eq(e.why, "a real etcd takes no faults");
}
