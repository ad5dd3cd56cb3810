/* TCP ports on 127.0.0.1 for servers that are about to start. */
#ifndef LAB_PORT_H
#define LAB_PORT_H

#include <stdint.h>

#include "util/err.h"

/* A port that nobody has, below those that the kernel gives to outgoing connections. It
 * is held by *fd against everybody who looks for one, and a server that sets SO_REUSEADDR
 * (all do) can listen on it nonetheless; close *fd when that one listens. */
enum rc lab_port_take(uint16_t *port, int *fd, struct err *e);

#endif
