#include "lab/control.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"

/* A member that takes one line and says one thing, in pieces of one byte. */
struct member {
    int listener;
    const char *answer;
    char heard[256];
    pthread_t thread;
};

static void *serve(void *arg)
{
    struct member *m = arg;
    int fd = accept(m->listener, NULL, NULL);
    ssize_t n = read(fd, m->heard, sizeof m->heard - 1);

    m->heard[n < 0 ? 0 : n] = '\0';
    for (const char *at = m->answer; *at != '\0' && send(fd, at, 1, MSG_NOSIGNAL) == 1;
         at++)
        ;
    close(fd);
    return NULL;
}

static const char *member_start(struct member *m, const char *answer)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    const char *path = path_in(tmpdir_new(), "sock");

    *m = (struct member){ .answer = answer };
    memcpy(at.sun_path, path, strlen(path));
    m->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(m->listener, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(listen(m->listener, 1), 0);
    cr_assert_eq(pthread_create(&m->thread, NULL, serve, m), 0);
    return path;
}

static enum rc ask(const char *says, char *answer, struct err *e)
{
    struct member m;
    const char *path = member_start(&m, says);
    enum rc rc = lab_control(path, "slow-disk 20", answer, e);

    pthread_join(m.thread, NULL);
    close(m.listener);
    cr_assert_str_eq(m.heard, "slow-disk 20\n");
    return rc;
}

CASE(lab_control, answers_are_taken_apart)
{
    char answer[LAB_ANSWER_MAX];
    struct err e = { 0 };

    OK(ask("ok\n", answer, &e), &e);
    cr_assert_str_eq(answer, "");
    OK(ask("ok some facts\n", answer, &e), &e);
    cr_assert_str_eq(answer, "some facts");
    cr_assert_eq(ask("error: a number is expected\n", answer, &e), RC_USAGE);
    cr_assert_str_eq(e.why, "a number is expected");
}

CASE(lab_control, a_member_that_breaks_off_is_told)
{
    char answer[LAB_ANSWER_MAX], flood[2 * LAB_ANSWER_MAX];
    struct err e = { 0 };

    cr_assert_eq(ask("", answer, &e), RC_NET);
    cr_assert_eq(ask("ok half", answer, &e), RC_NET);
    memset(flood, 'x', sizeof flood - 1);
    flood[sizeof flood - 1] = '\0';
    cr_assert_eq(ask(flood, answer, &e), RC_NET);
    cr_assert_str_eq(e.why, "the member does not answer");
}

CASE(lab_control, where_nobody_listens)
{
    char answer[LAB_ANSWER_MAX], longest[200];
    struct err e = { 0 };

    cr_assert_eq(lab_control(path_in(tmpdir_new(), "sock"), "status", answer, &e),
                 RC_NET);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    cr_assert_eq(lab_control(longest, "status", answer, &e), RC_USAGE);
}

CASE(lab_control, facts_are_read)
{
    static const char *const wrong[] = {
        "",
        "member 1",
        "member 1 cluster 2 state leader leader 1 term 3 index 4",
        "member 1 cluster 2 state leader leader 1 term x index 4 revision 5",
    };
    struct lab_facts f;
    struct err e = { 0 };

    OK(lab_facts_parse("member f129a5efeeec4aeb cluster 2 state follower leader 0 term 3 "
                       "index 4 revision 5",
                       &f, &e),
       &e);
    cr_assert_eq(f.member, UINT64_C(0xf129a5efeeec4aeb));
    cr_assert(f.cluster == 2 && f.leader == 0 && f.term == 3 && f.index == 4 &&
              f.revision == 5);
    cr_assert_str_eq(f.state, "follower");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(lab_facts_parse(wrong[i], &f, &e), RC_CORRUPT, "%s", wrong[i]);
}
