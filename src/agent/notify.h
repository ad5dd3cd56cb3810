/* Tells systemd how the service is, by the protocol of sd_notify(3): a datagram to the
 * socket that NOTIFY_SOCKET names. Without one, nothing is done. */
#ifndef AGENT_NOTIFY_H
#define AGENT_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STATUS=..." lines. A failure is nobody's business. */
void notify(const char *lines);

/* How often WATCHDOG=1 is expected; 0: not at all. */
uint64_t notify_watchdog_ms(void);

#endif
