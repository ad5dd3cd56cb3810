/* The desk of rig.h and a Maintenance.Status, served by a real server on its own loop in
 * its own thread. */
#ifndef TESTS_UNIT_GRPCD_HALL_H
#define TESTS_UNIT_GRPCD_HALL_H

#include <pthread.h>

#include "tests/unit/grpcd/rig.h"

struct hall {
    struct desk desk;
    struct grpcd_options o; /* fill in before hall_open what is not the default */
    uint64_t grace_ms;
    struct grpcd *server;
    uv_loop_t loop;
    uv_async_t stop;
    pthread_t thread;
    unsigned stopped;
    char url[64]; /* "http://127.0.0.1:PORT" */
    uint16_t port;
};

void hall_open(struct hall *h);
void hall_close(struct hall *h); /* waits for the thread; nothing may be left */

/* A connected socket; what it gets until it is closed or `wait_ms` pass in silence. */
int hall_connect(const struct hall *h);
size_t hall_hear(int fd, char *to, size_t room, int wait_ms);

#endif
